//! What opening costs, and where lookups stand: a database of 1,000 points against one of 10,000,000.
//!
//! `cargo bench --bench open`, or `scripts/open-cost.sh`. Needs 3 GB of memory and 1 GB of disk; takes some minutes.
//! `VECTOR_BENCH_DIR` is where the databases go (and stay, to be used again; without it a temporary directory is used), and
//! `VECTOR_BENCH_POINTS` the number of points of the large one.
//!
//! Each figure of the first table is a median over processes of their own, in turn for each database, with everything in the page
//! cache. System calls are counted by strace, if there is one; page faults are the process's own count around the call.
//! Ends with exit code 1 when opening the large one costs more than 10 system calls, 100 page faults, or twice the time.

// Tests use more of it.
#[allow(dead_code)]
#[path = "../tests/engine/readers/allocations.rs"]
mod allocations;
mod points;

use points::{Outcome, load, name, scatter, score};
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;
use vector_datalib::{BulkLoader, ValueRef, VectorDb};

const SMALL: u64 = 1000;
const LARGE: u64 = 10_000_000;
const DIMENSIONS: u64 = 5000;
/// Processes for each median.
const PROCESSES: usize = 31;
/// Lookups for each figure.
const LOOKUPS: u64 = 2_000_000;

const SYSTEM_CALLS_MAX: i64 = 10;
const PAGE_FAULTS_MAX: i64 = 100;
const TIME_RATIO_MAX: f64 = 2.0;

