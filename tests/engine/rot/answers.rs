//! Every question that can be asked of a small database, with the right answers.

use std::collections::BTreeSet;
use vector_datalib::{Dimension, Error, Key, Slot, Snapshot, Stats, Value, VectorDb};

/// What a sound database answers.
#[derive(Clone)]
pub(crate) struct Answers {
    pub(crate) sequence: u64,
    len: u64,
    slot_count: u64,
    keys: Vec<Option<Key>>,
    dimensions: Vec<(String, Vec<Option<Value>>)>,
    /// What scans answer, for each dimension.
    scans: Vec<Scans>,
    /// Slots that are asked one by one.
    asked: Vec<u32>,
    missing: Vec<Key>,
    stats: Option<Stats>,
    export: Option<Vec<u8>>,
}

/// The answers of one dimension that come from counts and scans.
#[derive(Clone, PartialEq)]
struct Scans {
    counts: Vec<(Value, u64)>,
    distinct: u64,
    /// Integers, and the bits of the floats.
    sum: Option<(Option<i128>, u64)>,
    extremes: Option<(Value, Value)>,
    /// The slots that have the most frequent value.
    found: Vec<Slot>,
}

impl Scans {
    fn of(dimension: Dimension<'_>) -> Result<Self, Error> {
        let counted = dimension.value_counts()?;
        let counts = counted.iter().map(|&(value, count)| Ok((value.to_value().map_err(Error::from)?, count)));
        let found = match counted.iter().next() {
            Some(&(value, _)) => dimension.find(value)?.collect::<Result<_, _>>()?,
            None => Vec::new(),
        };
        let extremes = match dimension.min_max()? {
            Some((min, max)) => Some((min.to_value().map_err(Error::from)?, max.to_value().map_err(Error::from)?)),
            None => None,
        };
        Ok(Self {
            counts: counts.collect::<Result<_, Error>>()?,
            distinct: dimension.distinct_count()?,
            sum: dimension.sum()?.map(|sum| (sum.integers(), sum.floats().to_bits())),
            extremes,
            found,
        })
    }
}

/// How much to ask beyond every key and every slot.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Depth {
    /// Nothing.
    Lookups,
    /// Statistics, the points one after the other, and a verification.
    Whole,
    /// Also an export to a file.
    Export,
}

/// What came back.
#[derive(Default)]
pub(crate) struct Verdict {
    /// Answers that were `Corrupt`.
    pub(crate) corrupt: u64,
    /// Answers that were right.
    pub(crate) right: u64,
    /// The first answer that was neither.
    pub(crate) wrong: Option<String>,
    /// Whether `verify` found something bad, if it was asked.
    pub(crate) unsound: Option<bool>,
}

impl Verdict {
    fn check<T>(&mut self, result: Result<T, Error>, is_right: impl FnOnce(&T) -> bool, what: impl FnOnce() -> String) {
        match result {
            Ok(answer) if is_right(&answer) => self.right += 1,
            Err(error) if error.is_corrupt() => self.corrupt += 1,
            Ok(_) => self.fail(format!("{}: a wrong answer", what())),
            Err(error) => self.fail(format!("{}: {error}", what())),
        }
    }

    fn expect(&mut self, is_right: bool, what: impl FnOnce() -> String) {
        self.check(Ok(is_right), |&is_right| is_right, what);
    }

    fn fail(&mut self, reason: String) {
        self.wrong.get_or_insert(reason);
    }
}

fn export(db: &VectorDb) -> Result<Vec<u8>, Error> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("export.db");
    db.export(&path).map(|()| std::fs::read(&path).unwrap())
}

/// The parts of the statistics that do not depend on the length of the log.
fn same_stats(a: &Stats, b: &Stats) -> bool {
    a.vector_points == b.vector_points
        && a.dimension_details == b.dimension_details
        && (a.slots, a.free_slots) == (b.slots, b.free_slots)
        && (&a.metadata, a.generation, a.sequence) == (&b.metadata, b.generation, b.sequence)
        && (a.axis_bytes, a.axis_encoding) == (b.axis_bytes, b.axis_encoding)
}

impl Answers {
    /// Takes them from a snapshot of a sound database. `stride`: only every so many slots are asked one by one.
    pub(crate) fn of_snapshot(snapshot: &Snapshot, stride: usize) -> Self {
        let slot_count = snapshot.slot_count() as u32;
        let slots = || (0..slot_count).map(Slot);
        let keys: Vec<Option<Key>> = slots().map(|slot| snapshot.key(slot).unwrap().map(|key| key.to_key())).collect();
        let dimensions = snapshot.dimensions().map(|name| {
            let dimension = snapshot.dimension(name).unwrap();
            let values = slots().map(|slot| dimension.get(slot).unwrap().map(|value| value.to_value().unwrap()));
            (name.to_owned(), values.collect::<Vec<_>>())
        });
        let dimensions: Vec<_> = dimensions.collect();
        let scans = snapshot.dimensions().map(|name| Scans::of(snapshot.dimension(name).unwrap()).unwrap()).collect();
        let mut asked: BTreeSet<u32> = (0..slot_count).step_by(stride).collect();
        asked.extend(slot_count.saturating_sub(3)..slot_count + 2);
        let missing = [Key::from(-77_000), Key::from(1_i64 << 40), Key::from("no such key"), Key::from("")];
        Self {
            sequence: snapshot.sequence(),
            len: snapshot.len(),
            slot_count: snapshot.slot_count(),
            keys,
            dimensions,
            scans,
            asked: asked.into_iter().collect(),
            missing: missing.into_iter().filter(|key| !snapshot.contains(key).unwrap()).collect(),
            stats: None,
            export: None,
        }
    }

