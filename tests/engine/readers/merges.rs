//! Patches are merged while commits, checkpoints, compactions and other processes go on; a gate holds a merge where a test wants it.

use super::blocked::completes;
use super::gate::Gate;
use super::hooked::{HookedStorage, Moment};
use crate::support::random::Random;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};
use vector_datalib::internals::MemoryStorage;
use vector_datalib::{CompactOptions, Options, Value, VectorDb, attrs};

const POINTS: u64 = 500;
/// Patches with which a merge starts.
const LOW: u64 = 8;
/// Patches with which checkpoints wait for one.
const WAIT: u64 = 24;
/// Long enough to be sure that a thread that could go on would have.
const A_WHILE: Duration = Duration::from_millis(200);

fn wait_until(what: &str, mut test: impl FnMut() -> bool) {
    let start = Instant::now();
    while !test() {
        assert!(start.elapsed() < Duration::from_secs(30), "{what}");
        thread::sleep(Duration::from_millis(2));
    }
}

/// Updates some points, removes the key of the round before, and adds one.
fn change(db: &VectorDb, round: u64) {
    db.batch_upsert((0..POINTS).step_by(7).map(|n| (n, attrs! { "n" => n + round }))).unwrap();
    db.upsert(POINTS + round, attrs! { "new" => round }).unwrap();
    if round > 1 {
        assert!(db.delete(POINTS + round - 1).unwrap());
    }
}

fn assert_changed(db: &VectorDb, round: u64) {
    for n in 0..POINTS {
        let expected = if n % 7 == 0 { n + round } else { n };
        assert_eq!(db.lookup(n, "n").unwrap(), Some(expected.into()), "{n}");
    }
    assert_eq!(db.len(), POINTS + 1);
    assert_eq!(db.lookup(POINTS + round, "new").unwrap(), Some(round.into()));
    let report = db.verify().unwrap();
    assert!(report.is_sound(), "{report:?}");
}

fn options() -> Options {
    Options::new().merge_fraction(1e9)
}

fn patches(storage: &MemoryStorage) -> Vec<String> {
    storage.files().into_keys().filter(|name| name.starts_with("patch-")).collect()
}

/// A database in which the next change and checkpoint makes a merge due, which is held at a moment of its file.
fn before_merge(options: &Options, moment: Moment) -> (VectorDb, Arc<Gate>, MemoryStorage) {
    let (gate, storage) = (Arc::new(Gate::default()), MemoryStorage::new());
    let at_gate = Arc::clone(&gate);
    let hooked = HookedStorage::new(Arc::new(storage.clone()), move |moment, name| at_gate.pass(moment, name));
    let db = options.create_in(hooked).unwrap();
    db.batch_upsert((0..POINTS).map(|n| (n, attrs! { "n" => n }))).unwrap();
    db.save().unwrap();
    for round in 1..LOW {
        change(&db, round);
        db.save().unwrap();
    }
    gate.close_at(moment, format!("patch-{}", db.stats().unwrap().generation + 2).leak());
    change(&db, LOW);
    (db, gate, storage)
}

/// The same, with the merge held in the background.
fn merging(moment: Moment) -> (VectorDb, Arc<Gate>, MemoryStorage) {
    let (db, gate, storage) = before_merge(&options(), moment);
    db.save().unwrap();
    gate.wait_for_arrival();
    assert_eq!(db.stats().unwrap().patches, LOW);
    (db, gate, storage)
}

/// So many patches that the next checkpoint waits for a merge; nobody has the database open.
fn crowded() -> MemoryStorage {
    let (db, gate, storage) = merging(Moment::AfterCreate);
    for round in LOW + 1..=WAIT {
        change(&db, round);
        db.save().unwrap();
    }
    let copy = MemoryStorage::from_files(storage.files());
    gate.open();
    db.close().unwrap();
    copy
}

