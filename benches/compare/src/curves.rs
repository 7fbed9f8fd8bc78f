//! What was measured at several numbers of records, as a picture: a panel for each workload with a line for each engine.

use crate::engine::Outcome;
use crate::plot::{COLOURS, escape};
use crate::report::{Measurement, number};
use std::fmt::Write;

/// Panels side by side.
const COLUMNS: usize = 2;

/// A panel with its labels, and where its axes are in it.
const PANEL: (f64, f64) = (360.0, 230.0);
const LEFT: f64 = 52.0;
const RIGHT: f64 = 14.0;
const TOP: f64 = 26.0;
const BOTTOM: f64 = 26.0;

/// The title, and a line of the legend.
const HEAD: f64 = 30.0;
const LEGEND_ROW: f64 = 16.0;
const LEGEND_COLUMN: f64 = 140.0;

/// Axes have at most so many labels.
const LABELS: usize = 7;

/// A picture in SVG with all measurements. Both axes of each panel are logarithmic.
pub(crate) fn svg(title: &str, measurements: &[Measurement]) -> Outcome<String> {
    let (mut workloads, mut engines): (Vec<&str>, Vec<&str>) = (Vec::new(), Vec::new());
    for measurement in measurements {
        if !workloads.contains(&&*measurement.workload) {
            workloads.push(&measurement.workload);
        }
        if !engines.contains(&&*measurement.engine) {
            engines.push(&measurement.engine);
        }
    }
    let width = PANEL.0 * COLUMNS as f64;
    let per_row = (width / LEGEND_COLUMN) as usize;
    let mut body = String::new();
    for (index, engine) in engines.iter().enumerate() {
        let (x, y) = (8.0 + (index % per_row) as f64 * LEGEND_COLUMN, HEAD + (index / per_row) as f64 * LEGEND_ROW);
        writeln!(
            body,
            r#"<path d="M{x:.0} {y:.0}h22" {}/><text x="{:.0}" y="{:.0}">{}</text>"#,
            stroke(index),
            x + 27.0,
            y + 4.0,
            escape(engine)
        )?;
    }
    let panels = HEAD + engines.len().div_ceil(per_row) as f64 * LEGEND_ROW;
    let records = Axis::of(measurements.iter().map(|measurement| measurement.records as f64));
    for (index, workload) in workloads.iter().enumerate() {
        let group: Vec<&Measurement> =
            measurements.iter().filter(|measurement| measurement.workload == *workload).collect();
        let (x, y) = ((index % COLUMNS) as f64 * PANEL.0, panels + (index / COLUMNS) as f64 * PANEL.1);
        writeln!(body, r#"<g transform="translate({x:.0} {y:.0})">"#)?;
        panel(&mut body, &group, &engines, records)?;
        body.push_str("</g>\n");
    }
    let height = panels + workloads.len().div_ceil(COLUMNS) as f64 * PANEL.1;
    Ok(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" font-family=\"sans-serif\" font-size=\"11\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n<text x=\"8\" y=\"18\" font-size=\"13\">{}</text>\n{body}</svg>\n",
        escape(title)
    ))
}

