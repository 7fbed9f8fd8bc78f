//! Reading and changing a database in every way there is.

use super::Files;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use vector_datalib::internals::MemoryStorage;
use vector_datalib::{CompactOptions, Error, Key, Layout, Options, Result, Slot, Snapshot, Value, ValueRef, VectorDb};

/// A database with more slots than this is looked at in places only: a few bytes can state billions of slots.
const SLOTS_MAX: u64 = 4096;
/// And so many slots are read in every way.
const SAMPLES_MAX: u64 = 128;

/// What a database holds. A nested value that does not decode is `None`.
#[derive(Clone, PartialEq, Debug)]
pub struct Contents {
    pub sequence: u64,
    pub point_count: u64,
    pub slot_count: u64,
    pub dimensions: Vec<String>,
    pub points: Vec<(Slot, Key, Attributes)>,
}

/// Attributes by name.
pub type Attributes = Vec<(String, Option<Value>)>;

/// Opens files for writing.
pub fn open(files: Files) -> Result<(VectorDb, MemoryStorage)> {
    let storage = MemoryStorage::from_files(files);
    let db = Options::new().open_in(Arc::new(storage.clone()))?;
    Ok((db, storage))
}

/// Opens files for reading.
pub fn open_read_only(files: Files) -> Result<VectorDb> {
    Options::new().open_read_only_in(Arc::new(MemoryStorage::from_files(files)))
}

/// Whether a database can be read as a whole in a moment.
pub fn is_small(db: &VectorDb) -> bool {
    db.snapshot().slot_count() <= SLOTS_MAX
}

/// Everything in a database.
pub fn contents(db: &VectorDb) -> Result<Contents> {
    let snapshot = db.snapshot();
    let mut points = Vec::new();
    for slot in slots(&snapshot, SLOTS_MAX) {
        let Some(key) = snapshot.key(slot)? else { continue };
        let mut attributes = Attributes::new();
        for name in snapshot.dimensions() {
            let dimension = snapshot.dimension(name).expect("it was listed");
            if let Some(value) = dimension.get(slot)? {
                attributes.push((name.to_owned(), value.to_value().ok()));
            }
        }
        points.push((slot, key.to_key(), attributes));
    }
    Ok(Contents {
        sequence: snapshot.sequence(),
        point_count: snapshot.len(),
        slot_count: snapshot.slot_count(),
        dimensions: snapshot.dimensions().map(str::to_owned).collect(),
        points,
    })
}

/// The slots that are looked at: all when there are at most `count_max`, else some at the start, the end and the seams
/// of segments.
fn slots(snapshot: &Snapshot, count_max: u64) -> impl Iterator<Item = Slot> {
    const SEGMENT_LEN: u64 = 65_536;
    let count = snapshot.slot_count();
    let all = 0..if count <= count_max { count } else { count_max / 2 };
    let seams = (1..4).flat_map(|segment| segment * SEGMENT_LEN - 2..segment * SEGMENT_LEN + 2);
    let end = count.saturating_sub(count_max / 2)..count;
    let some = seams.chain(end).filter(move |slot| count > count_max && *slot < count);
    all.chain(some).map(|slot| Slot(slot as u32))
}

/// Reads a database whose bytes may be anything in every way: each answer is some value or "corrupt".
pub fn read_everything(db: &VectorDb) {
    let snapshot = db.snapshot();
    for slot in
        slots(&snapshot, SAMPLES_MAX).chain([Slot(snapshot.slot_count().min(u64::from(u32::MAX)) as u32), Slot::MAX])
    {
        let key = value_or_corrupt(snapshot.key(slot)).flatten();
        for name in snapshot.dimensions() {
            let dimension = snapshot.dimension(name).expect("it was listed");
            if let Some(value) = value_or_corrupt(dimension.get(slot)).flatten() {
                check(value);
            }
            if let Some(key) = key
                && let Some(value) = value_or_corrupt(dimension.lookup(&key.to_key())).flatten()
            {
                check(value);
            }
        }
        if let Some(key) = key {
            check(key.value());
            value_or_corrupt(snapshot.slot(&key.to_key()));
        }
    }
    for key in [Key::from(0), Key::from(-1), Key::from(u64::MAX), Key::from(0.5), Key::from("no"), Key::from(true)] {
        value_or_corrupt(snapshot.point(&key));
    }
    for name in snapshot.dimensions() {
        let dimension = snapshot.dimension(name).expect("it was listed");
        value_or_corrupt(dimension.point_count());
        value_or_corrupt(dimension.has_counts());
        value_or_corrupt(dimension.segments().next().transpose());
    }
    value_or_corrupt(db.stats());
    if snapshot.slot_count() <= SLOTS_MAX {
        scan(&snapshot);
        for point in snapshot.iter().take(SAMPLES_MAX as usize) {
            let Some(point) = value_or_corrupt(point) else { continue };
            value_or_corrupt(point.to_point());
        }
    }
}

