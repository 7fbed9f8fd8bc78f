//! Bytes to fixed structs and back: the one place that knows how archives are read.
//!
//! Every struct on disk is `repr(C)`, made of explicit little-endian integers, and is its own rkyv archive, so its bytes are
//! the same whichever features of rkyv another crate turns on. Structs are read by `access_pos` at a known place, which
//! checks length and alignment; what the fields mean is checked by the chapter that they belong to.

use super::Invalid;
use bytemuck::NoUninit;
use rkyv::Portable;
use rkyv::bytecheck::CheckBytes;
use rkyv::rancor::{Failure, Strategy};
use rkyv::validation::Validator;
use rkyv::validation::archive::ArchiveValidator;
use rkyv::validation::shared::SharedValidator;

/// What checked access needs of a struct.
pub(crate) trait Record:
    Portable + NoUninit + for<'a> CheckBytes<Strategy<Validator<ArchiveValidator<'a>, SharedValidator>, Failure>>
{
}

impl<T> Record for T where
    T: Portable + NoUninit + for<'a> CheckBytes<Strategy<Validator<ArchiveValidator<'a>, SharedValidator>, Failure>>
{
}

/// The struct at `offset`.
pub(crate) fn record<'a, T: Record>(bytes: &'a [u8], offset: usize, section: &'static str) -> Result<&'a T, Invalid> {
    let at = offset as u64;
    let end = offset.checked_add(size_of::<T>()).ok_or(Invalid::new(at, section, "out of bounds"))?;
    let window = bytes.get(offset..end).ok_or(Invalid::new(at, section, "cut short"))?;
    rkyv::api::high::access_pos::<T, Failure>(window, 0)
        .map_err(|Failure| Invalid::new(at, section, "not aligned or not valid"))
}

/// The number of `T`s that `len` bytes hold, and the `index`th offset.
pub(crate) const fn element_offset<T>(index: usize) -> usize {
    index.saturating_mul(size_of::<T>())
}

/// A little-endian `u16` at `offset`.
#[inline]
pub(crate) fn u16_at(bytes: &[u8], offset: usize) -> Option<u16> {
    bytes.get(offset..)?.first_chunk().map(|chunk| u16::from_le_bytes(*chunk))
}

/// A little-endian `u32` at `offset`.
#[inline]
pub(crate) fn u32_at(bytes: &[u8], offset: usize) -> Option<u32> {
    bytes.get(offset..)?.first_chunk().map(|chunk| u32::from_le_bytes(*chunk))
}

/// A little-endian `u64` at `offset`.
#[inline]
pub(crate) fn u64_at(bytes: &[u8], offset: usize) -> Option<u64> {
    bytes.get(offset..)?.first_chunk().map(|chunk| u64::from_le_bytes(*chunk))
}

/// Whether all bytes are zero, as reserved fields must be.
pub(crate) fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|&byte| byte == 0)
}

/// `len` rounded up to a multiple of `to`, a power of two; saturates.
pub(crate) const fn align_up(len: u64, to: u64) -> u64 {
    len.saturating_add(to.saturating_sub(1)) & !to.saturating_sub(1)
}
