//! How many instructions hot paths take, counted by callgrind and compared with what is recorded: a guard that does not depend on how busy
//! the machine is.
//!
//! `cargo bench --bench instructions [-- PART...]` prints the counts beside those in `benches/instructions.txt`, and ends with exit code 1
//! when one of them is more than [`TOLERANCE`] above. `-- --record` writes that file. Needs valgrind.
//!
//! Each count is the mean over the operations of one run, on a database of [`POINTS`] points. The loop around them, which makes up keys, is
//! counted, too. Counts belong to a version of the compiler; a few in a hundred more or less come from the hash, whose seed is random.

mod points;

use points::{Outcome, load, scatter};
use std::collections::BTreeMap;
use std::hint::black_box;
use std::path::Path;
use std::process::{Command, ExitCode};
use vector_datalib::{
    BulkLoader, CompactOptions, Dimension, Durability, Layout, Options, Slot, Snapshot, ValueRef, VectorDb, attrs,
};

const POINTS: u64 = 20_000;
/// How much more than recorded is too much.
const TOLERANCE: f64 = 0.08;
const RECORD: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/instructions.txt");

fn main() -> Outcome<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match &*arguments.iter().map(String::as_str).collect::<Vec<_>>() {
        ["prepare", dir] => prepare(Path::new(dir)).map(|()| ExitCode::SUCCESS),
        ["run", path, dir] => run(path, Path::new(dir)).map(|()| ExitCode::SUCCESS),
        arguments if arguments.contains(&"--bench") => compare(arguments),
        _ => {
            println!("run it with `cargo bench --bench instructions`");
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn compare(arguments: &[&str]) -> Outcome<ExitCode> {
    let parts: Vec<&&str> = arguments.iter().filter(|argument| !argument.starts_with('-')).collect();
    let is_recording = arguments.contains(&"--record");
    let mut recorded: BTreeMap<String, u64> = std::fs::read_to_string(RECORD)
        .unwrap_or_default()
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.rsplit_once(' ').and_then(|(path, count)| Some((path.to_owned(), count.parse().ok()?))))
        .collect();
    let dir = tempfile::tempdir()?;
    prepare(dir.path())?;
    let (mut too_many, mut fewer) = (0, 0);
    for &(path, operations, _) in PATHS {
        if !parts.is_empty() && !parts.iter().any(|part| path.contains(**part)) {
            continue;
        }
        let count = (instructions(path, dir.path())? as f64 / operations as f64).round() as u64;
        let verdict = match recorded.insert(path.to_owned(), count) {
            None => "not recorded".to_owned(),
            Some(before) => {
                let change = count as f64 / before.max(1) as f64 - 1.0;
                too_many += usize::from(change > TOLERANCE);
                fewer += usize::from(change < -TOLERANCE);
                format!("{:+.1} % of {before}{}", change * 100.0, if change > TOLERANCE { "  TOO MANY" } else { "" })
            }
        };
        println!("{path:32} {count:8}   {verdict}");
    }
    if is_recording {
        let rows: String = recorded.iter().map(|(path, count)| format!("{path} {count}\n")).collect();
        std::fs::write(RECORD, format!("# Instructions for each operation: benches/instructions.rs\n{rows}"))?;
        return Ok(ExitCode::SUCCESS);
    }
    if fewer > 0 {
        println!("{fewer} paths take fewer than recorded; `cargo bench --bench instructions -- --record` keeps it so");
    }
    Ok(if too_many == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What callgrind counts within [`measured`].
fn instructions(path: &str, dir: &Path) -> Outcome<u64> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null", "--toggle-collect=*measured*"])
        .arg(std::env::current_exe()?)
        .args(["run", path])
        .arg(dir)
        .output()
        .map_err(|error| format!("valgrind, which counts instructions, does not run: {error}"))?;
    let text = String::from_utf8_lossy(&output.stderr);
    let count = text.lines().find_map(|line| line.split_once("Collected :")?.1.trim().parse().ok());
    match count {
        Some(count) if output.status.success() && count > 0 => Ok(count),
        _ => Err(format!("{path} was not counted: {text}").into()),
    }
}

/// Calls what is counted.
#[inline(never)]
fn measured(work: &mut dyn FnMut() -> Outcome<u64>) -> Outcome<()> {
    black_box(work()?);
    Ok(())
}

fn options() -> Options {
    Options::new().auto_checkpoint(None).durability(Durability::Eventual)
}

/// The databases: as loaded, frozen, with text keys, and with changes in a patch and in the overlay.
fn prepare(dir: &Path) -> Outcome<()> {
    let mut text = BulkLoader::create(dir.join("text"))?;
    for n in 0..POINTS {
        text.push(&*text_key(n), [("score", points::score(n))])?;
    }
    text.finish()?;
    for name in ["loaded", "frozen", "changed"].map(str::to_owned).into_iter().chain((0..SEEDS).map(seeded)) {
        load(&dir.join(name), POINTS)?;
    }
    VectorDb::open(dir.join("frozen"))?.compact(&CompactOptions::new().layout(Layout::Frozen))?;
    let changed = options().open(dir.join("changed"))?;
    for half in 0..2 {
        for n in 0..POINTS / 200 {
            changed.upsert(key(n * 2 + half), attrs! { "score" => n as f64 })?;
        }
        if half == 0 {
            changed.save()?;
        }
    }
    Ok(())
}

fn key(n: u64) -> u64 {
    scatter(scatter(n + 1) % POINTS)
}

fn text_key(n: u64) -> String {
    format!("user{:016x}", scatter(n))
}

/// The name of a path, operations that are counted, and how they are made.
type PathSpec = (&'static str, u64, fn(&Path) -> Outcome<()>);

const LOOKUPS: u64 = 100_000;
/// Databases with a hash of their own in which missing keys are looked up: how many of them lead past a bucket depends on it.
const SEEDS: u64 = 8;

fn seeded(number: u64) -> String {
    format!("seeded-{number}")
}

const PATHS: &[PathSpec] = &[
    ("lookup float", LOOKUPS, |dir| lookups(&dir.join("loaded"), "score", key)),
    ("lookup text", LOOKUPS, |dir| lookups(&dir.join("loaded"), "name", key)),
    ("lookup dictionary text", LOOKUPS, |dir| lookups(&dir.join("loaded"), "city", key)),
    ("lookup dictionary integer", LOOKUPS, |dir| lookups(&dir.join("loaded"), "age", key)),
    ("lookup missing", LOOKUPS * SEEDS, |dir| {
        (0..SEEDS).try_for_each(|n| lookups(&dir.join(seeded(n)), "score", |n| key(n) ^ 1 << 63))
    }),
    ("lookup frozen", LOOKUPS, |dir| lookups(&dir.join("frozen"), "score", key)),
    ("lookup over changes", LOOKUPS, |dir| lookups(&dir.join("changed"), "score", key)),
    ("lookup by name", LOOKUPS, |dir| {
        over(&dir.join("loaded"), |snapshot| each(|n| Ok(digest(snapshot.lookup(key(n), "score")?))))
    }),
    ("lookup text key", LOOKUPS, |dir| {
        let keys: Vec<String> = (0..POINTS).map(text_key).collect();
        over(&dir.join("text"), |snapshot| {
            let score = dimension(snapshot, "score")?;
            each(|n| Ok(digest(score.lookup(&*keys[(key(n) % POINTS) as usize])?)))
        })
    }),
    ("batched lookup float", LOOKUPS, |dir| batches(&dir.join("loaded"), "score")),
    ("batched lookup text", LOOKUPS, |dir| batches(&dir.join("loaded"), "name")),
    ("batched lookup frozen", LOOKUPS, |dir| batches(&dir.join("frozen"), "score")),
    ("batched lookup over changes", LOOKUPS, |dir| batches(&dir.join("changed"), "score")),
    ("slot", LOOKUPS, |dir| {
        over(&dir.join("loaded"), |snapshot| {
            let axis = snapshot.axis();
            each(|n| Ok(axis.slot(key(n))?.map_or(0, |slot| slot.0.into())))
        })
    }),
    ("get", LOOKUPS, |dir| {
        over(&dir.join("loaded"), |snapshot| {
            let score = dimension(snapshot, "score")?;
            each(|n| Ok(digest(score.get(Slot((key(n) % POINTS) as u32))?)))
        })
    }),
    ("batched get", LOOKUPS, |dir| {
        over(&dir.join("loaded"), |snapshot| {
            let score = dimension(snapshot, "score")?;
            let (mut sum, mut values) = (0u64, Vec::new());
            for batch in 0..LOOKUPS / 1000 {
                values.clear();
                let slots = (0..1000).map(|n| Slot((key(batch * 1000 + n) % POINTS) as u32));
                score.batch_get(slots, &mut values)?;
                sum = values.iter().fold(sum, |sum, value| sum.wrapping_add(digest(*value)));
            }
            Ok(sum)
        })
    }),
    ("point", LOOKUPS, |dir| {
        over(&dir.join("loaded"), |snapshot| {
            each(|n| Ok(snapshot.point(key(n))?.map_or(0, |point| point.attributes().len() as u64)))
        })
    }),
    ("snapshot", LOOKUPS, |dir| {
        let db = VectorDb::open_read_only(dir.join("loaded"))?;
        measured(&mut || (0..LOOKUPS).try_fold(0, |sum, _| Ok(sum + db.snapshot().len())))
    }),
    ("sum of 1000 values", POINTS / 1000 * 50, |dir| {
        over(&dir.join("loaded"), |snapshot| {
            let score = dimension(snapshot, "score")?;
            (0..50)
                .try_fold(0, |sum, _| Ok(sum ^ score.sum()?.and_then(|sum| sum.to_f64()).unwrap_or_default().to_bits()))
        })
    }),
    ("upsert", 20_000, |dir| {
        let copy = dir.join("upsert");
        load(&copy, POINTS)?;
        let db = options().open(copy)?;
        let record = |n: u64| attrs! { "age" => n % 100, "name" => "somebody else", "score" => n as f64 };
        measured(&mut || (0..20_000).try_fold(0, |sum, n| Ok(sum + u64::from(db.upsert(key(n), record(n))?.0))))
    }),
    ("upsert in batches of 1000", 20_000, |dir| {
        let copy = dir.join("batch");
        load(&copy, POINTS)?;
        let db = options().open(copy)?;
        let record = |n: u64| attrs! { "age" => n % 100, "name" => "somebody else", "score" => n as f64 };
        measured(&mut || {
            (0..20).try_fold(0, |sum, batch| {
                db.batch_upsert((batch * 1000..(batch + 1) * 1000).map(|n| (key(n), record(n))))?;
                Ok(sum)
            })
        })
    }),
    ("bulk load", POINTS, |dir| {
        measured(&mut || {
            let mut loader = BulkLoader::create(dir.join("bulk"))?.threads(1);
            for n in 0..POINTS {
                loader.push(
                    scatter(n),
                    attrs! { "age" => n % 100, "name" => format!("name {n}"), "score" => n as f64 },
                )?;
            }
            Ok(loader.finish()?.points)
        })
    }),
];

fn run(path: &str, dir: &Path) -> Outcome<()> {
    let found = PATHS.iter().find(|(name, _, _)| *name == path).ok_or("no such path")?;
    found.2(dir)
}

fn dimension<'s>(snapshot: &'s Snapshot, name: &str) -> Outcome<Dimension<'s>> {
    Ok(snapshot.dimension(name).ok_or("a dimension that is not there")?)
}

fn digest(value: Option<ValueRef<'_>>) -> u64 {
    match value {
        Some(ValueRef::Text(text)) => text.len() as u64,
        Some(ValueRef::Float(float)) => float.to_bits(),
        Some(ValueRef::Int(int)) => int as u64,
        _ => 0,
    }
}

fn each(lookup: impl Fn(u64) -> Outcome<u64>) -> Outcome<u64> {
    (0..LOOKUPS).try_fold(0u64, |sum, n| Ok(sum.wrapping_add(lookup(n)?)))
}

/// Does the same twice, and counts the second time: the first verifies blocks.
fn over(path: &Path, work: impl Fn(&Snapshot) -> Outcome<u64>) -> Outcome<()> {
    let db = options().open_read_only(path)?;
    let snapshot = db.snapshot();
    work(&snapshot)?;
    measured(&mut || work(&snapshot))
}

fn lookups(path: &Path, name: &str, key: fn(u64) -> u64) -> Outcome<()> {
    let db = options().open_read_only(path)?;
    let snapshot = db.snapshot();
    let dimension = dimension(&snapshot, name)?;
    // All that is there, so that all blocks have been verified.
    for n in 0..POINTS {
        dimension.lookup(scatter(n))?;
    }
    measured(&mut || each(|n| Ok(digest(dimension.lookup(key(n))?))))
}

fn batches(path: &Path, name: &str) -> Outcome<()> {
    over(path, |snapshot| {
        let dimension = dimension(snapshot, name)?;
        let (mut sum, mut values) = (0u64, Vec::new());
        for batch in 0..LOOKUPS / 1000 {
            values.clear();
            dimension.batch_lookup((0..1000).map(|n| key(batch * 1000 + n)), &mut values)?;
            sum = values.iter().fold(sum, |sum, value| sum.wrapping_add(digest(*value)));
        }
        Ok(sum)
    })
}
