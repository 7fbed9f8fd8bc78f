//! What changes cost: checkpoints after few changes, lookups where part of the cells is in overlay and patches, a long churn,
//! a thousand sparse dimensions.
//!
//! `cargo bench --bench checkpoints [-- PART...]`, parts: `checkpoint`, `lookups`, `churn`, `sparse`; all without one. Needs 4 GB of memory
//! and 3 GB of disk. `VECTOR_BENCH_DIR` is where the large database goes (and stays), `VECTOR_BENCH_POINTS` the number of its points.
//!
//! Bytes written are those that the process hands to the system (`wchar` of `/proc/self/io`): log, files and manifest, zeros that
//! allocate a log included.

mod points;

use points::{Outcome, attributes, cities, load, name, scatter};
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use vector_datalib::{BulkLoader, CompactOptions, Durability, Options, Value, ValueRef, VectorDb};

const POINTS: u64 = 10_000_000;

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if !arguments.iter().any(|argument| argument == "--bench") {
        println!("run it with `cargo bench --bench checkpoints`");
        return Ok(());
    }
    let parts: Vec<&str> = arguments.iter().map(String::as_str).filter(|part| !part.starts_with('-')).collect();
    let wanted = |part| parts.is_empty() || parts.contains(&part);
    let temporary = tempfile::tempdir()?;
    let dir = std::env::var_os("VECTOR_BENCH_DIR").map_or(temporary.path().to_owned(), PathBuf::from);
    let points = std::env::var("VECTOR_BENCH_POINTS").map_or(Ok(POINTS), |points| points.parse())?;
    let bench = Bench { dir, points, cities: cities() };
    if wanted("checkpoint") {
        bench.checkpoint()?;
    }
    if wanted("lookups") {
        bench.lookups()?;
    }
    if wanted("churn") {
        bench.churn()?;
    }
    if wanted("sparse") {
        bench.sparse()?;
    }
    Ok(())
}

struct Bench {
    dir: PathBuf,
    points: u64,
    cities: Vec<String>,
}

/// Bytes that this process has handed to the system for writing.
fn written() -> Outcome<u64> {
    let io = std::fs::read_to_string("/proc/self/io")?;
    let line = io.lines().find_map(|line| line.strip_prefix("wchar: ")).ok_or("no wchar in /proc/self/io")?;
    Ok(line.parse()?)
}

fn size(dir: &Path) -> Outcome<u64> {
    let mut sum = 0;
    for entry in std::fs::read_dir(dir)? {
        // A file may go while the list is read.
        sum += entry?.metadata().map_or(0, |metadata| metadata.len());
    }
    Ok(sum)
}

