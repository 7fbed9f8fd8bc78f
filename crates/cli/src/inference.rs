//! Which type a column of text cells has: the narrowest that prints every cell back exactly as it stands.
//!
//! - *integer*: decimal digits with an optional minus, no plus, no leading zeros, no `-0`, from `i64::MIN` to `u64::MAX`.
//! - *float*: each cell is the shortest text of its float in one of the two ways that Rust prints floats, the same for
//!   the whole column: `{}` (whole numbers without a point: `1`, `2.5`) or `{:?}` (with one: `1.0`, `2.5`, `1e16`).
//!   So `1` and `2.5` make a column of floats, `1.0` and `2.5` too, but `1`, `1.0` and `2.5` make text, as does `1.50`.
//!   An integer of more than 64 bits makes its column text: no float is meant by it.
//! - *boolean*: `true` and `false`.
//! - *text*: everything else.
//!
//! Missing cells do not count. A column without any other cell has no type; it becomes a dimension without values.

use std::fmt::Write as _;
use vector_datalib::ValueRef;

/// The type of a column.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ColumnType {
    /// Integers of 64 bits, signed or not.
    Integer,
    /// Floats.
    Float,
    /// Booleans.
    Boolean,
    /// Text.
    Text,
}

impl ColumnType {
    /// The name that reports use.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Integer => "integer",
            Self::Float => "float",
            Self::Boolean => "boolean",
            Self::Text => "text",
        }
    }

    /// The value of a cell in a column of this type; `None` if the cell is not of this type.
    pub(crate) fn value(self, cell: &str) -> Option<ValueRef<'_>> {
        match self {
            Self::Integer => cell.parse::<i128>().ok().map(ValueRef::Int),
            // Digits that are beyond the range of floats read as infinite, which they are not.
            Self::Float => {
                let float = cell.parse::<f64>().ok()?;
                let kept = float.is_finite() || !cell.bytes().any(|byte| byte.is_ascii_digit());
                kept.then_some(ValueRef::Float(float))
            }
            Self::Boolean => cell.parse::<bool>().ok().map(ValueRef::Bool),
            Self::Text => Some(ValueRef::Text(cell)),
        }
    }
}

/// What the cells of a column seen so far can be.
#[derive(Clone, Debug)]
pub(crate) struct Inference {
    integer: bool,
    /// Floats as `{}` prints them.
    plain_float: bool,
    /// Floats as `{:?}` prints them.
    pointed_float: bool,
    boolean: bool,
    /// The type, where it is not told from the cells.
    fixed: Option<ColumnType>,
    cell_count: u64,
    /// Where floats are printed to compare them.
    scratch: String,
}

impl Inference {
    /// Everything is possible.
    pub(crate) const fn new() -> Self {
        let (integer, plain_float, pointed_float, boolean) = (true, true, true, true);
        Self { integer, plain_float, pointed_float, boolean, fixed: None, cell_count: 0, scratch: String::new() }
    }

    /// The type is known; what is left is whether there are cells, and whether they are of this type.
    pub(crate) fn fixed(column_type: ColumnType) -> Self {
        Self { fixed: Some(column_type), ..Self::new() }
    }

    /// Takes a cell that is not missing into account; false if the column has a fixed type that the cell is not of.
    pub(crate) fn observe(&mut self, cell: &str) -> bool {
        self.cell_count += 1;
        match self.fixed {
            Some(column_type) => column_type.value(cell).is_some(),
            None => {
                self.narrow(cell);
                true
            }
        }
    }

    fn narrow(&mut self, cell: &str) {
        if !(self.integer || self.plain_float || self.pointed_float || self.boolean) {
            return;
        }
        self.boolean &= matches!(cell, "true" | "false");
        if !(self.integer || self.plain_float || self.pointed_float) {
            return;
        }
        match digits_of(cell) {
            Digits::Integer(integer) => {
                self.pointed_float = false;
                // Every integer up to 2^53 is a float that prints in the same digits.
                if integer.unsigned_abs() > 1 << 53 {
                    self.observe_float(cell);
                }
            }
            Digits::TooLarge => (self.integer, self.plain_float, self.pointed_float) = (false, false, false),
            Digits::No => {
                self.integer = false;
                self.observe_float(cell);
            }
        }
    }

    fn observe_float(&mut self, cell: &str) {
        if !(self.plain_float || self.pointed_float) {
            return;
        }
        let Ok(float) = cell.parse::<f64>() else {
            (self.plain_float, self.pointed_float) = (false, false);
            return;
        };
        // Writing to a `String` cannot fail. The bits that a NaN might have are not in its text; it is printed as it is read.
        if self.plain_float {
            self.scratch.clear();
            let _ = write!(self.scratch, "{float}");
            self.plain_float = self.scratch == cell;
        }
        if self.pointed_float {
            self.scratch.clear();
            let _ = write!(self.scratch, "{float:?}");
            self.pointed_float = self.scratch == cell;
        }
    }

