//! Bytes of the uncompressed content, in order, as they are asked for.

use super::{ImportLimits, Refused};
use crate::model::VALUE_LEN_MAX;
use std::ops::ControlFlow;

/// Content longer than this must not be too many times as long as the file.
const RATIO_FROM: u64 = 64 << 20;

/// What a buffer keeps of its allocation, in bytes: two blocks of the longest kind.
const BUFFER_LEN_KEPT: usize = 8 << 20;

/// Content that comes block by block.
pub(crate) trait Blocks {
    /// Appends the next block to `out`; false at the end, once all that can be checked there is.
    fn next_block(&mut self, out: &mut Vec<u8>) -> Result<bool, Refused>;

    /// How many bytes of content there are, where the file says so.
    fn declared_len(&self) -> Option<u64>;

    /// Bytes of the file behind the content; known once the end was reached.
    fn trailing(&self) -> u64;
}

/// Told how much content was read, and how much there is where the file says so; decides whether to go on.
pub(crate) type Watch<'w> = dyn FnMut(u64, Option<u64>) -> ControlFlow<()> + 'w;

/// Hands out content, within the limits.
pub(crate) struct Input<'b> {
    blocks: Box<dyn Blocks + 'b>,
    limits: ImportLimits,
    file_len: u64,
    buffer: Vec<u8>,
    /// What was handed out of the buffer.
    at: usize,
    /// Bytes of content before the buffer.
    before: u64,
    is_ended: bool,
    watch: Option<Box<Watch<'b>>>,
}

impl<'b> Input<'b> {
    /// Content of a file of `file_len` bytes.
    pub(crate) fn new(blocks: Box<dyn Blocks + 'b>, mut limits: ImportLimits, file_len: u64) -> Self {
        limits.string_len = limits.string_len.min(VALUE_LEN_MAX as u64);
        Self { blocks, limits, file_len, buffer: Vec::new(), at: 0, before: 0, is_ended: false, watch: None }
    }

    /// The same, telling how much was read with each block and at each [`report`](Self::report).
    pub(crate) fn watched(self, watch: impl FnMut(u64, Option<u64>) -> ControlFlow<()> + 'b) -> Self {
        Self { watch: Some(Box::new(watch)), ..self }
    }

    /// Bytes of content that were read.
    pub(super) fn read_len(&self) -> u64 {
        self.before.saturating_add(self.buffer.len() as u64)
    }

    /// Tells how much was read; fails if that is enough.
    pub(crate) fn report(&mut self) -> Result<(), Refused> {
        let (done, total) = (self.read_len(), self.blocks.declared_len());
        match self.watch.as_mut().map(|watch| watch(done, total)) {
            Some(ControlFlow::Break(())) => Err(Refused::Cancelled),
            _ => Ok(()),
        }
    }

    /// Bytes of content that were handed out.
    pub(crate) fn position(&self) -> u64 {
        self.before.saturating_add(self.at as u64)
    }

    /// Bytes of the file behind the content; known once the end was reached.
    pub(crate) fn trailing(&self) -> u64 {
        self.blocks.trailing()
    }

    pub(crate) const fn limits(&self) -> &ImportLimits {
        &self.limits
    }

    /// The bytes that are there without reading on.
    #[inline]
    pub(crate) fn rest(&self) -> &[u8] {
        self.buffer.get(self.at..).unwrap_or_default()
    }

    /// Reads on until `rest` has `len` bytes; false where the content ends before.
    pub(crate) fn fill(&mut self, len: usize) -> Result<bool, Refused> {
        while self.rest().len() < len {
            if self.is_ended {
                return Ok(false);
            }
            if self.at > 0 {
                self.before = self.position();
                self.buffer.drain(..self.at);
                self.at = 0;
                // A long string once does not make a long buffer for ever.
                self.buffer.shrink_to(BUFFER_LEN_KEPT);
            }
            let old = self.buffer.len();
            self.is_ended = !self.blocks.next_block(&mut self.buffer)?;
            if self.buffer.len() > old {
                check_inflated(self.read_len(), self.file_len, &self.limits)?;
            }
            self.report()?;
        }
        Ok(true)
    }

    /// Takes `len` bytes that are there.
    #[inline]
    pub(crate) fn advance(&mut self, len: usize) {
        self.at = self.at.saturating_add(len).min(self.buffer.len());
    }

    /// The next byte, if there is one; it stays.
    #[inline]
    pub(crate) fn peek(&mut self) -> Result<Option<u8>, Refused> {
        if self.at == self.buffer.len() && !self.fill(1)? {
            return Ok(None);
        }
        Ok(self.buffer.get(self.at).copied())
    }

