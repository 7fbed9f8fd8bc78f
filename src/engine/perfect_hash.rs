//! The perfect hash of a frozen axis: from a key's hash to the only slot that can hold the key.
//!
//! A lookup has two steps: [`start`](PerfectHash::start) says where the pilot is, which may be a cache miss, and [`slot`](PerfectHash::slot)
//! works out the slot.

use super::block_file::BlockFile;
use super::verified::{Settled, VerifiedBytes, VerifiedSlice};
use crate::error::{Error, Result};
use crate::format::axis::Layout;
use crate::format::block_file::Section;
use crate::format::bytes::u32_at;
use crate::format::perfect_hash::{
    Part, REMAP_LEN, SECTION_HASH_PARTS, SECTION_PILOTS, SECTION_REMAP, decode_parts, number_of, place, spread_pilot,
};
use crate::format::{Invalid, value};
use crate::model::KeyRef;
use std::borrow::Cow;
use std::sync::Arc;

/// Where the sections are, and the parts, checked once.
#[derive(Clone, Debug)]
pub(super) struct PerfectHash {
    hash_seed: u64,
    bucket_count: u64,
    parts: Arc<[Part]>,
    /// Where the pilots start in the file.
    pilots: u64,
    remap: Section,
}

impl PerfectHash {
    /// That of a file whose descriptor was checked; `None` if it is not frozen.
    pub(super) fn resolve(file: &BlockFile, layout: Layout) -> Result<Option<Self>> {
        let Layout::Frozen { bucket_count, hash_seed, .. } = layout else { return Ok(None) };
        let (parts, remap) = (file.section(SECTION_HASH_PARTS), file.section(SECTION_REMAP));
        let slot_count = file.header().slot_count;
        let parts = decode_parts(file.section_bytes(parts)?, slot_count, remap.len / REMAP_LEN as u64)
            .map_err(|invalid| file.corrupt(invalid.at(parts.offset)))?
            .into();
        Ok(Some(Self { hash_seed, bucket_count, parts, pilots: file.section(SECTION_PILOTS).offset, remap }))
    }

    /// The hash that the other steps take.
    #[inline]
    pub(super) fn hash(&self, key: KeyRef<'_>) -> u64 {
        value::hash(key.value(), self.hash_seed)
    }

    /// The place in the file of the pilot of a hash.
    #[inline]
    pub(super) fn start(&self, hash: u64) -> u64 {
        self.pilots + number_of(hash, self.bucket_count)
    }

    /// The slot that a key of a hash has, if it has any. `pilot` is the byte at its [`start`](Self::start).
    #[inline]
    pub(super) fn slot(&self, file: &BlockFile, hash: u64, pilot: u8) -> Result<Option<u32>> {
        let Some(part) = self.parts.get(number_of(hash, self.parts.len() as u64) as usize) else { return Ok(None) };
        let place = place(hash ^ part.seed ^ spread_pilot(pilot), part.place_count);
        if place < part.key_count { Ok(Some(part.first_slot + place)) } else { self.remapped(file, part, place) }
    }

    /// The slot of a place that is past the keys of a part.
    #[cold]
    fn remapped(&self, file: &BlockFile, part: &Part, place: u32) -> Result<Option<u32>> {
        if place >= part.place_count {
            // A part without places has no keys.
            return Ok(None);
        }
        let number = u64::from(part.first_remap) + u64::from(place - part.key_count);
        let offset = self.remap.offset + number * REMAP_LEN as u64;
        match u32_at(file.bytes(offset, REMAP_LEN as u64)?, 0) {
            Some(free) if free < part.key_count => Ok(Some(part.first_slot + free)),
            // A part without keys may have places, whose numbers are 0.
            Some(0) => Ok(None),
            _ => Err(self.corrupt(file, "a number that is not below the keys of its part")),
        }
    }

    /// Both steps for one key.
    #[inline]
    pub(super) fn find(&self, file: &BlockFile, key: KeyRef<'_>) -> Result<Option<u32>> {
        let hash = self.hash(key);
        match file.bytes(self.start(hash), 1)?.first() {
            Some(&pilot) => self.slot(file, hash, pilot),
            None => Ok(None),
        }
    }

    /// The same for reads that take the direct way; `None` where the file has not what it should.
    #[inline]
    pub(super) fn verified<'a>(&'a self, bytes: VerifiedBytes<'a>) -> Option<VerifiedPerfectHash<'a>> {
        Some(VerifiedPerfectHash {
            parts: &self.parts,
            pilots: bytes.slice(usize::try_from(self.pilots).ok()?, usize::try_from(self.bucket_count).ok()?)?,
            remap: bytes.slice(
                usize::try_from(self.remap.offset).ok()?,
                usize::try_from(self.remap.len / REMAP_LEN as u64).ok()?,
            )?,
        })
    }

    /// What it consists of in its file.
    pub(super) fn sections<'a>(&self, file: &'a BlockFile) -> Result<PerfectHashSections<'a>> {
        let bytes = |kind| file.section_bytes(file.section(kind));
        Ok(PerfectHashSections {
            hash_seed: self.hash_seed,
            part_count: self.parts.len() as u32,
            parts: bytes(SECTION_HASH_PARTS)?.into(),
            pilots: bytes(SECTION_PILOTS)?,
            remap: bytes(SECTION_REMAP)?.into(),
        })
    }

    #[cold]
    fn corrupt(&self, file: &BlockFile, reason: &'static str) -> Error {
        file.corrupt(Invalid::new(self.remap.offset, "remap", reason))
    }
}

/// A perfect hash of which only what has been verified is read.
#[derive(Clone, Copy, Debug)]
pub(super) struct VerifiedPerfectHash<'a> {
    parts: &'a [Part],
    pilots: VerifiedSlice<'a, 1>,
    remap: VerifiedSlice<'a, REMAP_LEN>,
}

impl VerifiedPerfectHash<'_> {
    /// The slot that a key of a hash has, if it has any.
    #[inline(always)]
    pub(super) fn slot<const WHOLE: bool>(&self, hash: u64) -> Settled<u32> {
        let [pilot] = *self.pilots.at::<WHOLE>(number_of(hash, self.pilots.len() as u64) as usize)?;
        let part = self.parts.get(number_of(hash, self.parts.len() as u64) as usize)?;
        let place = place(hash ^ part.seed ^ spread_pilot(pilot), part.place_count);
        if place < part.key_count {
            return Some(Some(part.first_slot + place));
        }
        self.remapped(part, place)
    }

    #[inline(never)]
    fn remapped(&self, part: &Part, place: u32) -> Settled<u32> {
        let number = part.first_remap as usize + (place - part.key_count) as usize;
        let free = u32::from_le_bytes(*self.remap.at::<false>(number)?);
        (place < part.place_count && free < part.key_count).then_some(Some(part.first_slot + free))
    }

    /// Asks for the pilot of a hash.
    #[inline(always)]
    pub(super) fn prefetch_pilot(&self, hash: u64) {
        self.pilots.prefetch(number_of(hash, self.pilots.len() as u64) as usize);
    }
}

/// A perfect hash as it is to be written.
#[derive(Clone, Debug)]
pub(super) struct PerfectHashSections<'a> {
    pub(super) hash_seed: u64,
    pub(super) part_count: u32,
    pub(super) parts: Cow<'a, [u8]>,
    pub(super) pilots: &'a [u8],
    pub(super) remap: Cow<'a, [u8]>,
}
