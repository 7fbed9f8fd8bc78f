//! Delta columns of patches that lie under right checksums.

use crate::corpus::harness::block_file::{put, seal, sections, u32_at, u64_at};
use crate::corpus::harness::manifest_file;
use crate::readers::allocations;
use std::collections::BTreeMap;
use std::sync::Arc;
use vector_datalib::internals::MemoryStorage;
use vector_datalib::{Options, Result, VectorDb, attrs};

const DIRECTORY: u32 = 33;
const AXIS: u32 = u32::MAX;
const ENTRY_LEN: usize = 160;
const SEGMENT_LEN: usize = 96;

/// Where the parts of a delta column are, by their order in the directory.
const COLUMN: usize = 0;
const SEGMENTS: usize = 1;
const PRESENCE: usize = 3;

/// A database whose last file is a patch, to be forged.
struct Forged {
    files: BTreeMap<String, Vec<u8>>,
    entry: manifest_file::Entry,
}

/// 66,000 points, so that there are two segments; then a patch that changes some in both, removes some of both, and puts new
/// keys where others were.
fn patched() -> Forged {
    let storage = MemoryStorage::new();
    let options = Options::new().merge_fraction(1e9);
    let db = options.create_in(Arc::new(storage.clone())).unwrap();
    db.batch_upsert((0..66_000).map(|n| (n, attrs! { "a" => n % 7 }))).unwrap();
    db.save().unwrap();
    for n in [5, 7, 9, 65_990, 65_991] {
        db.upsert(n, attrs! { "a" => n + 1_000_000, "b" => "text" }).unwrap();
    }
    for n in [6, 65_992] {
        db.remove_attribute(n, "a").unwrap();
    }
    db.batch_delete([100, 200]).unwrap();
    db.upsert(77_777, attrs! { "b" => 1.5 }).unwrap();
    db.save().unwrap();
    assert_eq!(db.stats().unwrap().patches, 1);
    assert!(db.verify().unwrap().is_sound());
    db.close().unwrap();
    let files = storage.files();
    let entries = manifest_file::entries(&files[manifest_file::NAME]);
    let entry = entries.into_iter().find(|entry| entry.file_name.starts_with("patch-")).unwrap();
    Forged { files, entry }
}

impl Forged {
    fn file(&mut self) -> &mut Vec<u8> {
        self.files.get_mut(&self.entry.file_name).unwrap()
    }

    /// Where a dimension's entry is in the directory.
    fn column(&mut self, dimension: u32) -> usize {
        let file = self.file();
        let directory = sections(file).into_iter().find(|section| section.kind == DIRECTORY).unwrap();
        let mut entries = (directory.offset..directory.offset + directory.len).step_by(ENTRY_LEN);
        entries.find(|&at| u32_at(file, at) == dimension).unwrap()
    }

    /// Where the extent of a part is stated: offset, then length.
    fn extent(&mut self, dimension: u32, part: usize) -> usize {
        self.column(dimension) + 24 + 16 * part
    }

    /// Where a part is.
    fn part(&mut self, dimension: u32, part: usize) -> usize {
        let extent = self.extent(dimension, part);
        u64_at(self.file(), extent) as usize
    }

    /// Where a segment descriptor is.
    fn segment(&mut self, dimension: u32, place: usize) -> usize {
        self.part(dimension, SEGMENTS) + place * SEGMENT_LEN
    }

    fn put(&mut self, at: usize, field: &[u8]) {
        put(self.file(), at, field);
    }

    /// With right checksums, open for reading.
    fn open(mut self) -> Result<VectorDb> {
        let checksum = seal(self.file());
        let mut manifest = self.files.remove(manifest_file::NAME).unwrap();
        manifest_file::agree(&mut manifest, &self.entry, &self.files[&self.entry.file_name], checksum);
        manifest_file::seal(&mut manifest);
        self.files.insert(manifest_file::NAME.to_owned(), manifest);
        Options::new().open_read_only_in(Arc::new(MemoryStorage::from_files(self.files)))
    }

    /// What verification says.
    fn problems(self) -> Vec<String> {
        self.open().unwrap().verify().unwrap().problems.iter().map(ToString::to_string).collect()
    }
}

/// A descriptor of 96 bytes for the last segment that a database can have once made a reader keep 65,534 others.
#[test]
fn a_patch_that_touches_the_last_segment_of_a_huge_database_takes_no_more_memory_than_another() {
    let read = |forged: Forged| {
        let mut value = None;
        let bytes = allocations::bytes(|| value = forged.open().unwrap().lookup(5, "a").unwrap());
        (bytes, value)
    };
    let honest = read(patched());
    let mut huge = patched();
    huge.put(88, &u64::from(u32::MAX).to_le_bytes());
    for dimension in [0, 1, AXIS] {
        let segments = huge.extent(dimension, SEGMENTS) + 8;
        let count = u64_at(huge.file(), segments) as usize / SEGMENT_LEN;
        for place in 0..count {
            let descriptor = huge.segment(dimension, place);
            huge.put(descriptor + 8, &65_536u32.to_le_bytes());
            if place > 0 {
                huge.put(descriptor + 92, &65_534u32.to_le_bytes());
            }
        }
    }
    let huge = read(huge);
    assert_eq!((huge.1, honest.1), (Some(1_000_005.into()), Some(1_000_005.into())));
    assert!(huge.0 < honest.0 + 64 * 1024, "{} bytes instead of {}", huge.0, honest.0);
}

