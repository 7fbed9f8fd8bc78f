//! Values that Python calls equal to one before them, which are written in another form.

use super::output::WriteError;
use crate::engine::column_builder::Values;
use crate::engine::numbering::{Build, Contents, FirstUses, number};
use crate::engine::spill::{Spill, StreamId, StreamReader};
use crate::error::Result;
use crate::format::canonical::encode::Form;
use crate::format::canonical::python_integer;
use crate::format::value::{TAG_BOOL, TAG_FLOAT, TAG_INT, TAG_UINT};
use crate::model::ValueRef;

/// Which values there are that Python takes for integers. Two that differ here are equal there only if one is a boolean and
/// the other an integer, say, or both are zeros.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Lookalikes {
    bools: bool,
    integers: bool,
    floats: bool,
    positive_zero: bool,
    negative_zero: bool,
}

impl Lookalikes {
    #[inline]
    pub(super) fn add(&mut self, value: ValueRef<'_>) {
        match value {
            ValueRef::Bool(_) => self.bools = true,
            ValueRef::Int(_) => self.integers = true,
            ValueRef::Float(float) => {
                self.floats |= float.trunc() == float;
                self.positive_zero |= float.to_bits() == 0;
                self.negative_zero |= float.to_bits() == (-0.0f64).to_bits();
            }
            _ => {}
        }
    }

    /// Whether no two values of these types (bit t: tag t) can be equal to Python and differ here.
    pub(super) fn are_none_among(types: u16) -> bool {
        let has = |tag: u8| types & (1 << tag) != 0;
        let integers = has(TAG_INT) || has(TAG_UINT);
        !(has(TAG_FLOAT) || has(TAG_BOOL) && integers)
    }

    /// Whether two of them may be equal to Python.
    pub(super) fn may_be_equal(self) -> bool {
        let kinds = u8::from(self.bools) + u8::from(self.integers) + u8::from(self.floats);
        kinds > 1 || (self.positive_zero && self.negative_zero)
    }
}

/// The integers that Python takes values for; others are left out.
struct Integers<'v> {
    values: &'v mut dyn Values,
    bytes: [u8; 16],
}

impl Contents for Integers<'_> {
    fn rewind(&mut self) {
        self.values.rewind();
    }

    fn next(&mut self, _spill: &Spill) -> Result<Option<&[u8]>> {
        while let Some((_, value)) = self.values.next()? {
            if let Some(integer) = python_integer(value) {
                self.bytes = integer.to_le_bytes();
                return Ok(Some(&self.bytes));
            }
        }
        Ok(None)
    }
}

/// Those among different values that Python calls equal to one before them.
pub(super) struct Wrapped {
    /// Their numbers, ascending.
    pub(super) numbers: StreamId,
}

impl Wrapped {
    /// Finds them; the numbers are a stream of the build. `None` where there are none.
    pub(super) fn find(build: &mut Build<'_, '_>, values: &mut dyn Values) -> Result<Option<Self>, WriteError> {
        let numbered = number(build, &mut Integers { values, bytes: [0; 16] })?;
        if numbered.distinct == numbered.count {
            return Ok(None);
        }
        let wrapped = Self { numbers: build.spill.stream() };
        let mut uses = FirstUses::new(&numbered);
        values.rewind();
        while let Some((number, value)) = values.next()? {
            if python_integer(value).is_some()
                && let Some((_, false)) = uses.next(&build.spill)?
            {
                build.spill.append(wrapped.numbers, &number.to_le_bytes())?;
            }
            build.meter.step()?;
        }
        Ok(Some(wrapped))
    }
}

/// Says of numbers, asked in ascending order, how their values are written.
pub(super) struct Forms {
    wrapped: Option<StreamReader>,
    next: Option<u32>,
}

impl Forms {
    pub(super) fn new(wrapped: Option<StreamId>, kept: &Spill) -> Result<Self> {
        let mut forms = Self { wrapped: wrapped.map(StreamReader::new), next: None };
        forms.read(kept)?;
        Ok(forms)
    }

    fn read(&mut self, kept: &Spill) -> Result<()> {
        self.next = self.wrapped.as_mut().map_or(Ok(None), |wrapped| wrapped.u32(kept))?;
        Ok(())
    }

    #[inline]
    pub(super) fn of(&mut self, number: u32, kept: &Spill) -> Result<Form> {
        if self.next != Some(number) {
            return Ok(Form::Plain);
        }
        self.read(kept)?;
        Ok(Form::Wrapped)
    }
}
