//! Writes the kept databases (`bases`) and the seeds of the corpora (`corpus`).
//!
//! `cargo run --example seeds -- bases` is for a new format version only: it changes what every committed input means.
//! `cargo run --example seeds -- corpus` writes `corpus/TARGET/seed-*`.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use vector_datalib::internals::MemoryStorage;
use vector_datalib::{CompactOptions, Key, Layout, Options, Timestamp, Value, VectorDb};
use vector_datalib_fuzz::block_file::{self, HEADER_LEN, u32_at, u64_at};
use vector_datalib_fuzz::{Files, bases, column_file, manifest, manifest_file, values, wal};

/// The one dimension of a base.
const DIMENSION: &str = "y";

fn main() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    match std::env::args().nth(1).as_deref() {
        Some("bases") => write_bases(&root.join("bases")),
        Some("corpus") => write_corpus(&root.join("corpus")),
        _ => panic!("say what to write: bases or corpus"),
    }
}

fn write_bases(directory: &Path) {
    let ints = |range: std::ops::Range<i64>| range.map(Key::from);
    let dense = |count| ints(0..count);
    let mixed = mixed();
    let mut made: BTreeMap<&str, Files> = BTreeMap::new();
    made.insert("empty", closed(&[], &[]));
    made.insert("constant", columns(dense(100), |_| Some("always".into())));
    made.insert("dictionary8", {
        let keys = (0..300).map(|n| Key::from(format!("key {n}")));
        let gone: Vec<Key> = [3, 4, 70].map(|n| Key::from(format!("key {n}"))).into();
        closed(&points(keys, |n| (n % 3 != 1).then(|| mixed[n % mixed.len()].clone())), &gone)
    });
    made.insert("dictionary16", columns(dense(1800), |n| Some(Value::from((n % 260) as u64))));
    made.insert("plain_i64", {
        let gone: Vec<Key> = [0, 5, 63, 64].map(Key::from).into();
        closed(&points(ints(-10..120), |n| Some(Value::from(n as i64 * 1_000_003 - 7))), &gone)
    });
    made.insert("plain_u64", {
        let keys = (0..80u64).map(|n| Key::from(u64::MAX - n * n));
        columns(keys, |n| (n % 5 != 0).then(|| Value::from(u64::MAX - n as u64)))
    });
    made.insert("plain_f64", {
        let keys = (0..80u32).map(|n| Key::from(f64::from(n) / 8.0 - 3.0));
        columns(keys, |n| Some(Value::from(if n == 9 { f64::NAN } else { n as f64 / 7.0 - 5.0 })))
    });
    let texts = |n: usize| Value::from(format!("a text of its own, number {n} é€😀"));
    let text_keys = (0..70).map(|n| Key::from("k".repeat(n) + "é"));
    made.insert("text32", columns(text_keys.clone(), |n| (n % 4 != 2).then(|| texts(n))));
    let own = |n: usize| match mixed[n % mixed.len()].clone() {
        Value::Text(_) => texts(n),
        Value::Int(int) => Value::from(int + n as i128),
        Value::Array(mut values) => {
            values.push(Value::from(n as u64));
            Value::Array(values)
        }
        _ => Value::from(format!("{n} bytes").into_bytes()),
    };
    let own_key = |n: usize| Key::try_from(own(n)).unwrap_or_else(|_| Key::from(n as u64 * 7));
    made.insert("value32", columns((0..60).map(own_key), |n| Some(own(n))));
    made.insert("sorted", columns(dense(2000), |n| (n % 400 == 7).then(|| Value::from(n as f64))));
    made.insert("segments", columns(dense(65_536 + 70), |n| (n < 4).then(|| Value::from(n as u64))));
    let long = |n: usize| format!("{n}{}", "é€".repeat(20_000 + n));
    made.insert("long_text", {
        let keys = [Key::from(long(0)), Key::from("short"), Key::from(long(2))];
        columns(keys.into_iter(), |n| Some(if n == 1 { "short".into() } else { long(n).into() }))
    });
    made.insert("long_value", {
        let keys = [Key::from(long(0).as_bytes()), Key::from(1), Key::from("short")];
        let value = |n: usize| match n {
            0 => Value::Array(vec![long(0).into(), Value::Null]),
            1 => Value::from(long(1).into_bytes()),
            _ => Value::from(7),
        };
        columns(keys.into_iter(), |n| Some(value(n)))
    });
    made.insert("frozen", {
        let keys = (0..300).map(|n| Key::from(format!("key {n}")));
        closed_with(&points(keys, |n| Some(Value::from(n as u64))), &[], &CompactOptions::new().layout(Layout::Frozen))
    });
    made.insert("logged", logged());
    made.insert("patched", patched(60, &mixed));
    made.insert("patched_bitmap", patched(1400, &mixed));
    for (from, to) in [("text32", "text64"), ("value32", "value64")] {
        let files = widen(made[from].clone());
        made.insert(to, files);
    }
    for base in &bases::BASES {
        let files = &made[base.name];
        check(base.name, files);
        std::fs::write(directory.join(format!("{}.lz4", base.name)), pack(files)).expect("the directory is there");
    }
}