#[test]
fn commits_and_checkpoints_go_on_while_patches_are_merged() {
    let (db, gate, storage) = merging(Moment::BeforeSync);
    let writer = db.clone();
    completes("a checkpoint during a merge", move || {
        for round in LOW + 1..LOW + 4 {
            change(&writer, round);
            writer.save().unwrap();
            assert_changed(&writer, round);
            assert_eq!(writer.stats().unwrap().patches, round);
        }
        change(&writer, LOW + 4);
    });
    let held = db.snapshot();
    gate.open();
    wait_until("the merged patches are still there", || db.stats().unwrap().patches == 4);
    assert_changed(&db, LOW + 4);
    assert_eq!(held.lookup(0, "n").unwrap().unwrap().as_u64(), Some(LOW + 4));
    drop((held, db));
    let db = Options::new().open_in(Arc::new(storage)).unwrap();
    assert_eq!(db.stats().unwrap().patches, 4);
    assert_changed(&db, LOW + 4);
}

#[test]
fn a_checkpoint_waits_for_a_merge_once_there_are_too_many_patches() {
    let (db, gate, _storage) = merging(Moment::BeforeSync);
    for round in LOW + 1..=WAIT {
        change(&db, round);
        db.save().unwrap();
    }
    assert_eq!(db.stats().unwrap().patches, WAIT);
    change(&db, WAIT + 1);
    let saving = thread::spawn({
        let db = db.clone();
        move || db.save()
    });
    thread::sleep(A_WHILE);
    assert!(!saving.is_finished(), "{} patches", db.stats().unwrap().patches);
    gate.open();
    saving.join().unwrap().unwrap();
    assert!(db.stats().unwrap().patches <= WAIT - LOW + 2);
    assert_changed(&db, WAIT + 1);
}

/// Found out before the merge is written, or when it is to be put in place.
#[test]
fn a_merge_of_patches_that_a_compaction_has_folded_in_leaves_nothing() {
    for moment in [Moment::AfterCreate, Moment::BeforeSync] {
        let (db, gate, storage) = merging(moment);
        let compacting = db.clone();
        completes("a compaction during a merge", move || compacting.compact(&CompactOptions::new()).unwrap());
        gate.open();
        assert_changed(&db, LOW);
        wait_until("a patch that nobody wants", || patches(&storage).is_empty());
        assert_eq!(db.stats().unwrap().patches, 0);
        change(&db, LOW + 1);
        db.save().unwrap();
        assert_changed(&db, LOW + 1);
        assert_eq!(db.stats().unwrap().checkpoint_failure, None);
    }
}

#[test]
fn closing_stops_a_merge_and_the_next_checkpoint_makes_it() {
    let (db, gate, storage) = merging(Moment::AfterCreate);
    let closing = thread::spawn(move || db.close());
    thread::sleep(A_WHILE);
    assert!(!closing.is_finished(), "the lock is let go while a file is being written");
    gate.open();
    closing.join().unwrap().unwrap();
    assert_eq!(patches(&storage).len() as u64, LOW);
    let db = options().background(false).open_in(Arc::new(storage)).unwrap();
    assert_changed(&db, LOW);
    change(&db, LOW + 1);
    db.save().unwrap();
    assert!(db.stats().unwrap().patches <= 2);
    assert_changed(&db, LOW + 1);
}

#[test]
fn closing_waits_for_a_merge_of_another_thread() {
    let (db, gate, storage) = before_merge(&options().background(false), Moment::BeforeSync);
    let saving = thread::spawn({
        let db = db.clone();
        move || db.save()
    });
    gate.wait_for_arrival();
    let closing = thread::spawn(move || db.close());
    thread::sleep(A_WHILE);
    assert!(!closing.is_finished(), "closed while a file is being written");
    assert!(Options::new().open_in(Arc::new(storage.clone())).unwrap_err().is_locked());
    gate.open();
    saving.join().unwrap().unwrap();
    closing.join().unwrap().unwrap();
    assert_changed(&Options::new().open_in(Arc::new(storage)).unwrap(), LOW);
}