fn main() -> Outcome<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match &*arguments.iter().map(String::as_str).collect::<Vec<_>>() {
        ["probe", how, path] => probe(how, Path::new(path)).map(|()| ExitCode::SUCCESS),
        arguments if arguments.contains(&"--bench") => measure(),
        _ => {
            println!("run it with `cargo bench --bench open`");
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// A database of many dimensions, five to a point.
fn load_dimensions(path: &Path) -> Outcome<()> {
    if path.exists() {
        return Ok(());
    }
    let mut loader = BulkLoader::create(path)?;
    for n in 0..DIMENSIONS {
        let names: Vec<String> = (0..5).map(|offset| format!("dimension {}", (n + offset) % DIMENSIONS)).collect();
        loader.push(scatter(n), names.iter().map(|name| (&**name, ValueRef::Int(n.into()))))?;
    }
    loader.finish()?;
    Ok(())
}

/// Page faults of this process so far.
fn page_faults() -> Outcome<i64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    // The second field is the program's name in parentheses, and may hold anything.
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
    let field = |number: usize| fields.get(number - 3).unwrap_or(&"").parse::<i64>();
    Ok(field(10)? + field(12)?)
}

/// What a process of its own does: opens, and tells what it cost.
fn probe(how: &str, path: &Path) -> Outcome<()> {
    // Once before, so that reading the counter and the clock has its own first faults behind it.
    page_faults()?;
    let faults = page_faults()?;
    let start = Instant::now();
    let db = match how {
        "write" => Some(VectorDb::open(path)?),
        "read" => Some(VectorDb::open_read_only(path)?),
        _ => None,
    };
    let time = start.elapsed();
    let faults = page_faults()? - faults;
    println!("{} {faults} {}", time.as_nanos(), db.map_or(0, |db| db.len()));
    Ok(())
}

/// Time in nanoseconds and page faults of opening in a new process.
fn run_probe(how: &str, path: &Path) -> Outcome<(i64, i64)> {
    let output = Command::new(std::env::current_exe()?).args(["probe", how]).arg(path).output()?;
    let text = String::from_utf8(output.stdout)?;
    match &*text.split_whitespace().collect::<Vec<_>>() {
        [time, faults, _] => Ok((time.parse()?, faults.parse()?)),
        _ => Err(format!("a probe failed: {}", String::from_utf8_lossy(&output.stderr)).into()),
    }
}

/// System calls of a probe, those of the process around it included; `None` without strace.
fn system_calls(how: &str, path: &Path) -> Outcome<Option<i64>> {
    let trace = tempfile::NamedTempFile::new()?;
    let probe = std::env::current_exe()?;
    let status =
        Command::new("strace").arg("-f").arg("-o").arg(trace.path()).arg(probe).args(["probe", how]).arg(path).output();
    match status {
        Ok(output) if output.status.success() => {
            Ok(Some(std::fs::read_to_string(trace.path())?.lines().filter(|line| line.contains('(')).count() as i64))
        }
        _ => Ok(None),
    }
}

#[derive(Clone, Copy, Default)]
struct Cost {
    /// Without those of a process that opens nothing.
    system_calls: Option<i64>,
    page_faults: i64,
    nanoseconds: i64,
}

fn median(mut numbers: Vec<i64>) -> i64 {
    numbers.sort_unstable();
    numbers.get(numbers.len() / 2).copied().unwrap_or_default()
}

fn costs<const N: usize>(how: &str, paths: [&Path; N]) -> Outcome<[Cost; N]> {
    let mut samples = [const { (Vec::new(), Vec::new()) }; N];
    for turn in 0..=PROCESSES {
        for (path, (times, faults)) in paths.iter().zip(&mut samples) {
            let (time, fault) = run_probe(how, path)?;
            // The first turn brings everything into the page cache.
            if turn > 0 {
                times.push(time);
                faults.push(fault);
            }
        }
    }
    let mut costs = [Cost::default(); N];
    for ((cost, path), (times, faults)) in costs.iter_mut().zip(paths).zip(samples) {
        let around = system_calls("nothing", path)?;
        let all = system_calls(how, path)?;
        cost.system_calls = all.zip(around).map(|(all, around)| all - around);
        cost.page_faults = median(faults);
        cost.nanoseconds = median(times);
    }
    Ok(costs)
}

fn print_row(what: &str, cost: Cost) {
    let calls = cost.system_calls.map_or("n/a".to_owned(), |calls| calls.to_string());
    println!("{what:<44} {calls:>12} {:>12} {:>12.1}", cost.page_faults, cost.nanoseconds as f64 / 1e3);
}

/// What the difference between the two breaks of the requirements.
fn broken_limits(small: Cost, large: Cost) -> Vec<String> {
    let mut broken = Vec::new();
    if let (Some(small), Some(large)) = (small.system_calls, large.system_calls)
        && (large - small).abs() > SYSTEM_CALLS_MAX
    {
        broken.push(format!("system calls differ by {}, more than {SYSTEM_CALLS_MAX}", large - small));
    }
    let faults = large.page_faults - small.page_faults;
    if faults >= PAGE_FAULTS_MAX {
        broken.push(format!("{faults} more page faults, not under {PAGE_FAULTS_MAX}"));
    }
    let ratio = large.nanoseconds as f64 / small.nanoseconds.max(1) as f64;
    if ratio >= TIME_RATIO_MAX {
        broken.push(format!("{ratio:.2} times the time, not under {TIME_RATIO_MAX}"));
    }
    broken
}

/// A fast hash for integers, so that the map compared with is not held back by its default one.
#[derive(Default)]
struct Multiply(u64);

impl Hasher for Multiply {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&byte| self.write_u64(byte.into()));
    }

    fn write_u64(&mut self, number: u64) {
        let product = u128::from(self.0 ^ number).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        self.0 = (product >> 64) as u64 ^ product as u64;
    }
}

type FastMap<V> = HashMap<u64, V, BuildHasherDefault<Multiply>>;

/// Nanoseconds for each of many independent lookups of random keys that are there.
fn time_lookups(points: u64, mut lookup: impl FnMut(u64)) -> f64 {
    let keys: Vec<u64> = (0..LOOKUPS).map(|n| scatter(scatter(n ^ 0xC3C3) % points)).collect();
    // Once to warm up: first touches, checksums, page tables.
    keys.iter().for_each(|&key| lookup(key));
    let start = Instant::now();
    keys.iter().for_each(|&key| lookup(key));
    start.elapsed().as_nanos() as f64 / LOOKUPS as f64
}

