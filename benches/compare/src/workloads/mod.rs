//! What is measured. Each workload is run in a process of its own and gives one figure or a few.

mod anonymous;
mod beside;
mod changed;
mod evicted;
mod load;
mod lookups;
mod maintenance;
mod memory;
mod open;
pub(crate) mod rows;
pub(crate) mod scans;
pub(crate) mod size;
mod threads;
mod update;
mod upserts;

use crate::arguments::Setting;
use crate::engine::{Engine, Outcome, Unsupported};
use crate::records::{Key, KeyKind, Order, Records};
use crate::wide::Shape;
use crate::ycsb::{Durability, Mix};
use lookups::{Attribute, Pattern};
use maintenance::Maintenance;
use scans::Scan;
use std::path::PathBuf;

/// Something to measure.
#[derive(Debug)]
pub(crate) struct Workload {
    /// What options and results say.
    pub(crate) name: &'static str,
    /// What options may say for all like it.
    pub(crate) group: &'static str,
    /// The keys of the database.
    pub(crate) keys: KeyKind,
    /// The attributes of its records.
    pub(crate) shape: Shape,
    /// The order in which the database was loaded.
    pub(crate) order: Order,
    /// Whether it is measured when no workloads are named.
    pub(crate) is_default: bool,
    /// What a process does.
    pub(crate) task: Task,
}

/// What a process does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Task {
    /// Makes the database.
    Load,
    /// Looks how much it takes on disk.
    Size,
    /// Opens it.
    Open,
    /// Looks up values by key.
    Lookups(Attribute, Pattern),
    /// Looks up names on one thread, and on two.
    TwoThreads,
    /// Looks up names while others commit.
    BesideWriters,
    /// Looks up values while so many records of 10,000 are changed.
    Changed(u64),
    /// Looks up names of which nothing is in the page cache.
    Evicted,
    /// Looks how much memory lookups take.
    Memory,
    /// Reads all values of an attribute, on so many threads.
    Scan(Scan, usize),
    /// Reads whole records by key, many in one call.
    RowsByKey,
    /// Changes records, durably.
    Upserts {
        /// Threads that commit.
        writers: u64,
        /// Records of a commit.
        batch: u64,
    },
    /// Changes one record at a time, durably.
    Update,
    /// Has many changes written down, or all files made anew.
    Maintenance(Maintenance),
    /// Runs operations of YCSB.
    Ycsb(Mix, Durability),
}

impl Task {
    /// Whether it changes what was loaded, in a copy.
    const fn changes(self) -> bool {
        matches!(self, Self::BesideWriters | Self::Changed(_) | Self::Update | Self::Upserts { .. } | Self::Ycsb(..))
    }
}

/// A figure of one process.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Figure {
    /// What is added to the name of the workload, if it has several.
    pub(crate) part: &'static str,
    /// The unit; one that ends in `/s` is better the higher it is, and any other the lower.
    pub(crate) unit: &'static str,
    /// How many of them.
    pub(crate) value: f64,
}

impl Figure {
    /// The only one of a workload, or the first.
    pub(crate) const fn new(unit: &'static str, value: f64) -> Self {
        Self { part: "", unit, value }
    }
}

/// What a process works with.
#[derive(Debug)]
pub(crate) struct Context {
    /// The database.
    pub(crate) path: PathBuf,
    /// What is in it.
    pub(crate) records: Records,
    /// How it was loaded.
    pub(crate) order: Order,
    /// Options.
    pub(crate) setting: Setting,
}

const fn workload(name: &'static str, group: &'static str, task: Task) -> Workload {
    Workload { name, group, keys: KeyKind::Integer, shape: Shape::Four, order: Order::Shuffled, is_default: true, task }
}

impl Workload {
    const fn sorted(self) -> Self {
        Self { order: Order::Sorted, ..self }
    }

    const fn text(self) -> Self {
        Self { keys: KeyKind::Text, ..self }
    }

    const fn wide(self) -> Self {
        Self { shape: Shape::Nineteen, ..self }
    }

    const fn ycsb(self) -> Self {
        Self { shape: Shape::Ycsb, is_default: false, ..self.sorted().text() }
    }

