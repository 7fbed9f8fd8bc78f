//! Durable upserts into a large database, each of a whole record: one at a time, from 16 threads, in batches of 1,000; with the checkpoints
//! and merges that come of them, and with the log alone beside them.
//!
//! `cargo bench --bench upserts [-- PART...]`, parts: `single`, `threads`, `batches`; all without one, and `readers` for the same batches
//! beside a thread that looks keys up. Needs 4 GB of memory and 4 GB of disk.
//! `VECTOR_BENCH_DIR` is where the large database goes (and stays), `VECTOR_BENCH_POINTS` the number of its points,
//! `VECTOR_BENCH_SECONDS` the time of each part.
//!
//! The log alone: one thread writes as many bytes as the commits of one fsync have to a file of zeros, and makes them durable.

mod points;

use points::{Outcome, attributes, cities, load, name, scatter};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use vector_datalib::{Options, ValueRef, VectorDb};

const POINTS: u64 = 10_000_000;
const SECONDS: u64 = 60;
const THREADS: usize = 16;
const BATCH: u64 = 1000;
/// Distinct names, about.
const NAMES: u64 = 5_000_000;
/// Bytes that a record of the log takes without its rows, and for each row, about.
const RECORD_LEN: usize = 40;
const ROW_LEN: usize = 88;
/// Bytes that the log-alone file is long.
const LOG_LEN: u64 = 32 << 20;

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if !arguments.iter().any(|argument| argument == "--bench") {
        println!("run it with `cargo bench --bench upserts`");
        return Ok(());
    }
    let parts: Vec<&str> = arguments.iter().map(String::as_str).filter(|part| !part.starts_with('-')).collect();
    let wanted = |part| parts.is_empty() || parts.contains(&part);
    let temporary = tempfile::tempdir()?;
    let number = |name, default| std::env::var(name).map_or(Ok(default), |text| text.parse::<u64>());
    let bench = Bench {
        dir: std::env::var_os("VECTOR_BENCH_DIR").map_or(temporary.path().to_owned(), PathBuf::from),
        points: number("VECTOR_BENCH_POINTS", POINTS)?,
        time: Duration::from_secs(number("VECTOR_BENCH_SECONDS", SECONDS)?),
        cities: cities(),
    };
    let cases = [
        ("single", Case { threads: 1, batch: 1, has_reader: false }),
        ("threads", Case { threads: THREADS, batch: 1, has_reader: false }),
        ("batches", Case { threads: 1, batch: BATCH, has_reader: false }),
        ("readers", Case { threads: 1, batch: BATCH, has_reader: true }),
    ];
    for (name, case) in cases {
        if wanted(name) {
            bench.run(name, &case)?;
        }
    }
    Ok(())
}

struct Bench {
    dir: PathBuf,
    points: u64,
    time: Duration,
    cities: Vec<String>,
}

struct Case {
    threads: usize,
    /// Rows of a commit.
    batch: u64,
    /// Whether one more thread looks keys up.
    has_reader: bool,
}

/// What one thread has measured.
#[derive(Default)]
struct Times {
    /// When each call ended, and how long it took, in nanoseconds.
    calls: Vec<(u64, u64)>,
}

/// Processor time of this process, in seconds: its own, and the system's for it.
fn processor_time() -> Outcome<(f64, f64)> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok()).ok_or("no times in stat");
    // Ticks are hundredths of a second on every Linux that this runs on.
    Ok((ticks(11)? / 100.0, ticks(12)? / 100.0))
}

/// Bytes that this process has handed to the system for writing.
fn written() -> Outcome<u64> {
    let io = std::fs::read_to_string("/proc/self/io")?;
    let line = io.lines().find_map(|line| line.strip_prefix("wchar: ")).ok_or("no wchar in /proc/self/io")?;
    Ok(line.parse()?)
}

/// The generations of the patches in a directory.
fn patches(dir: &Path) -> Outcome<Vec<u64>> {
    let mut generations = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let name = entry?.file_name();
        let digits = name.to_str().and_then(|name| name.strip_prefix("patch-")).map(|rest| rest.split('.').next());
        if let Some(Some(digits)) = digits {
            generations.push(digits.parse()?);
        }
    }
    Ok(generations)
}

