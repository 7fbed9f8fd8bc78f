//! Files that lie under right checksums about slots: an error, never a point lost, a panic or a hang.

mod delta;
mod frozen;

use super::corpus::harness::{block_file, manifest_file};
use std::collections::BTreeMap;
use std::sync::Arc;
use vector_datalib::internals::MemoryStorage;
use vector_datalib::{Options, attrs};

fn options() -> Options {
    Options::new().merge_fraction(1e9)
}

/// Keys 0 to 9, but for a tombstone at slot 2 of the base; then a patch that takes slot 2, and one that frees slot 5.
fn files() -> BTreeMap<String, Vec<u8>> {
    let storage = MemoryStorage::new();
    let db = options().create_in(Arc::new(storage.clone())).unwrap();
    db.batch_upsert((0..10).map(|n| (n, attrs! { "a" => n }))).unwrap();
    db.delete(2).unwrap();
    db.save().unwrap();
    db.upsert(100, attrs! { "a" => 100 }).unwrap();
    db.save().unwrap();
    db.delete(5).unwrap();
    db.save().unwrap();
    assert_eq!(db.stats().unwrap().patches, 2);
    db.close().unwrap();
    storage.files()
}

#[test]
fn a_patch_that_says_a_slot_in_use_is_free_overwrites_no_point() {
    let mut files = files();
    let mut manifest = files.remove(manifest_file::NAME).unwrap();
    let entries = manifest_file::entries(&manifest);
    let entry = entries.iter().rev().find(|entry| entry.file_name.starts_with("patch-")).unwrap();
    let file = files.get_mut(&entry.file_name).unwrap();
    let descriptor = block_file::sections(file).into_iter().find(|section| section.kind == 32).unwrap();
    assert_eq!(block_file::u32_at(file, descriptor.offset + 4), 3, "base_next");
    block_file::put(file, descriptor.offset + 4, &0u32.to_le_bytes());
    let checksum = block_file::seal(file);
    manifest_file::agree(&mut manifest, entry, file, checksum);
    manifest_file::seal(&mut manifest);
    files.insert(manifest_file::NAME.to_owned(), manifest);
    let storage = MemoryStorage::from_files(files);
    let db = options().open_in(Arc::new(storage.clone())).unwrap();
    assert!(db.upsert(7000, attrs! { "a" => 1 }).unwrap_err().is_corrupt());
    assert_eq!(db.lookup(100, "a").unwrap(), Some(100.into()));
    assert!(db.upsert(100, attrs! { "a" => 101 }).is_ok(), "keys that are there can be changed still");
    db.close().unwrap();
    let db = options().open_in(Arc::new(storage.snapshot())).unwrap();
    assert_eq!(db.lookup(100, "a").unwrap(), Some(101.into()));
}

#[test]
fn a_manifest_with_more_slots_than_its_files_have_is_corrupt() {
    for (slots, points) in [(u64::from(u32::MAX), u64::from(u32::MAX)), (u64::from(u32::MAX), 9), (1000, 9)] {
        let mut files = files();
        let manifest = files.get_mut(manifest_file::NAME).unwrap();
        block_file::put(manifest, 120, &slots.to_le_bytes());
        block_file::put(manifest, 128, &points.to_le_bytes());
        manifest_file::seal(manifest);
        let storage = Arc::new(MemoryStorage::from_files(files));
        assert!(options().open_in(storage.clone()).unwrap_err().is_corrupt(), "{slots} slots");
        assert!(options().open_read_only_in(storage).unwrap_err().is_corrupt(), "{slots} slots");
    }
}
