//! Target `values`: every value and key comes back as it went in, and encoded arrays and maps may be any bytes.
//!
//! Input: flags; then either pairs of key and value, or bytes that a log says are an array or a map.

use super::input::Input;
use super::log_file::{self, DEFINE, Header, INSERT, KIND_COMMIT, Record};
use super::manifest_file::{DATABASE_ID, NAME};
use super::{bases, probe};
use vector_datalib::{CompactOptions, Key, Value, VectorDb};

/// The rest of the input is an encoded array or map.
pub const FLAG_NESTED: u8 = 1;
/// A map, not an array.
pub const FLAG_MAP: u8 = 2;

const SOUND: &str = "nothing is wrong with the storage";
const PAIR_COUNT_MAX: usize = 64;

pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let flags = input.u8();
    if flags & FLAG_NESTED != 0 {
        nested(flags & FLAG_MAP != 0, input.rest());
    } else {
        round_trip(&mut input);
    }
}

fn round_trip(input: &mut Input<'_>) {
    let (db, storage) = probe::open(bases::pick(0).files().clone()).expect("a base is sound");
    let mut pairs: Vec<(Key, Value)> = Vec::new();
    while !input.is_empty() && pairs.len() < PAIR_COUNT_MAX {
        let (key, value) = (Key::try_from(input.value()).unwrap_or_else(|_| input.key()), input.value());
        db.upsert(key.clone(), [("y", value.clone())]).expect(SOUND);
        match pairs.iter_mut().find(|(known, _)| *known == key) {
            Some((_, known)) => *known = value,
            None => pairs.push((key, value)),
        }
    }
    check(&db, &pairs);
    db.save().expect(SOUND);
    check(&db, &pairs);
    db.compact(&CompactOptions::new()).expect(SOUND);
    db.close().expect(SOUND);
    let db = probe::open_read_only(storage.files()).expect(SOUND);
    check(&db, &pairs);
    assert!(probe::verify(&db), "a sound database");
}

fn check(db: &VectorDb, pairs: &[(Key, Value)]) {
    let snapshot = db.snapshot();
    assert_eq!(snapshot.len(), pairs.len() as u64, "keys that differ are different keys");
    for (key, value) in pairs {
        let read = snapshot.lookup(key, "y").expect(SOUND).expect("it was put there");
        assert!(read == *value, "{read:?} is not {value:?}");
        assert_eq!(read.to_value().expect("it was encoded here"), *value);
        let slot = snapshot.slot(key).expect(SOUND).expect("it was put there");
        let stored = snapshot.key(slot).expect(SOUND).expect("the slot is in use");
        assert_eq!(stored.to_key(), *key);
        assert_eq!(stored.to_value(), key.to_value());
        assert_eq!(Key::try_from(key.to_value()).expect("it was a key"), *key);
    }
}

/// Bytes as an array or a map: they decode to a value that can be stored again, or they are refused.
fn nested(is_map: bool, bytes: &[u8]) {
    let mut files = bases::pick(0).files().clone();
    let header = Header {
        database_id: files[NAME][DATABASE_ID].try_into().expect("16 bytes"),
        number: 1,
        salt: 1,
        previous_number: 0,
        previous_len: 0,
        last_sequence: 0,
    };
    let mut body = Vec::new();
    log_file::begin(DEFINE, 0, &mut body);
    log_file::bytes(b"y", &mut body);
    log_file::begin(INSERT, 0, &mut body);
    log_file::bytes(&[7], &mut body);
    log_file::varint(1, &mut body);
    log_file::varint(0, &mut body);
    log_file::bytes(&[&[if is_map { 11 } else { 10 }], bytes].concat(), &mut body);
    let mut log = header.encode();
    let record =
        Record { sequence: 1, commit_time: 0, synced_through: 0, kind: KIND_COMMIT, operation_count: 2, body: &body };
    record.append(header.salt, &mut log);
    files.insert("wal-1.log".to_owned(), log);

    let (db, _) = probe::open(files).expect("arrays and maps are checked when they are decoded");
    let key = Key::from(&[][..]);
    let value = match db.lookup(&key, "y") {
        Ok(value) => value.expect("it was put there"),
        Err(error) => {
            assert!(error.is_corrupt(), "{error}");
            // What cannot be read is kept as it is.
            db.save().expect(SOUND);
            assert!(db.lookup(&key, "y").is_err_and(|error| error.is_corrupt()));
            return;
        }
    };
    db.upsert("again", [("y", value.clone())]).expect("what was decoded can be encoded");
    assert_eq!(db.lookup("again", "y").expect(SOUND), Some(value.clone()));
    if let Ok(key) = Key::try_from(value.clone()) {
        db.upsert(key.clone(), [("y", value.clone())]).expect(SOUND);
        assert_eq!(db.lookup(&key, "y").expect(SOUND), Some(value));
    }
}
