//! Rot: whatever happens to the bytes of a small database, the answer is `Corrupt` or the one that it was.
//!
//! Every byte of every file is changed, every file is cut at every length, pages are zeroed, files change places. After
//! each, the database is opened and asked everything. The one exception is the end of a log that was not closed (see
//! `Sweep::judge`).

mod answers;
mod fixture;
mod log;
mod mutation;
mod times;

use answers::Depth;
use fixture::{Files, Fixture};
use mutation::Mutation;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use vector_datalib::Options;
use vector_datalib::internals::MemoryStorage;

/// What became of mutations.
#[derive(Default, Debug)]
struct Count {
    mutations: u64,
    /// Some answer was `Corrupt`.
    detected: u64,
    /// Every answer was the same.
    harmless: u64,
    /// An earlier commit was found, of a log that was not closed, and reported as such.
    shorter: u64,
    panics: u64,
    /// Descriptions of what was neither.
    wrong: Vec<String>,
}

impl Count {
    fn add(&mut self, other: Self) {
        self.mutations += other.mutations;
        self.detected += other.detected;
        self.harmless += other.harmless;
        self.shorter += other.shorter;
        self.panics += other.panics;
        self.wrong.extend(other.wrong);
    }

    fn print(&self, what: &str) {
        let Self { mutations, detected, harmless, shorter, panics, wrong } = self;
        println!(
            "{what}: {mutations} mutations: {detected} detected, {harmless} harmless, {shorter} a shorter history, \
             {} wrong, {panics} panics",
            wrong.len()
        );
    }
}

enum Found {
    Detected,
    Harmless,
    Shorter,
}

/// Of so many mutations one is also opened by a reader, and one exported. A reader reads a log again before it calls it
/// corrupt, which takes time.
const READER_EVERY: usize = 101;
const EXPORT_EVERY: usize = 997;

struct Sweep<'a> {
    fixture: &'a Fixture,
    vouchers: Vec<log::Voucher>,
}

impl Sweep<'_> {
    fn files(&self, mutation: &Mutation) -> Files {
        let mut files = self.fixture.files.clone();
        let content = mutation.apply(&files[mutation.file()]);
        files.insert(mutation.file().to_owned(), content);
        files
    }

    fn judge(&self, mutation: &Mutation, index: usize) -> Result<Found, String> {
        let reader = index.is_multiple_of(READER_EVERY);
        let storage = Arc::new(MemoryStorage::from_files(self.files(mutation)));
        let options = Options::new();
        let db = match if reader { options.open_read_only_in(storage) } else { options.open_in(storage) } {
            Ok(db) => db,
            Err(error) if error.is_corrupt() => return Ok(Found::Detected),
            Err(error) => return Err(error.to_string()),
        };
        let is_log = log::number(mutation.file()).is_some();
        let sequence = db.snapshot().sequence();
        let Some(answers) = self.fixture.history.iter().find(|answers| answers.sequence == sequence) else {
            return Err(format!("commit {sequence} is none that it can be"));
        };
        let shorter = sequence < self.fixture.last().sequence;
        // An older manifest may give the state of its time, as long as its files are there.
        if shorter && mutation.file() != "MANIFEST" {
            let vouched = log::vouched(&self.vouchers, &self.fixture.files, &self.files(mutation));
            if !is_log || !self.fixture.unclean || sequence < vouched || !db.open_report().unclean_close {
                let report = db.open_report();
                return Err(format!("back to commit {sequence}, {vouched} is vouched for, {report:?}"));
            }
        }
        let depth = match index {
            _ if index.is_multiple_of(EXPORT_EVERY) => Depth::Export,
            _ if index.is_multiple_of(self.fixture.whole_every) => Depth::Whole,
            _ => Depth::Lookups,
        };
        let verdict = answers.ask(&db, depth);
        if let Some(wrong) = verdict.wrong {
            return Err(wrong);
        }
        if verdict.corrupt > 0 || verdict.unsound == Some(true) {
            return Ok(Found::Detected);
        }
        // Every byte of the immutable files hangs from a checksum, whether or not an answer needs it.
        let base_file = !is_log && !["LOCK", "MANIFEST"].contains(&mutation.file());
        if base_file && db.verify().is_ok_and(|report| report.is_sound()) {
            return Err("verify says that all is well".to_owned());
        }
        if is_log && !self.fixture.unclean && matches!(mutation, Mutation::Cut { .. }) {
            return Err("the manifest says how long the log is".to_owned());
        }
        Ok(match (shorter, base_file) {
            (true, _) => Found::Shorter,
            (false, true) => Found::Detected,
            (false, false) => Found::Harmless,
        })
    }

    fn run(&self, mutations: &[Mutation]) -> Count {
        let next = AtomicUsize::new(0);
        let threads = std::thread::available_parallelism().map_or(1, |count| count.get());
        let work = || {
            let mut count = Count::default();
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                let Some(mutation) = mutations.get(index) else { return count };
                count.mutations += 1;
                match catch_unwind(AssertUnwindSafe(|| self.judge(mutation, index))) {
                    Ok(Ok(Found::Detected)) => count.detected += 1,
                    Ok(Ok(Found::Harmless)) => count.harmless += 1,
                    Ok(Ok(Found::Shorter)) => count.shorter += 1,
                    Ok(Err(wrong)) => count.wrong.push(format!("{}: {mutation:?}: {wrong}", self.fixture.name)),
                    Err(_) => {
                        count.panics += 1;
                        count.wrong.push(format!("{}: {mutation:?}: panicked", self.fixture.name));
                    }
                }
            }
        };
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
            let mut total = Count::default();
            workers.into_iter().for_each(|worker| total.add(worker.join().unwrap()));
            total
        })
    }
}

