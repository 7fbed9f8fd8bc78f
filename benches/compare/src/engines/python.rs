//! Engines for Python: DuckDB, Arrow and Polars, each in a process of its own that runs `python/engines.py`. What takes time is timed there; what comes
//! back is checked here.

use crate::engine::{CityCounts, Outcome, Unsupported};
use crate::records::{CITIES, Key, KeyKind, Records, city};
use crate::report::median;
use crate::wide::Shape;
use crate::workloads::{Context, Figure, Task, Workload, rows, scans, size};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

/// Their names.
pub(crate) const ENGINES: [&str; 3] = ["duckdb", "arrow", "polars"];

const SCRIPT: &str = include_str!("../../python/engines.py");

/// Records that are handed over at a time.
const CHUNK: u64 = 1 << 17;

/// The Python that is used unless another one is named.
pub(crate) fn default_python() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("python/venv/bin/python3")
}

/// A call of the script.
fn command(python: &Path, command: &str, engine: &str) -> Command {
    let mut process = Command::new(python);
    process.args(["-c", SCRIPT, command, engine]);
    process.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    process
}

/// The version of an engine's package, or an error that tells why it cannot be used.
pub(crate) fn version(python: &Path, engine: &str) -> Outcome<String> {
    let output = command(python, "version", engine)
        .output()
        .map_err(|error| format!("{}: {error}; the README says how to make it", python.display()))?;
    let reason = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        return Err(reason.lines().last().unwrap_or("Python ended with an error").into());
    }
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

/// Runs a workload for an engine.
pub(crate) fn run(engine: &str, workload: &Workload, context: &Context) -> Outcome<Vec<Figure>> {
    if workload.shape != Shape::Four || workload.keys != KeyKind::Integer {
        return Err(Unsupported("for Python there are only records of four attributes and integer keys").into());
    }
    match workload.task {
        Task::Load => load(engine, context),
        Task::Size => size::of(&context.path),
        Task::Scan(scan, threads) => scan_of(engine, context, scan, threads),
        Task::RowsByKey => rows_of(engine, context),
        _ => Err(Unsupported("for Python there are only scans and rows by key").into()),
    }
}

/// Seconds from the first record to a file that survives a loss of power. Python has started before.
fn load(engine: &str, context: &Context) -> Outcome<Vec<Figure>> {
    std::fs::create_dir_all(&context.path)?;
    rustix::fs::sync();
    let mut process =
        command(&context.setting.python, "load", engine).arg(&context.path).stderr(Stdio::inherit()).spawn()?;
    let (input, output) = (process.stdin.take(), process.stdout.take());
    let (input, output) = input.zip(output).ok_or("a process has no pipes")?;
    let mut lines = BufReader::new(output).lines();
    let mut expect = |word: &str| match lines.next().transpose()? {
        Some(line) if line == word => Outcome::Ok(()),
        other => Err(format!("Python says {other:?} instead of {word}").into()),
    };
    expect("ready")?;
    let start = Instant::now();
    send(context, BufWriter::with_capacity(1 << 20, input))?;
    expect("done")?;
    let elapsed = start.elapsed();
    if !process.wait()?.success() {
        return Err("Python ended with an error".into());
    }
    Ok(vec![Figure::new("s", elapsed.as_secs_f64())])
}

/// Writes the records as the script reads them.
fn send(context: &Context, mut to: impl Write) -> Outcome<()> {
    let cities: Vec<String> = (0..CITIES).map(|number| city(number).to_string()).collect();
    writeln!(to, "{}", serde_json::to_string(&cities)?)?;
    let records = context.records;
    let mut numbers = context.order.numbers(records.count);
    let mut left = records.count;
    while left > 0 {
        let chunk: Vec<u64> = numbers.by_ref().take(CHUNK as usize).collect();
        left -= chunk.len() as u64;
        let (mut names, mut starts) = (String::new(), vec![0u32]);
        for &number in &chunk {
            names.push_str(&records.name(number));
            starts.push(names.len() as u32);
        }
        to.write_all(&(chunk.len() as u64).to_le_bytes())?;
        to.write_all(&(names.len() as u64).to_le_bytes())?;
        let mut put = |bytes: &[u8]| to.write_all(bytes);
        chunk.iter().try_for_each(|&number| put(&u64::of(number).to_le_bytes()))?;
        chunk.iter().try_for_each(|&number| put(&records.score(number).to_le_bytes()))?;
        starts.iter().try_for_each(|start| put(&start.to_le_bytes()))?;
        chunk.iter().try_for_each(|&number| put(&(records.city_number(number) as u16).to_le_bytes()))?;
        chunk.iter().try_for_each(|&number| put(&[records.age(number)]))?;
        put(names.as_bytes())?;
    }
    Ok(to.flush()?)
}

