//! Frozen axes that lie under right checksums: each key is found as it was, not found, or corrupt.

use crate::corpus::harness::block_file::{Section, put, seal, sections, u32_at};
use crate::corpus::harness::{manifest_file, probe};
use std::collections::BTreeMap;
use std::sync::Arc;
use vector_datalib::internals::MemoryStorage;
use vector_datalib::{CompactOptions, Layout, Options, Value, attrs};

const DESCRIPTOR: u32 = 16;
const PARTS: u32 = 19;
const PILOTS: u32 = 20;
const REMAP: u32 = 21;

const KEYS: u32 = 300;

/// A frozen database, to be forged.
struct Forged {
    files: BTreeMap<String, Vec<u8>>,
    entry: manifest_file::Entry,
}

fn key(n: u32) -> u64 {
    u64::from(n).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

impl Forged {
    fn new() -> Self {
        let storage = MemoryStorage::new();
        let db = Options::new().create_in(Arc::new(storage.clone())).unwrap();
        db.batch_upsert((0..KEYS).map(|n| (key(n), attrs! { "n" => n }))).unwrap();
        db.compact(&CompactOptions::new().layout(Layout::Frozen)).unwrap();
        assert_eq!(db.stats().unwrap().axis_encoding, "frozen");
        db.close().unwrap();
        let files = storage.files();
        let entries = manifest_file::entries(&files[manifest_file::NAME]);
        let entry = entries.into_iter().find(|entry| entry.is_axis).unwrap();
        Self { files, entry }
    }

    fn section(&self, kind: u32) -> Section {
        sections(&self.files[&self.entry.file_name]).into_iter().find(|section| section.kind == kind).unwrap()
    }

    fn u32_at(&self, offset: usize) -> u32 {
        u32_at(&self.files[&self.entry.file_name], offset)
    }

    /// The files with other bytes at a place of the axis file.
    fn with(&self, offset: usize, bytes: &[u8]) -> BTreeMap<String, Vec<u8>> {
        let mut files = self.files.clone();
        let mut manifest = files.remove(manifest_file::NAME).unwrap();
        let file = files.get_mut(&self.entry.file_name).unwrap();
        put(file, offset, bytes);
        let checksum = seal(file);
        manifest_file::agree(&mut manifest, &self.entry, file, checksum);
        manifest_file::seal(&mut manifest);
        files.insert(manifest_file::NAME.to_owned(), manifest);
        files
    }

    /// Reads everything; returns how many keys are as they were, not found, and corrupt.
    fn read(&self, offset: usize, bytes: &[u8]) -> [u32; 3] {
        let mut counts = [0; 3];
        let Some(db) = probe::value_or_corrupt(probe::open_read_only(self.with(offset, bytes))) else {
            return [0, 0, KEYS];
        };
        for n in 0..KEYS {
            match probe::value_or_corrupt(db.lookup(key(n), "n")) {
                Some(Some(value)) => {
                    assert_eq!(value, Value::from(n), "{bytes:?} at {offset}");
                    counts[0] += 1;
                }
                Some(None) => counts[1] += 1,
                None => counts[2] += 1,
            }
            assert!(probe::value_or_corrupt(db.contains(key(n + KEYS))).is_none_or(|found| !found));
        }
        probe::read_everything(&db);
        probe::verify(&db);
        counts
    }
}

/// Numbers around what is there, and the ends.
fn lies(number: u32) -> impl Iterator<Item = u32> {
    let near = [number.wrapping_add(1), number.wrapping_sub(1), number ^ (1 << 31), number.wrapping_mul(2)];
    let far = [0, 1, 2, KEYS - 1, KEYS, KEYS + 1, i32::MAX as u32, 1 << 31, u32::MAX - 1, u32::MAX];
    near.into_iter().chain(far).filter(move |&lie| lie != number)
}

#[test]
fn lies_about_a_perfect_hash_are_corrupt_or_hide_keys_and_never_show_others() {
    let forged = Forged::new();
    let (descriptor, parts) = (forged.section(DESCRIPTOR), forged.section(PARTS));
    let mut hidden = 0;
    for section in [descriptor, parts] {
        for offset in (section.offset..section.offset + section.len).step_by(4) {
            for lie in lies(forged.u32_at(offset)) {
                let [_, missing, corrupt] = forged.read(offset, &lie.to_le_bytes());
                assert!(missing + corrupt > 0, "{lie} at {} of section {}", offset - section.offset, section.kind);
                hidden += missing;
            }
        }
    }
    // Another seed of the part, or of the hash, sends keys elsewhere.
    assert!(hidden > 0);
}

#[test]
fn other_pilots_and_numbers_of_the_remap_change_no_other_answers() {
    let forged = Forged::new();
    let (pilots, remap) = (forged.section(PILOTS), forged.section(REMAP));
    for offset in pilots.offset..pilots.offset + pilots.len {
        let [found, missing, _] = forged.read(offset, &[0xA5]);
        assert!(missing <= 20 && found >= KEYS - 20, "only keys of this bucket: {missing}");
    }
    let mut corrupt_numbers = 0;
    for offset in (remap.offset..remap.offset + remap.len).step_by(4) {
        for lie in lies(forged.u32_at(offset)) {
            let [found, missing, corrupt] = forged.read(offset, &lie.to_le_bytes());
            assert!(found >= KEYS - 1 && missing + corrupt <= 1, "one key at most");
            assert!(corrupt == 0 || lie >= KEYS, "{lie} is a slot of the part");
            corrupt_numbers += corrupt;
        }
    }
    assert!(corrupt_numbers > 0, "a number past the keys is refused");
}

#[test]
fn a_frozen_axis_that_lies_can_be_changed_and_compacted() {
    let forged = Forged::new();
    let parts = forged.section(PARTS);
    for offset in [parts.offset, forged.section(PILOTS).offset, forged.section(REMAP).offset] {
        let files = forged.with(offset, &[0x5A]);
        if let Some((db, _)) = probe::value_or_corrupt(probe::open(files)) {
            probe::change_everything(&db);
            probe::read_everything(&db);
        }
    }
}
