//! A small workload with every kind of write, and the state after any selection of its steps.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use vector_datalib::internals::{MemoryStorage, Storage};
use vector_datalib::{CompactOptions, Durability, Error, Layout, Options, Value, VectorDb, VectorPoint, attrs};

/// Everything that a database says.
#[derive(Clone, Debug)]
pub(crate) struct Contents {
    dimensions: Vec<String>,
    points: Vec<VectorPoint>,
    slot_count: u64,
    /// Whether coordinates come from the hashes of keys, whose seed each database has of its own: they are not compared.
    in_any_order: bool,
}

impl PartialEq for Contents {
    fn eq(&self, other: &Self) -> bool {
        if !self.in_any_order && !other.in_any_order {
            return (&self.dimensions, &self.points, self.slot_count)
                == (&other.dimensions, &other.points, other.slot_count);
        }
        let by_key = |contents: &Self| -> BTreeMap<_, _> {
            contents.points.iter().map(|point| (point.key().clone(), point.attributes().to_vec())).collect()
        };
        self.dimensions == other.dimensions && by_key(self) == by_key(other)
    }
}

impl Eq for Contents {}

pub(crate) fn contents(db: &VectorDb) -> Result<Contents, Error> {
    let snapshot = db.snapshot();
    let mut points = Vec::new();
    for point in &snapshot {
        let point = point?.to_point()?;
        // The index and the slot agree on every key.
        assert_eq!(snapshot.slot(point.key())?, Some(point.coordinate()));
        points.push(point);
    }
    assert_eq!(points.len() as u64, snapshot.len());
    Ok(Contents {
        dimensions: snapshot.dimensions().map(str::to_owned).collect(),
        points,
        slot_count: snapshot.slot_count(),
        in_any_order: false,
    })
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Step {
    Upsert(i64),
    Update(i64),
    Batch(i64),
    Delete(i64),
    BatchDelete(i64),
    Remove(i64),
    InsertAt(i64),
    /// Larger than what the log has in stock.
    Large(i64),
    Save,
    Compact,
    Pack,
    Freeze,
    Reopen,
    /// Not part of a script: what is done to see that a database works.
    Probe,
}

pub(crate) const SCRIPT: &[Step] = {
    use Step::*;
    &[
        Upsert(1),
        Batch(10),
        Update(1),
        Delete(11),
        Save,
        Upsert(2),
        BatchDelete(10),
        Remove(1),
        Save,
        Large(3),
        Reopen,
        Upsert(4),
        Batch(20),
        Save,
        Delete(21),
        InsertAt(5),
        Update(20),
        Compact,
        Upsert(6),
        Delete(20),
        Pack,
        Batch(30),
        Freeze,
        Update(6),
        Reopen,
        Delete(30),
        Reopen,
        Save,
        Update(6),
        Save,
        Upsert(40),
        Save,
        Delete(40),
        Save,
        Update(7),
        Save,
        Upsert(41),
        Save,
        Remove(6),
        Save,
        // With the eighth patch, patches are merged.
        Update(6),
        Save,
        Update(7),
    ]
};

/// The step of a number: the script's, then the probe.
pub(crate) fn step(index: usize) -> Step {
    SCRIPT.get(index).copied().unwrap_or(Step::Probe)
}

/// The number of the probe.
pub(crate) const PROBE: usize = SCRIPT.len();

impl Step {
    /// Whether everything before is durable when it returns, whatever the durability of commits.
    pub(crate) fn is_barrier(self) -> bool {
        matches!(self, Self::Save | Self::Compact | Self::Pack | Self::Freeze | Self::InsertAt(_) | Self::Reopen)
    }

    /// Does it. `Reopen` is the caller's.
    pub(crate) fn run(self, db: &VectorDb) -> Result<(), Error> {
        let large = |n: i64| "x".repeat(90_000 + n as usize);
        match self {
            Self::Upsert(n) => db.upsert(n, attrs! { "a" => n, "b" => format!("text {n}") }).map(drop),
            Self::Update(n) => db.upsert(n, attrs! { "a" => -n, "c" => vec![Value::from(n), Value::Null] }).map(drop),
            Self::Batch(n) => {
                let records = (n..n + 4).map(|n| (n, attrs! { "a" => n, "d" => n as f64 }));
                db.batch_upsert(records).map(drop)
            }
            Self::Delete(n) => db.delete(n).map(drop),
            Self::BatchDelete(n) => db.batch_delete([n, n + 2, n + 77]).map(drop),
            Self::Remove(n) => db.remove_attribute(n, "b").map(drop),
            Self::InsertAt(n) => db.insert_at(n, 0, attrs! { "e" => n }).map(drop),
            Self::Large(n) => db.upsert(n, attrs! { "b" => large(n) }).map(drop),
            Self::Save => db.save(),
            Self::Compact => db.compact(&CompactOptions::new()),
            Self::Pack => db.compact(&CompactOptions::new().reassign_slots(true)),
            Self::Freeze => db.compact(&CompactOptions::new().layout(Layout::Frozen)),
            Self::Reopen => Ok(()),
            Self::Probe => db.upsert("probe", attrs! { "probe" => true }).map(drop),
        }
    }
}

fn options(durability: Durability) -> Options {
    // Some checkpoints write patches, and some merge them into the files. In the foreground, so that every run does the same.
    Options::new().durability(durability).merge_fraction(4.0).background(false)
}

pub(crate) fn open(storage: &(impl Storage + Clone), durability: Durability) -> Result<VectorDb, Error> {
    options(durability).open_in(Arc::new(storage.clone()))
}

pub(crate) fn create(storage: &(impl Storage + Clone), durability: Durability) -> Result<VectorDb, Error> {
    options(durability).create_in(Arc::new(storage.clone()))
}

/// The states after selections of steps, worked out without faults.
#[derive(Default)]
pub(crate) struct Reference {
    known: HashMap<Vec<usize>, Contents>,
}

impl Reference {
    pub(crate) fn after(&mut self, steps: &[usize]) -> &Contents {
        self.known.entry(steps.to_vec()).or_insert_with(|| {
            let storage = MemoryStorage::new();
            let db = create(&storage, Durability::Eventual).unwrap();
            steps.iter().for_each(|&index| step(index).run(&db).unwrap());
            let in_any_order = steps.iter().any(|&index| step(index) == Step::Freeze);
            Contents { in_any_order, ..contents(&db).unwrap() }
        })
    }
}
