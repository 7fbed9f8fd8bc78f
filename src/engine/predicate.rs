//! What a search asks of values: of the descriptor of a segment, of its dictionary, of its cells.

use super::kernels::Selection;
use super::scan::{Segments, Untouched};
use super::segment::{Dictionary, Segment, SegmentValues};
use super::value_range::{NUMBER_TYPES, ValueRange};
use crate::error::Result;
use crate::format::column::{Encoding, Statistics};
use crate::format::value::{self, TAG_FLOAT, TAG_INT, TAG_UINT};
use crate::model::{ValueBuf, ValueRef};
use std::fmt;
use std::sync::Arc;

/// A test of one value.
type Test<'s> = dyn Fn(ValueRef<'_>) -> bool + Send + Sync + 's;

/// What is asked of a value.
#[derive(Clone)]
pub(super) enum Condition<'s> {
    Equals(ValueBuf),
    Within(ValueRange),
    Passes(Arc<Test<'s>>),
}

impl fmt::Debug for Condition<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Equals(value) => f.debug_tuple("Equals").field(value).finish(),
            Self::Within(range) => f.debug_tuple("Within").field(range).finish(),
            Self::Passes(_) => f.write_str("Passes(..)"),
        }
    }
}

impl Condition<'_> {
    pub(super) fn holds(&self, value: ValueRef<'_>) -> bool {
        match self {
            Self::Equals(wanted) => wanted.as_ref() == value,
            Self::Within(range) => range.contains(value),
            Self::Passes(test) => test(value),
        }
    }
}

/// A condition, and for which values of the column file's dictionary it holds.
#[derive(Clone, Debug)]
pub(super) struct Predicate<'s> {
    condition: Condition<'s>,
    entries: Entries,
}

/// Numbers of a dictionary.
#[derive(Clone, Debug)]
enum Entries {
    None,
    One(usize),
    /// For each number, whether it is one of them.
    Some(Arc<[bool]>),
    All,
}

impl Entries {
    fn of(holds: Vec<bool>) -> Self {
        let mut numbers = holds.iter().enumerate().filter(|&(_, &holds)| holds).map(|(number, _)| number);
        match (numbers.next(), numbers.count() + 1) {
            (None, _) => Self::None,
            (Some(_), count) if count == holds.len() => Self::All,
            (Some(number), 1) => Self::One(number),
            _ => Self::Some(holds.into()),
        }
    }

    fn has(&self, number: usize) -> bool {
        match self {
            Self::None => false,
            Self::One(one) => *one == number,
            Self::Some(holds) => holds.get(number).copied().unwrap_or_default(),
            Self::All => true,
        }
    }
}

/// For how many values of a segment a condition holds, by what its descriptor states.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Stated {
    None,
    /// Its values must be asked.
    Some,
    All,
}

impl<'s> Predicate<'s> {
    /// Asks the values of the column file's dictionary: all of them, but for an equal one, which is looked up.
    ///
    /// # Errors
    /// [`Error::Corrupt`](crate::Error::Corrupt): the dictionary is damaged.
    pub(super) fn new(condition: Condition<'s>, segments: &Segments<'_>) -> Result<Self> {
        let mut entries = Entries::None;
        if let Some(base) = segments.base()
            && base.resolve()?.1.has_dictionary()
        {
            let (column, cells) = base.resolve()?;
            let len = column.dictionary_count as usize;
            entries = match &condition {
                Condition::Equals(value) => match base.find(value.as_ref())? {
                    Some(_) if len == 1 => Entries::All,
                    Some(number) => Entries::One(number as usize),
                    None => Entries::None,
                },
                condition => {
                    let holds = |number| Ok(condition.holds(cells.entry(base.file(), number)?));
                    Entries::of((0..len).map(holds).collect::<Result<_>>()?)
                }
            };
        }
        Ok(Self { condition, entries })
    }

    /// What the descriptor of a segment of the column file says.
    pub(super) fn stated(&self, untouched: &Untouched<'_>) -> Stated {
        let (segment, summary) = (untouched.segment, untouched.summary);
        if segment.present_count == 0 {
            return Stated::None;
        }
        if segment.encoding.is_dictionary() {
            return match &self.entries {
                Entries::None => Stated::None,
                Entries::All => Stated::All,
                entries if segment.encoding == Encoding::Constant && entries.has(0) => Stated::All,
                _ => Stated::Some,
            };
        }
        match &self.condition {
            Condition::Equals(value) => {
                let value = value.as_ref();
                let is_outside = match (summary.statistics, value) {
                    (Statistics::I64(least, greatest), ValueRef::Int(int)) => {
                        !(least.into()..=greatest.into()).contains(&int)
                    }
                    (Statistics::U64(least, greatest), ValueRef::Int(int)) => {
                        !(least.into()..=greatest.into()).contains(&int)
                    }
                    (_, ValueRef::Float(float)) if float.is_nan() => !summary.has_nan,
                    (Statistics::F64(least, greatest), ValueRef::Float(float)) => {
                        least.total_cmp(&float).is_gt() || greatest.total_cmp(&float).is_lt()
                    }
                    _ => false,
                };
                let is_there = summary.value_types & 1 << value::tag(value) != 0 && !is_outside;
                if is_there { Stated::Some } else { Stated::None }
            }
            Condition::Within(range) if range.is_full() => Stated::All,
            Condition::Within(range) if summary.value_types & range.types() == 0 => Stated::None,
            Condition::Within(range) if range.types() & NUMBER_TYPES == 0 => Stated::Some,
            Condition::Within(range) => {
                let (of_type, overlap) = match summary.statistics {
                    Statistics::None => return Stated::Some,
                    Statistics::I64(least, greatest) => (1 << TAG_INT, overlap((least, greatest), range.signed())),
                    Statistics::U64(least, greatest) => {
                        (1 << TAG_INT | 1 << TAG_UINT, overlap((least, greatest), range.unsigned()))
                    }
                    Statistics::F64(least, greatest) => (1 << TAG_FLOAT, overlap((least, greatest), range.floats())),
                };
                let is_mixed = summary.value_types & !of_type != 0 || summary.has_nan;
                match overlap {
                    Stated::None => Stated::None,
                    Stated::All if !is_mixed => Stated::All,
                    _ => Stated::Some,
                }
            }
            Condition::Passes(_) => Stated::Some,
        }
    }

