//! What was measured, as a table and as JSON.

use crate::engines::{is_ours, is_pythons};
use crate::workloads::Figure;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt::Write;

/// The figures of one engine for one workload.
#[derive(Clone, PartialEq, Serialize, Deserialize, Debug)]
pub(crate) struct Measurement {
    /// The workload, and the part of it if it has several.
    pub(crate) workload: String,
    /// The engine.
    pub(crate) engine: String,
    /// Records of the database.
    pub(crate) records: u64,
    /// The median of the runs: of an even number, the mean of the two in the middle.
    pub(crate) median: f64,
    /// The unit of the median and the runs.
    pub(crate) unit: String,
    /// The figure of each process.
    pub(crate) runs: Vec<f64>,
}

/// The median of numbers, of which there is at least one.
pub(crate) fn median(numbers: &[f64]) -> f64 {
    let mut sorted = numbers.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 { sorted[middle] } else { f64::midpoint(sorted[middle - 1], sorted[middle]) }
}

/// The measurements of an engine and a workload, of the figures of each process.
pub(crate) fn measurements(workload: &str, engine: &str, records: u64, runs: &[Vec<Line>]) -> Vec<Measurement> {
    let mut measurements: Vec<Measurement> = Vec::new();
    for line in runs.iter().flatten() {
        let name = if line.part.is_empty() { workload.to_owned() } else { format!("{workload}-{}", line.part) };
        match measurements.iter_mut().find(|measurement| measurement.workload == name) {
            Some(measurement) => measurement.runs.push(line.value),
            None => measurements.push(Measurement {
                workload: name,
                engine: engine.to_owned(),
                records,
                median: 0.0,
                unit: line.unit.clone(),
                runs: vec![line.value],
            }),
        }
    }
    for measurement in &mut measurements {
        measurement.median = median(&measurement.runs);
    }
    measurements
}

/// A figure as one process tells it to the other.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Line {
    part: String,
    unit: String,
    value: f64,
}

impl Line {
    /// The line of a figure.
    pub(crate) fn print(figure: &Figure) -> String {
        format!("{}\t{}\t{:?}", figure.part, figure.unit, figure.value)
    }

    /// What a line says; `None` if it is none of a figure.
    pub(crate) fn parse(line: &str) -> Option<Self> {
        let mut fields = line.split('\t');
        let (part, unit) = (fields.next()?.to_owned(), fields.next()?.to_owned());
        let value = fields.next()?.parse().ok()?;
        fields.next().is_none().then_some(Self { part, unit, value })
    }
}

/// How many times better the base is: its rate over the other's, or else the other's time or size over its.
pub(crate) fn advantage(base: &Measurement, other: &Measurement) -> f64 {
    if base.unit.ends_with("/s") { base.median / other.median } else { other.median / base.median }
}

