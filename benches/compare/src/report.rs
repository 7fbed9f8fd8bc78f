//! What was measured, as a table and as JSON.

use crate::workloads::Figure;
use serde::{Deserialize, Serialize};
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
        size if size < 10.0 => format!("{value:.2}"),
        size if size < 100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

/// A table with a row for each workload and a column for each engine. Behind the figures of all engines but the first is how many times
/// better the first one is.
pub(crate) fn table(measurements: &[Measurement], engines: &[&str]) -> String {
    let mut rows = vec![vec!["workload".to_owned(), "unit".to_owned()]];
    rows[0].extend(engines.iter().map(|&engine| engine.to_owned()));
    let mut workloads: Vec<&str> = Vec::new();
    for measurement in measurements {
        if !workloads.contains(&&*measurement.workload) {
            workloads.push(&measurement.workload);
        }
    }
    for workload in workloads {
        let of = |engine: &str| measurements.iter().find(|found| found.workload == workload && found.engine == engine);
        let base = engines.first().and_then(|engine| of(engine));
        let unit = engines.iter().find_map(|engine| of(engine)).map_or("", |measurement| &*measurement.unit);
        let mut row = vec![workload.to_owned(), unit.to_owned()];
        row.extend(engines.iter().enumerate().map(|(column, engine)| match (of(engine), base) {
            (None, _) => "-".to_owned(),
            (Some(found), Some(base)) if column > 0 => {
                format!("{} ({}x)", number(found.median), number(advantage(base, found)))
            }
            (Some(found), _) => number(found.median),
        }));
        rows.push(row);
    }
    align(&rows)
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
        let table = table(&measurements, &["vector", "other"]);
        assert_eq!(
            table,
            "workload  unit       vector        other\n\
             lookup    ns            100  250 (2.50x)\n\
             upserts   upserts/s     100  250 (0.40x)\n\
             sum       ms           1.00            -\n"
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