fn sweep(fixture: &Fixture, mutations: &[Mutation]) -> Count {
    let sweep = Sweep { fixture, vouchers: log::vouchers(&fixture.files) };
    let started = std::time::Instant::now();
    let count = sweep.run(mutations);
    count.print(&format!("{} ({} bytes, {:.1?})", fixture.name, fixture.byte_count(), started.elapsed()));
    count
}

const NO_ATTRIBUTES: [(&str, i64); 0] = [];

fn assert_none_wrong(count: &Count) {
    let some: Vec<_> = count.wrong.iter().take(20).collect();
    assert!(count.wrong.is_empty() && count.panics == 0, "{} wrong, among them {some:#?}", count.wrong.len());
}

#[test]
fn every_changed_byte_and_every_cut_is_corrupt_or_changes_no_answer() {
    let mut total = Count::default();
    for fixture in fixture::all() {
        total.add(sweep(&fixture, &Mutation::all_of(&fixture.files)));
    }
    total.print("all");
    assert_none_wrong(&total);
}

#[test]
fn a_file_of_another_time_is_corrupt_or_changes_no_answer() {
    let mut total = Count::default();
    for (fixture, mutations) in times::fixtures() {
        total.add(sweep(&fixture, &mutations));
    }
    total.print("other times");
    assert!(total.mutations > 150, "{total:?}");
    assert_none_wrong(&total);
}

/// Found by the kill test: a missing key whose home begins a run of full buckets was looked for beyond the longest way
/// of any key that is there, and the sound index called corrupt.
#[test]
fn no_missing_key_makes_a_sound_index_corrupt() {
    for count in [1_u32, 5, 6, 40, 300, 5_000] {
        let db = Options::new().create_in(Arc::new(MemoryStorage::new())).unwrap();
        db.batch_upsert((0..count).map(|n| (format!("key {n}"), NO_ATTRIBUTES))).unwrap();
        db.save().unwrap();
        let snapshot = db.snapshot();
        for n in 0..20_000 {
            assert_eq!(snapshot.slot(&format!("missing {n}")).unwrap(), None);
        }
    }
}

#[test]
fn the_damaged_databases_have_every_encoding_and_every_presence() {
    let mut encodings = std::collections::BTreeSet::new();
    let mut presences = std::collections::BTreeSet::new();
    let mut axes = std::collections::BTreeSet::new();
    for fixture in fixture::all().iter().filter(|fixture| !fixture.unclean) {
        let stats = fixture.last().stats();
        axes.insert(stats.axis_encoding);
        for dimension in &stats.dimension_details {
            encodings.insert(dimension.encoding);
            presences.extend(dimension.presence.split('+').filter(|name| !name.is_empty()).map(str::to_owned));
        }
    }
    let wanted =
        ["constant", "dictionary16", "dictionary8", "plain_f64", "plain_i64", "plain_u64", "text32", "value32"];
    // "none" is a dimension that only the log has.
    assert!(encodings.iter().filter(|name| **name != "none").eq(&wanted), "{encodings:?}");
    assert!(presences.iter().eq(["all", "bitmap", "none", "sorted"]), "{presences:?}");
    for axis in ["dense", "value32", "text32", "frozen"] {
        assert!(axes.contains(axis), "{axes:?}");
    }
}
