//! The values of a column all of whose slots have one, by encoding: what is known of them at compile time where lookups and batches are compiled
//! for it.

use super::direct_column::{AsItIs, Dictionary, Values};
use super::verified::{Settled, VerifiedHeap, VerifiedSlice};
use crate::model::ValueRef;

/// The values of slots, of a column that has been verified.
pub(super) trait PlainCells<'a> {
    /// Asks for the cell of a slot.
    fn prefetch(&self, slot: u32);

    /// Whether cells point to what they hold.
    fn has_content(&self) -> bool {
        true
    }

    /// Asks for what the cell of a slot points to.
    fn prefetch_content(&self, _slot: u32) {}

    /// The value of a slot.
    fn get(&self, slot: u32) -> Settled<ValueRef<'a>>;
}

pub(super) struct FloatCells<'c, 'a>(pub(super) &'c VerifiedSlice<'a, 8>);

impl<'a> PlainCells<'a> for FloatCells<'_, 'a> {
    #[inline(always)]
    fn has_content(&self) -> bool {
        false
    }

    #[inline(always)]
    fn prefetch(&self, slot: u32) {
        self.0.prefetch(slot as usize);
    }

    #[inline(always)]
    fn get(&self, slot: u32) -> Settled<ValueRef<'a>> {
        Some(self.0.get::<true>(slot as usize)?.map(|cell| ValueRef::Float(f64::from_le_bytes(*cell))))
    }
}

/// `i64`, or `u64`.
pub(super) struct IntegerCells<'c, 'a, const SIGNED: bool>(pub(super) &'c VerifiedSlice<'a, 8>);

impl<'a, const SIGNED: bool> PlainCells<'a> for IntegerCells<'_, 'a, SIGNED> {
    #[inline(always)]
    fn prefetch(&self, slot: u32) {
        self.0.prefetch(slot as usize);
    }

    #[inline(always)]
    fn get(&self, slot: u32) -> Settled<ValueRef<'a>> {
        let integer = |cell: &[u8; 8]| {
            ValueRef::Int(if SIGNED { i64::from_le_bytes(*cell).into() } else { u64::from_le_bytes(*cell).into() })
        };
        Some(self.0.get::<true>(slot as usize)?.map(integer))
    }
}

/// Positions in a heap of text.
pub(super) struct TextCells<'c, 'a>(pub(super) &'c VerifiedSlice<'a, 4>, pub(super) &'c VerifiedHeap<'a>);

impl<'a> PlainCells<'a> for TextCells<'_, 'a> {
    #[inline(always)]
    fn prefetch(&self, slot: u32) {
        self.0.prefetch(slot as usize);
    }

    #[inline(always)]
    fn prefetch_content(&self, slot: u32) {
        if let Some(cell) = self.0.at::<true>(slot as usize) {
            self.1.prefetch(u32::from_le_bytes(*cell) as usize);
        }
    }

    #[inline(always)]
    fn get(&self, slot: u32) -> Settled<ValueRef<'a>> {
        match self.0.get::<true>(slot as usize)? {
            Some(cell) => {
                self.1.text::<true>(u32::from_le_bytes(*cell) as usize).map(|text| Some(ValueRef::Text(text)))
            }
            None => Some(None),
        }
    }
}

/// Numbers of `N` bytes, 1 or 2, of the values of a dictionary.
pub(super) struct DictionaryCells<'c, 'a, const N: usize>(
    pub(super) &'c VerifiedSlice<'a, N>,
    pub(super) &'c Dictionary<'a>,
);

impl<const N: usize> DictionaryCells<'_, '_, N> {
    #[inline(always)]
    fn number(cell: &[u8; N]) -> usize {
        cell.iter().rev().fold(0, |number, &byte| number << 8 | usize::from(byte))
    }
}

impl<'a, const N: usize> PlainCells<'a> for DictionaryCells<'_, 'a, N> {
    #[inline(always)]
    fn prefetch(&self, slot: u32) {
        self.0.prefetch(slot as usize);
    }

    #[inline(always)]
    fn prefetch_content(&self, slot: u32) {
        if let Some(cell) = self.0.at::<true>(slot as usize) {
            self.1.prefetch(Self::number(cell));
        }
    }

    #[inline(always)]
    fn get(&self, slot: u32) -> Settled<ValueRef<'a>> {
        match self.0.get::<true>(slot as usize)? {
            Some(cell) => self.1.get::<true, _>(Self::number(cell), AsItIs),
            None => Some(None),
        }
    }
}

/// Of any encoding, verified or not.
pub(super) struct AnyCells<'c, 'a>(pub(super) &'c Values<'a>);

impl<'a> PlainCells<'a> for AnyCells<'_, 'a> {
    #[inline(always)]
    fn has_content(&self) -> bool {
        self.0.has_content()
    }

    #[inline(always)]
    fn prefetch(&self, slot: u32) {
        self.0.prefetch_cell(slot);
    }

    #[inline(always)]
    fn prefetch_content(&self, slot: u32) {
        self.0.prefetch_content(slot);
    }

    #[inline(always)]
    fn get(&self, slot: u32) -> Settled<ValueRef<'a>> {
        self.0.get::<false, _>(slot, AsItIs)
    }
}
