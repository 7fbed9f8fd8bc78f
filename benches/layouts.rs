//! What the layouts of a compaction cost and give: time of compaction, bytes of keys, and lookups of one attribute, of 10,000,000 points with
//! random integers as keys.
//!
//! `cargo bench --bench layouts`. Needs 2 GB of memory and 1 GB of disk. `VECTOR_BENCH_POINTS` is the number of points, `VECTOR_BENCH_DIR` where
//! databases go.
//!
//! Independent lookups are of keys that are known beforehand; of dependent ones each key is chosen by the last answer, so that their misses
//! cannot overlap. Layouts take turns in each of some rounds, and the median of these is shown.

use std::error::Error;
use std::hint::black_box;
use std::path::Path;
use std::time::Instant;
use vector_datalib::{BulkLoader, CompactOptions, Dimension, Layout, ValueRef, VectorDb};

type Outcome<T> = Result<T, Box<dyn Error>>;

const POINTS: u64 = 10_000_000;
const LOOKUPS: u64 = 1_000_000;
const ROUNDS: usize = 7;
const LAYOUTS: [(&str, Layout); 3] =
    [("indexed", Layout::Packed), ("by key", Layout::ByKey), ("frozen", Layout::Frozen)];

/// Scatters numbers over all 64-bit integers, each to one of its own.
const fn scatter(n: u64) -> u64 {
    let n = (n ^ (n >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let n = (n ^ (n >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    n ^ (n >> 31)
}

fn score(n: u64) -> f64 {
    n as f64 + 0.5
}

fn main() -> Outcome<()> {
    if !std::env::args().any(|argument| argument == "--bench") {
        println!("run it with `cargo bench --bench layouts`");
        return Ok(());
    }
    let points = std::env::var("VECTOR_BENCH_POINTS").map_or(Ok(POINTS), |points| points.parse())?;
    let temporary = match std::env::var_os("VECTOR_BENCH_DIR") {
        Some(directory) => tempfile::tempdir_in(directory)?,
        None => tempfile::tempdir()?,
    };
    let mut databases = Vec::new();
    for (name, layout) in LAYOUTS {
        let path = temporary.path().join(format!("{name}.vdb"));
        load(&path, points)?;
        let db = VectorDb::open(&path)?;
        let start = Instant::now();
        db.compact(&CompactOptions::new().layout(layout))?;
        let nanoseconds = start.elapsed().as_secs_f64() * 1e9 / points as f64;
        let stats = db.stats()?;
        println!(
            "{name:<8} compaction {nanoseconds:>6.0} ns a point, keys {:>6.2} bytes each ({}), files {:>6.2} bytes a point",
            stats.axis_bytes as f64 / points as f64,
            stats.axis_encoding,
            stats.file_size_bytes as f64 / points as f64
        );
        databases.push((name, db));
    }
    let mut results = vec![[const { Vec::new() }; 3]; databases.len()];
    for round in 0..ROUNDS as u64 {
        for ((_, db), results) in databases.iter().zip(&mut results) {
            let snapshot = db.snapshot();
            let scores = snapshot.dimension("score").ok_or("there is no score")?;
            // What the round before left in the caches is of another layout.
            independent(&scores, points, round + 100)?;
            results[0].push(independent(&scores, points, round)?);
            results[1].push(dependent(&scores, points, round)?);
            results[2].push(missing(&scores, points, round)?);
        }
    }
    println!("\n{:<8} {:>12} {:>12} {:>12}   ns a lookup", "", "independent", "dependent", "missing");
    for ((name, _), results) in databases.iter().zip(&mut results) {
        let median = |times: &mut Vec<f64>| {
            times.sort_by(f64::total_cmp);
            times[times.len() / 2]
        };
        let [a, b, c] = results.each_mut().map(median);
        println!("{name:<8} {a:>12.1} {b:>12.1} {c:>12.1}");
    }
    Ok(())
}

fn load(path: &Path, points: u64) -> Outcome<()> {
    let mut loader = BulkLoader::create(path)?;
    for n in 0..points {
        loader.push(scatter(n), [("score", ValueRef::Float(score(n)))])?;
    }
    loader.finish()?;
    Ok(())
}

fn number(round: u64, n: u64, points: u64) -> u64 {
    ((u128::from(scatter(n ^ (round << 40) ^ 0x5A5A)) * u128::from(points)) >> 64) as u64
}

fn per_lookup(start: Instant) -> f64 {
    start.elapsed().as_secs_f64() * 1e9 / LOOKUPS as f64
}

fn independent(scores: &Dimension<'_>, points: u64, round: u64) -> Outcome<f64> {
    let keys: Vec<u64> = (0..LOOKUPS).map(|n| scatter(number(round, n, points))).collect();
    let start = Instant::now();
    let mut sum = 0.0;
    for &key in &keys {
        match scores.lookup(key)? {
            Some(ValueRef::Float(score)) => sum += score,
            other => return Err(format!("{other:?} of {key}").into()),
        }
    }
    let time = per_lookup(start);
    let expected: f64 = (0..LOOKUPS).map(|n| score(number(round, n, points))).sum();
    if black_box(sum) == expected { Ok(time) } else { Err(format!("{sum} instead of {expected}").into()) }
}

fn dependent(scores: &Dimension<'_>, points: u64, round: u64) -> Outcome<f64> {
    let start = Instant::now();
    let mut n = number(round, 0, points);
    for step in 0..LOOKUPS {
        match scores.lookup(scatter(n))? {
            Some(ValueRef::Float(score)) => n = number(score as u64, step, points),
            other => return Err(format!("{other:?} of point {n}").into()),
        }
    }
    black_box(n);
    Ok(per_lookup(start))
}

fn missing(scores: &Dimension<'_>, points: u64, round: u64) -> Outcome<f64> {
    let keys: Vec<u64> = (0..LOOKUPS).map(|n| scatter(points + number(round, n, points))).collect();
    let start = Instant::now();
    for &key in &keys {
        if scores.lookup(key)?.is_some() {
            return Err(format!("{key} was found").into());
        }
    }
    Ok(per_lookup(start))
}
