//! The records that benchmarks use: random integer keys, and four attributes of different kinds.

use std::error::Error;
use std::path::Path;
use std::time::Instant;
use vector_datalib::{BulkLoader, ValueRef};

pub(crate) type Outcome<T> = Result<T, Box<dyn Error>>;

const FIRST_NAMES: [&str; 8] = ["Ada", "Bo", "Chloe", "Dimitri", "Esperanza", "Fu", "Giovanni", "Hildegard"];
const LAST_NAMES: [&str; 8] = ["Abe", "Bergström", "Cohen", "Dubois", "Eriksen", "Fischer", "García", "Hoang"];

/// Scatters numbers over all 64-bit integers, each to one of its own.
pub(crate) const fn scatter(n: u64) -> u64 {
    let n = (n ^ (n >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let n = (n ^ (n >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    n ^ (n >> 31)
}

pub(crate) fn name(n: u64) -> String {
    let number = scatter(n ^ 0xA5A5);
    let pick = |names: &[&'static str; 8], at: u64| names[(at % 8) as usize];
    format!("{} {} {}", pick(&FIRST_NAMES, number), pick(&LAST_NAMES, number >> 3), n)
}

pub(crate) fn score(n: u64) -> f64 {
    scatter(n) as f64 / 1e6
}

pub(crate) fn cities() -> Vec<String> {
    (0..1000).map(|n| format!("City of {}", scatter(n))).collect()
}

/// A record: 100 ages, 1,000 cities, names and scores that are mostly distinct.
pub(crate) fn attributes<'a>(
    number: u64,
    n: u64,
    cities: &'a [String],
    name: &'a str,
) -> [(&'static str, ValueRef<'a>); 4] {
    [
        ("age", ValueRef::Int((number % 100).into())),
        ("city", ValueRef::Text(&cities[(number >> 8) as usize % cities.len()])),
        ("name", ValueRef::Text(name)),
        ("score", ValueRef::Float(score(n))),
    ]
}

/// Makes a database unless it is there from last time.
pub(crate) fn load(path: &Path, points: u64) -> Outcome<()> {
    if path.exists() {
        return Ok(());
    }
    let cities = cities();
    let start = Instant::now();
    let mut loader = BulkLoader::create(path)?;
    for n in 0..points {
        let number = scatter(n ^ 0x5A5A);
        let name = name(n);
        loader.push(scatter(n), attributes(number, n, &cities, &name))?;
    }
    loader.finish()?;
    let seconds = start.elapsed().as_secs_f64();
    println!("loaded {points} points in {seconds:.1} s, {:.0} a second", points as f64 / seconds);
    Ok(())
}
