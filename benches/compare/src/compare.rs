//! The process that starts those that measure, one for each engine, workload and run, in turn for each engine.

use crate::UNSUPPORTED;
use crate::arguments::{Plan, Setting};
use crate::engine::Outcome;
use crate::machine::Machine;
use crate::report::{self, Line, Measurement};
use crate::workloads::{Task, Workload};
use crate::{curves, engines, files, plot};
use std::collections::{BTreeSet, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The name of the directory that has an engine's database for a workload.
pub(crate) fn database_name(engine: &str, workload: &Workload, records: u64) -> String {
    format!("{engine}-{}-{}-{}-{records}", workload.shape.name(), workload.keys.name(), workload.order.name())
}

/// Measures everything that is planned, and prints and writes the figures.
pub(crate) fn run(plan: &Plan) -> Outcome<()> {
    let mut machine = Machine::this();
    fs::create_dir_all(&plan.setting.dir)?;
    let mut engines = plan.engines.clone();
    engines.retain(|engine| match engines::check(engine, &plan.setting) {
        Ok(version) => {
            machine.versions.extend(version.map(|version| (*engine, version)));
            true
        }
        Err(reason) => {
            eprintln!("{engine} is left out: {reason}");
            false
        }
    });
    println!("{}", machine.describe());
    println!("medians of {} processes\n", plan.runs);
    let mut measurements = Vec::new();
    if let Some(path) = &plan.json {
        let directory = path.parent().unwrap_or(Path::new(""));
        fs::create_dir_all(directory)?;
        fs::write(directory.join("machine.json"), serde_json::to_string_pretty(&machine)? + "\n")?;
    }
    for &records in &plan.records {
        for engines in engines.chunks(if plan.one_by_one { 1 } else { engines.len().max(1) }) {
            let setting = Setting { records, ..plan.setting.clone() };
            let mut session = Session { plan, setting, engines, loaded: HashSet::new() };
            for (index, workload) in plan.workloads.iter().enumerate() {
                measurements.extend(session.measure(workload)?);
                session.remove_unneeded(workload, &plan.workloads[index + 1..])?;
                if let Some(path) = &plan.json {
                    write_json(path, &measurements)?;
                }
            }
        }
    }
    println!("{}", report::tables(&measurements, &engines));
    if !plan.keep {
        // It stays if others have put something there.
        let _ = fs::remove_dir(&plan.setting.dir);
    }
    Ok(())
}

/// Draws the figures of files that comparisons wrote, those of each group of workloads to a file of their own beside the first.
pub(crate) fn plot(paths: &[PathBuf]) -> Outcome<()> {
    let mut measurements: Vec<Measurement> = Vec::new();
    for path in paths {
        measurements.extend(serde_json::from_str::<Vec<Measurement>>(&fs::read_to_string(path)?)?);
    }
    let beside = paths.first().ok_or("there is nothing to draw")?;
    let sizes: BTreeSet<u64> = measurements.iter().map(|measurement| measurement.records).collect();
    let mut groups: Vec<(&str, Vec<Measurement>)> = Vec::new();
    for measurement in measurements {
        let group = Workload::of_figure(&measurement.workload).map_or("others", |workload| workload.group);
        match groups.iter_mut().find(|(name, _)| *name == group) {
            Some((_, members)) => members.push(measurement),
            None => groups.push((group, vec![measurement])),
        }
    }
    for (group, measurements) in groups {
        let picture = match sizes.first() {
            Some(records) if sizes.len() == 1 => {
                plot::svg(&format!("{group}: {records} records; a logarithmic scale for each workload"), &measurements)?
            }
            _ => curves::svg(&format!("{group}, by the number of records"), &measurements)?,
        };
        fs::write(beside.with_extension(format!("{group}.svg")), picture)?;
    }
    Ok(())
}

fn write_json(path: &Path, measurements: &[Measurement]) -> Outcome<()> {
    // One object a line.
    let lines: Result<Vec<String>, _> = measurements.iter().map(serde_json::to_string).collect();
    Ok(fs::write(path, format!("[\n{}\n]\n", lines?.join(",\n")))?)
}

/// A comparison of engines that take turns, with databases of one size.
struct Session<'p> {
    plan: &'p Plan,
    setting: Setting,
    engines: &'p [&'static str],
    /// The names of databases that are there.
    loaded: HashSet<String>,
}

