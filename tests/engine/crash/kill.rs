//! A process is killed at random moments while it writes. What it acknowledged is there, its batches are whole.
//!
//! The child is this test program, run again for the test `child` alone. Its threads write points of their own, each as
//! its seed says, so that this side knows from the number of acknowledged writes what has to be found.

use crate::support::environment;
use crate::support::random::Random;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use vector_datalib::{CompactOptions, Layout, Options, Value, VectorDb};

/// What the child is told: directory, seed.
const DIRECTORY: &str = "KILL_CHILD_DIRECTORY";
const SEED: &str = "KILL_CHILD_SEED";

/// A point's attributes by name.
type Attributes = BTreeMap<String, Value>;
type Points = BTreeMap<String, Attributes>;

/// One call that writes.
#[derive(Clone, Debug)]
enum Call {
    Upsert(String, Attributes),
    Batch(Vec<(String, Attributes)>),
    Delete(String),
    BatchDelete(Vec<String>),
    InsertAt(String, Attributes),
    Remove(String, String),
}

/// The calls of one thread, without end.
struct Calls {
    random: Random,
    thread: usize,
    inserts: bool,
}

impl Calls {
    fn new(seed: u64, thread: usize) -> Self {
        let inserts = seed.is_multiple_of(3);
        Self { random: Random::new(seed.wrapping_mul(1_000_003) + thread as u64), thread, inserts }
    }

    fn key(&mut self) -> String {
        format!("thread {} key {}", self.thread, self.random.below(60))
    }

    fn attributes(&mut self) -> Attributes {
        let mut attributes = Attributes::new();
        for name in ["a", "b", "c", "d"] {
            if self.random.one_in(2) {
                let value = match self.random.below(5) {
                    0 => Value::from(self.random.next() as i64),
                    1 => Value::from(self.random.below(3) as f64),
                    2 => Value::from(vec![Value::from(self.random.below(100) as i64), Value::Null]),
                    3 if self.random.one_in(20) => Value::from("long ".repeat(self.random.below(20_000))),
                    _ => Value::from(format!("text {}", self.random.below(1000))),
                };
                attributes.insert(name.to_owned(), value);
            }
        }
        attributes
    }

    fn next(&mut self) -> Call {
        match self.random.below(20) {
            0..9 => Call::Upsert(self.key(), self.attributes()),
            9..13 => {
                let count = 2 + self.random.below(6);
                Call::Batch((0..count).map(|_| (self.key(), self.attributes())).collect())
            }
            13..16 => Call::Delete(self.key()),
            16..18 => Call::BatchDelete((0..4).map(|_| self.key()).collect()),
            18 => Call::Remove(self.key(), "a".to_owned()),
            _ if self.inserts => Call::InsertAt(self.key(), self.attributes()),
            _ => Call::Upsert(self.key(), self.attributes()),
        }
    }
}

impl Call {
    fn run(self, db: &VectorDb) {
        match self {
            Self::Upsert(key, attributes) => drop(db.upsert(key, attributes).unwrap()),
            Self::Batch(records) => drop(db.batch_upsert(records).unwrap()),
            Self::Delete(key) => drop(db.delete(&key).unwrap()),
            Self::BatchDelete(keys) => drop(db.batch_delete(&keys).unwrap()),
            Self::InsertAt(key, attributes) => drop(db.insert_at(key, 0, attributes).unwrap()),
            Self::Remove(key, name) => drop(db.remove_attribute(&key, &name).unwrap()),
        }
    }

    fn apply(self, points: &mut Points) {
        match self {
            Self::Upsert(key, attributes) | Self::InsertAt(key, attributes) => {
                points.entry(key).or_default().extend(attributes);
            }
            Self::Batch(records) => {
                for (key, attributes) in records {
                    points.entry(key).or_default().extend(attributes);
                }
            }
            Self::Delete(key) => drop(points.remove(&key)),
            Self::BatchDelete(keys) => keys.iter().for_each(|key| drop(points.remove(key))),
            Self::Remove(key, name) => {
                if let Some(attributes) = points.get_mut(&key) {
                    attributes.remove(&name);
                }
            }
        }
    }
}