fn median<T: Copy + Ord>(mut values: Vec<T>) -> T {
    values.sort_unstable();
    values[values.len() / 2]
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// The time of making a small write durable.
fn fsync_time(dir: &Path) -> Outcome<Duration> {
    let file = tempfile::NamedTempFile::new_in(dir)?;
    let mut times = Vec::new();
    for round in 0..15u8 {
        std::fs::write(file.path(), [round; 4096])?;
        let start = Instant::now();
        file.as_file().sync_data()?;
        times.push(start.elapsed());
    }
    Ok(median(times))
}

impl Bench {
    /// A copy of the large database, which may be changed.
    fn copy(&self, name: &str) -> Outcome<PathBuf> {
        let original = self.dir.join(format!("points-{}.vdb", self.points));
        load(&original, self.points)?;
        let copy = self.dir.join(name);
        let _there_or_not = std::fs::remove_dir_all(&copy);
        std::fs::create_dir_all(&copy)?;
        for entry in std::fs::read_dir(original)? {
            let entry = entry?;
            std::fs::copy(entry.path(), copy.join(entry.file_name()))?;
        }
        Ok(copy)
    }

    fn upsert(&self, db: &VectorDb, key: u64, number: u64) -> Outcome<u64> {
        let name = name(number);
        let attributes = attributes(scatter(number), number, &self.cities, &name);
        let mut owned = Vec::with_capacity(4);
        for (name, value) in attributes {
            owned.push((name, value.to_value()?));
        }
        let len = |value: &Value| value.as_str().map_or(8, str::len) as u64;
        let bytes = 8 + owned.iter().map(|(_, value)| len(value)).sum::<u64>();
        db.upsert(key, owned)?;
        Ok(bytes)
    }

    /// Checkpoints after 1,000 random upserts.
    fn checkpoint(&self) -> Outcome<()> {
        const UPSERTS: u64 = 1000;
        let path = self.copy("checkpoint.vdb")?;
        let db = Options::new().durability(Durability::Eventual).open(&path)?;
        println!("\ncheckpoint after {UPSERTS} random upserts into {} points", self.points);
        println!("{:>12} {:>10} {:>10} {:>12}", "bytes", "ms", "fsync ms", "fsyncs' time");
        let (mut rows, mut merges) = (Vec::new(), Vec::new());
        for round in 0..31u64 {
            for n in 0..UPSERTS {
                let number = scatter(round * UPSERTS + n);
                self.upsert(&db, scatter(number % self.points), number)?;
            }
            let fsync = fsync_time(&self.dir)?;
            let before = written()?;
            let start = Instant::now();
            db.save()?;
            let time = start.elapsed();
            let bytes = written()? - before;
            let fsync = (fsync + fsync_time(&self.dir)?) / 2;
            println!(
                "{bytes:>12} {:>10.2} {:>10.3} {:>12.1}   {} patches",
                milliseconds(time),
                milliseconds(fsync),
                time.as_secs_f64() / fsync.as_secs_f64(),
                db.stats()?.patches
            );
            rows.push((bytes, time.as_nanos() * 10 / fsync.as_nanos()));
            // With the eighth patch a merge has started.
            if db.stats()?.patches >= 8 {
                while db.stats()?.patches >= 8 {
                    std::thread::sleep(Duration::from_micros(200));
                }
                merges.push((start.elapsed() - time, written()? - before - bytes, fsync));
            }
        }
        let bytes = median(rows.iter().map(|row| row.0).collect());
        let most = rows.iter().map(|row| row.0).max().unwrap_or(0);
        let fsyncs = median(rows.iter().map(|row| row.1).collect());
        println!(
            "median {bytes} bytes (most {most}; limit {}), {}.{} times an fsync (limit 50)",
            1_000_000 + 100 * UPSERTS,
            fsyncs / 10,
            fsyncs % 10
        );
        for (time, bytes, fsync) in merges {
            let times = time.as_secs_f64() / fsync.as_secs_f64();
            println!("merged beside it: {bytes} bytes, {:.1} ms, {times:.1} times an fsync", milliseconds(time));
        }
        drop(db);
        std::fs::remove_dir_all(path)?;
        Ok(())
    }

    /// Lookups with parts of the cells in overlay and patches.
    fn lookups(&self) -> Outcome<()> {
        let mut states = Vec::new();
        for percent in [0, 1, 10] {
            let path = self.copy(&format!("lookups-{percent}.vdb"))?;
            let options = Options::new().durability(Durability::Eventual).auto_checkpoint(None).merge_fraction(1e9);
            let db = options.open(&path)?;
            if percent == 0 {
                db.compact(&CompactOptions::new())?;
            }
            // Half of them in two patches, half in the overlay.
            let changes = self.points * percent / 100;
            for n in 0..changes {
                let number = scatter(n ^ 0xABCD);
                self.upsert(&db, scatter(number % self.points), number)?;
                if n == changes / 4 || n == changes / 2 {
                    db.save()?;
                }
            }
            states.push((percent, path, db));
        }
        println!("\nindependent lookups of random keys, {} points, ns (times the compacted)", self.points);
        println!("{:<28} {:>10} {:>16} {:>16}", "", "compacted", "1 % changed", "10 % changed");
        let keys: Vec<u64> = (0..1_000_000).map(|n| scatter(scatter(n ^ 0xC3C3) % self.points)).collect();
        for (what, dimension, flip) in
            [("score", "score", 0), ("city", "city", 0), ("name", "name", 0), ("a key that is not there", "score", 1)]
        {
            let snapshots: Vec<_> = states.iter().map(|(_, _, db)| db.snapshot()).collect();
            let dimensions: Vec<_> = snapshots.iter().filter_map(|snapshot| snapshot.dimension(dimension)).collect();
            let mut times = vec![Vec::new(); dimensions.len()];
            for round in 0..6 {
                for (dimension, times) in dimensions.iter().zip(&mut times) {
                    let start = Instant::now();
                    for &key in &keys {
                        if let Ok(Some(ValueRef::Text(text))) = black_box(dimension.lookup(key ^ flip)) {
                            black_box(text.as_bytes().first());
                        }
                    }
                    if round > 0 {
                        times.push(start.elapsed().as_nanos() as u64 / 1000);
                    }
                }
            }
            let medians: Vec<f64> = times.into_iter().map(|times| median(times) as f64 / 1e3).collect();
            let row: Vec<String> =
                medians.iter().skip(1).map(|time| format!("{time:.0} ({:.2})", time / medians[0])).collect();
            println!("{what:<28} {:>10.0} {:>16} {:>16}", medians[0], row[0], row[1]);
        }
        for (_, path, db) in states {
            drop(db);
            std::fs::remove_dir_all(path)?;
        }
        Ok(())
    }

    /// Updates, deletions and insertions, half as many as there are points.
    fn churn(&self) -> Outcome<()> {
        let path = self.copy("churn.vdb")?;
        let db = Options::new().durability(Durability::Eventual).open(&path)?;
        let operations = self.points / 2;
        let compacted = size(&path)?;
        let (mut logical, mut most) = (0, 0);
        let mut times = Vec::with_capacity(operations as usize);
        let before = written()?;
        let start = Instant::now();
        for n in 0..operations {
            let number = scatter(n ^ 0x7777);
            let key = scatter((number >> 8) % self.points);
            let begin = Instant::now();
            match number % 10 {
                0 => {
                    db.delete(key)?;
                    logical += 8;
                }
                // A key that is not there, and takes the slot of one that was deleted.
                1 => logical += self.upsert(&db, key ^ 1, number)?,
                _ => logical += self.upsert(&db, key, number)?,
            }
            times.push(begin.elapsed().as_nanos() as u64);
            if n % 20_000 == 0 {
                most = most.max(size(&path)?);
            }
        }
        let elapsed = start.elapsed();
        db.save()?;
        let amplification = (written()? - before) as f64 / logical as f64;
        let stats = db.stats()?;
        times.sort_unstable();
        let quantile = |part: f64| times[((times.len() - 1) as f64 * part) as usize] as f64 / 1e3;
        println!(
            "\nchurn: {operations} updates (80 %), deletions and insertions (10 % each) over {} points",
            self.points
        );
        println!("{:<44} {:>12.1}", "seconds", elapsed.as_secs_f64());
        println!("{:<44} {:>12.0}", "operations a second", operations as f64 / elapsed.as_secs_f64());
        println!("{:<44} {:>12}", "bytes of keys and values given", logical);
        println!("{:<44} {:>12.2}", "write amplification (limit 10)", amplification);
        println!("{:<44} {:>12}", "checkpoints", stats.generation);
        println!("{:<44} {:>12}", "patches at the end", stats.patches);
        db.compact(&CompactOptions::new())?;
        let after = size(&path)?;
        println!("{:<44} {:>12}", "bytes, compacted before", compacted);
        println!("{:<44} {:>12}", "bytes, compacted after", after);
        println!("{:<44} {:>12}", "most bytes meanwhile", most);
        println!("{:<44} {:>12.2}", "times the compacted size (limit 2.5)", most as f64 / after as f64);
        for (what, part) in [("median, µs", 0.5), ("p99, µs", 0.99), ("p99.9, µs", 0.999), ("longest wait, µs", 1.0)]
        {
            println!("{what:<44} {:>12.1}", quantile(part));
        }
        drop(db);
        std::fs::remove_dir_all(path)?;
        Ok(())
    }

    /// A thousand dimensions, five to a point.
    fn sparse(&self) -> Outcome<()> {
        const DIMENSIONS: u64 = 1000;
        const EACH: u64 = 5;
        let points = (self.points / 10).max(1000);
        let path = self.dir.join("sparse.vdb");
        let _there_or_not = std::fs::remove_dir_all(&path);
        let names: Vec<String> = (0..DIMENSIONS).map(|n| format!("dimension {n}")).collect();
        let mut loader = BulkLoader::create(&path)?;
        for n in 0..points {
            let at = |offset| scatter(n * EACH + offset) % DIMENSIONS;
            let values =
                (0..EACH).map(|offset| (&*names[at(offset) as usize], ValueRef::Int(scatter(n ^ offset).into())));
            loader.push(scatter(n), values)?;
        }
        loader.finish()?;
        let start = Instant::now();
        let db = VectorDb::open(&path)?;
        let open = start.elapsed();
        let stats = db.stats()?;
        let cells: u64 = stats.dimension_details.iter().map(|details| details.points).sum();
        let columns: u64 = stats.dimension_details.iter().map(|details| details.bytes).sum();
        let mut point_times = Vec::new();
        for n in 0..10_000 {
            let start = Instant::now();
            black_box(db.point(scatter(scatter(n) % points))?);
            point_times.push(start.elapsed());
        }
        for n in 0..1000 {
            db.upsert(scatter(scatter(n) % points), [(&*names[(scatter(n) % DIMENSIONS) as usize], n)])?;
        }
        let before = written()?;
        let start = Instant::now();
        db.save()?;
        let save = start.elapsed();
        println!("\n{DIMENSIONS} dimensions over {points} points, {EACH} to a point");
        println!("{:<44} {:>12}", "cells", cells);
        println!(
            "{:<44} {:>12.2}",
            "bytes of columns / (8 a cell + 2 a slot number)",
            columns as f64 / (cells * 10) as f64
        );
        println!("{:<44} {:>12.2}", "open, ms", milliseconds(open));
        println!("{:<44} {:>12.2}", "point(), µs (median)", milliseconds(median(point_times)) * 1e3);
        println!("{:<44} {:>12.2}", "checkpoint of 1,000 changed cells, ms", milliseconds(save));
        println!("{:<44} {:>12}", "its bytes", written()? - before);
        drop(db);
        std::fs::remove_dir_all(path)?;
        Ok(())
    }
}