    /// Takes them from a sound database.
    pub(crate) fn of_database(db: &VectorDb, stride: usize) -> Self {
        let stats = Some(db.stats().unwrap());
        Self { stats, export: Some(export(db).unwrap()), ..Self::of_snapshot(&db.snapshot(), stride) }
    }

    pub(crate) fn stats(&self) -> &Stats {
        self.stats.as_ref().unwrap()
    }

    fn key(&self, slot: u32) -> Option<&Key> {
        self.keys.get(slot as usize)?.as_ref()
    }

    /// Asks a database everything.
    pub(crate) fn ask(&self, db: &VectorDb, depth: Depth) -> Verdict {
        let mut verdict = Verdict::default();
        let snapshot = db.snapshot();
        verdict.expect(snapshot.len() == self.len, || format!("len is {}, not {}", snapshot.len(), self.len));
        verdict.expect(snapshot.slot_count() == self.slot_count, || "slot_count".to_owned());
        let names = snapshot.dimensions().eq(self.dimensions.iter().map(|(name, _)| name.as_str()));
        verdict.expect(names, || "names of dimensions".to_owned());
        for &slot in &self.asked {
            let right = self.key(slot);
            verdict.check(
                snapshot.key(Slot(slot)),
                |key| key.map(|key| key.to_key()).as_ref() == right,
                || format!("key of slot {slot}"),
            );
            let Some(key) = right else { continue };
            verdict.check(snapshot.slot(key), |found| *found == Some(Slot(slot)), || format!("slot of {key:?}"));
        }
        for key in &self.missing {
            verdict.check(snapshot.slot(key), Option::is_none, || format!("slot of missing {key:?}"));
        }
        for (name, values) in &self.dimensions {
            let Some(dimension) = snapshot.dimension(name) else {
                verdict.fail(format!("no dimension {name:?}"));
                continue;
            };
            for &slot in &self.asked {
                let right = values.get(slot as usize).and_then(Option::as_ref);
                let same = |value: &Option<vector_datalib::ValueRef<'_>>| match (value, right) {
                    (Some(value), Some(right)) => value == right,
                    (value, right) => value.is_none() && right.is_none(),
                };
                verdict.check(dimension.get(Slot(slot)), same, || format!("{name} of slot {slot}"));
                if let Some(key) = self.key(slot) {
                    verdict.check(dimension.lookup(key), same, || format!("{name} of {key:?}"));
                }
            }
            for key in &self.missing {
                verdict.check(dimension.lookup(key), Option::is_none, || format!("{name} of missing {key:?}"));
            }
        }
        if depth != Depth::Lookups {
            self.ask_whole(db, &snapshot, &mut verdict);
        }
        if depth == Depth::Export
            && let Some(right) = &self.export
        {
            verdict.check(export(db), |bytes| bytes == right, || "export".to_owned());
        }
        verdict
    }

    fn ask_whole(&self, db: &VectorDb, snapshot: &Snapshot, verdict: &mut Verdict) {
        let mut failed = false;
        let mut count = 0;
        for point in snapshot {
            let point = point.and_then(|point| point.to_point());
            failed |= point.is_err();
            count += 1;
            let same = |point: &vector_datalib::VectorPoint| {
                let slot = point.coordinate().0;
                let present = self.dimensions.iter().filter_map(|(name, values)| {
                    values.get(slot as usize).and_then(Option::as_ref).map(|value| (name, value))
                });
                Some(point.key()) == self.key(slot)
                    && point.attributes().iter().map(|(name, value)| (name, value)).eq(present)
            };
            verdict.check(point, same, || "a point of the iteration".to_owned());
        }
        verdict.expect(failed || count == self.len, || format!("{count} points in the iteration"));
        for ((name, _), right) in self.dimensions.iter().zip(&self.scans) {
            let Some(dimension) = snapshot.dimension(name) else { continue };
            verdict.check(Scans::of(dimension), |scans| scans == right, || format!("scans of {name}"));
        }
        if let Some(right) = &self.stats {
            verdict.check(db.stats(), |stats| same_stats(stats, right), || "stats".to_owned());
        }
        match db.verify() {
            Ok(report) => {
                verdict.unsound = Some(!report.is_sound());
                if let Some(problem) = report.problems.iter().find(|problem| !problem.is_corrupt()) {
                    verdict.fail(format!("verify: {problem}"));
                }
            }
            Err(error) => verdict.fail(format!("verify: {error}")),
        }
    }
}