/// One value of every type.
fn mixed() -> Vec<Value> {
    vec![
        Value::Null,
        true.into(),
        false.into(),
        (-7).into(),
        u64::MAX.into(),
        Value::Int(1 << 100),
        Value::big_int(true, &[0x80; 20]),
        (-0.0).into(),
        "text".into(),
        "naïve €".into(),
        Value::from(&b"bytes"[..]),
        Timestamp::new(-1, 5).expect("five nanoseconds").into(),
        Value::ext(5, vec![1, 2]),
        Value::Array(vec![1.into(), Value::Null, "x".into()]),
        Value::Map(vec![("a".into(), Value::Array(vec![]))]),
    ]
}

type Points = Vec<(Key, Option<Value>)>;

fn points(keys: impl Iterator<Item = Key>, value: impl Fn(usize) -> Option<Value>) -> Points {
    keys.enumerate().map(|(n, key)| (key, value(n))).collect()
}

fn columns(keys: impl Iterator<Item = Key>, value: impl Fn(usize) -> Option<Value>) -> Files {
    closed(&points(keys, value), &[])
}

fn open(points: &[(Key, Option<Value>)]) -> (VectorDb, MemoryStorage) {
    let storage = MemoryStorage::new();
    let db = Options::new().create_in(Arc::new(storage.clone())).expect("an empty directory");
    let records = points.iter().map(|(key, value)| (key.clone(), value.clone().map(|value| (DIMENSION, value))));
    db.batch_upsert(records).expect("memory does not fail");
    (db, storage)
}

fn closed(points: &[(Key, Option<Value>)], gone: &[Key]) -> Files {
    closed_with(points, gone, &CompactOptions::new())
}

fn closed_with(points: &[(Key, Option<Value>)], gone: &[Key], options: &CompactOptions) -> Files {
    let (db, storage) = open(points);
    assert_eq!(db.batch_delete(gone).expect("memory does not fail"), gone.len() as u64);
    db.compact(options).expect("memory does not fail");
    db.close().expect("memory does not fail");
    let mut files = storage.files();
    files.retain(|name, _| name != "LOCK" && !name.starts_with("wal-"));
    files
}

/// A database that was not closed: a few commits and marks in its log.
fn logged() -> Files {
    let (db, storage) = open(&points((0..20i64).map(Key::from), |n| Some(Value::from(n as u64))));
    db.save().expect("memory does not fail");
    for (n, value) in mixed().into_iter().enumerate() {
        db.upsert(n as u64 + 15, [("z", value)]).expect("memory does not fail");
    }
    db.delete(3).expect("memory does not fail");
    db.remove_attribute(4, DIMENSION).expect("memory does not fail");
    let mut files = storage.files();
    files.remove("LOCK");
    for log in files.values_mut() {
        let len = log.iter().rposition(|&byte| byte != 0).map_or(0, |at| at + 1);
        log.truncate(len.next_multiple_of(8));
    }
    files
}