/// Writes of so many bytes made durable a second, in a file of zeros.
fn log_alone(dir: &Path, len: usize) -> Outcome<f64> {
    let path = dir.join("log-alone");
    let file = File::create(&path)?;
    let zeros = vec![0; 1 << 20];
    for at in (0..LOG_LEN).step_by(zeros.len()) {
        file.write_all_at(&zeros, at)?;
    }
    file.sync_all()?;
    let bytes = vec![7; len];
    let (mut at, mut count) = (0, 0u32);
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(2) {
        file.write_all_at(&bytes, at)?;
        file.sync_data()?;
        at += len as u64;
        if at + len as u64 > LOG_LEN {
            at = 0;
        }
        count += 1;
    }
    let rate = f64::from(count) / start.elapsed().as_secs_f64();
    std::fs::remove_file(path)?;
    Ok(rate)
}

fn quantile(sorted: &[u64], part: f64) -> f64 {
    sorted.get(((sorted.len().max(1) - 1) as f64 * part) as usize).map_or(0.0, |&time| time as f64 / 1e3)
}

impl Bench {
    /// A copy of the large database, which may be changed.
    fn copy(&self) -> Outcome<PathBuf> {
        let original = self.dir.join(format!("points-{}.vdb", self.points));
        load(&original, self.points)?;
        let copy = self.dir.join("upserts.vdb");
        let _there_or_not = std::fs::remove_dir_all(&copy);
        std::fs::create_dir_all(&copy)?;
        for entry in std::fs::read_dir(original)? {
            let entry = entry?;
            std::fs::copy(entry.path(), copy.join(entry.file_name()))?;
            File::open(copy.join(entry.file_name()))?.sync_all()?;
        }
        Ok(copy)
    }

    /// Commits until the time is over; `thread` makes the records differ from those of other threads.
    fn write(&self, db: &VectorDb, case: &Case, thread: u64, start: Instant) -> Outcome<Times> {
        let mut times = Times::default();
        let mut next = thread << 40;
        while start.elapsed() < self.time {
            let numbers: Vec<u64> = (0..case.batch).map(|n| scatter((next + n) ^ 0x7777)).collect();
            let names: Vec<String> = numbers.iter().map(|&number| name(number % NAMES)).collect();
            let begin = Instant::now();
            let record = |(&number, name): (&u64, &String)| {
                let values = attributes(scatter(number), number, &self.cities, name);
                (scatter((number >> 8) % self.points), values.map(|(name, value)| (name, value.to_value())))
            };
            let mut records = Vec::with_capacity(numbers.len());
            for (key, values) in numbers.iter().zip(&names).map(record) {
                let mut owned = Vec::with_capacity(values.len());
                for (name, value) in values {
                    owned.push((name, value?));
                }
                records.push((key, owned));
            }
            if case.batch == 1 {
                for (key, values) in records {
                    db.upsert(key, values)?;
                }
            } else {
                db.batch_upsert(records)?;
            }
            times.calls.push((start.elapsed().as_nanos() as u64, begin.elapsed().as_nanos() as u64));
            next += case.batch;
        }
        Ok(times)
    }

    /// Looks keys up until told to stop; each call takes a snapshot and reads one attribute.
    fn read(&self, db: &VectorDb, stop: &AtomicBool) -> Outcome<Vec<u64>> {
        let mut times = Vec::new();
        let mut n = 0;
        while !stop.load(Ordering::Relaxed) {
            let begin = Instant::now();
            let snapshot = db.snapshot();
            let score = snapshot.dimension("score").ok_or("no score")?;
            let found = matches!(score.lookup(scatter(scatter(n) % self.points))?, Some(ValueRef::Float(_)));
            times.push(begin.elapsed().as_nanos() as u64);
            if !found {
                return Err("a score is missing".into());
            }
            n += 1;
            if times.len() == 100_000_000 {
                times.truncate(1);
            }
        }
        times.sort_unstable();
        Ok(times)
    }