/// Scans a small database in every way.
fn scan(snapshot: &Snapshot) {
    let dimensions = || snapshot.dimensions().filter_map(|name| snapshot.dimension(name));
    for dimension in dimensions() {
        let mut asked = Vec::new();
        for segment in dimension.segments() {
            let Some(segment) = value_or_corrupt(segment) else { continue };
            let values = segment.iter().take(SAMPLES_MAX as usize).filter_map(value_or_corrupt);
            asked.extend(values.inspect(|(_, value)| check(*value)).step_by(SAMPLES_MAX as usize / 4));
            for (index, offset) in segment.offsets().enumerate() {
                assert_eq!(segment.index_of(offset), Some(index), "each slot has its own value");
            }
            assert_eq!(segment.offsets().count(), segment.value_count());
            value_or_corrupt(segment.null_count());
        }
        for (_, value) in asked {
            value_or_corrupt(dimension.count_of(value));
            value_or_corrupt(dimension.find(value).and_then(Iterator::collect::<Result<Vec<Slot>>>));
        }
        value_or_corrupt(dimension.count_in(1..1000));
        value_or_corrupt(dimension.find_in("a"..).and_then(Iterator::collect::<Result<Vec<Slot>>>));
        value_or_corrupt(dimension.parallel(2).count_where(|value| value.as_str().is_some()));
        value_or_corrupt(dimension.count_of("is not there"));
        value_or_corrupt(dimension.distinct_count());
        value_or_corrupt(dimension.value_counts());
        value_or_corrupt(dimension.top(2));
        value_or_corrupt(dimension.sum());
        value_or_corrupt(dimension.min_max());
        if let Some(other) = dimensions().last() {
            value_or_corrupt(dimension.map_to(other));
            value_or_corrupt(dimension.cross_counts(other));
            value_or_corrupt(dimension.aggregate_by(other));
        }
    }
}

/// Verifies, for as long as it does not take too long. Returns whether all was sound.
pub fn verify(db: &VectorDb) -> bool {
    let mut steps = 0;
    let verified = db.verify_with(&mut |_| {
        steps += 1;
        if steps < 64 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    match verified {
        Ok(report) => report.is_sound(),
        Err(error) => {
            assert!(error.is_cancelled(), "verify reports problems, it does not fail: {error}");
            false
        }
    }
}

/// Exports to a file that is then removed.
pub fn export(db: &VectorDb) {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let path = std::env::temp_dir().join(format!("vector-datalib-fuzz-{}-{number}.db", std::process::id()));
    if value_or_corrupt(db.export(&path)).is_some() {
        std::fs::remove_file(&path).expect("the export is there");
    }
}

/// Changes a database whose bytes may be anything in every way. Each change may fail; none may panic.
pub fn change_everything(db: &VectorDb) {
    let snapshot = db.snapshot();
    let keys: Vec<Key> = snapshot.iter().take(3).flatten().map(|point| point.key().to_key()).collect();
    let names: Vec<String> = snapshot.dimensions().map(str::to_owned).chain(["new".to_owned()]).collect();
    let mut failures = Vec::new();
    let mut tried = |result: Result<()>| failures.extend(result.err());
    tried(db.batch_delete(keys.iter().skip(1)).map(drop));
    for (number, name) in names.iter().enumerate() {
        tried(db.upsert(format!("fresh {number}"), [(name, "changed")]).map(drop));
        if let Some(key) = keys.first() {
            tried(db.upsert(key.clone(), [(name, Value::Null)]).map(drop));
        }
    }
    if let Some(key) = keys.first() {
        tried(db.remove_attribute(key, &names[0]).map(drop));
    }
    tried(db.save());
    tried(db.insert_at("put between", 0, [("new", 1)]).map(drop));
    tried(db.compact(&CompactOptions::new()));
    tried(db.delete("put between").map(drop));
    tried(db.compact(&CompactOptions::new().reassign_slots(true)));
    tried(db.compact(&CompactOptions::new().layout(Layout::Frozen)));
    tried(db.compact(&CompactOptions::new().layout(Layout::ByKey)));
    for failure in failures {
        assert!(!failure.is_locked() && !failure.is_closed() && !failure.is_read_only(), "{failure}");
    }
}

/// Text must be UTF-8, whatever the file holds; nested values must decode or say why not.
fn check(value: ValueRef<'_>) {
    match value {
        ValueRef::Text(text) => {
            std::str::from_utf8(text.as_bytes()).expect("text is UTF-8");
        }
        ValueRef::Array(_) | ValueRef::Map(_) => drop(value.to_value()),
        _ => {}
    }
}

/// The answer, if there is one: anything but an answer must be "corrupt", or "unsupported" for what a newer version may have written.
pub fn value_or_corrupt<T>(result: Result<T>) -> Option<T> {
    let refused = |error: Error| {
        assert!(error.is_corrupt() || error.is_unsupported(), "bad bytes are corrupt bytes: {error}");
    };
    result.map_err(refused).ok()
}