/// Two patches over a base: changed, removed and new cells, freed and reborn slots, a new dimension.
fn patched(count: i64, mixed: &[Value]) -> Files {
    let sound = "memory does not fail";
    let storage = MemoryStorage::new();
    let options = Options::new().merge_fraction(1e9);
    let db = options.create_in(Arc::new(storage.clone())).expect("an empty directory");
    let record = |n: i64| {
        let own = Value::from(format!("a text of its own, number {n}"));
        (n, [("mixed", mixed[n as usize % mixed.len()].clone()), ("few", (n % 5).into()), ("text", own)])
    };
    db.batch_upsert((0..count).map(record)).expect(sound);
    db.batch_delete([3, 4, 30]).expect(sound);
    db.save().expect(sound);
    db.batch_upsert(
        (0..count).filter(|n| n % 2 == 0).map(|n| (n, [("few", Value::from(n % 7)), ("text", Value::from(n))])),
    )
    .expect(sound);
    for n in (0..count).filter(|n| n % 4 == 1) {
        db.remove_attribute(n, "text").expect(sound);
    }
    db.batch_delete((10..count).filter(|n| n % 3 == 0)).expect(sound);
    db.save().expect(sound);
    db.batch_upsert((0..count / 4).map(|n| (Key::from(format!("key {n}")), [("new", Value::from(n as f64 / 3.0))])))
        .expect(sound);
    db.upsert(5, [("few", mixed[9].clone())]).expect(sound);
    db.save().expect(sound);
    assert_eq!(db.stats().expect(sound).patches, 2);
    db.close().expect(sound);
    let mut files = storage.files();
    files.retain(|name, _| name != "LOCK" && !name.starts_with("wal-"));
    files
}

/// The same database with heap cells of 8 bytes, which the library writes for heaps of more than 8 GiB only.
fn widen(mut files: Files) -> Files {
    const SEGMENTS: u32 = 2;
    const CELLS: u32 = 3;
    let mut manifest = files[manifest_file::NAME].clone();
    for entry in manifest_file::entries(&manifest) {
        let file = &files[&entry.file_name];
        let mut sections = block_file::sections(file);
        // The heap stays where it is; cells grow, so what follows them moves.
        sections.sort_by_key(|section| section.offset);
        let mut wide = file[..HEADER_LEN].to_vec();
        let mut places = Vec::new();
        for section in &sections {
            let mut content = file[section.offset..section.offset + section.len].to_vec();
            if section.kind == CELLS {
                content = content.chunks(4).flat_map(|cell| u64::from(u32_at(cell, 0)).to_le_bytes()).collect();
            }
            if section.kind == SEGMENTS {
                assert_eq!(content.len(), 96, "one segment");
                content[0] = match content[0] {
                    6 => 8,
                    7 => 9,
                    other => panic!("{} has encoding {other}", entry.file_name),
                };
                let len = u64_at(&content, 32) * 2;
                block_file::put(&mut content, 32, &len.to_le_bytes());
            }
            wide.resize(wide.len().next_multiple_of(64), 0);
            places.push((section.kind, wide.len(), content.len()));
            wide.extend(content);
        }
        for (index, (kind, offset, len)) in places.into_iter().enumerate() {
            let mut section = [0; 24];
            block_file::put(&mut section, 0, &kind.to_le_bytes());
            block_file::put(&mut section, 8, &(offset as u64).to_le_bytes());
            block_file::put(&mut section, 16, &(len as u64).to_le_bytes());
            block_file::put(&mut wide, 112 + 24 * index, &section);
        }
        let len = wide.len();
        block_file::fit(&mut wide, len);
        let checksum = block_file::seal(&mut wide);
        manifest_file::agree(&mut manifest, &entry, &wide, checksum);
        files.insert(entry.file_name.clone(), wide);
    }
    manifest_file::seal(&mut manifest);
    files.insert(manifest_file::NAME.to_owned(), manifest);
    files
}

/// A base is sound and is what its name says.
fn check(name: &str, files: &Files) {
    let db = Options::new().open_in(Arc::new(MemoryStorage::from_files(files.clone()))).expect("a base opens");
    let report = db.verify().expect("a base can be read");
    assert!(report.is_sound(), "{name}: {:?}", report.problems);
    let stats = db.stats().expect("a base has numbers");
    for details in &stats.dimension_details {
        println!("{name}: {} {}, axis {}", details.encoding, details.presence, stats.axis_encoding);
    }
    let known =
        ["empty", "frozen", "sorted", "segments", "long_text", "long_value", "logged", "patched", "patched_bitmap"];
    assert!(known.contains(&name) || stats.dimension_details[0].encoding == name, "{name} has another encoding");
}

