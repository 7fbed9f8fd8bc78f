//! Files that a newer version wrote: unsupported where the checksum says that they are sound, else corrupt.

use std::sync::Arc;
use vector_datalib::internals::MemoryStorage;
use vector_datalib::{Error, Options, VectorDb, attrs};

/// Where every file has its version and its flags.
const VERSION_AND_FLAGS: [usize; 3] = [8, 12, 16];

fn open(storage: &MemoryStorage) -> [Result<VectorDb, Error>; 2] {
    let storage = Arc::new(storage.snapshot());
    [Options::new().open_in(storage.clone()), Options::new().open_read_only_in(storage)]
}

/// Changes a number of a file, and its checksum with it: that of the bytes before `checksum`, counted from the end if negative.
fn change(storage: &MemoryStorage, name: &str, at: usize, checksum: isize, sound: bool) -> MemoryStorage {
    let mut files = storage.files();
    let bytes = files.get_mut(name).unwrap();
    bytes[at] += 1;
    if sound {
        let end = usize::try_from(checksum).unwrap_or_else(|_| bytes.len() - checksum.unsigned_abs());
        let sum = crc32fast::hash(&bytes[..end]);
        bytes[end..end + 4].copy_from_slice(&sum.to_le_bytes());
    }
    MemoryStorage::from_files(files)
}

#[test]
fn a_sound_file_of_a_newer_version_is_unsupported_and_a_rotten_one_is_corrupt() {
    let storage = MemoryStorage::new();
    let db = Options::new().create_in(Arc::new(storage.clone())).unwrap();
    db.upsert(1, attrs! { "n" => 1 }).unwrap();
    db.save().unwrap();
    db.upsert(2, attrs! { "n" => 2 }).unwrap();
    db.close().unwrap();
    let names: Vec<String> = storage.files().into_keys().filter(|name| name != "LOCK").collect();
    assert_eq!(names, ["MANIFEST", "axis-1", "dim-0-1.col", "wal-2.log"]);
    for name in names {
        let checksum = match name.as_str() {
            "MANIFEST" => -8,
            "wal-2.log" => 124,
            _ => 508,
        };
        for at in VERSION_AND_FLAGS {
            for result in open(&change(&storage, &name, at, checksum, true)) {
                let error = result.unwrap_err();
                assert!(error.is_unsupported() && !error.is_corrupt(), "{name}, byte {at}: {error}");
                assert!(error.to_string().contains(&name), "{error}");
            }
            for result in open(&change(&storage, &name, at, checksum, false)) {
                let error = result.unwrap_err();
                assert!(error.is_corrupt() && !error.is_unsupported(), "{name}, byte {at}: {error}");
            }
        }
    }
}

/// A log without records is thrown away, for a crash leaves such; but not one that somebody else has just begun.
#[test]
fn an_empty_log_of_a_newer_version_is_not_taken_for_what_a_crash_left() {
    let storage = MemoryStorage::new();
    let db = Options::new().create_in(Arc::new(storage.clone())).unwrap();
    db.upsert(1, attrs! { "n" => 1 }).unwrap();
    let mut files = storage.files();
    files.get_mut("wal-1.log").unwrap()[128..].fill(0);
    let begun = MemoryStorage::from_files(files);
    assert!(open(&begun).iter().all(|result| result.as_ref().is_ok_and(VectorDb::is_empty)));
    for result in open(&change(&begun, "wal-1.log", 8, 124, true)) {
        assert!(result.unwrap_err().is_unsupported());
    }
}