/// What the script prints.
#[derive(Deserialize, Debug)]
struct Reply<T> {
    times: Vec<f64>,
    answers: T,
}

/// The median time of calls, in milliseconds, and their answers.
fn ask<T: DeserializeOwned>(
    context: &Context,
    call: &str,
    engine: &str,
    threads: usize,
    input: &str,
) -> Outcome<(f64, T)> {
    let mut process =
        command(&context.setting.python, call, engine).arg(&context.path).arg(threads.to_string()).spawn()?;
    // It reads everything before it answers.
    process.stdin.take().ok_or("a process has no pipes")?.write_all(input.as_bytes())?;
    let output = process.wait_with_output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    let reply: Reply<T> = serde_json::from_slice(&output.stdout)?;
    Ok((median(&reply.times) * 1e3, reply.answers))
}

fn scan_of(engine: &str, context: &Context, scan: scans::Scan, threads: usize) -> Outcome<Vec<Figure>> {
    let time = match scan {
        scans::Scan::Sum => {
            let (time, sum) = ask(context, "sum", engine, threads, "")?;
            scans::check_sum(sum, context.records)?;
            time
        }
        scans::Scan::CityCounts => {
            let (time, counts) = ask::<Vec<(String, u64)>>(context, "count", engine, threads, "")?;
            let counts: CityCounts = counts.into_iter().map(|(city, count)| (city.into_bytes(), count)).collect();
            scans::check_counts(&counts, context.records)?;
            time
        }
        scans::Scan::KeptCityCounts => return Err(Unsupported("it keeps no counts").into()),
    };
    Ok(vec![Figure::new("ms", time)])
}

/// A row: key, age, city, name and score.
type Row = (u64, u8, String, String, f64);

fn rows_of(engine: &str, context: &Context) -> Outcome<Vec<Figure>> {
    let batches = rows::batches(context.records);
    let keys: Vec<Vec<u64>> =
        batches.iter().map(|batch| batch.iter().map(|&number| u64::of(number)).collect()).collect();
    let (time, answers) = ask::<Vec<Vec<Row>>>(context, "rows", engine, 1, &serde_json::to_string(&keys)?)?;
    check_rows(&answers, &batches, context.records)?;
    Ok(vec![Figure::new("us", time * 1e3)])
}

/// An error unless each batch has the rows of its records, in any order.
fn check_rows(answers: &[Vec<Row>], batches: &[Vec<u64>], records: Records) -> Outcome<()> {
    let mut all_right = answers.len() == batches.len();
    for (rows, batch) in answers.iter().zip(batches) {
        let mut found: Vec<&Row> = rows.iter().collect();
        found.sort_unstable_by_key(|row| row.0);
        let mut numbers = batch.clone();
        numbers.sort_unstable();
        let is_right = |(row, &number): (&&Row, &u64)| {
            let (record, (key, age, city, name, score)) = (records.get(number), row);
            (*key, *age, &**city, &**name, *score)
                == (u64::of(number), record.age, &*record.city, &*record.name, record.score)
        };
        all_right &= found.len() == numbers.len() && found.iter().zip(&numbers).all(is_right);
    }
    if all_right { Ok(()) } else { Err("wrong answers: rows are not those of their keys".into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_that_are_missing_twice_there_or_another_ones_are_noticed() {
        let records = Records::new(100);
        let row = |number| {
            let record = records.get(number);
            (u64::of(number), record.age, record.city.to_string(), record.name.to_string(), record.score)
        };
        let batches = [vec![7, 3]];
        assert!(check_rows(&[vec![row(3), row(7)]], &batches, records).is_ok());
        let wrong = (row(7).0, row(7).1, row(7).2, row(7).3, row(3).4);
        for rows in [vec![row(3)], vec![row(3), row(3)], vec![row(3), row(7), row(7)], vec![row(3), wrong]] {
            assert!(check_rows(&[rows], &batches, records).is_err());
        }
        assert!(check_rows(&[], &batches, records).is_err());
    }
}
