//! Target `canonical_round`: any database comes back from its canonical file as it was, and so does the file.
//!
//! Input: flags, then changes of a database and their arguments.

use super::imports::{BUDGET, BUDGET_SMALL, Exported};
use super::input::Input;
use std::sync::Arc;
use vector_datalib::internals::MemoryStorage;
use vector_datalib::{CompactOptions, Import, Key, Options, Value, VectorDb};

/// With memory enough for everything.
pub const FLAG_MEMORY: u8 = 1;

const SOUND: &str = "nothing is wrong with the storage";
const CHANGE_COUNT_MAX: usize = 80;
/// Points that do not all fit into the smallest memory.
const MANY: u64 = 800;

pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let budget = if input.u8() & FLAG_MEMORY == 0 { BUDGET_SMALL } else { BUDGET };
    let db = Options::new().create_in(Arc::new(MemoryStorage::new())).expect("an empty directory");
    let mut count = 0;
    while !input.is_empty() && count < CHANGE_COUNT_MAX {
        change(&db, &mut input);
        count += 1;
    }
    Exported::of(&db).check_round(&Import::new().memory_budget(budget));
}

fn change(db: &VectorDb, input: &mut Input<'_>) {
    match input.u8() % 16 {
        0 => drop(db.delete(&key(input)).expect(SOUND)),
        1 => drop(db.remove_attribute(&key(input), input.name()).expect(SOUND)),
        2 => db.save().expect(SOUND),
        3 => db.compact(&CompactOptions::new()).expect(SOUND),
        4 => {
            let (position, key, value) = (input.u16(), key(input), input.value());
            let position = u64::from(position) % (db.snapshot().slot_count() + 1);
            db.insert_at(key, position as u32, [(input.name(), value)]).expect(SOUND);
        }
        5 if db.snapshot().slot_count() < MANY => many(db, input),
        6 => {
            db.upsert(key(input), [] as [(&str, Value); 0]).expect(SOUND);
        }
        7 => {
            let key = key(input);
            let name: String = input.text().chars().take(9).collect();
            db.upsert(key, [(name, input.value())]).expect(SOUND);
        }
        _ => {
            db.upsert(key(input), [(input.name(), input.value())]).expect(SOUND);
        }
    }
}

/// A key of any type.
fn key(input: &mut Input<'_>) -> Key {
    if input.one_in(2) { Key::try_from(input.value()).unwrap_or_else(|_| input.key()) } else { input.key() }
}

/// So many points that not all fits into the smallest memory.
fn many(db: &VectorDb, input: &mut Input<'_>) {
    let (count, first, kind, name) = (input.u16() % MANY as u16, input.u16(), input.u8(), input.name());
    let few = u16::from(input.u8()) + 1;
    let records = (0..count).map(|n| {
        let key = match kind % 4 {
            0 => Key::from(u32::from(first) + u32::from(n)),
            1 => Key::from(f64::from(first) + f64::from(n) / 2.0),
            2 => Key::from(format!("key {}", first ^ n)),
            _ => Key::from(-i64::from(first) - i64::from(n) * 1_000_003),
        };
        let value = match kind / 4 % 4 {
            0 => Value::from(n % few),
            1 => Value::from(format!("the value number {n}")),
            2 => Value::from(f64::from(n % few)),
            _ => Value::from(n % few == 0),
        };
        (key, (n % few != 1).then_some((name, value)))
    });
    db.batch_upsert(records).expect(SOUND);
    if kind >= 128 {
        let snapshot = db.snapshot();
        let some = snapshot.iter().flatten().skip(1).step_by(usize::from(few));
        let gone: Vec<Key> = some.map(|point| point.key().to_key()).collect();
        db.batch_delete(&gone).expect(SOUND);
    }
}