/// How the line of an engine looks: colours, and dashes once all colours are taken.
fn stroke(engine: usize) -> String {
    let dashes = if engine < COLOURS.len() { "" } else { r#" stroke-dasharray="5 3""# };
    format!(r#"stroke="{}" stroke-width="1.8" fill="none"{dashes}"#, COLOURS[engine % COLOURS.len()])
}

/// The panel of a workload: labelled axes, and the lines.
fn panel(body: &mut String, group: &[&Measurement], engines: &[&str], records: Axis) -> Outcome<()> {
    let (right, bottom) = (PANEL.0 - RIGHT, PANEL.1 - BOTTOM);
    let values = Axis::of(group.iter().map(|measurement| measurement.median));
    let x = |value: f64| LEFT + records.place(value) * (right - LEFT);
    let y = |value: f64| bottom - values.place(value) * (bottom - TOP);
    let (name, unit) = group.first().map_or(("", ""), |first| (&*first.workload, &*first.unit));
    writeln!(body, r#"<text x="8" y="16" font-weight="bold">{} ({})</text>"#, escape(name), escape(unit))?;
    let mut grid = String::new();
    for tick in records.ticks() {
        write!(grid, "M{:.1} {TOP:.0}V{bottom:.0}", x(tick))?;
        writeln!(
            body,
            r#"<text x="{:.1}" y="{:.0}" text-anchor="middle">{}</text>"#,
            x(tick),
            bottom + 15.0,
            count(tick)
        )?;
    }
    for tick in values.ticks() {
        write!(grid, "M{LEFT:.0} {:.1}H{right:.0}", y(tick))?;
        writeln!(
            body,
            r#"<text x="{:.0}" y="{:.1}" text-anchor="end">{}</text>"#,
            LEFT - 5.0,
            y(tick) + 4.0,
            label(tick)
        )?;
    }
    writeln!(body, r##"<path d="{grid}" stroke="#ddd" fill="none"/>"##)?;
    for (index, engine) in engines.iter().enumerate() {
        let mut points: Vec<(u64, f64)> = group
            .iter()
            .filter(|measurement| measurement.engine == *engine && measurement.median > 0.0)
            .map(|measurement| (measurement.records, measurement.median))
            .collect();
        points.sort_unstable_by_key(|&(records, _)| records);
        if points.is_empty() {
            continue;
        }
        let (mut line, mut dots) = (String::new(), String::new());
        for &(records, median) in &points {
            let (x, y) = (x(records as f64), y(median));
            write!(line, "{}{x:.1} {y:.1}", if line.is_empty() { 'M' } else { 'L' })?;
            write!(dots, r#"<circle cx="{x:.1}" cy="{y:.1}" r="2.2"/>"#)?;
        }
        let colour = COLOURS[index % COLOURS.len()];
        writeln!(body, r#"<path d="{line}" {}/><g fill="{colour}">{dots}</g>"#, stroke(index))?;
    }
    Ok(())
}

/// A logarithmic axis from one round number to another one.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Axis {
    low: f64,
    high: f64,
}

impl Axis {
    /// The shortest one that has all positive values, and at least a decade, so that small differences look small.
    fn of(values: impl Iterator<Item = f64>) -> Self {
        let (mut least, mut most) = (f64::INFINITY, 0.0f64);
        for value in values.filter(|&value| value > 0.0) {
            (least, most) = (least.min(value), most.max(value));
        }
        if most == 0.0 {
            return Self { low: 1.0, high: 10.0 };
        }
        let low = round_numbers(least).take_while(|&round| round <= least).last().unwrap_or(least);
        let high = round_numbers(most).find(|&round| round >= most && round >= low * 9.9).unwrap_or(most);
        Self { low, high }
    }

    /// 0 to 1.
    fn place(self, value: f64) -> f64 {
        (value / self.low).ln() / (self.high / self.low).ln()
    }

    /// Round numbers on it: all, or else the powers of ten, or of a thousand, so that there are not too many.
    fn ticks(self) -> Vec<f64> {
        let all: Vec<f64> = round_numbers(self.low)
            .skip_while(|&round| round < self.low)
            .take_while(|&round| round <= self.high)
            .collect();
        let powers = |step: i32| {
            let is_power = move |round: &&f64| {
                let digits = round.log10().round() as i32;
                power(digits) == **round && digits % step == 0
            };
            all.iter().filter(is_power).copied().collect::<Vec<f64>>()
        };
        let tens = powers(1);
        if tens.len() < 3 && all.len() <= LABELS {
            return all;
        }
        if tens.len() <= LABELS { tens } else { powers(3) }
    }
}

/// A power of ten as it is written, which products are not.
fn power(exponent: i32) -> f64 {
    if exponent < 0 { 1.0 / 10f64.powi(-exponent) } else { 10f64.powi(exponent) }
}

/// 1, 2, 5, 10 and so on, from a decade below a value.
fn round_numbers(value: f64) -> impl Iterator<Item = f64> {
    let first = value.log10().floor() as i32 - 1;
    (first..).flat_map(|exponent| {
        [1.0, 2.0, 5.0].map(|digit| if exponent < 0 { digit / power(-exponent) } else { digit * power(exponent) })
    })
}

/// A number of records.
fn count(records: f64) -> String {
    match records {
        1e9.. => format!("{}G", records / 1e9),
        1e6.. => format!("{}M", records / 1e6),
        1e3.. => format!("{}k", records / 1e3),
        _ => format!("{records}"),
    }
}

/// A round number.
fn label(value: f64) -> String {
    match value {
        1e4.. => count(value),
        1.0.. => format!("{value}"),
        0.01.. => number(value).trim_end_matches('0').to_owned(),
        _ => format!("{value:e}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measurement(engine: &str, records: u64, median: f64) -> Measurement {
        Measurement {
            workload: "a < b".to_owned(),
            engine: engine.to_owned(),
            records,
            median,
            unit: "ns".to_owned(),
            runs: vec![median],
        }
    }

    #[test]
    fn lines_go_from_size_to_size_over_logarithmic_axes() {
        let measurements = [
            measurement("one", 1_000_000, 100.0),
            measurement("one", 10_000, 1.0),
            measurement("one", 100_000, 10.0),
            measurement("two", 10_000, 0.0),
            measurement("two", 1_000_000, 1.0),
        ];
        let picture = svg("title", &measurements).unwrap();
        let (right, bottom) = (PANEL.0 - RIGHT, PANEL.1 - BOTTOM);
        let (middle, half) = (f64::midpoint(LEFT, right), f64::midpoint(TOP, bottom));
        let line = format!("\"M{LEFT:.1} {bottom:.1}L{middle:.1} {half:.1}L{right:.1} {TOP:.1}\"");
        assert!(picture.contains(&line), "no {line} in {picture}");
        assert!(picture.contains(&format!("\"M{right:.1} {bottom:.1}\"")), "{picture}");
        assert!(picture.contains("a &lt; b (ns)") && !picture.contains("a < b"));
        for label in ["10k", "100k", "1M", "1", "100"] {
            assert!(picture.contains(&format!(">{label}</text>")), "no {label} in {picture}");
        }
    }

    #[test]
    fn axes_are_as_long_as_need_be_and_have_few_labels() {
        assert_eq!(Axis::of([3.0, 150.0].into_iter()), Axis { low: 2.0, high: 200.0 });
        assert_eq!(Axis::of([10.0].into_iter()), Axis { low: 10.0, high: 100.0 });
        assert_eq!(Axis::of([0.003, 0.02].into_iter()), Axis { low: 0.002, high: 0.02 });
        assert_eq!(Axis::of([0.0].into_iter()), Axis { low: 1.0, high: 10.0 });
        assert_eq!(Axis { low: 2.0, high: 20.0 }.ticks(), [2.0, 5.0, 10.0, 20.0]);
        assert_eq!(Axis { low: 0.005, high: 200.0 }.ticks(), [0.01, 0.1, 1.0, 10.0, 100.0]);
        assert_eq!(Axis { low: 1e-6, high: 1e6 }.ticks(), [1e-6, 1e-3, 1.0, 1e3, 1e6]);
    }

    #[test]
    fn labels_are_short() {
        let labels = [2e9, 5e6, 2e4, 500.0, 1.0, 0.5, 0.05, 0.002].map(label);
        assert_eq!(labels, ["2G", "5M", "20k", "500", "1", "0.5", "0.05", "2e-3"]);
    }
}