fn pack(files: &Files) -> Vec<u8> {
    let mut encoder = lz4_flex::frame::FrameEncoder::new(Vec::new());
    for (name, content) in files {
        for part in [name.as_bytes(), content] {
            encoder.write_all(&(part.len() as u32).to_le_bytes()).expect("memory does not fail");
            encoder.write_all(part).expect("memory does not fail");
        }
    }
    encoder.finish().expect("memory does not fail")
}

/// Whole files beyond this are left to be reached by patches.
const SEED_LEN_MAX: usize = 6000;

fn write_corpus(directory: &Path) {
    let write = |target: &str, name: &str, parts: &[&[u8]]| {
        let directory = directory.join(target);
        std::fs::create_dir_all(&directory).expect("the corpus can be written");
        std::fs::write(directory.join(format!("seed-{name}")), parts.concat()).expect("the corpus can be written");
    };
    for (number, base) in (0u8..).zip(&bases::BASES) {
        let files = base.files();
        let bytes = &files[manifest_file::NAME];
        write("manifest", base.name, &[&[manifest::FLAG_WHOLE, number], bytes]);
        write("manifest", &format!("{}-changed", base.name), &[&[manifest::FLAG_SEAL | manifest::FLAG_CHANGE, number]]);
        for (index, entry) in (0u8..).zip(manifest_file::entries(bytes)) {
            let file = &files[&entry.file_name];
            let part = entry.file_name.split('-').next().unwrap_or_default();
            let part = if part == "dim" { "column" } else { part };
            let content = &file[..u64_at(file, block_file::TABLE_OFFSET) as usize];
            let name = format!("{}-{part}-{index}", base.name);
            if content.len() <= SEED_LEN_MAX {
                write("column_file", &format!("{name}-whole"), &[&[column_file::FLAG_WHOLE, number, index], content]);
            }
            let flags = if index == 0 { column_file::FLAG_CHANGE } else { column_file::FLAG_WHOLLY };
            // One patch of nothing, in the second part.
            write("column_file", &name, &[&[flags, number, index, 2, 0, 0, 0]]);
        }
        let choice = (0u8..).zip(wal::BASES).find(|(_, base)| *base == number);
        for (name, log) in files.iter().filter(|(name, _)| name.starts_with("wal-")) {
            let (choice, _) = choice.expect("a base with a log is one whose logs are made up");
            write("wal", &format!("{name}-whole"), &[&[wal::FLAG_WHOLE, choice], log]);
            write("wal", &format!("{name}-records"), &[&[wal::FLAG_HEADER, choice], &log[128..]]);
        }
    }
    // Choices come from a xorshift generator, so that a seed is the same wherever it is written.
    let mut state = 0x9E37_79B9_7F4A_7C15u64;
    let mut random = |len: usize| -> Vec<u8> {
        let next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()[3]
        };
        std::iter::repeat_with(next).take(len).collect()
    };
    for number in 0..16u8 {
        let flags = [0, 0, wal::FLAGS_READER, wal::FLAG_SEAL][usize::from(number) % 4];
        write("wal", &format!("random-{number}"), &[&[flags, number], &random(160)]);
        write("operations", &format!("random-{number}"), &[&[number % 2], &random(40 << (number % 4))]);
        write("values", &format!("random-{number}"), &[&[0], &random(30 << (number % 4))]);
    }
    for (number, value) in mixed().into_iter().enumerate() {
        // The encoding is read off a log, where it stands in full.
        let storage = MemoryStorage::new();
        let db = Options::new().create_in(Arc::new(storage.clone())).expect("an empty directory");
        db.upsert(0, [("", Value::Array(vec![value]))]).expect("memory does not fail");
        let snapshot = db.snapshot();
        let stored = snapshot.lookup(0, "").expect("memory does not fail").expect("it was put there");
        let vector_datalib::ValueRef::Array(nested) = stored else { panic!("an array is an array") };
        write("values", &format!("nested-{number}"), &[&[values::FLAG_NESTED], nested.as_bytes()]);
    }
}
