//! Export to the canonical `.db` file, and import from it.
//!
//! `scripts/canonical-memory.sh` runs it in a control group with a hard limit of memory, page cache included. By itself:
//! `cargo bench --bench canonical -- export DIRECTORY [COUNT] [MIB]` exports a database of so many points (1,000,000) with four
//! attributes and the keys 1, 2, 3 and so on; then one in which 1,000 points were changed since it was compacted, so that value ids cannot
//! be known from its column files. Both are made in DIRECTORY, unless they are there from last time, as by `load` in place of `export`. `import`
//! imports the files that `files` has made of them. MIB is the memory budget in MiB (256).

// Each benchmark takes from these records what it needs.
#[allow(dead_code)]
mod points;

use points::{Outcome, attributes, cities, name, scatter};
use std::path::{Path, PathBuf};
use std::time::Instant;
use vector_datalib::{BulkLoader, Import, Options, attrs};

/// How often a file is written; the fastest counts.
const ROUND_COUNT: usize = 3;
/// The databases.
const WHATS: [&str; 2] = ["compacted", "changed"];
/// Points that are changed.
const CHANGED_COUNT: u64 = 1000;

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let number = |index: usize, default: u64| arguments.get(index).map_or(Ok(default), |text| text.parse());
    let (Some(command), Some(directory)) = (arguments.first(), arguments.get(1)) else {
        println!("run it with `scripts/canonical-memory.sh`");
        return Ok(());
    };
    let databases = Databases { directory: directory.into(), count: number(2, 1_000_000)?, budget: number(3, 256)? };
    match command.as_str() {
        "load" => databases.load(),
        "files" => databases.files(),
        "export" => databases.export(),
        "import" => databases.import(),
        "seconds" => databases.seconds(),
        other => Err(format!("there is no {other:?}").into()),
    }
}

/// Where everything is.
struct Databases {
    directory: PathBuf,
    count: u64,
    /// In MiB.
    budget: u64,
}

impl Databases {
    fn path(&self, what: &str) -> PathBuf {
        self.directory.join(format!("{what}-{}.vdb", self.count))
    }

    /// Makes them unless they are there from last time.
    fn load(&self) -> Outcome<()> {
        let (compacted, changed) = (self.path("compacted"), self.path("changed"));
        if changed.exists() {
            return Ok(());
        }
        for path in [&compacted, &changed] {
            let cities = cities();
            let mut loader = BulkLoader::create(path)?;
            for n in 1..=self.count {
                let name = name(n);
                loader.push(n, attributes(scatter(n ^ 0x5A5A), n, &cities, &name))?;
            }
            loader.finish()?;
        }
        let db = Options::new().merge_fraction(1e9).open(&changed)?;
        let step = (self.count / CHANGED_COUNT).max(1) as usize;
        let records = (1..=self.count).step_by(step);
        db.batch_upsert(records.map(|n| {
            (n, attrs! { "age" => n % 100, "city" => "Elsewhere", "name" => name(n / 2), "score" => (n % 7) as f64 })
        }))?;
        db.save()?;
        Ok(db.close()?)
    }

    fn file(&self, what: &str) -> PathBuf {
        self.directory.join(format!("{what}-{}.db", self.count))
    }

    fn budget(&self) -> usize {
        (self.budget as usize) << 20
    }

    /// Exports them all once.
    fn files(&self) -> Outcome<()> {
        self.load()?;
        WHATS.iter().try_for_each(|what| self.export_one(what).map(|_| ()))
    }

    /// Exports one; returns the seconds it took.
    fn export_one(&self, what: &str) -> Outcome<f64> {
        let db = Options::new().memory_budget(self.budget()).open_read_only(self.path(what))?;
        let start = Instant::now();
        db.export(self.file(what))?;
        Ok(start.elapsed().as_secs_f64())
    }

    /// Imports one into a database that is removed again; returns the seconds it took.
    fn import_one(&self, what: &str) -> Outcome<f64> {
        let target = self.directory.join("imported.vdb");
        let start = Instant::now();
        let report = Import::new().memory_budget(self.budget()).run(self.file(what), &target)?;
        let seconds = start.elapsed().as_secs_f64();
        assert_eq!((report.points, report.cells), (self.count, 4 * self.count));
        assert!(report.repairs.is_empty(), "{:?}", report.repairs);
        std::fs::remove_dir_all(target)?;
        Ok(seconds)
    }

    fn export(&self) -> Outcome<()> {
        self.load()?;
        self.measure("export", Self::export_one)
    }

    fn import(&self) -> Outcome<()> {
        self.measure("import", Self::import_one)
    }

    fn measure(&self, name: &str, run: fn(&Self, &str) -> Outcome<f64>) -> Outcome<()> {
        for what in WHATS {
            let mut fastest = f64::INFINITY;
            for _ in 0..ROUND_COUNT {
                fastest = fastest.min(run(self, what)?);
            }
            self.print(&format!("{name}, {what}"), fastest, &self.file(what))?;
        }
        Ok(())
    }

    /// Seconds of one export and one import, for `scripts/original-speed.sh`.
    fn seconds(&self) -> Outcome<()> {
        let [what, _] = WHATS;
        println!("{:.3} {:.3}", self.export_one(what)?, self.import_one(what)?);
        Ok(())
    }

    fn print(&self, what: &str, seconds: f64, file: &Path) -> Outcome<()> {
        let (len, rate, peak) = (file.metadata()?.len() as f64, self.count as f64 / seconds, peak_memory()? >> 20);
        println!(
            "{what:<20} {seconds:>6.2} s {rate:>10.0} points/s   a file of {:.1} MB   resident at most {peak} MiB",
            len / 1e6
        );
        Ok(())
    }
}

/// Bytes that the process had in memory at most, of its own and of mapped files.
fn peak_memory() -> Outcome<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no VmHWM")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? << 10)
}
