//! A snapshot as CSV: a header line, then a line a point.
//!
//! Text, numbers and booleans are written so that an import infers them again; the rest is written as JSON text.

use crate::exit::{Failure, Outcome};
use crate::export::Lines;
use crate::json;
use crate::output::{Output, count_of};
use std::borrow::Cow;
use std::collections::HashMap;
use vector_datalib::{NestedError, Snapshot, ValueRef};

/// How CSV is written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CsvOptions<'o> {
    /// What stands for a missing value.
    pub(crate) null: &'o str,
    /// The name of the column of keys.
    pub(crate) key: &'o str,
}

impl Default for CsvOptions<'_> {
    fn default() -> Self {
        Self { null: "", key: "key" }
    }
}

/// Writes all points.
pub(crate) fn write(snapshot: &Snapshot, options: CsvOptions<'_>, lines: &mut Lines, output: &Output) -> Outcome<()> {
    let dimensions: Vec<&str> = snapshot.dimensions().collect();
    if dimensions.contains(&options.key) {
        return Err(Failure::usage(format!(
            "a dimension is named {:?}, like the column of keys; give that column another name with --key",
            options.key
        )));
    }
    let mut line = String::new();
    end_line(&mut line, [options.key].iter().chain(&dimensions).copied());
    lines.head(&line)?;

    let columns: HashMap<&str, usize> = dimensions.iter().enumerate().map(|(column, name)| (*name, column)).collect();
    let mut ambiguous = 0u64;
    for point in snapshot.iter() {
        let point = point?;
        let mut cells: Vec<Option<Cow<'_, str>>> = vec![None; dimensions.len()];
        for attribute in point.attributes() {
            let (name, value) = attribute?;
            let text = cell(value)?;
            ambiguous += u64::from(text == options.null);
            if let Some(cell) = columns.get(name).and_then(|column| cells.get_mut(*column)) {
                *cell = Some(text);
            }
        }
        let key = cell(point.key().value())?;
        let cells = cells.iter().map(|cell| cell.as_deref().unwrap_or(options.null));
        line.clear();
        end_line(&mut line, [key.as_ref()].into_iter().chain(cells));
        lines.point(&line)?;
    }
    if ambiguous > 0 {
        output.warning(&format!(
            "{} written as {:?}, like what is missing; choose another text for that with --null",
            count_of(ambiguous, "value"),
            options.null
        ));
    }
    Ok(())
}

/// The text of a value.
fn cell(value: ValueRef<'_>) -> Result<Cow<'_, str>, NestedError> {
    Ok(match value {
        ValueRef::Text(text) => text.into(),
        // The shortest text with a point or an exponent, so that an import never takes it for an integer. NaN has one text, so only
        // the usual one is written as such.
        ValueRef::Float(float) if !float.is_nan() || float.to_bits() == f64::NAN.to_bits() => {
            format!("{float:?}").into()
        }
        other => {
            let mut text = String::new();
            json::write_value_ref(other, &mut text)?;
            text.into()
        }
    })
}

/// Appends a record and its line feed.
fn end_line<'c>(line: &mut String, cells: impl IntoIterator<Item = &'c str>) {
    let start = line.len();
    for (index, cell) in cells.into_iter().enumerate() {
        if index > 0 {
            line.push(',');
        }
        if cell.contains(['"', ',', '\n', '\r']) {
            line.push('"');
            line.push_str(&cell.replace('"', "\"\""));
            line.push('"');
        } else {
            line.push_str(cell);
        }
    }
    if line.len() == start {
        // A blank line is no record.
        line.push_str("\"\"");
    }
    line.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;
    use vector_datalib::{Value, ValueBuf};

    fn text_of(value: impl Into<Value>) -> String {
        let value = ValueBuf::try_from(value.into()).unwrap();
        cell(value.as_ref()).unwrap().into_owned()
    }

    #[test]
    fn cells() {
        assert_eq!(text_of("a \"b\""), "a \"b\"");
        assert_eq!(text_of(-5), "-5");
        assert_eq!(text_of(u128::MAX), u128::MAX.to_string());
        assert_eq!(text_of(true), "true");
        assert_eq!(text_of(1.0), "1.0");
        assert_eq!(text_of(-0.0), "-0.0");
        assert_eq!(text_of(1e300), "1e300");
        assert_eq!(text_of(f64::NAN), "NaN");
        assert_eq!(text_of(f64::INFINITY), "inf");
        assert_eq!(text_of(-f64::NAN), r#"{"$float":"0xfff8000000000000"}"#);
        assert_eq!(text_of(Value::Null), "null");
        assert_eq!(text_of(vec![0u8]), r#"{"$bytes":"AA=="}"#);
        assert_eq!(text_of(vec![Value::from("a"), Value::from(1)]), r#"["a",1]"#);
    }

    #[test]
    fn lines_are_quoted_where_they_must_be() {
        let line = |cells: &[&str]| {
            let mut line = String::new();
            end_line(&mut line, cells.iter().copied());
            line
        };
        assert_eq!(line(&["a", "", "b c"]), "a,,b c\n");
        assert_eq!(line(&["a,b", "say \"x\"", "1\n2", "3\r"]), "\"a,b\",\"say \"\"x\"\"\",\"1\n2\",\"3\r\"\n");
        assert_eq!(line(&[""]), "\"\"\n");
        assert_eq!(line(&["", ""]), ",\n");
    }
}
