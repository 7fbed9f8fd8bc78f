//! Target `wal`: logs whose bytes are anything.
//!
//! Input: flags, base; then either all of the first log, or a description of logs whose checksums are right.

use super::input::Input;
use super::log_file::{self, DEFINE, DELETE, HEADER_LEN, Header, INSERT, KIND_COMMIT, KIND_MARK, Record, UPDATE};
use super::manifest_file::{self, DATABASE_ID, LAST_SEQUENCE, NAME, SEALED_NUMBER, WAL_FIRST};
use super::{Files, bases, block_file, probe};
use vector_datalib::ValueRef;

/// The rest of the input is the first log, header included.
pub const FLAG_WHOLE: u8 = 1;
/// As above, but the header is a right one, and the rest what follows it.
pub const FLAG_HEADER: u8 = 2;
/// The manifest seals the last log.
pub const FLAG_SEAL: u8 = 4;
/// With all of these, what cannot be opened for writing is also opened for reading: rarely, since a reader waits and
/// tries again in case a writer is at work.
pub const FLAGS_READER: u8 = 0xF8;

/// The bases whose logs are made up: small ones, with each kind of axis.
pub const BASES: [u8; 6] = [0, 2, 4, 6, 8, 15];

pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let flags = input.u8();
    let mut files = bases::pick(BASES[input.below(BASES.len())]).files().clone();
    files.retain(|name, _| !name.starts_with("wal-"));
    let mut logs = Logs::new(&files);
    if flags & (FLAG_WHOLE | FLAG_HEADER) != 0 {
        let mut log = if flags & FLAG_HEADER != 0 { logs.header.encode() } else { Vec::new() };
        log.extend_from_slice(input.rest());
        logs.log = log;
    } else {
        logs.describe(&mut input, &files);
    }
    logs.finish(flags & FLAG_SEAL != 0, &mut files);
    check(files, flags & FLAGS_READER == FLAGS_READER);
}

/// Opening gives the same, whoever opens and however often.
fn check(files: Files, always_read: bool) {
    let Some((db, storage)) = probe::value_or_corrupt(probe::open(files.clone())) else {
        if always_read {
            probe::value_or_corrupt(probe::open_read_only(files));
        }
        return;
    };
    let report = db.open_report();
    let found = probe::contents(&db).expect("a base is sound");
    let reader = probe::open_read_only(files).expect("what opens for writing opens for reading");
    assert_eq!(reader.open_report(), report);
    assert_eq!(probe::contents(&reader).expect("a base is sound"), found, "a reader sees what the writer sees");
    probe::read_everything(&reader);

    // A crash before anything is written.
    let (again, _) = probe::open(storage.files()).expect("what was opened opens again");
    assert_eq!(again.open_report(), report, "recovery is idempotent");
    assert_eq!(probe::contents(&again).expect("a base is sound"), found, "recovery is idempotent");
    drop(again);

    // A crash after one more commit, and another one after that.
    let name = found.dimensions.first().map_or("y", String::as_str);
    db.upsert("the next commit", [(name, 1)]).expect("nothing is wrong with the storage");
    let next = probe::contents(&db).expect("a base is sound");
    let (again, storage_again) = probe::open(storage.files()).expect("what was written opens");
    assert_eq!(probe::contents(&again).expect("a base is sound"), next, "an acknowledged commit survives a crash");
    again.upsert("and one more", [(name, 2)]).expect("nothing is wrong with the storage");
    let last = probe::contents(&again).expect("a base is sound");
    let (third, _) = probe::open(storage_again.files()).expect("what was written opens");
    assert_eq!(probe::contents(&third).expect("a base is sound"), last, "an acknowledged commit survives two crashes");

    // An orderly end, with and without a checkpoint.
    db.save().expect("nothing is wrong with the storage");
    assert_eq!(probe::contents(&db).expect("a base is sound"), next, "a checkpoint changes nothing");
    db.close().expect("nothing is wrong with the storage");
    let (db, _) = probe::open(storage.files()).expect("what was closed opens");
    assert!(!db.open_report().unclean_close && db.open_report().bytes_dropped == 0);
    assert_eq!(probe::contents(&db).expect("a base is sound"), next, "closing changes nothing");
}

