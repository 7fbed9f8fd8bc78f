//! What scans cost: sums, counts by group and searches over a database of 10,000,000 points, against the same loops
//! over a `Vec` in the same run.
//!
//! `cargo bench --bench scan`. Needs 4 GB of memory and 0.4 GB of disk. `VECTOR_BENCH_POINTS` is the number of points;
//! `VECTOR_BENCH_DIR` is where the database goes, and stays to be used again; without it a temporary directory is used.
//!
//! Each figure is the least of some runs, in turn for both, with everything in the page cache and checked before.

use std::error::Error;
use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};
use vector_datalib::{BulkLoader, Dimension, SegmentValues, Snapshot, ValueRef, VectorDb, attrs};

type Outcome<T> = Result<T, Box<dyn Error>>;

const POINTS: u64 = 10_000_000;
const CITIES: u64 = 1000;
const STATES: u64 = 50;
/// Points of a day, one behind the other.
const DAY: u64 = 20_000;
const RUNS: usize = 15;
/// Points that are changed for the second table: some hundred segments have one at least.
const CHANGES: u64 = 1000;

fn main() -> Outcome<()> {
    if !std::env::args().any(|argument| argument == "--bench") {
        println!("run it with `cargo bench --bench scan`");
        return Ok(());
    }
    let points = std::env::var("VECTOR_BENCH_POINTS").map_or(Ok(POINTS), |points| points.parse())?;
    let temporary = tempfile::tempdir()?;
    let directory = std::env::var_os("VECTOR_BENCH_DIR").map_or_else(|| temporary.path().to_owned(), Into::into);
    let path = directory.join(format!("scan-{points}-5.vdb"));
    load(&path, points)?;
    let plain = Plain::new(points);
    let db = VectorDb::open_read_only(&path)?;
    println!("{points} points, nothing changed since the column files were written:");
    measure(&db.snapshot(), &plain)?;
    drop(db);
    let copy = temporary.path().join("changed.vdb");
    copy_directory(&path, &copy)?;
    let db = VectorDb::open(&copy)?;
    db.batch_upsert(
        (0..CHANGES).map(|n| (scatter(n) % points, attrs! { "score" => 0.5, "city" => city(n), "number" => 5 })),
    )?;
    println!("\nthe same after {CHANGES} random changes, in memory:");
    measure(&db.snapshot(), &plain)?;
    db.save()?;
    println!("\nthe same changes in a patch:");
    measure(&db.snapshot(), &plain)
}

