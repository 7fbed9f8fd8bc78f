//! What a survey works with: where it puts aside what does not fit in memory, for a dimension or until the writing.

use crate::engine::database::random;
use crate::engine::meter::Meter;
use crate::engine::numbering::Build;
use crate::engine::spill::{Spill, StreamId, StreamReader};
use crate::error::Result;
use crate::storage::Storage;
use std::sync::Arc;

/// Where what does not fit in memory is put, and how much may be there.
#[derive(Clone, Debug)]
pub(crate) struct Scratch {
    pub(crate) storage: Arc<dyn Storage>,
    /// Bytes of memory.
    pub(crate) memory_budget: usize,
}

impl Scratch {
    pub(super) fn spill(&self) -> Spill {
        Spill::new(Arc::clone(&self.storage), Build::share(self.memory_budget))
    }
}

/// What a survey works with.
pub(super) struct Work<'w, 'p> {
    scratch: &'w Scratch,
    hash_seed: u64,
    /// What is needed again for the writing.
    pub(super) kept: &'w mut Spill,
    pub(super) meter: &'w mut Meter<'p>,
}

impl<'w, 'p> Work<'w, 'p> {
    pub(super) fn new(scratch: &'w Scratch, kept: &'w mut Spill, meter: &'w mut Meter<'p>) -> Self {
        // Nobody can prepare values that collide. Ids do not depend on it.
        Self { scratch, hash_seed: random(), kept, meter }
    }

    /// A spill of its own, so that its file goes when the one task is done; and what is kept.
    pub(super) fn build(&mut self) -> (Build<'_, 'p>, &mut Spill) {
        let Scratch { storage, memory_budget } = self.scratch;
        let mut build = Build::new(Arc::clone(storage), *memory_budget, self.hash_seed, self.meter);
        // Two shares are the spills'; what is left of the others is for buffers of a fixed size.
        build.limit *= TABLE_SHARES;
        (build, self.kept)
    }

    /// Bytes that the counts of ids may take.
    pub(super) const fn counts_len(&self) -> usize {
        TABLE_SHARES * Build::share(self.scratch.memory_budget)
    }
}

/// Shares of the memory budget that a table may take, beside the spills.
const TABLE_SHARES: usize = 3;

/// Copies a stream to another spill.
pub(super) fn keep(from: &Spill, id: StreamId, to: &mut Spill) -> Result<StreamId> {
    const CHUNK_LEN: u64 = 4096;
    let (mut reader, kept) = (StreamReader::new(id), to.stream());
    let mut left = from.len(id);
    while let Some(bytes) = reader.take(from, left.min(CHUNK_LEN) as usize)?.filter(|bytes| !bytes.is_empty()) {
        left -= bytes.len() as u64;
        to.append(kept, bytes)?;
    }
    Ok(kept)
}
