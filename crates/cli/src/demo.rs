//! `vdb demo`: the tour. Each step is shown as the Rust call it makes, with what came back and how long it took.
//!
//! It is for a person to read, so there is no form of it in JSON.
//!
//! The data is a real table of airports, which the binary carries (see `sample/README.md`).

use crate::arguments::Demo;
use crate::csv_import::CsvOptions;
use crate::exit::{Exit, Failure, Outcome};
use crate::glyphs::{self, Glyphs};
use crate::inference::ColumnType;
use crate::json;
use crate::output::{Output, count_of, duration};
use crate::records::Records;
use crate::stats;
use indicatif::{HumanBytes, HumanCount};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use vector_datalib::{BulkLoader, CompactOptions, Slot, Stats, Value, VectorDb, attrs};

/// 1,458 airports.
const SAMPLE: &[u8] = include_bytes!("../sample/airports.csv");
const DATABASE: &str = "airports.vdb";
const CANONICAL: &str = "airports.db";
/// Columns before each line of a result.
const INDENT: usize = 7;
/// How many lookups one step makes, to time one of them.
const LOOKUP_COUNT: u32 = 100_000;

/// Runs the command.
pub(crate) fn run(arguments: &Demo, output: &Output) -> Outcome {
    if output.is_json_asked_for() {
        return Err(Failure::usage("demo shows its steps as text and has no --json; leave it out"));
    }
    let temporary;
    let dir = match &arguments.dir {
        Some(dir) => {
            fs::create_dir_all(dir).map_err(|error| Failure::file(dir, &error))?;
            dir.as_path()
        }
        None => {
            temporary = tempfile::tempdir().map_err(|error| Failure::file(&std::env::temp_dir(), &error))?;
            temporary.path()
        }
    };
    let mut tour = Tour { output, dir, steps: 0 };
    tour.head()?;
    tour.load()?;
    let db = tour.read()?;
    tour.write(&db)?;
    tour.maintain(&db)?;
    tour.step("Close it", "db.close()?;", || db.close(), |()| String::from("the log is sealed, the lock is free"))?;
    tour.reopen()?;
    match &arguments.dir {
        Some(dir) => tour.print(&format!(
            "\nThe files are in {}; try: vdb stats {}",
            dir.display(),
            dir.join(DATABASE).display()
        ))?,
        None => tour.print("\nThe files were temporary. To keep them, name a directory: vdb demo DIR")?,
    }
    Ok(Exit::Done)
}

/// The tour so far.
struct Tour<'t> {
    output: &'t Output,
    dir: &'t Path,
    steps: u32,
}