    /// Selects the values of a segment for which the condition holds.
    ///
    /// # Errors
    /// [`Error::Corrupt`](crate::Error::Corrupt): the bytes of a value are damaged.
    pub(super) fn select(&self, segment: &Segment<'_>, out: &mut Selection) -> Result<()> {
        match (&segment.values, &self.condition) {
            (_, Condition::Within(range)) if range.is_full() => out.select_all(segment.value_count()),
            (SegmentValues::Constant(value), condition) => {
                out.select_all(if condition.holds(*value) { segment.value_count() } else { 0 });
            }
            (SegmentValues::Dictionary8(numbers, dictionary), _) => self.select_numbers(numbers, dictionary, out)?,
            (SegmentValues::Dictionary16(numbers, dictionary), _) => self.select_numbers(numbers, dictionary, out)?,
            (SegmentValues::I64(cells), Condition::Equals(value)) => select_equal(cells, value.as_ref().as_i64(), out),
            (SegmentValues::U64(cells), Condition::Equals(value)) => select_equal(cells, value.as_ref().as_u64(), out),
            (SegmentValues::F64(cells), Condition::Equals(value)) => {
                let bits: &[u64] = bytemuck::must_cast_slice(cells);
                select_equal(bits, value.as_ref().as_f64().map(f64::to_bits), out);
            }
            (SegmentValues::I64(cells), Condition::Within(range)) => select_within(cells, range.signed(), out),
            (SegmentValues::U64(cells), Condition::Within(range)) => select_within(cells, range.unsigned(), out),
            (SegmentValues::F64(cells), Condition::Within(range)) => select_within(cells, range.floats(), out),
            (SegmentValues::I64(cells), Condition::Passes(test)) => out.select(cells, |cell| test(cell.into())),
            (SegmentValues::U64(cells), Condition::Passes(test)) => out.select(cells, |cell| test(cell.into())),
            (SegmentValues::F64(cells), Condition::Passes(test)) => out.select(cells, |cell| test(cell.into())),
            (SegmentValues::Values(cells), condition) => {
                let mut positions = Vec::new();
                for index in 0..cells.len() {
                    if condition.holds(cells.get(index)?) {
                        positions.push(index);
                    }
                }
                out.select_positions(positions.into_iter());
            }
        }
        Ok(())
    }

    fn select_numbers<N: Copy + PartialEq + Into<usize> + TryFrom<usize>>(
        &self,
        numbers: &[N],
        dictionary: &Dictionary<'_>,
        out: &mut Selection,
    ) -> Result<()> {
        let mut merged = None;
        if !dictionary.others.is_empty() {
            let others = dictionary.others.iter().map(|&value| self.condition.holds(value));
            let shared = (0..dictionary.shared_len()).map(|number| self.entries.has(number));
            merged = Some(Entries::of(shared.chain(others).collect()));
        }
        match merged.as_ref().unwrap_or(&self.entries) {
            Entries::None => out.select_none(),
            Entries::One(number) => select_equal(numbers, N::try_from(*number).ok(), out),
            Entries::All => out.select_all(numbers.len()),
            Entries::Some(holds) => {
                let mut is_sound = true;
                out.select(numbers, |number| {
                    let holds = holds.get(number.into()).copied();
                    is_sound &= holds.is_some();
                    holds.unwrap_or_default()
                });
                if !is_sound {
                    return Err(dictionary.past_the_end());
                }
            }
        }
        Ok(())
    }
}

/// How many numbers between two of a segment are between two others.
fn overlap<T: PartialOrd>((least, greatest): (T, T), range: Option<(T, T)>) -> Stated {
    match range {
        Some((low, high)) if low <= least && greatest <= high => Stated::All,
        Some((low, high)) if low <= greatest && least <= high => Stated::Some,
        _ => Stated::None,
    }
}

fn select_equal<T: Copy + PartialEq>(cells: &[T], wanted: Option<T>, out: &mut Selection) {
    match wanted {
        Some(wanted) => out.select_equal(cells, wanted),
        None => out.select_none(),
    }
}

fn select_within<T: Copy + PartialOrd>(cells: &[T], range: Option<(T, T)>, out: &mut Selection) {
    match range {
        Some((low, high)) => out.select(cells, |cell| (cell >= low) & (cell <= high)),
        None => out.select_none(),
    }
}