fn measure_lookups(path: &Path, points: u64) -> Outcome<()> {
    let db = VectorDb::open_read_only(path)?;
    let snapshot = db.snapshot();
    let (Some(scores), Some(names)) = (snapshot.dimension("score"), snapshot.dimension("name")) else {
        return Err("the database has no score and name".into());
    };
    // Every byte read once: checksums are verified, pages are mapped.
    let start = Instant::now();
    for n in 0..points {
        let (found, text) = (scores.lookup(scatter(n))?, names.lookup(scatter(n))?);
        if !matches!(found, Some(ValueRef::Float(found)) if found == score(n)) || text.is_none() {
            return Err(format!("point {n} is not what was loaded").into());
        }
    }
    println!("first touch of everything, with checksums: {:.2} s", start.elapsed().as_secs_f64());

    let mut length = 0;
    let mut of_scores = 0.0;
    let mut of_names = 0.0;
    let allocations = allocations::count(|| {
        of_scores = time_lookups(points, |key| {
            black_box(scores.lookup(key).is_ok_and(|value| value.is_some()));
        });
        of_names = time_lookups(points, |key| {
            if let Ok(Some(ValueRef::Text(text))) = names.lookup(key) {
                length += text.len() + usize::from(text.as_bytes()[0]);
            }
        });
    });
    // The two vectors of keys, and nothing else.
    if allocations != 2 {
        return Err(format!("{} allocations by {} lookups", allocations - 2, 4 * LOOKUPS).into());
    }
    black_box(length);
    let missing = time_lookups(points, |key| {
        black_box(scores.lookup(key ^ 1).is_ok_and(|value| value.is_none()));
    });
    drop(db);

    let map: HashMap<u64, f64> = (0..points).map(|n| (scatter(n), score(n))).collect();
    let std_scores = time_lookups(points, |key| {
        black_box(map.get(&key));
    });
    drop(map);
    let map: FastMap<f64> = (0..points).map(|n| (scatter(n), score(n))).collect();
    let fast_scores = time_lookups(points, |key| {
        black_box(map.get(&key));
    });
    drop(map);
    let map: FastMap<Box<str>> = (0..points).map(|n| (scatter(n), name(n).into())).collect();
    let mut length = 0;
    let fast_names = time_lookups(points, |key| {
        if let Some(text) = map.get(&key) {
            length += text.len() + usize::from(text.as_bytes()[0]);
        }
    });
    black_box(length);

    println!("\nindependent random lookups, {points} points       ns");
    for (what, time) in [
        ("Dimension::lookup, score (plain f64)", of_scores),
        ("Dimension::lookup, name (text heap)", of_names),
        ("Dimension::lookup, a key that is not there", missing),
        ("HashMap<u64, f64>, default hasher", std_scores),
        ("HashMap<u64, f64>, multiplying hasher", fast_scores),
        ("HashMap<u64, Box<str>>, multiplying hasher", fast_names),
    ] {
        println!("{what:<44} {time:>8.1}");
    }
    println!("allocations by the lookups of the database: 0");
    Ok(())
}

fn measure() -> Outcome<ExitCode> {
    let temporary = tempfile::tempdir()?;
    let dir = std::env::var_os("VECTOR_BENCH_DIR").map_or(temporary.path().to_owned(), PathBuf::from);
    let large_points = std::env::var("VECTOR_BENCH_POINTS").map_or(Ok(LARGE), |points| points.parse())?;
    let small = dir.join(format!("points-{SMALL}.vdb"));
    let large = dir.join(format!("points-{large_points}.vdb"));
    let wide = dir.join(format!("dimensions-{DIMENSIONS}.vdb"));
    load(&small, SMALL)?;
    load(&large, large_points)?;
    load_dimensions(&wide)?;

    println!("\n{:<44} {:>12} {:>12} {:>12}", "opening (warm)", "system calls", "page faults", "µs");
    let mut broken = Vec::new();
    for how in ["read", "write"] {
        let call = if how == "read" { "open_read_only" } else { "open" };
        let [of_small, of_large] = costs(how, [&small, &large])?;
        print_row(&format!("{call}, {SMALL} points"), of_small);
        print_row(&format!("{call}, {large_points} points"), of_large);
        broken.extend(broken_limits(of_small, of_large).into_iter().map(|limit| format!("{call}: {limit}")));
    }
    let [of_wide] = costs("read", [&wide])?;
    print_row(&format!("open_read_only, {DIMENSIONS} dimensions"), of_wide);
    println!();
    measure_lookups(&large, large_points)?;
    if broken.is_empty() {
        println!("\nopening costs the same, within the limits");
        return Ok(ExitCode::SUCCESS);
    }
    broken.iter().for_each(|limit| println!("TOO MUCH: {limit}"));
    Ok(ExitCode::FAILURE)
}