#[test]
fn parts_and_segments_that_share_bytes_are_corrupt() {
    assert!(patched().problems().is_empty(), "nothing was changed");

    let mut same_part = patched();
    let (from, to) = (same_part.extent(0, SEGMENTS), same_part.extent(AXIS, SEGMENTS));
    let extent = same_part.file()[from..from + 16].to_vec();
    same_part.put(to, &extent);
    assert!(same_part.open().unwrap_err().is_corrupt(), "two columns with the same segments");

    for (what, place, field) in [("cells", 1, 24), ("presence", 1, 40), ("removed slots", 0, 72)] {
        let mut forged = patched();
        let descriptor = forged.segment(0, place);
        forged.put(descriptor + field, &0u64.to_le_bytes());
        let db = forged.open().unwrap();
        assert!(db.lookup(5, "a").unwrap_err().is_corrupt(), "{what}");
        assert!(!db.verify().unwrap().is_sound(), "{what}");
    }
}

#[test]
fn a_patch_that_states_another_number_of_segments_is_corrupt() {
    let mut forged = patched();
    let column = forged.part(0, COLUMN);
    assert_eq!(u32_at(forged.file(), column + 36), 2);
    forged.put(column + 36, &1u32.to_le_bytes());
    let db = forged.open().unwrap();
    assert!(db.lookup(5, "a").unwrap_err().is_corrupt());
    let problems = db.verify().unwrap().problems;
    assert!(problems.iter().any(|problem| problem.to_string().contains("the number of segments does not match")));
}

/// Two lies at a time: both are found, with their places, so that verification goes on behind the first.
#[test]
fn verify_compares_what_a_delta_column_states_with_its_cells() {
    let lies: [(&str, usize, u8); 5] =
        [("minimum", 56, 1), ("maximum", 64, 1), ("flags", 3, 1), ("types", 4, 0xFF), ("nulls", 16, 1)];
    for dimension in [0, AXIS] {
        for (what, at, byte) in lies {
            let mut forged = patched();
            let place = if dimension == 0 { 1 } else { 0 };
            let descriptor = forged.segment(dimension, place);
            forged.put(descriptor + at, &[byte]);
            let column = forged.part(1, COLUMN);
            forged.put(column + 40, &[0xFF]);
            let problems = forged.problems();
            let name = if dimension == 0 { "dimension 0".to_owned() } else { "axis".to_owned() };
            let place = format!(
                "byte {descriptor} (segment descriptor): {name}: the statistics and the values of segment {place}"
            );
            assert!(problems.iter().any(|problem| problem.contains(&place)), "{name}, {what}: {problems:?}");
            let types = format!("byte {column} (column descriptor): dimension 1: the types of values");
            assert!(problems.iter().any(|problem| problem.contains(&types)), "{name}, {what}: {problems:?}");
        }
    }
}

#[test]
fn verify_compares_the_counts_of_a_delta_column_with_its_cells() {
    for (what, at, field) in [("distinct values", 0, [9]), ("number of nulls", 8, [9])] {
        let mut forged = patched();
        let column = forged.part(0, COLUMN);
        forged.put(column + at, &field);
        let problems = forged.problems();
        let place = format!("byte {column} (column descriptor): dimension 0");
        assert!(problems.iter().any(|problem| problem.contains(&place) && problem.contains(what)), "{problems:?}");
    }
}

#[test]
fn removed_slots_that_are_not_touched_are_found_by_verify() {
    let mut forged = patched();
    let descriptor = forged.segment(0, 0);
    let removed = forged.part(0, PRESENCE) + u64_at(forged.file(), descriptor + 72) as usize;
    assert_eq!(forged.file()[removed..removed + 2], 6u16.to_le_bytes());
    forged.put(removed, &8u16.to_le_bytes());
    let problems = forged.problems();
    let place = format!("byte {descriptor} (segment descriptor): dimension 0: the removed and the touched slots");
    assert!(problems.iter().any(|problem| problem.contains(&place)), "{problems:?}");
}

#[test]
fn patches_that_state_values_without_end_overflow_nothing() {
    let storage = MemoryStorage::new();
    let options = || Options::new().merge_fraction(1e9).background(false);
    let db = options().create_in(Arc::new(storage.clone())).unwrap();
    db.batch_upsert((0..10).map(|n| (n, attrs! { "a" => n % 7 }))).unwrap();
    db.save().unwrap();
    for n in 0..7 {
        db.upsert(n, attrs! { "a" => n + 1_000_000 }).unwrap();
        db.save().unwrap();
    }
    db.close().unwrap();
    let mut files = storage.files();
    let entries = manifest_file::entries(&files[manifest_file::NAME]);
    for entry in entries.into_iter().filter(|entry| entry.file_name.starts_with("patch-")) {
        let mut manifest = files.remove(manifest_file::NAME).unwrap();
        let file = files.get_mut(&entry.file_name).unwrap();
        let slots = u64::from(u32::MAX);
        put(file, 88, &slots.to_le_bytes());
        put(file, 96, &(slots * slots).to_le_bytes());
        let checksum = seal(file);
        manifest_file::agree(&mut manifest, &entry, file, checksum);
        manifest_file::seal(&mut manifest);
        files.insert(manifest_file::NAME.to_owned(), manifest);
    }
    let db = options().open_in(Arc::new(MemoryStorage::from_files(files))).unwrap();
    db.upsert(1, attrs! { "a" => 1 }).unwrap();
    // They may be refused for what else is wrong with them.
    for result in [db.stats().map(drop), db.save()] {
        assert!(result.as_ref().err().is_none_or(|error| error.is_corrupt()), "{result:?}");
    }
    assert_eq!(db.lookup(1, "a").unwrap(), Some(1.into()));
}