#[test]
fn a_handle_that_may_not_write_merges_nothing() {
    let storage = crowded();
    let before = storage.files();
    let reader = Options::new().open_read_only_in(Arc::new(storage.clone())).unwrap();
    assert_eq!(reader.stats().unwrap().patches, WAIT);
    assert!(reader.save().unwrap_err().is_read_only());
    assert!(storage.files() == before, "{:?}", patches(&storage));
}

#[test]
fn saving_by_a_stale_handle_takes_no_file_of_the_next_writer() {
    for closed in [true, false] {
        let storage = crowded();
        let stale = if closed {
            let stale = Options::new().open_in(Arc::new(storage.clone())).unwrap();
            stale.clone().close().unwrap();
            stale
        } else {
            Options::new().open_read_only_in(Arc::new(storage.clone())).unwrap()
        };
        let db = options().background(false).open_in(Arc::new(storage.clone())).unwrap();
        change(&db, WAIT + 1);
        db.save().unwrap();
        let before = patches(&storage);
        let error = stale.save_with(&mut |_| ControlFlow::Break(())).unwrap_err();
        assert!(error.is_closed() || error.is_read_only(), "{error}");
        assert_eq!(patches(&storage), before);
        drop((db, stale));
        assert_changed(&Options::new().open_in(Arc::new(storage)).unwrap(), WAIT + 1);
    }
}

#[test]
fn a_save_in_the_callback_of_a_compaction_does_not_wait_for_a_merge_that_waits_for_it() {
    let (db, gate, _storage) = merging(Moment::BeforeSync);
    for round in LOW + 1..=WAIT {
        change(&db, round);
        db.save().unwrap();
    }
    completes("a save in a callback", move || {
        let mut errors = Vec::new();
        let result = db.compact_with(&CompactOptions::new(), &mut |_| {
            gate.open();
            errors.push(db.save().unwrap_err());
            ControlFlow::Continue(())
        });
        result.unwrap();
        assert!(!errors.is_empty() && errors.iter().all(|error| error.is_invalid_argument()), "{errors:?}");
        assert_changed(&db, WAIT);
    });
}

type Attributes = BTreeMap<String, Value>;

/// A database under random changes beside slowed merges, and what it should hold. Of the base only points that were changed.
struct Stress {
    random: Random,
    storage: MemoryStorage,
    options: Options,
    db: VectorDb,
    base: u64,
    points: BTreeMap<u64, Option<Attributes>>,
    len: u64,
}

impl Stress {
    fn new(seed: u64, base: u64, options: Options) -> Self {
        let storage = MemoryStorage::new();
        let db = options.create_in(Self::hooked(&storage)).unwrap();
        db.batch_upsert((0..base).map(|n| (n, Self::original(n)))).unwrap();
        db.save().unwrap();
        Self { random: Random::new(seed), storage, options, db, base, points: BTreeMap::new(), len: base }
    }

    fn hooked(storage: &MemoryStorage) -> Arc<HookedStorage> {
        HookedStorage::new(Arc::new(storage.clone()), |moment, name| {
            if name.starts_with("patch-") || moment == Moment::BeforeRename {
                thread::sleep(Duration::from_millis(name.bytes().map(u64::from).sum::<u64>() % 7));
            }
        })
    }

    fn original(n: u64) -> Attributes {
        [("d0".to_owned(), (n % 7).into()), ("d1".to_owned(), format!("t{}", n % 9).into())].into()
    }

    fn value(&mut self) -> Value {
        let random = &mut self.random;
        match random.below(7) {
            0 => Value::Null,
            1 => (random.below(5) as i64).into(),
            2 => (random.next() as i64).into(),
            3 => (random.below(1000) as f64 / 7.0).into(),
            4 => format!("text {}", random.below(30)).into(),
            5 => Value::Array(vec![(random.below(9) as i64).into(), "x".repeat(random.below(200)).into()]),
            _ => random.one_in(2).into(),
        }
    }

