//! Searching the key index of an axis or patch file.

use super::block_file::BlockFile;
use super::verified::VerifiedBytes;
use crate::error::{Error, Result};
use crate::format::Invalid;
use crate::format::axis::{BUCKET_LEN, Bucket, NO_SLOT, fingerprint, home};
use crate::format::block_file::Section;
use crate::format::value;
use crate::model::KeyRef;

/// Where the buckets are, and how keys are hashed to them.
#[derive(Clone, Copy, Debug)]
pub(super) struct KeyIndex {
    pub(super) section: Section,
    pub(super) bucket_count: u64,
    pub(super) hash_seed: u64,
    pub(super) chain_len_max: u32,
}

impl KeyIndex {
    /// The slot of a key. `holds` tells whether a slot holds it: the index is only a hint.
    #[inline]
    pub(super) fn find(
        &self,
        file: &BlockFile,
        key: KeyRef<'_>,
        mut holds: impl FnMut(u32) -> Result<bool>,
    ) -> Result<Option<u32>> {
        if self.bucket_count == 0 {
            return Ok(None);
        }
        let hash = value::hash(key.value(), self.hash_seed);
        let mut at = home(hash, self.bucket_count);
        for _ in 0..self.chain_len_max {
            let offset = self.section.offset + at * BUCKET_LEN as u64;
            let Some(bucket) = file.bytes(offset, BUCKET_LEN as u64)?.first_chunk().map(Bucket::new) else { break };
            for place in bucket.matches(fingerprint(hash)) {
                let slot = bucket.slot(place);
                if slot != NO_SLOT && holds(slot)? {
                    return Ok(Some(slot));
                }
            }
            if !bucket.overflows() {
                return Ok(None);
            }
            at += 1;
            if at == self.bucket_count {
                at = 0;
            }
        }
        Err(self.corrupt(file, "a chain longer than the longest"))
    }

    /// Whether a key may be in the index. Where blocks have not been verified, it may.
    pub(super) fn may_have(&self, bytes: VerifiedBytes<'_>, key: KeyRef<'_>) -> bool {
        if self.bucket_count == 0 {
            return false;
        }
        let hash = value::hash(key.value(), self.hash_seed);
        let mut at = home(hash, self.bucket_count);
        for _ in 0..self.chain_len_max {
            let offset = self.section.offset + at * BUCKET_LEN as u64;
            let Some(bucket) = bytes.array(offset as usize).map(Bucket::new) else { return true };
            if bucket.matches(fingerprint(hash)).any(|place| bucket.slot(place) != NO_SLOT) {
                return true;
            }
            if !bucket.overflows() {
                return false;
            }
            at += 1;
            if at == self.bucket_count {
                at = 0;
            }
        }
        true
    }

    #[cold]
    pub(super) fn corrupt(&self, file: &BlockFile, reason: &'static str) -> Error {
        file.corrupt(Invalid::new(self.section.offset, "index", reason))
    }
}