/// Logs being made up.
struct Logs {
    header: Header,
    log: Vec<u8>,
    sequence: u64,
    synced: u64,
    finished: Vec<(u64, Vec<u8>)>,
    /// What is known of the slots, to write records that make sense: the tagged keys.
    slots: Vec<Option<Vec<u8>>>,
    dimension_count: u64,
}

impl Logs {
    fn new(files: &Files) -> Self {
        let manifest = &files[NAME];
        let sequence = block_file::u64_at(manifest, LAST_SEQUENCE);
        let number = block_file::u64_at(manifest, WAL_FIRST);
        let header = Header {
            database_id: manifest[DATABASE_ID].try_into().expect("16 bytes"),
            number,
            salt: 0x5A17,
            previous_number: number.saturating_sub(1),
            previous_len: 0,
            last_sequence: sequence,
        };
        let log = header.encode();
        Self { header, log, sequence, synced: sequence, finished: Vec::new(), slots: Vec::new(), dimension_count: 0 }
    }

    fn describe(&mut self, input: &mut Input<'_>, files: &Files) {
        let base = probe::open_read_only(files.clone()).expect("a base is sound");
        let contents = probe::contents(&base).expect("a base is sound");
        self.slots.resize(contents.slot_count as usize, None);
        for (slot, key, _) in contents.points {
            self.slots[slot.index()] = Some(tagged(key.as_ref().value()));
        }
        self.dimension_count = contents.dimensions.len() as u64;
        if input.one_in(16) {
            self.header.last_sequence = input.u64();
            self.log = self.header.encode();
        }
        while !input.is_empty() {
            match input.u8() % 12 {
                0..=5 => self.commit(input),
                6 | 7 => self.mark(input),
                8 => self.next_log(input),
                9 => self.log.extend_from_slice(input.take(64)),
                10 => {
                    let at = HEADER_LEN + input.below(self.log.len() - HEADER_LEN + 1);
                    let change = input.u8();
                    if let Some(byte) = self.log.get_mut(at) {
                        *byte ^= change;
                    }
                }
                _ => {
                    let len = self.log.len() + input.below(64);
                    self.log.resize(len, 0);
                }
            }
        }
    }

    fn commit(&mut self, input: &mut Input<'_>) {
        let deviates = input.one_in(16);
        let count = 1 + input.below(4);
        let mut body = Vec::new();
        for _ in 0..count {
            self.operation(input, &mut body);
        }
        self.sequence = self.sequence.wrapping_add(1);
        Record {
            sequence: if deviates { input.u64() } else { self.sequence },
            commit_time: 1_700_000_000_000_000,
            synced_through: if deviates { input.u64() } else { self.synced },
            kind: if deviates { input.u8().into() } else { KIND_COMMIT },
            operation_count: if deviates { input.u8().into() } else { count as u32 },
            body: &body,
        }
        .append(self.header.salt, &mut self.log);
    }

    fn mark(&mut self, input: &mut Input<'_>) {
        self.synced = if input.one_in(16) { input.u64() } else { self.sequence };
        Record {
            sequence: self.sequence,
            commit_time: 0,
            synced_through: self.synced,
            kind: KIND_MARK,
            operation_count: 0,
            body: &[],
        }
        .append(self.header.salt, &mut self.log);
    }

    fn next_log(&mut self, input: &mut Input<'_>) {
        let len = self.log.len() as u64;
        let number = self.header.number;
        let next = Header {
            number: number.wrapping_add(if input.one_in(16) { 2 } else { 1 }),
            salt: input.u8().into(),
            previous_number: number,
            previous_len: if input.one_in(8) { input.u16().into() } else { len },
            last_sequence: self.sequence,
            ..self.header
        };
        self.finished.push((number, std::mem::replace(&mut self.log, next.encode())));
        self.header = next;
    }

