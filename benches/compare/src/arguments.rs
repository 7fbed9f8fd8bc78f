//! The command line.

use crate::engine::Outcome;
use crate::engines::{ENGINES, python};
use crate::workloads::{WORKLOADS, Workload};
use lexopt::{Arg, Parser, ValueExt};
use std::path::PathBuf;
use std::str::FromStr;

/// What `--help` prints.
pub(crate) const HELP: &str =
    "Compares vector-datalib with other embedded engines, each measurement in a process of its own.

Usage: compare [--records LIST] [--engines LIST] [--workloads LIST] [--json FILE]

  --records LIST    records of the database, or of several, one after the other; 1000000 unless told otherwise
  --engines LIST    names with commas between them; all unless told otherwise
  --workloads LIST  names, or groups of them, with commas between them; all but those that are marked in --list
  --runs N          processes for each figure, of which the median is taken; 5
  --lookups N       lookups of a process; 1000000
  --seconds S       how long sustained writes go on; 60
  --json FILE       writes the figures there, an array of objects, and machine.json beside it
  --plot FILE       draws the figures of such a file, as an SVG beside it for each group, and measures nothing:
                    bars, or curves over the numbers of records if there are several. Given again, figures of
                    other files are drawn with those of the first
  --one-by-one      engines do not take turns: each does all workloads, and its databases are removed before the next
  --dir DIR         where databases go; compare-data beside cargo's target files
  --python FILE     a Python that has what python/requirements.txt says; that of python/venv unless told otherwise
  --keep            leaves the databases there, and uses those that are there
  --list            prints engines and workloads
  --help            prints this

The table goes to stdout, progress to stderr.";

/// What a process that measures is told, too.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    /// Records of the database.
    pub(crate) records: u64,
    /// Lookups of a process.
    pub(crate) lookups: u64,
    /// How long sustained writes go on.
    pub(crate) seconds: f64,
    /// The Python that has the engines for it.
    pub(crate) python: PathBuf,
    /// The directory of all databases.
    pub(crate) dir: PathBuf,
}

/// What to do.
#[derive(Debug)]
pub(crate) enum Command {
    /// Print the help.
    Help,
    /// Print the names of engines and workloads.
    List,
    /// Draw the figures of files, beside the first one.
    Plot(Vec<PathBuf>),
    /// Measure everything and report.
    Compare(Plan),
    /// Measure one engine at one workload, in this process, which another one started.
    Measure {
        /// The engine.
        engine: String,
        /// The workload.
        workload: &'static Workload,
        /// The rest.
        setting: Setting,
    },
}

/// What to measure.
#[derive(Debug)]
pub(crate) struct Plan {
    /// The same for every process, but for the records.
    pub(crate) setting: Setting,
    /// Records of the databases, one size after the other.
    pub(crate) records: Vec<u64>,
    /// Names of engines.
    pub(crate) engines: Vec<&'static str>,
    /// In the order of the table.
    pub(crate) workloads: Vec<&'static Workload>,
    /// Processes for each figure.
    pub(crate) runs: usize,
    /// Where the figures go.
    pub(crate) json: Option<PathBuf>,
    /// Whether databases stay.
    pub(crate) keep: bool,
    /// Whether each engine does all workloads before the next one.
    pub(crate) one_by_one: bool,
}

fn default_dir() -> Outcome<PathBuf> {
    let program = std::env::current_exe()?;
    Ok(program.parent().and_then(|profile| profile.parent()).unwrap_or(&program).join("compare-data"))
}

fn names(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim).filter(|name| !name.is_empty())
}

fn engines(list: &str) -> Outcome<Vec<&'static str>> {
    let known = |name| ENGINES.iter().find(|&&engine| engine == name).copied();
    names(list)
        .map(|name| known(name).ok_or_else(|| format!("there is no engine {name}; --list has all").into()))
        .collect()
}