fn thread_count(seed: u64) -> usize {
    if seed.is_multiple_of(2) { 1 } else { 4 }
}

/// Not a test: what the killed process runs.
#[test]
fn child() {
    let Ok(directory) = std::env::var(DIRECTORY) else { return };
    let seed: u64 = environment(SEED).unwrap();
    let path = Path::new(&directory).join("killed.vdb");
    println!("\nopening");
    // Checkpoints start by themselves, in the background, and write patches for the most part.
    let options = Options::new().merge_fraction(4.0).auto_checkpoint(Some(16 << 10));
    let db = match options.open(&path) {
        Err(error) if error.is_not_found() => options.create(&path).unwrap(),
        opened => opened.unwrap(),
    };
    println!("\nopened");
    std::thread::scope(|scope| {
        for thread in 0..thread_count(seed) {
            let db = &db;
            scope.spawn(move || {
                let mut calls = Calls::new(seed, thread);
                for count in 1_u64.. {
                    calls.next().run(db);
                    // One write of a whole line: it is in the pipe, or the process was killed before.
                    std::io::stdout().write_all(format!("\nack {thread} {count}\n").as_bytes()).unwrap();
                }
            });
        }
        let mut random = Random::new(!seed);
        loop {
            std::thread::sleep(Duration::from_millis(random.below(20) as u64));
            match random.below(8) {
                0..3 => db.save().unwrap(),
                3 => db.compact(&CompactOptions::new()).unwrap(),
                4 => db.compact(&CompactOptions::new().reassign_slots(true)).unwrap(),
                5 => db.compact(&CompactOptions::new().layout(Layout::Frozen)).unwrap(),
                6 => db.compact(&CompactOptions::new().layout(Layout::ByKey)).unwrap(),
                _ => db.export(Path::new(&directory).join("killed.db")).unwrap(),
            }
        }
    });
}

/// What a child said before it was killed.
struct Said {
    opened: bool,
    acknowledged: Vec<u64>,
}

fn run_and_kill(directory: &Path, seed: u64, random: &mut Random) -> Said {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "crash::kill::child", "--nocapture", "--test-threads=1"])
        .env(DIRECTORY, directory)
        .env(SEED, seed.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let is_opening = AtomicBool::new(false);
    // Some are killed while they open, most while they write.
    let longest = if random.one_in(4) { 3_000 } else { 150_000 };
    let delay = Duration::from_micros(random.below(longest) as u64);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut said = Said { opened: false, acknowledged: vec![0; thread_count(seed)] };
            let mut line = String::new();
            while out.read_line(&mut line).unwrap_or(0) > 0 {
                let is_whole = line.ends_with('\n');
                let words: Vec<&str> = line.split_whitespace().collect();
                match words[..] {
                    ["opening"] => is_opening.store(true, Ordering::Release),
                    ["opened"] => said.opened = true,
                    ["ack", thread, count] if is_whole => {
                        said.acknowledged[thread.parse::<usize>().unwrap()] = count.parse().unwrap();
                    }
                    _ => {}
                }
                line.clear();
            }
            is_opening.store(true, Ordering::Release);
            said
        });
        while !is_opening.load(Ordering::Acquire) {
            std::thread::sleep(Duration::from_micros(100));
        }
        std::thread::sleep(delay);
        let ended = child.try_wait().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        if let Some(status) = ended {
            let mut errors = String::new();
            std::io::Read::read_to_string(&mut child.stderr.take().unwrap(), &mut errors).unwrap();
            panic!("the child ended by itself, {status}, seed {seed}: {errors}");
        }
        reader.join().unwrap()
    })
}

