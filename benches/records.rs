//! What reading a record costs: `point_as` of a struct of four fields against `point`, which asks every dimension.
//!
//! `cargo bench --bench records`. Needs 1 GB of memory and 200 MB of disk; takes about a minute. One database has 1,000,000 points of
//! four attributes, the other 20,000 points of four attributes among 1,000 dimensions of which each point has 20 more. Keys are text and
//! asked for in random order; each figure is the median of rounds, everything in memory.

use serde::Deserialize;
use std::error::Error;
use std::hint::black_box;
use std::path::Path;
use std::time::Instant;
use vector_datalib::{BulkLoader, PointRef, Snapshot, ValueRef, VectorDb};

type Outcome<T> = Result<T, Box<dyn Error>>;

const POINTS: u64 = 1_000_000;
const WIDE_POINTS: u64 = 20_000;
const WIDE_DIMENSIONS: u64 = 1_000;
const OTHERS: u64 = 20;
const LOOKUPS: u64 = 200_000;
const WIDE_LOOKUPS: u64 = 5_000;
const ROUNDS: usize = 5;

#[derive(Deserialize)]
struct Lent<'s> {
    name: &'s str,
    age: u8,
    city: &'s str,
    score: f64,
}

#[derive(Deserialize)]
struct Owned {
    name: String,
    age: u8,
    city: String,
    score: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Exact<'s> {
    name: &'s str,
    age: u8,
    city: &'s str,
    score: f64,
}

fn main() -> Outcome<()> {
    if !std::env::args().any(|argument| argument == "--bench") {
        println!("run it with `cargo bench --bench records`");
        return Ok(());
    }
    let dir = tempfile::tempdir()?;
    measure(&dir.path().join("large.vdb"), POINTS, 0, LOOKUPS)?;
    measure(&dir.path().join("wide.vdb"), WIDE_POINTS, WIDE_DIMENSIONS - 4, WIDE_LOOKUPS)
}

/// Scatters numbers over all 64-bit integers.
const fn scatter(n: u64) -> u64 {
    let n = (n ^ (n >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let n = (n ^ (n >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    n ^ (n >> 31)
}

fn key(n: u64) -> String {
    format!("person {}", scatter(n))
}

fn load(path: &Path, points: u64, others: u64) -> Outcome<VectorDb> {
    let mut loader = BulkLoader::create(path)?;
    let names: Vec<String> = (0..others).map(|n| format!("dimension {n}")).collect();
    for n in 0..points {
        let (name, city) = (format!("Name {}", scatter(n ^ 1)), format!("City {}", scatter(n) % 500));
        let score = scatter(n ^ 2) as f64 / 1e9;
        let mut attributes: Vec<(&str, ValueRef<'_>)> =
            vec![("name", (&name).into()), ("age", (n % 90).into()), ("city", (&city).into()), ("score", score.into())];
        let more = if others > 0 { OTHERS } else { 0 };
        attributes.extend((0..more).map(|m| (&*names[(scatter(n * OTHERS + m) % others) as usize], m.into())));
        loader.push(&key(n), attributes)?;
    }
    loader.finish()?;
    Ok(VectorDb::open(path)?)
}

fn measure(path: &Path, points: u64, others: u64, lookups: u64) -> Outcome<()> {
    let db = load(path, points, others)?;
    let snapshot = db.snapshot();
    let keys: Vec<String> = (0..lookups).map(|n| key(scatter(n ^ 77) % points)).collect();
    println!("{points} points, {} dimensions, ns a point:", snapshot.dimensions().count());
    timed("four lookups by dimension handle", &keys, |key| four_lookups(&snapshot, key))?;
    timed("point_as, borrowed", &keys, |key| {
        let found: Lent<'_> = snapshot.point_as(key)?.ok_or("it is there")?;
        Ok(found.name.len() as u64 + u64::from(found.age) + found.city.len() as u64 + found.score as u64)
    })?;
    timed("point_as, owned", &keys, |key| {
        let found: Owned = snapshot.point_as(key)?.ok_or("it is there")?;
        Ok(found.name.len() as u64 + u64::from(found.age) + found.city.len() as u64 + found.score as u64)
    })?;
    if others == 0 {
        timed("point_as, deny_unknown_fields", &keys, |key| {
            let found: Exact<'_> = snapshot.point_as(key)?.ok_or("it is there")?;
            Ok(found.name.len() as u64 + u64::from(found.age) + found.city.len() as u64 + found.score as u64)
        })?;
    }
    timed("point", &keys, |key| Ok(snapshot.point(key)?.ok_or("it is there")?.attributes().len() as u64))?;
    let age = |found: Lent<'_>| u64::from(found.age);
    scanned("iter_as, borrowed", points, || snapshot.iter_as().map(|item| Ok(age(item?.1))).sum())?;
    let deserialized = |point: vector_datalib::Result<PointRef<'_>>| Ok(age(point?.deserialize()?));
    scanned("iter, and deserialize of each", points, || snapshot.iter().map(deserialized).sum())?;
    Ok(())
}

fn four_lookups(snapshot: &Snapshot, key: &String) -> Outcome<u64> {
    let mut found = 0;
    for name in ["name", "age", "city", "score"] {
        let dimension = snapshot.dimension(name).ok_or("it was used")?;
        found += u64::from(dimension.lookup(key)?.is_some());
    }
    Ok(found)
}

fn timed(what: &str, keys: &[String], read: impl Fn(&String) -> Outcome<u64>) -> Outcome<()> {
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let start = Instant::now();
        for key in keys {
            black_box(read(key)?);
        }
        rounds.push(start.elapsed().as_nanos() as f64 / keys.len() as f64);
    }
    rounds.sort_by(f64::total_cmp);
    println!("  {:>8.0}  {what}", rounds[ROUNDS / 2]);
    Ok(())
}

fn scanned(what: &str, points: u64, read: impl Fn() -> vector_datalib::Result<u64>) -> Outcome<()> {
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let start = Instant::now();
        black_box(read()?);
        rounds.push(start.elapsed().as_nanos() as f64 / points as f64);
    }
    rounds.sort_by(f64::total_cmp);
    println!("  {:>8.0}  {what}", rounds[ROUNDS / 2]);
    Ok(())
}
