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