const fn scatter(n: u64) -> u64 {
    let n = (n ^ (n >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let n = (n ^ (n >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    n ^ (n >> 31)
}

fn score(n: u64) -> f64 {
    scatter(n) as f64 / 1e6
}

fn city(n: u64) -> String {
    format!("City of {}", scatter(n ^ 0x5A5A) % CITIES)
}

fn state(n: u64) -> u64 {
    scatter(n ^ 0x3C3C) % STATES
}

fn number(n: u64) -> i64 {
    scatter(n ^ 0xA5A5).cast_signed()
}

fn load(path: &Path, points: u64) -> Outcome<()> {
    if path.exists() {
        return Ok(());
    }
    let mut loader = BulkLoader::create(path)?;
    for n in 0..points {
        let city = city(n);
        let attributes = [
            ("score", ValueRef::Float(score(n))),
            ("city", ValueRef::Text(&city)),
            ("number", ValueRef::Int(number(n).into())),
            ("state", ValueRef::Int(state(n).into())),
            ("day", ValueRef::Int((n / DAY).into())),
        ];
        loader.push(n, attributes)?;
    }
    loader.finish()?;
    Ok(())
}

fn copy_directory(from: &Path, to: &Path) -> Outcome<()> {
    std::fs::create_dir(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        std::fs::copy(entry.path(), to.join(entry.file_name()))?;
    }
    Ok(())
}

/// The same data as a program without a database has it.
struct Plain {
    scores: Vec<f64>,
    cities: Vec<u16>,
    numbers: Vec<i64>,
    states: Vec<u8>,
    days: Vec<u16>,
}

impl Plain {
    fn new(points: u64) -> Self {
        Self {
            scores: (0..points).map(score).collect(),
            cities: (0..points).map(|n| (scatter(n ^ 0x5A5A) % CITIES) as u16).collect(),
            numbers: (0..points).map(number).collect(),
            states: (0..points).map(|n| state(n) as u8).collect(),
            days: (0..points).map(|n| (n / DAY) as u16).collect(),
        }
    }
}

fn time<T>(work: impl FnOnce() -> Outcome<T>) -> Outcome<Duration> {
    let start = Instant::now();
    black_box(work()?);
    Ok(start.elapsed())
}

/// Times a scan and the plain loop in turn, and prints the least of each.
fn compare<T, P>(what: &str, scan: impl Fn() -> Outcome<T>, plain: impl Fn() -> P) -> Outcome<()> {
    let (mut best_scan, mut best_plain) = (Duration::MAX, Duration::MAX);
    black_box(scan()?);
    for _ in 0..RUNS {
        best_scan = best_scan.min(time(&scan)?);
        best_plain = best_plain.min(time(|| Ok(plain()))?);
    }
    let (scan, plain) = (best_scan.as_secs_f64() * 1e3, best_plain.as_secs_f64() * 1e3);
    println!("{what:<44} {scan:>9.2} ms {plain:>9.2} ms {:>7.2}", scan / plain);
    Ok(())
}

fn measure(snapshot: &Snapshot, plain: &Plain) -> Outcome<()> {
    let dimension = |name| snapshot.dimension(name).ok_or("the dimension is there");
    let (scores, cities, numbers) = (dimension("score")?, dimension("city")?, dimension("number")?);
    let (states, days) = (dimension("state")?, dimension("day")?);
    println!("{:<44} {:>12} {:>12} {:>7}", "", "database", "plain Vec", "ratio");
    compare("sum of floats", || Ok(scores.sum()?), || sum(&plain.scores))?;
    compare("sum of floats, own loop over slices", || sum_segments(scores), || sum(&plain.scores))?;
    compare(
        "sum of integers",
        || Ok(numbers.sum()?),
        || plain.numbers.iter().map(|&number| i128::from(number)).sum::<i128>(),
    )?;
    compare("points by city, own loop over numbers", || group(cities), || group_plain(&plain.cities))?;
    compare("points by city, value_counts", || Ok(cities.value_counts()?), || group_plain(&plain.cities))?;
    compare("least and greatest float", || Ok(scores.min_max()?), || extremes(&plain.scores))?;
    let (wanted, wanted_number) = (city(7), number(7));
    let wanted_city = plain.cities[7];
    compare("points in a city, find", || Ok(cities.find(&wanted)?.count()), || find(&plain.cities, wanted_city))?;
    compare("points in a city, count_of", || Ok(cities.count_of(&wanted)?), || find(&plain.cities, wanted_city).len())?;
    compare(
        "point of a number, find",
        || Ok(numbers.find(wanted_number)?.count()),
        || find(&plain.numbers, wanted_number),
    )?;
    compare("cities of points with a score, map_to", || Ok(scores.map_to(cities)?), || group_plain(&plain.cities))?;
    compare("days of points with a score, map_to", || Ok(scores.map_to(days)?), || group_plain(&plain.days))?;
    let (low, high) = (4e12, 6e12);
    let is_within = |score: f64| (low..=high).contains(&score);
    compare(
        "points of a ninth of all scores, count_in",
        || Ok(scores.count_in(low..=high)?),
        || plain.scores.iter().filter(|&&score| is_within(score)).count(),
    )?;
    compare(
        "points of a ninth of all scores, find_in",
        || Ok(scores.find_in(low..=high)?.count()),
        || plain.scores.iter().enumerate().filter(|(_, score)| is_within(**score)).map(|(n, _)| n).collect::<Vec<_>>(),
    )?;
    let (least, most) = (i64::MIN / 16, i64::MAX / 16);
    compare(
        "points of a sixteenth of all numbers, count_in",
        || Ok(numbers.count_in(least..=most)?),
        || plain.numbers.iter().filter(|number| (least..=most).contains(*number)).count(),
    )?;
    let mut is_chosen = vec![false; CITIES as usize];
    (0..CITIES as usize).step_by(100).for_each(|n| is_chosen[n] = true);
    compare(
        "points in one of ten cities, find_where",
        || {
            Ok(cities
                .find_where(|city| city.as_str().is_some_and(|city| city.ends_with("00") || city.ends_with(" 0")))?
                .count())
        },
        || {
            plain
                .cities
                .iter()
                .enumerate()
                .filter(|(_, city)| is_chosen[usize::from(**city)])
                .map(|(n, _)| n)
                .collect::<Vec<_>>()
        },
    )?;
    compare("cities by state, cross_counts", || Ok(states.cross_counts(cities)?), || cross(plain))?;
    compare("scores by city, aggregate_by", || Ok(scores.aggregate_by(cities)?), || aggregate(plain))?;
    compare("sum of floats, 2 threads", || Ok(scores.parallel(2).sum()?), || sum(&plain.scores))?;
    compare(
        "scores by city, aggregate_by, 2 threads",
        || Ok(scores.parallel(2).aggregate_by(cities)?),
        || aggregate(plain),
    )
}

/// Points by state and city.
fn cross(plain: &Plain) -> Vec<u32> {
    let mut counts = vec![0; (STATES * CITIES) as usize];
    for (&state, &city) in plain.states.iter().zip(&plain.cities) {
        counts[usize::from(state) * CITIES as usize + usize::from(city)] += 1;
    }
    counts
}

/// Points, sum, least and greatest score by city.
fn aggregate(plain: &Plain) -> Vec<(u64, f64, f64, f64)> {
    let mut groups = vec![(0, 0.0, f64::INFINITY, f64::NEG_INFINITY); CITIES as usize];
    for (&city, &score) in plain.cities.iter().zip(&plain.scores) {
        let (points, sum, least, greatest) = &mut groups[usize::from(city)];
        (*points, *sum) = (*points + 1, *sum + score);
        (*least, *greatest) = (score.min(*least), score.max(*greatest));
    }
    groups
}

fn sum(floats: &[f64]) -> f64 {
    let (rows, rest) = floats.as_chunks::<8>();
    let mut lanes = [0.0; 8];
    for row in rows {
        for (lane, float) in lanes.iter_mut().zip(row) {
            *lane += float;
        }
    }
    lanes.iter().sum::<f64>() + rest.iter().sum::<f64>()
}

fn sum_segments(dimension: Dimension<'_>) -> Outcome<f64> {
    let mut total = 0.0;
    for segment in dimension.segments() {
        match segment?.values() {
            SegmentValues::F64(floats) => total += sum(floats),
            _ => return Err("floats are stored as such".into()),
        }
    }
    Ok(total)
}

fn group(dimension: Dimension<'_>) -> Outcome<Vec<u64>> {
    let mut counts = vec![0; 65_536];
    for segment in dimension.segments() {
        match segment?.values() {
            SegmentValues::Dictionary16(numbers, _) => numbers.iter().for_each(|&n| counts[usize::from(n)] += 1),
            _ => return Err("a thousand cities take two bytes each".into()),
        }
    }
    Ok(counts)
}

fn group_plain(numbers: &[u16]) -> Vec<u64> {
    let mut counts = vec![0; 65_536];
    numbers.iter().for_each(|&n| counts[usize::from(n)] += 1);
    counts
}

fn extremes(floats: &[f64]) -> (f64, f64) {
    floats
        .iter()
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(least, greatest), &float| (least.min(float), greatest.max(float)))
}

fn find<T: PartialEq>(values: &[T], wanted: T) -> Vec<usize> {
    values.iter().enumerate().filter(|(_, value)| **value == wanted).map(|(slot, _)| slot).collect()
}
