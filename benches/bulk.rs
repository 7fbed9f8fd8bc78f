//! Loading in bulk and compaction within a memory budget.
//!
//! `scripts/bulk-memory.sh` runs it in a control group with a hard limit of memory, page cache included. By itself:
//! `cargo bench --bench bulk -- points PATH [COUNT] [MIB]` loads so many points (10,000,000) of four attributes in random key order into
//! a database at PATH, compacts it, and looks some of them up; `strings` in place of `points` loads points (43,000,000) with a key and
//! one string each, all distinct. MIB is the memory budget in MiB (256).
//!
//! `cargo bench --bench bulk -- speed PATH [COUNT] [MIB] [sorted]` makes so many records (10,000,000) with keys that are not consecutive,
//! a name of 12 to 24 bytes, most of which come more than once, an age, a city and a score, and then takes the time of loading them, in
//! random key order or sorted, and of compacting the result.

use std::error::Error;
use std::path::Path;
use std::time::Instant;
use vector_datalib::{BulkLoader, CompactOptions, Options, Value, ValueRef};

type Outcome<T> = Result<T, Box<dyn Error>>;

const FIRST_NAMES: [&str; 8] = ["Ada", "Bo", "Chloe", "Dimitri", "Esperanza", "Fu", "Giovanni", "Hildegard"];
const LAST_NAMES: [&str; 8] = ["Abe", "Bergström", "Cohen", "Dubois", "Eriksen", "Fischer", "García", "Hoang"];

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let number = |index: usize, default: u64| arguments.get(index).map_or(Ok(default), |text| text.parse());
    match (arguments.first().map(String::as_str), arguments.get(1)) {
        (Some("points"), Some(path)) => measure(path, number(2, 10_000_000)?, number(3, 256)?, true),
        (Some("strings"), Some(path)) => measure(path, number(2, 43_000_000)?, number(3, 256)?, false),
        (Some("speed"), Some(path)) => {
            let is_sorted = arguments.get(4).is_some_and(|order| order == "sorted");
            measure_speed(Path::new(path), number(2, 10_000_000)?, number(3, 256)?, is_sorted)
        }
        _ => {
            println!("run it with `scripts/bulk-memory.sh`");
            Ok(())
        }
    }
}