    /// The type of the column; `None` if all its cells are missing.
    pub(crate) const fn column_type(&self) -> Option<ColumnType> {
        if self.cell_count == 0 {
            None
        } else if self.fixed.is_some() {
            self.fixed
        } else if self.integer {
            Some(ColumnType::Integer)
        } else if self.plain_float || self.pointed_float {
            Some(ColumnType::Float)
        } else if self.boolean {
            Some(ColumnType::Boolean)
        } else {
            Some(ColumnType::Text)
        }
    }
}

/// What a cell is that may be nothing but digits.
enum Digits {
    /// An integer of 64 bits that prints back exactly.
    Integer(i128),
    /// An integer of more bits.
    TooLarge,
    /// Something else.
    No,
}

fn digits_of(cell: &str) -> Digits {
    let digits = cell.strip_prefix('-').unwrap_or(cell);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Digits::No;
    }
    if digits.starts_with('0') && cell != "0" {
        // Leading zeros, or -0, which is a float.
        return Digits::No;
    }
    // 20 digits are more than u64::MAX has room for, and far from overflow here.
    match cell.parse::<i128>() {
        Ok(integer) if integer >= i128::from(i64::MIN) && integer <= i128::from(u64::MAX) => Digits::Integer(integer),
        _ => Digits::TooLarge,
    }
}

#[cfg(test)]
mod tests {
    use super::ColumnType::{Boolean, Float, Integer, Text};
    use super::*;

    #[track_caller]
    fn check(cells: &[&str], expected: ColumnType) {
        let mut inference = Inference::new();
        for cell in cells {
            assert!(inference.observe(cell));
        }
        assert_eq!(inference.column_type(), Some(expected), "{cells:?}");
        for cell in cells {
            let text = match expected.value(cell).unwrap() {
                ValueRef::Int(int) => vec![int.to_string()],
                ValueRef::Float(float) => vec![format!("{float}"), format!("{float:?}")],
                ValueRef::Bool(bool) => vec![bool.to_string()],
                ValueRef::Text(text) => vec![text.to_owned()],
                other => panic!("{other:?}"),
            };
            assert!(text.iter().any(|text| text == cell), "{cell} printed back as {text:?}");
        }
    }

    #[test]
    fn integers() {
        check(&["0", "-1", "517"], Integer);
        check(&["-9223372036854775808", "18446744073709551615"], Integer);
        for other in ["007", "+7", "-0", "7 ", " 7", "1_000", "1,000", "0x1", "", "٣", "-"] {
            assert_ne!(inferred(&["1", other]), Some(Integer), "{other}");
        }
    }

    fn inferred(cells: &[&str]) -> Option<ColumnType> {
        let mut inference = Inference::new();
        assert!(cells.iter().all(|cell| inference.observe(cell)));
        inference.column_type()
    }

    #[test]
    fn integers_of_more_than_64_bits_are_text() {
        check(&["18446744073709551616"], Text);
        check(&["-9223372036854775809"], Text);
        check(&["100000000000000000000000"], Text);
        check(&["1.5", "100000000000000000000000"], Text);
        check(&["1", &"9".repeat(400)], Text);
    }

    #[test]
    fn floats_in_either_way_of_printing() {
        check(&["1.5", "-2.25"], Float);
        check(&["1", "1.5"], Float);
        check(&["1.5", "-81"], Float);
        check(&["1.0", "1.5", "1e16", "1e-7"], Float);
        check(&["-0"], Float);
        check(&["-0.0"], Float);
        check(&["0.0000001", "1.5"], Float);
        check(&["NaN", "inf", "-inf", "1.5"], Float);
    }

    #[test]
    fn floats_that_would_not_print_back_are_text() {
        check(&["1", "1.0"], Text);
        check(&["1", "1.5", "2.0"], Text);
        check(&["1.50"], Text);
        check(&[".5"], Text);
        check(&["5."], Text);
        check(&["1e5"], Text);
        check(&["1E16"], Text);
        check(&["+1.5"], Text);
        check(&["01.5"], Text);
        check(&["0.1000000000000000055511151231257827"], Text);
        check(&["1e999"], Text);
        check(&["nan"], Text);
        check(&["infinity"], Text);
        check(&["1.5", "9007199254740993"], Text);
        check(&["9007199254740993", "1.5"], Text);
        check(&["1.5", "007"], Text);
        check(&["1.5", ""], Text);
    }

    #[test]
    fn booleans_and_text() {
        check(&["true", "false"], Boolean);
        check(&["true", "False"], Text);
        check(&["true", "1"], Text);
        check(&["1", "true"], Text);
        check(&["2013-01-01T10:00:00Z"], Text);
        check(&["a", "1"], Text);
    }

    #[test]
    fn a_column_without_cells_has_no_type_and_a_type_can_be_fixed() {
        assert_eq!(Inference::new().column_type(), None);
        let mut text = Inference::fixed(Text);
        assert_eq!(text.column_type(), None);
        assert!(text.observe("1"));
        assert_eq!(text.column_type(), Some(Text));
        let mut float = Inference::fixed(Float);
        assert!(["1.50", "1e5", "7"].iter().all(|cell| float.observe(cell)));
        assert!(!float.observe("x"));
        assert!(!float.observe("1e999"));
        assert!(float.observe("inf"));
        assert_eq!(float.column_type(), Some(Float));
    }
}