    /// The workload that a figure belongs to, by the name of the figure: the workload's, with a part behind it if it has several.
    pub(crate) fn of_figure(name: &str) -> Option<&'static Self> {
        let fits = |workload: &&Self| {
            name.strip_prefix(workload.name).is_some_and(|part| part.is_empty() || part.starts_with('-'))
        };
        WORKLOADS.iter().filter(fits).max_by_key(|workload| workload.name.len())
    }

    /// Whether both work on the same database.
    pub(crate) fn shares_database(&self, other: &Self) -> bool {
        (self.keys, self.shape, self.order) == (other.keys, other.shape, other.order)
    }

    /// The workload that makes the database of this one.
    pub(crate) fn load(&self) -> Outcome<&'static Self> {
        WORKLOADS
            .iter()
            .find(|other| other.task == Task::Load && other.shares_database(self))
            .ok_or_else(|| "no workload makes such a database".into())
    }

    /// Runs it for an engine.
    pub(crate) fn run<K: Key, E: Engine<K>>(&self, context: &Context) -> Outcome<Vec<Figure>> {
        if let Some(reason) = E::ONLY_READ
            && self.task.changes()
        {
            return Err(Unsupported(reason).into());
        }
        match self.task {
            Task::Load => load::run::<K, E>(context),
            Task::Size => size::run::<K, E>(context),
            Task::Open => open::run::<K, E>(context),
            Task::Lookups(attribute, pattern) => lookups::run::<K, E>(context, attribute, pattern),
            Task::TwoThreads => threads::run::<K, E>(context),
            Task::BesideWriters => beside::run::<K, E>(context),
            Task::Changed(changed) => changed::run::<K, E>(context, changed),
            Task::Evicted => evicted::run::<K, E>(context),
            Task::Memory => memory::run::<K, E>(context),
            Task::Scan(scan, threads) => scans::run::<K, E>(context, scan, threads),
            Task::RowsByKey => rows::run::<K, E>(context),
            Task::Upserts { writers, batch } => upserts::run::<K, E>(context, writers, batch),
            Task::Update => update::run::<K, E>(context),
            Task::Maintenance(maintenance) => maintenance::run::<K, E>(context, maintenance),
            Task::Ycsb(..) => Err(Unsupported("its records are not those of YCSB").into()),
        }
    }
}