    /// The next byte.
    #[inline]
    pub(crate) fn byte(&mut self) -> Result<u8, Refused> {
        match self.peek()? {
            Some(byte) => {
                self.advance(1);
                Ok(byte)
            }
            None => Err(self.cut_short()),
        }
    }

    /// The next bytes.
    #[inline]
    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Refused> {
        if self.rest().len() < N && !self.fill(N)? {
            return Err(self.cut_short());
        }
        let bytes = self.rest().first_chunk::<N>().copied().unwrap_or([0; N]);
        self.advance(N);
        Ok(bytes)
    }

    /// The next `len` bytes of one string, if strings may be so long.
    #[inline]
    pub(crate) fn limited_string(&mut self, len: u64) -> Result<&[u8], Refused> {
        self.check_string(len)?;
        self.string(len)
    }

    /// Refuses strings of so many bytes if they are too long.
    #[inline]
    pub(crate) fn check_string(&self, len: u64) -> Result<(), Refused> {
        let allowed = self.limits.string_len;
        if len > allowed { Err(Refused::Limit { limit: "string_len", value: len, allowed }) } else { Ok(()) }
    }

    /// The next `len` bytes of one string. Memory grows with what is there, not with what is declared.
    #[inline]
    pub(crate) fn string(&mut self, len: u64) -> Result<&[u8], Refused> {
        if (self.rest().len() as u64) < len {
            self.fill_string(len)?;
        }
        let (start, len) = (self.at, usize::try_from(len).unwrap_or(usize::MAX));
        self.advance(len);
        Ok(self.buffer.get(start..start.saturating_add(len)).unwrap_or_default())
    }

    #[cold]
    fn fill_string(&mut self, len: u64) -> Result<(), Refused> {
        self.expect(len)?;
        let wanted = usize::try_from(len).unwrap_or(usize::MAX);
        if self.fill(wanted)? { Ok(()) } else { Err(self.cut_short()) }
    }

    /// Fails if `len` more bytes of content are too much for the file, before any of them are read.
    #[inline]
    pub(crate) fn expect(&self, len: u64) -> Result<(), Refused> {
        if (self.rest().len() as u64) < len { self.expect_blocks(len) } else { Ok(()) }
    }

    #[cold]
    fn expect_blocks(&self, len: u64) -> Result<(), Refused> {
        let end = self.position().saturating_add(len);
        if self.blocks.declared_len().is_some_and(|whole| end > whole) {
            return Err(self.cut_short());
        }
        check_inflated(end, self.file_len, &self.limits)
    }

    /// The content ends here and should not.
    #[cold]
    pub(crate) fn cut_short(&self) -> Refused {
        Refused::content(self.position(), "the content ends in the middle")
    }
}

/// Refuses content that is too long, or too long for its file.
pub(crate) fn check_inflated(len: u64, file_len: u64, limits: &ImportLimits) -> Result<(), Refused> {
    if len > limits.inflated_len {
        return Err(Refused::Limit { limit: "inflated_len", value: len, allowed: limits.inflated_len });
    }
    if len > RATIO_FROM && len > file_len.saturating_mul(limits.inflated_ratio) {
        let value = len.div_ceil(file_len.max(1));
        return Err(Refused::Limit { limit: "inflated_ratio", value, allowed: limits.inflated_ratio });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::pieces::Pieces;
    use super::*;

    #[test]
    fn no_limit_lets_in_a_string_that_is_too_long_for_a_value() {
        let limits = ImportLimits { string_len: u64::MAX, inflated_ratio: u64::MAX, ..ImportLimits::default() };
        let mut input = Input::new(Box::new(Pieces { content: b"x", len: 1, at: 0 }), limits, 1);
        let refused = input.limited_string(VALUE_LEN_MAX as u64 + 1).unwrap_err();
        assert!(matches!(refused, Refused::Limit { limit: "string_len", .. }), "{refused:?}");
    }
}

/// A double for tests.
#[cfg(test)]
pub(super) mod pieces {
    use super::{Blocks, Refused};

    /// Content that comes in pieces of one length.
    pub(crate) struct Pieces<'b> {
        pub(crate) content: &'b [u8],
        pub(crate) len: usize,
        pub(crate) at: usize,
    }

    impl Blocks for Pieces<'_> {
        fn next_block(&mut self, out: &mut Vec<u8>) -> Result<bool, Refused> {
            let rest = &self.content[self.at..];
            let piece = &rest[..self.len.min(rest.len())];
            out.extend_from_slice(piece);
            self.at += piece.len();
            Ok(!piece.is_empty())
        }

        fn declared_len(&self) -> Option<u64> {
            None
        }

        fn trailing(&self) -> u64 {
            0
        }
    }
}
