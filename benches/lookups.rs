//! What a lookup costs, by kind of attribute and kind of loop, beside a map and vectors in memory.
//!
//! `cargo bench --bench lookups [-- PART...]`. Needs 4 GB of memory and 1 GB of disk. `VECTOR_BENCH_DIR` is where the database goes (and
//! stays), `VECTOR_BENCH_POINTS` the number of its points.
//!
//! *Independent* lookups do not wait for each other, *dependent* ones take their key from the last answer, *batched* ones come 64 at a
//! time. Each figure is the median of rounds in which all kinds take their turn.

mod points;

use points::{Outcome, load, scatter};
use std::hint::black_box;
use std::path::PathBuf;
use vector_datalib::{Dimension, Snapshot, ValueRef, VectorDb};

const POINTS: u64 = 10_000_000;
const LOOKUPS: u64 = 1_000_000;
const ROUNDS: usize = 5;

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if !arguments.iter().any(|argument| argument == "--bench") {
        println!("run it with `cargo bench --bench lookups`");
        return Ok(());
    }
    let parts: Vec<&str> = arguments.iter().map(String::as_str).filter(|part| !part.starts_with('-')).collect();
    let temporary = tempfile::tempdir()?;
    let dir = std::env::var_os("VECTOR_BENCH_DIR").map_or(temporary.path().to_owned(), PathBuf::from);
    let points = std::env::var("VECTOR_BENCH_POINTS").map_or(Ok(POINTS), |points| points.parse())?;
    let path = dir.join(format!("points-{points}.vdb"));
    load(&path, points)?;
    let db = VectorDb::open_read_only(&path)?;
    let snapshot = db.snapshot();
    let memory = Memory::new(&snapshot)?;
    let bench = Bench { points, snapshot: &snapshot, memory: &memory };
    let kinds: Vec<Kind> = bench
        .kinds()
        .into_iter()
        .filter(|(name, _)| parts.is_empty() || parts.iter().any(|part| name.contains(part)))
        .collect();
    let mut times = vec![Vec::new(); kinds.len()];
    for _ in 0..=ROUNDS {
        for ((_, run), times) in kinds.iter().zip(&mut times) {
            let start = busy()?;
            let sum = run(&bench)?;
            times.push((busy()? - start) as f64 / LOOKUPS as f64);
            black_box(sum);
        }
    }
    for ((name, _), times) in kinds.iter().zip(&mut times) {
        // The first round touches the pages.
        times.remove(0);
        times.sort_by(f64::total_cmp);
        println!("{name:32} {:7.1} ns   ({:.1} to {:.1})", times[times.len() / 2], times[0], times[times.len() - 1]);
    }
    Ok(())
}

/// Nanoseconds that this thread has spent on a processor, so that what else runs there does not count.
fn busy() -> Outcome<u64> {
    let statistics = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    Ok(statistics.split(' ').next().ok_or("an empty schedstat")?.parse()?)
}

/// The same records in a map and vectors.
struct Memory {
    places: hashbrown::HashMap<u64, u32>,
    scores: Vec<f64>,
    names: String,
    ends: Vec<u32>,
}

impl Memory {
    fn new(snapshot: &Snapshot) -> Outcome<Self> {
        let mut memory = Self {
            places: hashbrown::HashMap::with_capacity(snapshot.len() as usize),
            scores: Vec::new(),
            names: String::new(),
            ends: Vec::new(),
        };
        let (name, score) = (dimension(snapshot, "name")?, dimension(snapshot, "score")?);
        for slot in 0..snapshot.slot_count() as u32 {
            let slot = vector_datalib::Slot(slot);
            let key = match snapshot.key(slot)?.ok_or("a free slot")?.value() {
                ValueRef::Int(key) => key as u64,
                _ => return Err("a key that is no integer".into()),
            };
            memory.places.insert(key, slot.0);
            memory.scores.push(score.get(slot)?.and_then(|value| value.as_f64()).ok_or("no score")?);
            memory.names.push_str(name.get(slot)?.and_then(|value| value.as_str()).ok_or("no name")?);
            memory.ends.push(memory.names.len() as u32);
        }
        Ok(memory)
    }

    fn name(&self, key: u64) -> Option<&str> {
        let place = *self.places.get(&key)? as usize;
        let start = if place == 0 { 0 } else { self.ends[place - 1] };
        self.names.get(start as usize..self.ends[place] as usize)
    }