/// All workloads, in the order of the table. Those on databases that were loaded in the order of keys come first.
pub(crate) const WORKLOADS: &[Workload] = &[
    workload("load-sorted", "load", Task::Load).sorted(),
    workload("size-sorted", "size", Task::Size).sorted(),
    workload("load-shuffled", "load", Task::Load),
    workload("size-shuffled", "size", Task::Size),
    workload("open", "open", Task::Open),
    workload("name-independent", "lookups", Task::Lookups(Attribute::Name, Pattern::Independent)),
    workload("score-independent", "lookups", Task::Lookups(Attribute::Score, Pattern::Independent)),
    workload("city-independent", "lookups", Task::Lookups(Attribute::City, Pattern::Independent)),
    workload("age-independent", "lookups", Task::Lookups(Attribute::Age, Pattern::Independent)),
    workload("name-independent-by-name", "lookups", Task::Lookups(Attribute::NameByName, Pattern::Independent)),
    workload("name-dependent", "lookups", Task::Lookups(Attribute::Name, Pattern::Dependent)),
    workload("score-dependent", "lookups", Task::Lookups(Attribute::Score, Pattern::Dependent)),
    workload("name-batched", "lookups", Task::Lookups(Attribute::Name, Pattern::Batched)),
    workload("score-batched", "lookups", Task::Lookups(Attribute::Score, Pattern::Batched)),
    workload("point-independent", "points", Task::Lookups(Attribute::Point, Pattern::Independent)),
    workload("point-dependent", "points", Task::Lookups(Attribute::Point, Pattern::Dependent)),
    workload("missing-independent", "lookups", Task::Lookups(Attribute::Missing, Pattern::Independent)),
    workload("missing-batched", "lookups", Task::Lookups(Attribute::Missing, Pattern::Batched)),
    workload("name-zipfian", "zipfian", Task::Lookups(Attribute::Name, Pattern::Zipfian)),
    workload("score-zipfian", "zipfian", Task::Lookups(Attribute::Score, Pattern::Zipfian)),
    workload("two-threads", "threads", Task::TwoThreads),
    workload("sum-of-score", "scans", Task::Scan(Scan::Sum, 1)),
    workload("sum-of-score-two-threads", "scans", Task::Scan(Scan::Sum, 2)),
    workload("count-by-city", "scans", Task::Scan(Scan::CityCounts, 1)),
    workload("count-by-city-two-threads", "scans", Task::Scan(Scan::CityCounts, 2)),
    workload("count-by-city-kept", "scans", Task::Scan(Scan::KeptCityCounts, 1)),
    workload("rows-by-key", "rows", Task::RowsByKey),
    workload("wide-load", "wide", Task::Load).wide(),
    workload("wide-size", "wide", Task::Size).wide(),
    workload("wide-point-independent", "wide", Task::Lookups(Attribute::Point, Pattern::Independent)).wide(),
    workload("wide-point-dependent", "wide", Task::Lookups(Attribute::Point, Pattern::Dependent)).wide(),
    workload("wide-name-independent", "wide", Task::Lookups(Attribute::Name, Pattern::Independent)).wide(),
    workload("text-load-sorted", "text", Task::Load).sorted().text(),
    workload("text-load-shuffled", "text", Task::Load).text(),
    workload("text-size", "text", Task::Size).text(),
    workload("text-name-independent", "text", Task::Lookups(Attribute::Name, Pattern::Independent)).text(),
    workload("text-name-dependent", "text", Task::Lookups(Attribute::Name, Pattern::Dependent)).text(),
    workload("text-name-batched", "text", Task::Lookups(Attribute::Name, Pattern::Batched)).text(),
    workload("text-missing-independent", "text", Task::Lookups(Attribute::Missing, Pattern::Independent)).text(),
    workload("update", "update", Task::Update),
    workload("checkpoint", "maintenance", Task::Maintenance(Maintenance::Checkpoint)),
    workload("compaction", "maintenance", Task::Maintenance(Maintenance::Compaction)),
    workload("upserts", "upserts", Task::Upserts { writers: 1, batch: 1 }),
    workload("upserts-16-writers", "upserts", Task::Upserts { writers: 16, batch: 1 }),
    workload("upserts-batches-of-1000", "upserts", Task::Upserts { writers: 1, batch: 1000 }),
    workload("beside-writers", "beside", Task::BesideWriters),
    workload("changed-1-percent", "changed", Task::Changed(100)),
    workload("changed-10-percent", "changed", Task::Changed(1000)),
    workload("name-evicted", "evicted", Task::Evicted),
    workload("memory", "memory", Task::Memory),
    workload("ycsb-load", "ycsb", Task::Load).ycsb(),
    workload("ycsb-size", "ycsb", Task::Size).ycsb(),
    workload("ycsb-a", "ycsb", Task::Ycsb(Mix::A, Durability::Durable)).ycsb(),
    workload("ycsb-b", "ycsb", Task::Ycsb(Mix::B, Durability::Durable)).ycsb(),
    workload("ycsb-c", "ycsb", Task::Ycsb(Mix::C, Durability::Durable)).ycsb(),
    workload("ycsb-d", "ycsb", Task::Ycsb(Mix::D, Durability::Durable)).ycsb(),
    workload("ycsb-f", "ycsb", Task::Ycsb(Mix::F, Durability::Durable)).ycsb(),
    workload("ycsb-a-relaxed", "ycsb-relaxed", Task::Ycsb(Mix::A, Durability::Relaxed)).ycsb(),
    workload("ycsb-b-relaxed", "ycsb-relaxed", Task::Ycsb(Mix::B, Durability::Relaxed)).ycsb(),
    workload("ycsb-d-relaxed", "ycsb-relaxed", Task::Ycsb(Mix::D, Durability::Relaxed)).ycsb(),
    workload("ycsb-f-relaxed", "ycsb-relaxed", Task::Ycsb(Mix::F, Durability::Relaxed)).ycsb(),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_belong_to_the_workload_whose_name_they_start_with() {
        let name = |figure| Workload::of_figure(figure).map(|workload| workload.name);
        assert_eq!(name("upserts-longest"), Some("upserts"));
        assert_eq!(name("upserts-16-writers-longest"), Some("upserts-16-writers"));
        assert_eq!(name("open"), Some("open"));
        assert_eq!(name("opening"), None);
    }

    #[test]
    fn names_are_unique_and_no_group_is_called_like_a_workload_of_another_one() {
        for (index, workload) in WORKLOADS.iter().enumerate() {
            for other in &WORKLOADS[index + 1..] {
                assert_ne!(workload.name, other.name);
            }
            assert!(WORKLOADS.iter().all(|other| other.group != workload.name || other.group == workload.group));
        }
    }
}