    fn operation(&mut self, input: &mut Input<'_>, body: &mut Vec<u8>) {
        let free = self.slots.iter().position(Option::is_none).unwrap_or(self.slots.len());
        let used = |at: usize| if self.slots.is_empty() { 0 } else { at % self.slots.len() };
        match input.u8() % 12 {
            0..=2 => {
                let slot = if input.one_in(16) { usize::from(input.u16()) } else { free };
                let key = tagged(input.key().as_ref().value());
                log_file::begin(INSERT, slot as u64, body);
                log_file::bytes(&key, body);
                self.cells(input, body);
                if slot <= self.slots.len() {
                    self.slots.resize(self.slots.len().max(slot + 1), None);
                    self.slots[slot] = Some(key);
                }
            }
            3..=5 => {
                log_file::begin(UPDATE, used(input.u16().into()) as u64, body);
                self.cells(input, body);
            }
            6 | 7 => {
                let slot = used(input.u16().into());
                log_file::begin(DELETE, slot as u64, body);
                log_file::bytes(&self.slots.get(slot).cloned().flatten().unwrap_or_default(), body);
                if let Some(place) = self.slots.get_mut(slot) {
                    *place = None;
                }
                while self.slots.last().is_some_and(Option::is_none) {
                    self.slots.pop();
                }
            }
            8 => {
                log_file::begin(DELETE, input.u16().into(), body);
                log_file::bytes(&tagged(input.key().as_ref().value()), body);
            }
            9 | 10 => {
                let id = if input.one_in(8) { input.u64() } else { self.dimension_count };
                self.dimension_count += 1;
                log_file::begin(DEFINE, id, body);
                log_file::bytes(input.name().as_bytes(), body);
            }
            _ => {
                let len = input.below(64);
                body.extend_from_slice(input.take(len));
            }
        }
    }

    fn cells(&self, input: &mut Input<'_>, body: &mut Vec<u8>) {
        let count = input.below(3);
        log_file::varint(count as u64, body);
        for _ in 0..count {
            let dimension = u64::from(input.u8()) % (self.dimension_count + u64::from(input.one_in(16))).max(1);
            log_file::varint(dimension, body);
            match input.u8() % 4 {
                0 => log_file::varint(0, body),
                // An array or a map that may not decode, or anything at all.
                1 => {
                    let len = input.below(48);
                    log_file::bytes(input.take(len), body);
                }
                _ => {
                    let value = input.key();
                    log_file::bytes(&tagged(value.as_ref().value()), body);
                }
            }
        }
    }

    fn finish(mut self, seal: bool, files: &mut Files) {
        if seal {
            let manifest = files.get_mut(NAME).expect("a base has a manifest");
            let fields = [self.header.number, self.log.len() as u64, self.sequence];
            for (at, field) in (SEALED_NUMBER..).step_by(8).zip(fields) {
                block_file::put(manifest, at, &field.to_le_bytes());
            }
            manifest_file::seal(manifest);
        }
        self.finished.push((self.header.number, self.log));
        for (number, log) in self.finished {
            files.insert(format!("wal-{number}.log"), log);
        }
    }
}

/// The tagged form of a value (chapter `format-spec/values.md`).
fn tagged(value: ValueRef<'_>) -> Vec<u8> {
    let (tag, payload): (u8, Vec<u8>) = match value {
        ValueRef::Null => (0, Vec::new()),
        ValueRef::Bool(bool) => (1, vec![bool.into()]),
        ValueRef::Int(int) => match (i64::try_from(int), u64::try_from(int)) {
            (Ok(int), _) => (2, int.to_le_bytes().into()),
            (_, Ok(int)) => (3, int.to_le_bytes().into()),
            _ => {
                let digits = int.unsigned_abs().to_be_bytes();
                let digits = digits.into_iter().skip_while(|&digit| digit == 0);
                (4, std::iter::once(u8::from(int < 0)).chain(digits).collect())
            }
        },
        ValueRef::BigInt(big) => (4, [&[u8::from(big.is_negative())], big.magnitude()].concat()),
        ValueRef::Float(float) => (5, float.to_bits().to_le_bytes().into()),
        ValueRef::Text(text) => (6, text.into()),
        ValueRef::Bytes(bytes) => (7, bytes.into()),
        ValueRef::Timestamp(time) => {
            (8, [&time.seconds().to_le_bytes()[..], &time.nanoseconds().to_le_bytes()].concat())
        }
        ValueRef::Ext(ext) => (9, [&ext.code.to_le_bytes()[..], ext.data].concat()),
        ValueRef::Array(nested) => (10, nested.as_bytes().into()),
        ValueRef::Map(nested) => (11, nested.as_bytes().into()),
    };
    [vec![tag], payload].concat()
}