/// Scatters numbers over all 64-bit integers, each to one of its own.
const fn scatter(n: u64) -> u64 {
    let n = (n ^ (n >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let n = (n ^ (n >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    n ^ (n >> 31)
}

fn name(n: u64) -> String {
    let number = scatter(n ^ 0xA5A5);
    let pick = |names: &[&'static str; 8], at: u64| names[(at % 8) as usize];
    format!("{} {} {n}", pick(&FIRST_NAMES, number), pick(&LAST_NAMES, number >> 3))
}

/// Bytes that the process had in memory at most, of its own and of mapped files.
fn peak_memory() -> Outcome<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no VmHWM")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? << 10)
}

/// Seconds that all threads of the process ran, in the kernel too.
fn processor_time() -> Outcome<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    // The 14th and 15th field, behind a name that may have spaces, in hundredths of a second.
    let fields = stat.rsplit(") ").next().ok_or("no fields")?.split(' ').skip(11).take(2);
    Ok(fields.map(str::parse::<f64>).sum::<Result<f64, _>>()? / 100.0)
}

fn print(what: &str, count: u64, start: Instant) -> Outcome<()> {
    let seconds = start.elapsed().as_secs_f64();
    let (rate, peak, busy) = (count as f64 / seconds, peak_memory()? >> 20, processor_time()?);
    println!(
        "{what:<22} {seconds:>8.2} s {rate:>12.0} points/s   resident at most {peak} MiB   in all {busy:.2} s busy"
    );
    Ok(())
}

fn measure(path: &str, count: u64, mebibytes: u64, is_points: bool) -> Outcome<()> {
    let (path, budget) = (Path::new(path), (mebibytes as usize) << 20);
    let cities: Vec<String> = (0..1000).map(|n| format!("City of {}", scatter(n))).collect();
    let start = Instant::now();
    let mut loader = BulkLoader::create(path)?.memory_budget(budget);
    for n in 0..count {
        let name = name(n);
        if is_points {
            let number = scatter(n ^ 0x5A5A);
            let attributes = [
                ("age", ValueRef::Int((number % 100).into())),
                ("city", ValueRef::Text(&cities[(number >> 8) as usize % cities.len()])),
                ("name", ValueRef::Text(&name)),
                ("score", ValueRef::Float(scatter(n) as f64 / 1e6)),
            ];
            loader.push(scatter(n), attributes)?;
        } else {
            loader.push(scatter(n), [("name", ValueRef::Text(&name))])?;
        }
    }
    print("records taken", count, start)?;
    let report = loader.finish()?;
    print("load", count, start)?;
    if (report.points, report.merged) != (count, 0) {
        return Err(format!("{report:?} of {count} records").into());
    }

    let start = Instant::now();
    let db = Options::new().memory_budget(budget).open(path)?;
    db.compact(&CompactOptions::default())?;
    print("compaction", count, start)?;
    for n in (0..count).step_by((count / 1000).max(1) as usize) {
        if db.lookup(scatter(n), "name")? != Some(Value::from(name(n))) {
            return Err(format!("point {n} is not what was loaded").into());
        }
    }
    // What the column file says; counting them again would take as much memory as there are names.
    let stats = db.stats()?;
    let names = stats.dimension_details.iter().find(|details| details.name == "name").ok_or("no names")?;
    if (names.distinct_values, names.distinct_exact) != (count, true) {
        return Err(format!("{} distinct names", names.distinct_values).into());
    }
    db.close()?;
    Ok(())
}

/// Records that are in memory, in order, before the clock starts.
struct Records {
    keys: Vec<u64>,
    /// The names of all, one behind the other, and where each ends.
    names: String,
    name_ends: Vec<usize>,
    cities: Vec<String>,
}

impl Records {
    fn new(count: u64, is_sorted: bool) -> Self {
        let mut keys: Vec<u64> = (0..count).map(scatter).collect();
        if is_sorted {
            keys.sort_unstable();
        }
        let (mut names, mut name_ends) = (String::new(), Vec::new());
        for n in 0..count {
            let bits = scatter((scatter(n ^ 0xA5A5) % (count / 2).max(1)) ^ 0xC3C3);
            let name = format!("{bits:016x}{:016x}", scatter(bits));
            names.push_str(&name[..12 + (bits % 13) as usize]);
            name_ends.push(names.len());
        }
        let cities = (0..1000).map(|n| format!("City of {}", scatter(n) % 100_000)).collect();
        Self { keys, names, name_ends, cities }
    }

    fn load(&self, path: &Path, budget: usize) -> Outcome<()> {
        let mut loader = BulkLoader::create(path)?.memory_budget(budget);
        let start = Instant::now();
        print("records made", self.keys.len() as u64, start)?;
        let mut name_start = 0;
        for (n, (&key, &name_end)) in self.keys.iter().zip(&self.name_ends).enumerate() {
            let number = scatter(n as u64 ^ 0x5A5A);
            let attributes = [
                ("age", ValueRef::Int((number % 100).into())),
                ("city", ValueRef::Text(&self.cities[(number >> 8) as usize % self.cities.len()])),
                ("name", ValueRef::Text(&self.names[name_start..name_end])),
                ("score", ValueRef::Float(number as f64 / 1e6)),
            ];
            loader.push(key, attributes)?;
            name_start = name_end;
        }
        print("records taken", self.keys.len() as u64, start)?;
        let report = loader.finish()?;
        print("load", self.keys.len() as u64, start)?;
        if report.merged != 0 { Err(format!("{report:?}").into()) } else { Ok(()) }
    }
}

fn measure_speed(path: &Path, count: u64, mebibytes: u64, is_sorted: bool) -> Outcome<()> {
    let budget = (mebibytes as usize) << 20;
    Records::new(count, is_sorted).load(path, budget)?;
    let db = Options::new().memory_budget(budget).open(path)?;
    let start = Instant::now();
    db.compact(&CompactOptions::default())?;
    print("compaction", count, start)?;
    Ok(db.close()?)
}
