//! The hashes of a load's keys, dealt out as they come, so that keys that come twice are found, and the index is built, a part at a time.

use super::meter::Meter;
use super::spill::{Spill, StreamId, StreamReader};
use crate::error::Result;

/// Parts, told apart by the highest bits of the hash.
const PART_BITS: u32 = 8;
const PART_COUNT: usize = 1 << PART_BITS;
/// Bytes of a hash and its row.
const ENTRY_LEN: usize = 12;
/// Entries that are read at once.
const READ_LEN: u64 = 1 << 10;

/// The hash of the key of each row.
#[derive(Debug)]
pub(super) struct KeyHashes {
    /// Hashes and rows, in the order of rows.
    parts: Vec<StreamId>,
}

impl KeyHashes {
    pub(super) fn new(spill: &mut Spill) -> Self {
        Self { parts: (0..PART_COUNT).map(|_| spill.stream()).collect() }
    }

    /// Adds the hash of a row's key. Rows ascend.
    #[inline]
    pub(super) fn push(&self, hash: u64, row: u32, spill: &mut Spill) -> Result<()> {
        let entry = u128::from(row) << 64 | u128::from(hash);
        let bytes = entry.to_le_bytes();
        match (self.parts.get((hash >> (u64::BITS - PART_BITS)) as usize), bytes.first_chunk::<ENTRY_LEN>()) {
            (Some(&part), Some(bytes)) => spill.append(part, bytes),
            _ => Ok(()),
        }
    }

    pub(super) const fn part_count(&self) -> usize {
        self.parts.len()
    }

    /// The lowest hash that goes to a part or one after it.
    pub(super) const fn first_hash(part: usize) -> u64 {
        (part as u64) << (u64::BITS - PART_BITS)
    }

    /// The most entries of a part.
    pub(super) fn longest(&self, spill: &Spill) -> u64 {
        self.parts.iter().map(|&part| spill.len(part)).max().unwrap_or(0) / ENTRY_LEN as u64
    }

    /// Calls `each` with all hashes of a part and their rows, in the order of rows.
    pub(super) fn visit(
        &self,
        part: usize,
        spill: &Spill,
        meter: &mut Meter<'_>,
        mut each: impl FnMut(u64, u32),
    ) -> Result<()> {
        let Some(&stream) = self.parts.get(part) else { return Ok(()) };
        let mut rest = spill.len(stream) / ENTRY_LEN as u64;
        let mut reader = StreamReader::new(stream);
        while rest > 0 {
            let count = rest.min(READ_LEN);
            let bytes = reader.take(spill, count as usize * ENTRY_LEN)?.unwrap_or_default();
            for entry in bytes.as_chunks::<ENTRY_LEN>().0 {
                let [a, b, c, d, e, f, g, h, i, j, k, l] = *entry;
                each(u64::from_le_bytes([a, b, c, d, e, f, g, h]), u32::from_le_bytes([i, j, k, l]));
            }
            rest -= count;
            meter.step()?;
        }
        Ok(())
    }

    /// Whether all hashes of a part differ.
    pub(super) fn all_differ(&self, part: usize, spill: &Spill, meter: &mut Meter<'_>) -> Result<bool> {
        let count = self.parts.get(part).map_or(0, |&stream| spill.len(stream)) as usize / ENTRY_LEN;
        // Places by the bits below those that are the same in a part, at most half of them taken; 0 is one that is not.
        let len = (count * 2).next_power_of_two();
        let mut table = vec![0u64; len];
        let (mut has_zero, mut differ) = (false, true);
        self.visit(part, spill, meter, |hash, _| {
            if hash == 0 {
                differ &= !std::mem::replace(&mut has_zero, true);
                return;
            }
            let mut place = (hash << PART_BITS >> 32) as usize & (len - 1);
            while let Some(taken) = table.get_mut(place) {
                if *taken == 0 {
                    *taken = hash;
                    return;
                }
                if *taken == hash {
                    differ = false;
                    return;
                }
                place = (place + 1) & (len - 1);
            }
        })?;
        Ok(differ)
    }
}