/// A figure with three digits or so.
pub(crate) fn number(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        size if size < 0.1 => format!("{value:.4}"),
        size if size < 10.0 => format!("{value:.2}"),
        size if size < 100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

/// Tables of all measurements, for each number of records: one whose ratios are those of the first engine, and one for each other layout of
/// this project's engine, beside its peers; engines for Python have tables of their own. What no engine has a figure for is left out.
pub(crate) fn tables(measurements: &[Measurement], engines: &[&str]) -> String {
    let mut text = String::new();
    let sizes: BTreeSet<u64> = measurements.iter().map(|measurement| measurement.records).collect();
    for records in sizes {
        let same_size: Vec<&Measurement> =
            measurements.iter().filter(|measurement| measurement.records == records).collect();
        for (index, base) in engines.iter().enumerate().filter(|&(index, base)| index == 0 || is_ours(base)) {
            let peers = |of_python| {
                let is_peer =
                    |name: &&str| name != base && is_pythons(name) == of_python && (index == 0 || !is_ours(name));
                let peers = engines.iter().copied().filter(is_peer);
                std::iter::once(*base).chain(peers).collect::<Vec<&str>>()
            };
            let heading = format!("{records} records; (x): how many times better {base} is\n");
            let of_others = rows(&same_size, &peers(false), index == 0);
            let mut of_python = rows(&same_size, &peers(true), false);
            // What all other engines leave empty.
            of_python.retain(|row| row.iter().skip(3).any(|cell| cell != "-"));
            for rows in [of_others, of_python] {
                if rows.len() > 1 {
                    let _ = writeln!(text, "{heading}{}", align(&rows));
                }
            }
        }
    }
    text
}

/// A row for each workload and a column for each engine that has a figure. Behind the figures of all engines but the first is how many times
/// better the first one is. Unless `all`, only rows for which the first engine has a figure.
fn rows(measurements: &[&Measurement], engines: &[&str], all: bool) -> Vec<Vec<String>> {
    let of = |workload: &str, engine: &str| {
        measurements.iter().find(|found| found.workload == workload && found.engine == engine).copied()
    };
    let mut workloads: Vec<&str> = Vec::new();
    for measurement in measurements {
        let name = &*measurement.workload;
        if !workloads.contains(&name) && (all || engines.first().is_some_and(|base| of(name, base).is_some())) {
            workloads.push(name);
        }
    }
    let has_figure = |engine: &&&str| workloads.iter().any(|workload| of(workload, engine).is_some());
    let base = engines.first().copied().unwrap_or_default();
    let columns: Vec<&str> = engines.iter().filter(has_figure).copied().collect();
    let mut rows = vec![vec!["workload".to_owned(), "unit".to_owned()]];
    rows[0].extend(columns.iter().map(|&engine| engine.to_owned()));
    for workload in workloads {
        let unit = columns.iter().find_map(|engine| of(workload, engine)).map_or("", |measurement| &*measurement.unit);
        let mut row = vec![workload.to_owned(), unit.to_owned()];
        row.extend(columns.iter().map(|&engine| match (of(workload, engine), of(workload, base)) {
            (None, _) => "-".to_owned(),
            (Some(found), Some(best)) if engine != base => {
                format!("{} ({}x)", number(found.median), number(advantage(best, found)))
            }
            (Some(found), _) => number(found.median),
        }));
        rows.push(row);
    }
    rows
}

fn align(rows: &[Vec<String>]) -> String {
    let columns = rows.first().map_or(0, Vec::len);
    let widths: Vec<usize> =
        (0..columns).map(|column| rows.iter().map(|row| row[column].len()).max().unwrap_or(0)).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let _ = if column < 2 { write!(line, "{cell:<width$}  ") } else { write!(line, "{cell:>width$}  ") };
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measurement(workload: &str, engine: &str, unit: &str, runs: &[f64]) -> Measurement {
        Measurement {
            workload: workload.to_owned(),
            engine: engine.to_owned(),
            records: 10,
            median: median(runs),
            unit: unit.to_owned(),
            runs: runs.to_vec(),
        }
    }

    #[test]
    fn the_median_is_the_middle_or_the_mean_of_the_two_there() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 3.0, 2.0]), 2.5);
        assert_eq!(median(&[7.0]), 7.0);
    }

    #[test]
    fn figures_survive_the_way_between_processes() {
        let figure = Figure { part: "length", unit: "MB", value: 0.1 + 0.2 };
        let line = Line::parse(&Line::print(&figure)).unwrap();
        assert_eq!((&*line.part, &*line.unit, line.value), (figure.part, figure.unit, figure.value));
        assert_eq!(Line::parse("length\tMB"), None);
        assert_eq!(Line::parse("length\tMB\tmany"), None);
        assert_eq!(Line::parse("length\tMB\t1\t2"), None);
    }

    #[test]
    fn parts_of_a_workload_are_rows_of_their_own() {
        let line = |text| Line::parse(text).unwrap();
        let runs = [vec![line("\tMB\t1"), line("length\tMB\t10")], vec![line("\tMB\t3"), line("length\tMB\t30")]];
        let expected = [
            measurement("size", "vector", "MB", &[1.0, 3.0]),
            measurement("size-length", "vector", "MB", &[10.0, 30.0]),
        ];
        assert_eq!(measurements("size", "vector", 10, &runs), expected);
    }

    #[test]
    fn ratios_say_how_much_better_the_first_engine_is() {
        let measurements = [
            measurement("lookup", "vector", "ns", &[100.0]),
            measurement("lookup", "other", "ns", &[250.0]),
            measurement("upserts", "vector", "upserts/s", &[100.0]),
            measurement("upserts", "other", "upserts/s", &[250.0]),
            measurement("sum", "vector", "ms", &[1.0]),
        ];
        assert_eq!(
            tables(&measurements, &["vector", "other", "idle"]),
            "10 records; (x): how many times better vector is\n\
             workload  unit       vector        other\n\
             lookup    ns            100  250 (2.50x)\n\
             upserts   upserts/s     100  250 (0.40x)\n\
             sum       ms           1.00            -\n\n"
        );
    }

    #[test]
    fn layouts_have_tables_of_their_own_beside_the_peers_and_sizes_are_apart() {
        let mut measurements = vec![
            measurement("lookup", "vector", "ns", &[100.0]),
            measurement("lookup", "vector-frozen", "ns", &[50.0]),
            measurement("lookup", "other", "ns", &[250.0]),
            measurement("upserts", "other", "upserts/s", &[250.0]),
        ];
        measurements.push(Measurement { records: 9, ..measurement("lookup", "vector", "ns", &[99.0]) });
        assert_eq!(
            tables(&measurements, &["vector", "vector-frozen", "other"]),
            "9 records; (x): how many times better vector is\n\
             workload  unit  vector\n\
             lookup    ns      99.0\n\n\
             10 records; (x): how many times better vector is\n\
             workload  unit       vector  vector-frozen        other\n\
             lookup    ns            100   50.0 (0.50x)  250 (2.50x)\n\
             upserts   upserts/s       -              -          250\n\n\
             10 records; (x): how many times better vector-frozen is\n\
             workload  unit  vector-frozen        other\n\
             lookup    ns             50.0  250 (5.00x)\n\n"
        );
    }

    #[test]
    fn engines_for_python_have_tables_of_their_own_of_what_they_can_do() {
        let measurements = [
            measurement("lookup", "vector", "ns", &[100.0]),
            measurement("sum", "vector", "ms", &[1.0]),
            measurement("sum", "duckdb", "ms", &[2.0]),
        ];
        assert_eq!(
            tables(&measurements, &["vector", "duckdb"]),
            "10 records; (x): how many times better vector is\n\
             workload  unit  vector\n\
             lookup    ns       100\n\
             sum       ms      1.00\n\n\
             10 records; (x): how many times better vector is\n\
             workload  unit  vector        duckdb\n\
             sum       ms      1.00  2.00 (2.00x)\n\n"
        );
    }

    #[test]
    fn json_is_an_array_of_what_the_readme_says() {
        let json = serde_json::to_string(&[measurement("lookup", "heed", "ns", &[2.0, 1.0, 4.5])]).unwrap();
        assert_eq!(
            json,
            r#"[{"workload":"lookup","engine":"heed","records":10,"median":2.0,"unit":"ns","runs":[2.0,1.0,4.5]}]"#
        );
    }
}