    fn run(&self, what: &str, case: &Case) -> Outcome<()> {
        let path = self.copy()?;
        let rows = case.batch as usize;
        let len = case.threads * (RECORD_LEN + rows * ROW_LEN).next_multiple_of(8);
        let mut alone = log_alone(&self.dir, len)?;
        let db = Options::new().open(&path)?;
        db.snapshot().dimension("score").ok_or("no score")?.lookup(0)?;
        println!("\n{what}: {} threads, {} rows a commit, {:?}", case.threads, case.batch, self.time);
        let before = (written()?, processor_time()?);
        let stop = AtomicBool::new(false);
        let start = Instant::now();
        let (calls, reads) = std::thread::scope(|scope| -> Outcome<_> {
            let bench = self;
            let reader = case.has_reader.then(|| scope.spawn(|| bench.read(&db, &stop).map_err(|e| e.to_string())));
            let writers: Vec<_> = (0..case.threads as u64)
                .map(|thread| {
                    let db = &db;
                    scope.spawn(move || bench.write(db, case, thread, start).map_err(|error| error.to_string()))
                })
                .collect();
            let mut calls = Vec::new();
            for writer in writers {
                calls.extend(writer.join().map_err(|_| "a writer panicked")??.calls);
            }
            stop.store(true, Ordering::Relaxed);
            let reads = reader.map(|reader| reader.join().map_err(|_| "a reader panicked")).transpose()?.transpose()?;
            Ok((calls, reads))
        })?;
        let seconds = start.elapsed().as_secs_f64();
        let after = (written()?, processor_time()?);
        let patches = patches(&path)?;
        drop(db);
        alone = (alone + log_alone(&self.dir, len)?) / 2.0;
        let limit = alone * (case.threads * rows) as f64;
        let done = calls.len() * rows;
        let rate = done as f64 / seconds;
        println!("{:<44} {rate:>12.0}", "rows a second");
        println!("{:<44} {limit:>12.0}", "the log alone, rows a second");
        println!("{:<44} {:>12.2}", "part of that", rate / limit);
        let tenths = self.tenths(&calls, rows);
        println!("rows a second in each tenth of the time, in thousands: {}", tenths.join(" "));
        let mut times: Vec<u64> = calls.into_iter().map(|(_, time)| time).collect();
        times.sort_unstable();
        print_times("commit", &times);
        let cpu = ((after.1.0 - before.1.0) / done as f64, (after.1.1 - before.1.1) / done as f64);
        println!("{:<44} {:>12.2}", "processor time for a row, own, µs", cpu.0 * 1e6);
        println!("{:<44} {:>12.2}", "processor time for a row, the system's, µs", cpu.1 * 1e6);
        println!("{:<44} {:>12.0}", "bytes written for a row", (after.0 - before.0) as f64 / done as f64);
        println!("{:<44} {:>12}", "the last patch", patches.iter().max().unwrap_or(&0));
        println!("{:<44} {:>12}", "patches at the end", patches.len());
        if let Some(reads) = reads {
            print_times("lookup", &reads);
        }
        std::fs::remove_dir_all(path)?;
        Ok(())
    }

    fn tenths(&self, calls: &[(u64, u64)], rows: usize) -> Vec<String> {
        let tenth = (self.time.as_nanos() as u64 / 10).max(1);
        let mut counts = [0usize; 10];
        for (end, _) in calls {
            counts[((end / tenth) as usize).min(9)] += rows;
        }
        counts.iter().map(|&count| format!("{:.1}", count as f64 / (tenth as f64 / 1e9) / 1e3)).collect()
    }
}

fn print_times(what: &str, sorted: &[u64]) {
    let parts = [("median", 0.5), ("p99", 0.99), ("p99.9", 0.999), ("longest", 1.0)];
    for (name, part) in parts {
        println!("{:<44} {:>12.1}", format!("{what}, {name}, µs"), quantile(sorted, part));
    }
}