    fn change(&mut self, round: usize) {
        let near = self.random.below(300) as u64;
        let far = self.random.below(self.base as usize) as u64 / 97 * 97;
        let key = if self.random.one_in(2) { near } else { far } + if self.random.one_in(5) { self.base } else { 0 };
        let (action, name) = (self.random.below(6), format!("d{}", self.random.below(6 + round / 20)));
        let value = self.value();
        let original = || (key < self.base).then(|| Self::original(key));
        let entry = self.points.entry(key).or_insert_with(original);
        match action {
            0 | 1 => {
                let was = entry.take().is_some();
                assert_eq!(self.db.delete(key).unwrap(), was);
                self.len -= u64::from(was);
            }
            2 if entry.is_some() && self.db.dimensions().contains(&name) => {
                self.db.remove_attribute(key, &name).unwrap();
                entry.as_mut().unwrap().remove(&name);
            }
            _ => {
                self.db.upsert(key, [(&*name, value.clone())]).unwrap();
                self.len += u64::from(entry.is_none());
                entry.get_or_insert_default().insert(name, value);
            }
        }
    }

    fn check(&self, db: &VectorDb, what: &str) {
        assert_eq!(db.len(), self.len, "{what}");
        for (key, attributes) in &self.points {
            let point = db.point(*key).unwrap().map(|point| point.into_attributes().into_iter());
            let found: Option<Attributes> = point.map(|point| point.map(|(n, v)| (n.to_string(), v)).collect());
            assert_eq!(&found, attributes, "{what}, key {key}");
        }
        let report = db.verify().unwrap();
        assert!(report.is_sound(), "{what}: {report:?}");
    }

    /// What a kill at this moment would leave has the last commit, for readers and for the next writer.
    fn check_killed(&mut self, what: &str) {
        let copy = MemoryStorage::from_files(self.storage.files());
        if self.random.one_in(2) {
            self.check(
                &Options::new().open_read_only_in(Arc::new(copy.clone())).unwrap(),
                &format!("{what}, a reader"),
            );
        }
        let db = self.options.clone().background(false).open_in(Arc::new(copy)).unwrap();
        self.check(&db, &format!("{what}, killed"));
        db.upsert("after", attrs! {}).unwrap();
        db.save().unwrap();
        assert!(db.verify().unwrap().is_sound(), "{what}, killed and saved");
    }

    fn run(&mut self, seed: u64) {
        for round in 0..120 {
            for _ in 0..self.random.within(1..40) {
                self.change(round);
            }
            if self.random.one_in(50) {
                self.db.compact(&CompactOptions::new()).unwrap();
            }
            if self.random.one_in(40) {
                // The old handle has to be gone first.
                self.db = Options::new().create_in(Arc::new(MemoryStorage::new())).unwrap();
                self.db = self.options.open_in(Self::hooked(&self.storage)).unwrap();
            }
            if !self.random.one_in(6) {
                self.db.save().unwrap();
            }
            let what = format!("seed {seed}, round {round}");
            if round % 20 == 19 {
                self.check(&self.db, &what);
            }
            if round % 11 == 10 {
                self.check_killed(&what);
            }
        }
        assert_eq!(self.db.stats().unwrap().checkpoint_failure, None, "seed {seed}");
    }
}

/// In one segment and in three, merged as a whole and in pieces.
#[test]
fn random_changes_beside_merges_are_what_a_plain_map_has_also_after_a_kill() {
    for seed in 1..=4 {
        let base = if seed <= 2 { 140_000 } else { 700 };
        let merge_fraction = if seed % 2 == 0 { 1e9 } else { 0.3 };
        let budget = if seed == 1 { 64 << 20 } else { 4096 };
        Stress::new(seed, base, options().merge_fraction(merge_fraction).memory_budget(budget)).run(seed);
    }
}

