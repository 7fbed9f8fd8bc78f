//! What reading nested values costs: borrowed, decoded, and from the cache of decoded values; the measurement behind the default of
//! `Options::value_cache`.
//!
//! `cargo bench --bench nested`. Takes about a minute.

use std::error::Error;
use std::hint::black_box;
use std::time::Instant;
use vector_datalib::{BulkLoader, Options, Value, ValueBuf, VectorDb};

const POINTS: u64 = 4000;
const LOOKUPS: usize = 20_000;
/// Measurements of which the middle one counts.
const ROUNDS: usize = 3;

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let n = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let n = (n ^ (n >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        n ^ (n >> 31)
    }

    fn fraction(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// An order: a map with so many lines, each a map of four.
fn order(n: u64, lines: u64) -> Value {
    let line = |line: u64| {
        Value::Map(vec![
            ("article".into(), format!("article {}", (n * 31 + line) % 9973).into()),
            ("count".into(), (line % 7 + 1).into()),
            ("price".into(), (n as f64 / 7.0).into()),
            ("gift".into(), false.into()),
        ])
    };
    Value::Map(vec![("order".into(), n.into()), ("lines".into(), Value::Array((0..lines).map(line).collect()))])
}

/// Keys with a probability of about 1 / rank: the cumulated weights, searched.
fn zipfian(random: &mut Random) -> Vec<u64> {
    let mut sum = 0.0;
    let weights: Vec<f64> = (1..=POINTS)
        .map(|rank| {
            sum += 1.0 / rank as f64;
            sum
        })
        .collect();
    (0..LOOKUPS).map(|_| weights.partition_point(|&weight| weight < random.fraction() * sum) as u64).collect()
}

/// Nanoseconds a lookup.
fn measure(keys: &[u64], read: impl Fn(u64)) -> f64 {
    let mut rounds: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            keys.iter().for_each(|&key| read(key));
            start.elapsed().as_nanos() as f64 / keys.len() as f64
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    rounds[ROUNDS / 2]
}

fn main() -> Result<(), Box<dyn Error>> {
    if !std::env::args().any(|argument| argument == "--bench") {
        println!("run it with `cargo bench --bench nested`");
        return Ok(());
    }
    let dir = tempfile::tempdir()?;
    println!("ns a lookup of a nested value among {POINTS}; the cache holds about a tenth, or all");
    println!("| lines | bytes | keys | borrowed | decoded | cache of a tenth | hits | cache of all | hits |");
    println!("|---|---|---|---|---|---|---|---|---|");
    for lines in [0, 1, 10, 100] {
        let path = dir.path().join(format!("{lines}.vdb"));
        let mut loader = BulkLoader::create(&path)?;
        for n in 0..POINTS {
            loader.push(n, [("order", &ValueBuf::try_from(order(n, lines))?)])?;
        }
        loader.finish()?;
        let len = ValueBuf::try_from(order(1, lines))?;
        let len = len.as_ref().as_map().map_or(0, |nested| nested.as_bytes().len());
        // What an entry takes, from one that is alone.
        let probe = Options::new().value_cache(1 << 20).open_read_only(&path)?;
        probe.lookup_shared(1, "order")?;
        let entry = probe.stats()?.value_cache_bytes as usize;
        let mut random = Random(1);
        let uniform: Vec<u64> = (0..LOOKUPS).map(|_| random.next() % POINTS).collect();
        for (name, keys) in [("uniform", &uniform), ("zipfian", &zipfian(&mut random))] {
            let snapshot = VectorDb::open_read_only(&path)?.snapshot();
            let dimension = snapshot.dimension("order").ok_or("the dimension is there")?;
            let borrowed = measure(keys, |key| {
                black_box(dimension.lookup(key).unwrap());
            });
            let mut figures = Vec::new();
            for share in [0, POINTS as usize / 10, POINTS as usize * 5 / 4] {
                let db = Options::new().value_cache(entry * share).open_read_only(&path)?;
                let time = measure(keys, |key| {
                    black_box(db.lookup_shared(key, "order").unwrap());
                });
                let stats = db.stats()?;
                let reads = stats.value_cache_hits + stats.value_cache_misses;
                figures.push((time, 100 * stats.value_cache_hits / reads.max(1)));
            }
            let [(decoded, _), (tenth, tenth_hits), (all, all_hits)] = figures[..] else { return Err("three".into()) };
            println!(
                "| {lines} | {len} | {name} | {borrowed:.0} | {decoded:.0} | {tenth:.0} | {tenth_hits} % | {all:.0} | {all_hits} % |"
            );
        }
    }
    Ok(())
}