/// All points of a database, with its own opinion of them checked.
fn points(db: &VectorDb) -> Points {
    let snapshot = db.snapshot();
    let mut points = Points::new();
    for point in &snapshot {
        let point = point.unwrap().to_point().unwrap();
        assert_eq!(snapshot.slot(point.key()).unwrap(), Some(point.coordinate()));
        let key = point.key().to_value().as_str().unwrap().to_owned();
        let attributes = point.into_attributes().into_iter().collect();
        assert!(points.insert(key, attributes).is_none(), "a key twice");
    }
    assert_eq!(points.len() as u64, snapshot.len());
    let report = db.verify().unwrap();
    assert!(report.is_sound(), "{:?}", report.problems);
    points
}

fn of_thread(points: &Points, thread: usize) -> Points {
    let prefix = format!("thread {thread} ");
    points.iter().filter(|(key, _)| key.starts_with(&prefix)).map(|(key, value)| (key.clone(), value.clone())).collect()
}

/// What is there after a kill: of each thread all acknowledged calls, and the one in flight or not. Becomes the new
/// state.
fn check(found: &Points, before: &mut Points, seed: u64, said: &Said, torn: &mut u64) {
    let mut after = before.clone();
    for (thread, &acknowledged) in said.acknowledged.iter().enumerate() {
        let mut calls = Calls::new(seed, thread);
        let mut expected = of_thread(before, thread);
        (0..acknowledged).for_each(|_| calls.next().apply(&mut expected));
        let mut with_next = expected.clone();
        let next = calls.next();
        next.clone().apply(&mut with_next);
        let found = of_thread(found, thread);
        if found != expected {
            assert!(
                found == with_next,
                "seed {seed}: thread {thread} was acknowledged {acknowledged} calls, next {next:?}"
            );
            *torn += 1;
        }
        after.retain(|key, _| !key.starts_with(&format!("thread {thread} ")));
        after.extend(found);
    }
    assert_eq!(*found, after, "seed {seed}: points of threads that did not run");
    *before = after;
}

#[test]
fn a_killed_process_loses_nothing_that_it_acknowledged() {
    let kills: u64 = environment("KILLS").unwrap_or(50);
    let seed: u64 = environment("KILL_SEED").unwrap_or(1);
    let mut random = Random::new(seed);
    let (mut acknowledged, mut in_flight, mut while_opening, mut unclean) = (0, 0, 0, 0);
    let mut directory = tempfile::tempdir().unwrap();
    let mut state = Points::new();
    for kill in 0..kills {
        if random.one_in(10) {
            directory = tempfile::tempdir().unwrap();
            state.clear();
        }
        let seed = seed.wrapping_mul(1_000_000) + kill;
        let said = run_and_kill(directory.path(), seed, &mut random);
        acknowledged += said.acknowledged.iter().sum::<u64>();
        while_opening += u64::from(!said.opened);
        let path = directory.path().join("killed.vdb");
        let reader = match VectorDb::open_read_only(&path) {
            // Killed before there was anything.
            Err(error) if error.is_not_found() && state.is_empty() && !said.opened => continue,
            reader => reader.unwrap_or_else(|error| panic!("seed {seed}: {error}")),
        };
        unclean += u64::from(reader.open_report().unclean_close);
        let found = points(&reader);
        check(&found, &mut state, seed, &said, &mut in_flight);
        drop(reader);
        // Some are recovered by a writer, twice, some by the next child.
        if random.one_in(2) {
            for _ in 0..2 {
                let writer = VectorDb::open(&path).unwrap();
                assert!(points(&writer) == found, "seed {seed}: opening again changes the state");
                if random.one_in(2) {
                    writer.close().unwrap();
                }
            }
        }
    }
    println!(
        "{kills} kills, {while_opening} of them while opening: {acknowledged} calls acknowledged, none lost; \
         {in_flight} in flight were there whole; {unclean} logs were not closed (seed {seed})"
    );
}