/// A database in which all points have a changed value, which is folded into the files: held before these are durable.
fn folding() -> (VectorDb, Arc<Gate>, MemoryStorage) {
    let (gate, storage) = (Arc::new(Gate::default()), MemoryStorage::new());
    let at_gate = Arc::clone(&gate);
    let hooked = HookedStorage::new(Arc::new(storage.clone()), move |moment, name| at_gate.pass(moment, name));
    let db = Options::new().merge_fraction(0.3).create_in(hooked).unwrap();
    db.batch_upsert((0..POINTS).map(|n| (n, attrs! { "n" => n, "other" => n, "text" => "same" }))).unwrap();
    db.save().unwrap();
    gate.close_at(Moment::BeforeSync, format!("dim-0-{}.", db.stats().unwrap().generation + 2).leak());
    db.batch_upsert((0..POINTS).map(|n| (n, attrs! { "n" => n + 2, "other" => format!("{n}") }))).unwrap();
    db.remove_attribute(2, "n").unwrap();
    db.save().unwrap();
    gate.wait_for_arrival();
    (db, gate, storage)
}

fn assert_folded(db: &VectorDb, rounds: u64) {
    for n in 0..POINTS {
        let expected = if n < rounds { Some(Value::from(n + 100)) } else { Some(Value::from(n + 2)) };
        let expected = if n == 2 && rounds <= 2 { None } else { expected };
        assert_eq!(db.lookup(n, "n").unwrap(), expected, "{n}");
        assert_eq!(db.lookup(n, "other").unwrap(), Some(format!("{n}").into()), "{n}");
        assert_eq!(db.lookup(n, "text").unwrap(), Some("same".into()), "{n}");
    }
    let report = db.verify().unwrap();
    assert!(report.is_sound(), "{report:?}");
}

#[test]
fn commits_and_checkpoints_go_on_while_changed_values_are_folded_into_the_files() {
    let (db, gate, storage) = folding();
    let files = |prefix: &str| storage.files().into_keys().filter(|name| name.starts_with(prefix)).collect::<Vec<_>>();
    let (axis, text) = (files("axis-"), files("dim-2-"));
    assert_folded(&db, 0);
    let writer = db.clone();
    completes("a checkpoint while values are folded", move || {
        for round in 0..3 {
            writer.upsert(round, attrs! { "n" => round + 100 }).unwrap();
            writer.upsert(POINTS + round, attrs! { "new" => round }).unwrap();
            writer.save().unwrap();
        }
        writer.upsert(POINTS + 3, attrs! { "new" => 3 }).unwrap();
    });
    assert_folded(&db, 3);
    let held = db.snapshot();
    gate.open();
    wait_until("the folded patches are still there", || db.stats().unwrap().patches == 3);
    assert_folded(&db, 3);
    assert_eq!(held.lookup(5, "n").unwrap().unwrap().as_u64(), Some(7));
    assert_eq!((files("axis-"), files("dim-2-")), (axis, text), "what did not change was written anew");
    drop((held, db));
    let db = Options::new().open_in(Arc::new(storage)).unwrap();
    assert_eq!((db.stats().unwrap().patches, db.len()), (3, POINTS + 4));
    assert_folded(&db, 3);
}

#[test]
fn folded_files_that_a_compaction_has_made_needless_are_removed() {
    let (db, gate, storage) = folding();
    let compacting = db.clone();
    completes("a compaction while values are folded", move || compacting.compact(&CompactOptions::new()).unwrap());
    let compacted: Vec<String> = storage.files().into_keys().filter(|name| name.starts_with("dim-")).collect();
    gate.open();
    assert_folded(&db, 0);
    db.close().unwrap();
    let files: Vec<String> = storage.files().into_keys().filter(|name| name.starts_with("dim-")).collect();
    assert_eq!(files.len(), 3, "{files:?} after {compacted:?}");
    assert_folded(&Options::new().open_in(Arc::new(storage)).unwrap(), 0);
}