impl Tour<'_> {
    /// Prints unless nothing but errors is wanted.
    fn print(&self, text: &str) -> Outcome<()> {
        if self.output.is_quiet() { Ok(()) } else { self.output.print(text) }
    }

    fn head(&self) -> Outcome<()> {
        self.print(&format!(
            "{}\n{}",
            self.bold("VECTOR: an N-dimensional coordinate database"),
            "Unique keys on a central axis; each dimension maps a key's coordinate to a value. Not a similarity search."
        ))
    }

    fn database(&self) -> PathBuf {
        self.dir.join(DATABASE)
    }

    fn bold(&self, text: &str) -> String {
        if self.output.is_colourful() { format!("\x1b[1m{text}\x1b[0m") } else { text.to_owned() }
    }

    fn faint(&self, text: &str) -> String {
        if self.output.is_colourful() { format!("\x1b[2m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// Makes a call, times it, and shows all about it.
    fn step<T, E>(
        &mut self,
        title: &str,
        call: &str,
        run: impl FnOnce() -> Result<T, E>,
        show: impl FnOnce(&T) -> String,
    ) -> Outcome<T>
    where
        Failure: From<E>,
    {
        let started = Instant::now();
        let result = run();
        let elapsed = started.elapsed();
        let result = result?;
        self.show(title, call, &show(&result), elapsed)?;
        Ok(result)
    }

    fn show(&mut self, title: &str, call: &str, result: &str, elapsed: Duration) -> Outcome<()> {
        self.steps += 1;
        let mut text = format!("\n{}\n", self.bold(&format!("{:2}. {title}", self.steps)));
        for line in call.lines() {
            text.push_str(&format!("    {line}\n"));
        }
        for (index, line) in result.lines().enumerate() {
            let arrow = if index == 0 { "=>" } else { "  " };
            text.push_str(&format!("    {arrow} {line}\n"));
        }
        text.push_str(&format!("    {}", self.faint(&format!("took {}", duration(elapsed)))));
        self.print(&text)
    }

    fn load(&mut self) -> Outcome<()> {
        // A few positions have a digit more than their floats need.
        let float = ["lat", "lon"].map(str::to_owned).to_vec();
        let options = CsvOptions { key: Some("faa".to_owned()), null: vec!["NA".to_owned()], text: vec![], float };
        let path = self.database();
        let load = || -> Outcome<(u64, String)> {
            let schema = options.infer(Records::new("airports.csv", SAMPLE)?, || Ok(()))?;
            let mut loader = BulkLoader::create(&path)?;
            schema.load(Records::new("airports.csv", SAMPLE)?, &mut loader, || Ok(()))?;
            let columns = schema
                .dimensions()
                .map(|(name, column_type)| format!("{name} {}", column_type.map_or("", ColumnType::name)));
            Ok((loader.finish()?.points, columns.collect::<Vec<_>>().join(", ")))
        };
        self.step(
            "Load a table of airports; nothing declares a schema",
            "let mut loader = BulkLoader::create(\"airports.vdb\")?;\nfor (code, attributes) in airports { loader.push(code, attributes)?; }\nloader.finish()?;",
            load,
            |(points, columns)| format!("{} points\ndimensions: {columns}", HumanCount(*points)),
        )?;
        Ok(())
    }

    fn read(&mut self) -> Outcome<VectorDb> {
        let path = self.database();
        let db = self.step(
            "Open it: files are mapped, only their headers are read",
            "let db = VectorDb::open(\"airports.vdb\")?;",
            || VectorDb::open(&path),
            |db| format!("{} points, {} dimensions", HumanCount(db.len()), db.dimensions().len()),
        )?;
        self.step(
            "Look up one attribute of one point",
            "db.lookup(\"JFK\", \"name\")?",
            || db.lookup("JFK", "name"),
            optional,
        )?;
        self.step(
            "Read a whole point",
            "db.point(\"JFK\")?",
            || db.point("JFK"),
            |point| match point {
                Some(point) => format!("coordinate {}: {}", point.coordinate(), attributes(point.attributes())),
                None => "None".to_owned(),
            },
        )?;
        self.step("Ask for what is not there", "db.lookup(\"XXX\", \"name\")?", || db.lookup("XXX", "name"), optional)?;

        let snapshot = db.snapshot();
        let keys =
            snapshot.iter().map(|point| point.map(|point| point.key().to_key())).collect::<Result<Vec<_>, _>>()?;
        let started = Instant::now();
        let altitude =
            snapshot.dimension("alt").ok_or_else(|| Failure::other("the sample has no dimension \"alt\""))?;
        let mut found = 0u32;
        for key in keys.iter().cycle().take(LOOKUP_COUNT as usize) {
            found += u32::from(altitude.lookup(key)?.is_some());
        }
        let elapsed = started.elapsed();
        self.show(
            "Look up many: no lock, no allocation, values borrowed from the file",
            "let snapshot = db.snapshot();\nlet altitude = snapshot.dimension(\"alt\").unwrap();\nfor key in &keys { altitude.lookup(key)?; }",
            &format!("{} found, {} each", HumanCount(found.into()), duration(elapsed / LOOKUP_COUNT)),
            elapsed,
        )?;
        self.step(
            "Walk through all points in the order of their coordinates",
            "snapshot.iter().filter(|point| altitude above 7,000 feet)",
            || -> Outcome<Vec<String>> {
                let mut high = Vec::new();
                for point in snapshot.iter() {
                    let point = point?;
                    let feet = altitude.get(point.coordinate())?.and_then(|value| value.as_i64());
                    if feet.is_some_and(|feet| feet > 7000) {
                        high.push(text(&point.key().to_value()));
                    }
                }
                Ok(high)
            },
            |high| {
                format!(
                    "{} airports: {} ...",
                    high.len(),
                    high.iter().take(6).map(String::as_str).collect::<Vec<_>>().join(", ")
                )
            },
        )?;
        Ok(db)
    }

    fn write(&mut self, db: &VectorDb) -> Outcome<()> {
        let before = self.step(
            "Keep this moment",
            "let before = db.snapshot();",
            || Ok::<_, Failure>(db.snapshot()),
            |snapshot| format!("sequence {}, {} points", snapshot.sequence(), HumanCount(snapshot.len())),
        )?;
        let coordinate = |slot: &Slot| format!("coordinate {slot}");
        self.step(
            "Update a point: attributes that are not named keep their values; on disk when the call returns",
            "db.upsert(\"JFK\", attrs! { \"alt\" => 14 })?;",
            || db.upsert("JFK", attrs! { "alt" => 14 }),
            coordinate,
        )?;
        self.step(
            "Insert a point with a dimension that did not exist",
            "db.upsert(\"VDB\", attrs! { \"name\" => \"Vector Field\", \"alt\" => -3, \"gates\" => 2 })?;",
            || db.upsert("VDB", attrs! { "name" => "Vector Field", "alt" => -3, "gates" => 2 }),
            coordinate,
        )?;
        self.step(
            "Delete a point: its coordinate is free",
            "db.delete(\"LGA\")?;",
            || db.delete("LGA"),
            bool::to_string,
        )?;
        self.step(
            "The next new key takes the lowest free coordinate",
            "db.upsert(\"ZZZ\", attrs! { \"name\" => \"New Field\" })?;",
            || db.upsert("ZZZ", attrs! { "name" => "New Field" }),
            coordinate,
        )?;
        self.step(
            "The earlier moment has not changed",
            "[db.lookup(\"JFK\", \"alt\")?, db.lookup(\"LGA\", \"name\")?]\n[before.lookup(\"JFK\", \"alt\")?, before.lookup(\"LGA\", \"name\")?]",
            || -> Outcome<_> {
                let now = [db.lookup("JFK", "alt")?, db.lookup("LGA", "name")?];
                let mut then = [None, None];
                for (value, (key, dimension)) in then.iter_mut().zip([("JFK", "alt"), ("LGA", "name")]) {
                    *value = before.lookup(key, dimension)?.map(|value| value.to_value()).transpose()?;
                }
                Ok([now, then])
            },
            |moments| moments.each_ref().map(|values| format!("[{}]", values.each_ref().map(optional).join(", "))).join("\n"),
        )?;
        Ok(())
    }

    fn maintain(&mut self, db: &VectorDb) -> Outcome<()> {
        let size = |db: &VectorDb| db.stats().map(|stats| HumanBytes(stats.file_size_bytes).to_string());
        self.step(
            "Checkpoint: what changed moves from the log into a file",
            "db.save()?;",
            || db.save().and_then(|()| size(db)),
            |size| format!("{size} on disk"),
        )?;
        self.step(
            "Compact: one base again, as small and fast as it gets",
            "db.compact(&CompactOptions::new())?;",
            || db.compact(&CompactOptions::new()).and_then(|()| size(db)),
            |size| format!("{size} on disk"),
        )?;
        let canonical = self.dir.join(CANONICAL);
        self.step(
            "Export a canonical file, which the Python package vector_datalib reads too",
            "db.export(\"airports.db\")?;",
            || -> Outcome<u64> {
                db.export(&canonical)?;
                fs::metadata(&canonical)
                    .map(|metadata| metadata.len())
                    .map_err(|error| Failure::file(&canonical, &error))
            },
            |len| HumanBytes(*len).to_string(),
        )?;
        Ok(())
    }

    fn reopen(&mut self) -> Outcome<()> {
        let path = self.database();
        let db = self.step(
            "Open it again, read-only: any number of processes can",
            "let db = VectorDb::open_read_only(\"airports.vdb\")?;",
            || VectorDb::open_read_only(&path),
            |db| format!("{} points", HumanCount(db.len())),
        )?;
        self.step("What was written is there", "db.lookup(\"VDB\", \"name\")?", || db.lookup("VDB", "name"), optional)?;
        self.step(
            "Read every byte and check it",
            "db.verify()?",
            || db.verify(),
            |report| {
                let found = if report.is_sound() {
                    "sound".to_owned()
                } else {
                    count_of(report.problems.len() as u64, "problem")
                };
                format!("{found}: {}, {}", count_of(report.files, "data file"), HumanBytes(report.bytes))
            },
        )?;
        let width = glyphs::terminal_width().saturating_sub(INDENT);
        let tables = |found: &Stats| stats::stats_tables(found, &Glyphs::choose(false), width);
        self.step("Describe it", "db.stats()?", || db.stats(), tables)?;
        Ok(())
    }
}

fn text(value: &Value) -> String {
    let mut out = String::new();
    json::write_value(value, &mut out);
    out
}

fn optional(value: &Option<Value>) -> String {
    value.as_ref().map_or_else(|| "None".to_owned(), |value| format!("Some({})", text(value)))
}

fn attributes(attributes: &[(String, Value)]) -> String {
    let mut out = String::new();
    json::write_map(attributes.iter().map(|(name, value)| (name.as_str(), value)), &mut out);
    out
}
