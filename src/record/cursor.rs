//! Where the reading of a nested value is.

use super::value_deserializer::TokenDeserializer;
use crate::error::Result;
use crate::model::ValueRef;
use crate::model::nested::{Decoder, Token};
use serde_core::de::DeserializeSeed;

/// The tokens of a value, and how many values are still to come: a type need not read everything that is there.
#[derive(Debug)]
pub(super) struct Cursor<'a> {
    decoder: Decoder<'a>,
    /// Values that the containers begun so far still have.
    pending: u64,
}

/// Reads a stored value.
#[inline]
pub(super) fn read<'a, S: DeserializeSeed<'a>>(value: ValueRef<'a>, seed: S) -> Result<S::Value> {
    match value {
        ValueRef::Array(nested) | ValueRef::Map(nested) => {
            let mut cursor = Cursor { decoder: Decoder::new(nested.as_bytes()), pending: 1 };
            let read = cursor.value(0, seed)?;
            cursor.decoder.end()?;
            Ok(read)
        }
        scalar => read_scalar(scalar, seed),
    }
}

/// Reads a value that has no others in it.
#[inline]
pub(super) fn read_scalar<'a, S: DeserializeSeed<'a>>(scalar: ValueRef<'a>, seed: S) -> Result<S::Value> {
    let mut nothing = Cursor { decoder: Decoder::new(&[]), pending: 0 };
    seed.deserialize(TokenDeserializer::new(Token::Scalar(scalar), &mut nothing, 0))
}

impl<'a> Cursor<'a> {
    /// Reads the next value, all of it: what the type leaves is skipped.
    pub(super) fn value<S: DeserializeSeed<'a>>(&mut self, depth: usize, seed: S) -> Result<S::Value> {
        let (token, after) = self.begin()?;
        let read = seed.deserialize(TokenDeserializer::new(token, self, depth))?;
        self.finish(after)?;
        Ok(read)
    }

    /// The first token of the next value, and what will be pending after that value.
    pub(super) fn begin(&mut self) -> Result<(Token<'a>, u64)> {
        let after = self.pending.saturating_sub(1);
        Ok((self.token()?, after))
    }

    /// Skips what is left of a value.
    pub(super) fn finish(&mut self, after: u64) -> Result<()> {
        while self.pending > after {
            self.token()?;
        }
        Ok(())
    }

    fn token(&mut self) -> Result<Token<'a>> {
        let token = self.decoder.token()?;
        let inner = match token {
            Token::Scalar(_) => 0,
            Token::Array(count) => count as u64,
            Token::Map(count) => (count as u64).saturating_mul(2),
        };
        self.pending = self.pending.saturating_sub(1).saturating_add(inner);
        Ok(token)
    }

    /// Fails if `depth` containers are too many around another one.
    pub(super) fn check_depth(&self, depth: usize) -> Result<()> {
        Ok(self.decoder.check_depth(depth)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::nested::{self, Nested};
    use crate::model::{NESTING_MAX, Value};
    use serde_core::de::IgnoredAny;
    use std::marker::PhantomData;

    /// What the tree's own decoder makes of bytes, and what reading them as a [`Value`] does.
    fn both(bytes: &[u8]) -> (Option<Value>, Option<Value>) {
        let nested = ValueRef::Array(Nested::trusted(bytes));
        (nested.to_value().ok(), read(nested, PhantomData::<Value>).ok())
    }

    #[test]
    fn damaged_bytes_are_an_error_or_what_the_decoder_of_trees_says() {
        let inner = Value::Map(vec![("a".into(), 1.5.into()), (u128::MAX.into(), Value::ext(5, vec![1]))]);
        let value = Value::Array(vec![inner, i64::MIN.into(), Value::ext(-1, vec![0; 4]), b"xy".into(), "é".into()]);
        let sound = nested::encode(&value).unwrap();
        assert_eq!(both(&sound), (Some(value.clone()), Some(value)));
        let mut same = 0;
        for at in 0..sound.len() {
            let (tree, here) = both(&sound[..at]);
            assert!(tree.is_none() && here.is_none(), "cut at {at}");
            for byte in 0..=255 {
                let mut bytes = sound.clone();
                bytes[at] = byte;
                let (tree, here) = both(&bytes);
                assert_eq!(tree, here, "{byte} at {at}");
                same += usize::from(here.is_some());
            }
        }
        assert!(same > sound.len(), "only {same} of them decode");
    }

    #[test]
    fn depth_is_bounded_for_those_who_go_there_and_skipping_needs_none() {
        let deep = |levels: usize| [vec![0x91; levels], vec![0xc0]].concat();
        let bytes = deep(NESTING_MAX);
        assert!(read(ValueRef::Array(Nested::trusted(&bytes)), PhantomData::<Value>).is_ok());
        let bytes = deep(100_000);
        let nested = ValueRef::Array(Nested::trusted(&bytes));
        assert!(read(nested, PhantomData::<Value>).unwrap_err().is_corrupt());
        assert!(read(nested, PhantomData::<IgnoredAny>).is_ok());
    }
}