impl Session<'_> {
    /// Runs a workload for all engines.
    fn measure(&mut self, workload: &'static Workload) -> Outcome<Vec<Measurement>> {
        let mut runs: Vec<(&str, Vec<Vec<Line>>)> = self.engines.iter().map(|&engine| (engine, Vec::new())).collect();
        if workload.task != Task::Load {
            for &engine in self.engines {
                self.load(engine, workload)?;
            }
        }
        for run in 1..=self.plan.runs {
            let mut unable = Vec::new();
            for (engine, lines) in &mut runs {
                if workload.task == Task::Load {
                    let name = database_name(engine, workload, self.setting.records);
                    files::remove(&self.setting.dir.join(&name))?;
                    self.loaded.insert(name);
                }
                eprint!("{} {run}/{}: {engine} ", workload.name, self.plan.runs);
                match start(engine, workload.name, &self.setting)? {
                    Some(found) => lines.push(found),
                    None => unable.push(*engine),
                }
            }
            runs.retain(|(engine, _)| !unable.contains(engine));
        }
        let records = self.setting.records;
        let of = |(engine, lines): (&str, Vec<_>)| report::measurements(workload.name, engine, records, &lines);
        Ok(runs.into_iter().flat_map(of).collect())
    }

    /// Removes the databases of a workload that none of the later ones work on.
    fn remove_unneeded(&mut self, workload: &Workload, later: &[&Workload]) -> Outcome<()> {
        if !self.plan.keep && !later.iter().any(|later| later.shares_database(workload)) {
            for name in self.engines.iter().map(|engine| database_name(engine, workload, self.setting.records)) {
                files::remove(&self.setting.dir.join(&name))?;
                self.loaded.remove(&name);
            }
        }
        Ok(())
    }

    /// Makes the database of an engine for a workload unless it is there.
    fn load(&mut self, engine: &'static str, workload: &Workload) -> Outcome<()> {
        let name = database_name(engine, workload, self.setting.records);
        if engines::is_in_memory(engine) || self.loaded.contains(&name) {
            return Ok(());
        }
        let path = self.setting.dir.join(&name);
        if !(self.plan.keep && path.exists()) {
            files::remove(&path)?;
            let load = workload.load()?;
            eprint!("loading: {engine} ");
            start(engine, load.name, &self.setting)?;
        }
        self.loaded.insert(name);
        Ok(())
    }
}

/// Has a process measure, and says so on stderr. `None` where the engine cannot do it.
fn start(engine: &str, workload: &str, setting: &Setting) -> Outcome<Option<Vec<Line>>> {
    let output = Command::new(std::env::current_exe()?)
        .args(["--measure", engine, workload])
        .args(["--records", &setting.records.to_string(), "--lookups", &setting.lookups.to_string()])
        .args(["--seconds", &setting.seconds.to_string(), "--dir"])
        .arg(&setting.dir)
        .arg("--python")
        .arg(&setting.python)
        .stderr(Stdio::piped())
        .output()?;
    let reason = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    if output.status.code() == Some(UNSUPPORTED.into()) {
        eprintln!("has no figure: {reason}");
        return Ok(None);
    }
    let text = String::from_utf8(output.stdout)?;
    let lines: Option<Vec<Line>> = text.lines().map(Line::parse).collect();
    match lines {
        Some(lines) if output.status.success() => {
            eprintln!("{}", text.trim().replace('\t', " ").replace('\n', ", "));
            Ok(Some(lines))
        }
        _ => Err(format!("{engine} failed at {workload}, {}: {reason}", output.status).into()),
    }
}