    fn score(&self, key: u64) -> Option<f64> {
        self.scores.get(*self.places.get(&key)? as usize).copied()
    }
}

fn dimension<'s>(snapshot: &'s Snapshot, name: &str) -> Outcome<Dimension<'s>> {
    Ok(snapshot.dimension(name).ok_or("a dimension that is not there")?)
}

struct Bench<'s> {
    points: u64,
    snapshot: &'s Snapshot,
    memory: &'s Memory,
}

type Kind = (&'static str, fn(&Bench<'_>) -> Outcome<u64>);

/// What a loop keeps of a value.
fn digest(value: ValueRef<'_>) -> u64 {
    match value {
        ValueRef::Text(text) => text_digest(text),
        ValueRef::Float(float) => float.to_bits(),
        ValueRef::Int(int) => int as u64,
        _ => 0,
    }
}

fn text_digest(text: &str) -> u64 {
    text.as_bytes().first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes)).wrapping_add(text.len() as u64)
}

impl Bench<'_> {
    fn kinds(&self) -> Vec<Kind> {
        vec![
            ("memory score independent", |bench| bench.independent(|key| bench.memory.score(key).map(f64::to_bits))),
            ("score independent", |bench| bench.lookups("score", 0)),
            ("memory name independent", |bench| bench.independent(|key| bench.memory.name(key).map(text_digest))),
            ("name independent", |bench| bench.lookups("name", 0)),
            ("city independent", |bench| bench.lookups("city", 0)),
            ("memory missing", |bench| {
                bench.independent(|key| Some(bench.memory.score(key ^ 1 << 63).map_or(1, f64::to_bits)))
            }),
            ("score batched", |bench| bench.batched("score", 0)),
            ("name batched", |bench| bench.batched("name", 0)),
            ("city batched", |bench| bench.batched("city", 0)),
            ("missing batched", |bench| bench.batched("score", 1 << 63)),
            ("score missing", |bench| bench.lookups("score", 1 << 63)),
            ("memory score dependent", |bench| bench.dependent(|key| bench.memory.score(key).map(f64::to_bits))),
            ("score dependent", |bench| bench.dependent_lookups("score")),
            ("memory name dependent", |bench| bench.dependent(|key| bench.memory.name(key).map(text_digest))),
            ("name dependent", |bench| bench.dependent_lookups("name")),
        ]
    }

    fn independent(&self, lookup: impl Fn(u64) -> Option<u64>) -> Outcome<u64> {
        let mut sum = 0u64;
        for n in 0..LOOKUPS {
            let key = scatter(scatter(n + 1) % self.points);
            sum = sum.wrapping_add(lookup(key).ok_or("no answer")?);
        }
        Ok(sum)
    }

    fn dependent(&self, lookup: impl Fn(u64) -> Option<u64>) -> Outcome<u64> {
        let mut last = 0u64;
        for n in 0..LOOKUPS {
            let key = scatter(scatter(last ^ (n + 1)) % self.points);
            last = lookup(key).ok_or("no answer")?;
        }
        Ok(last)
    }

    fn lookups(&self, name: &str, other: u64) -> Outcome<u64> {
        let dimension = dimension(self.snapshot, name)?;
        let mut sum = 0u64;
        for n in 0..LOOKUPS {
            let key = scatter(scatter(n + 1) % self.points) ^ other;
            sum = sum.wrapping_add(dimension.lookup(key)?.map_or(1, digest));
        }
        Ok(sum)
    }

    fn batched(&self, name: &str, other: u64) -> Outcome<u64> {
        let dimension = dimension(self.snapshot, name)?;
        let (mut sum, mut values) = (0u64, Vec::new());
        for group in 0..LOOKUPS / 64 {
            values.clear();
            let keys = (0..64).map(|n| scatter(scatter(group * 64 + n + 1) % self.points) ^ other);
            dimension.batch_lookup(keys, &mut values)?;
            for value in &values {
                sum = sum.wrapping_add(value.map_or(1, digest));
            }
        }
        Ok(sum)
    }

    fn dependent_lookups(&self, name: &str) -> Outcome<u64> {
        let dimension = dimension(self.snapshot, name)?;
        let mut last = 0u64;
        for n in 0..LOOKUPS {
            let key = scatter(scatter(last ^ (n + 1)) % self.points);
            last = dimension.lookup(key)?.map_or(1, digest);
        }
        Ok(last)
    }
}