fn workloads(list: &str) -> Outcome<Vec<&'static Workload>> {
    let wanted: Vec<&str> = names(list).collect();
    let is_named = |workload: &Workload| wanted.iter().any(|&name| name == workload.name || name == workload.group);
    for name in &wanted {
        if !WORKLOADS.iter().any(|workload| *name == workload.name || *name == workload.group) {
            return Err(format!("there is no workload {name}; --list has all").into());
        }
    }
    Ok(WORKLOADS.iter().filter(|&workload| is_named(workload)).collect())
}

fn workload(name: &str) -> Outcome<&'static Workload> {
    WORKLOADS.iter().find(|workload| workload.name == name).ok_or_else(|| format!("there is no workload {name}").into())
}

fn number<T: FromStr<Err: std::error::Error + Send + Sync + 'static>>(text: &str) -> Outcome<T> {
    // Digits may be grouped, as in 10_000_000.
    Ok(text.replace('_', "").parse()?)
}

/// Sizes, each once, ascending.
fn sizes(list: &str) -> Outcome<Vec<u64>> {
    let mut sizes = names(list).map(number).collect::<Outcome<Vec<u64>>>()?;
    sizes.sort_unstable();
    sizes.dedup();
    if sizes.is_empty() || sizes.iter().any(|&records| records == 0 || records > 1 << 31) {
        return Err("records must be 1 to 2147483648".into());
    }
    Ok(sizes)
}

/// Reads the command line of this process.
pub(crate) fn parse() -> Outcome<Command> {
    let (dir, python) = (default_dir()?, python::default_python());
    let mut setting = Setting { records: 1_000_000, lookups: 1_000_000, seconds: 60.0, python, dir };
    let mut plan_engines = ENGINES.to_vec();
    let mut plan_workloads: Vec<_> = WORKLOADS.iter().filter(|workload| workload.is_default).collect();
    let (mut runs, mut json, mut keep, mut one_by_one) = (5, None, false, false);
    let mut records = vec![setting.records];
    let (mut measure, mut plots) = (None, Vec::new());
    let mut parser = Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("records") => records = sizes(&parser.value()?.string()?)?,
            Arg::Long("lookups") => setting.lookups = number(&parser.value()?.string()?)?,
            Arg::Long("seconds") => setting.seconds = number(&parser.value()?.string()?)?,
            Arg::Long("runs") => runs = number(&parser.value()?.string()?)?,
            Arg::Long("python") => setting.python = parser.value()?.into(),
            Arg::Long("dir") => setting.dir = parser.value()?.into(),
            Arg::Long("json") => json = Some(parser.value()?.into()),
            Arg::Long("keep") => keep = true,
            Arg::Long("one-by-one") => one_by_one = true,
            Arg::Long("engines") => plan_engines = engines(&parser.value()?.string()?)?,
            Arg::Long("workloads") => plan_workloads = workloads(&parser.value()?.string()?)?,
            Arg::Long("plot") => plots.push(parser.value()?.into()),
            Arg::Long("list") => return Ok(Command::List),
            Arg::Short('h') | Arg::Long("help") => return Ok(Command::Help),
            // What this program tells itself.
            Arg::Long("measure") => {
                measure = Some((parser.value()?.string()?, workload(&parser.value()?.string()?)?));
            }
            other => return Err(other.unexpected().into()),
        }
    }
    if !plots.is_empty() {
        return Ok(Command::Plot(plots));
    }
    if setting.lookups == 0 || runs == 0 {
        return Err("lookups and runs must be at least 1".into());
    }
    if let Some((engine, workload)) = measure {
        setting.records = records[0];
        return Ok(Command::Measure { engine, workload, setting });
    }
    let (engines, workloads) = (plan_engines, plan_workloads);
    Ok(Command::Compare(Plan { setting, records, engines, workloads, runs, json, keep, one_by_one }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_ascend_and_come_once() {
        assert_eq!(sizes("1_000, 10,1000").unwrap(), [10, 1000]);
        for wrong in ["", "0", "10,0", "2147483649", "ten"] {
            assert!(sizes(wrong).is_err(), "{wrong}");
        }
    }
}
