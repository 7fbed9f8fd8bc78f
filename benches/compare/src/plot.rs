//! What was measured, as a picture: a group of bars for each workload.

use crate::engine::Outcome;
use crate::report::{Measurement, number};
use std::fmt::Write;

const ROW: f64 = 15.0;
const LABELS: f64 = 150.0;
const BARS: f64 = 420.0;
const FIGURES: f64 = 130.0;
const TOP: f64 = 40.0;

/// A colour for each engine, in the order in which they come; those that people with any kind of colour vision tell apart.
///
/// Okabe, Ito: Color universal design (2008).
pub(crate) const COLOURS: [&str; 8] =
    ["#d55e00", "#0072b2", "#56b4e9", "#009e73", "#cc79a7", "#e69f00", "#777777", "#000000"];

/// A picture in SVG with all measurements. Bars have a logarithmic scale of their own for each workload: from a tenth of the least to
/// the greatest.
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
    let mut body = String::new();
    let mut y = TOP;
    for workload in workloads {
        let group: Vec<&Measurement> =
            measurements.iter().filter(|measurement| measurement.workload == workload).collect();
        let unit = group.first().map_or("", |measurement| &*measurement.unit);
        y += ROW;
        writeln!(body, r#"<text x="8" y="{y:.0}" font-weight="bold">{} ({})</text>"#, escape(workload), escape(unit))?;
        let scale = Scale::of(&group);
        for measurement in group {
            let colour = engines.iter().position(|&engine| engine == measurement.engine).unwrap_or(0) % COLOURS.len();
            y += ROW;
            let width = scale.width(measurement.median);
            writeln!(
                body,
                r#"<text x="{:.0}" y="{y:.0}" text-anchor="end">{}</text><rect x="{LABELS}" y="{:.1}" width="{width:.1}" height="{:.1}" fill="{}"/><text x="{:.1}" y="{y:.0}">{}</text>"#,
                LABELS - 6.0,
                escape(&measurement.engine),
                y - ROW * 0.75,
                ROW * 0.8,
                COLOURS[colour],
                LABELS + width + 6.0,
                number(measurement.median),
            )?;
        }
        y += ROW / 2.0;
    }
    let (width, height) = (LABELS + BARS + FIGURES, y + ROW);
    Ok(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" font-family=\"sans-serif\" font-size=\"11\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n<text x=\"8\" y=\"20\" font-size=\"13\">{}</text>\n{body}</svg>\n",
        escape(title)
    ))
}

/// From figures to the lengths of bars.
#[derive(Clone, Copy)]
struct Scale {
    low: f64,
    high: f64,
}

impl Scale {
    fn of(group: &[&Measurement]) -> Self {
        let positive = || group.iter().map(|measurement| measurement.median).filter(|&median| median > 0.0);
        let (least, most) = (positive().fold(f64::MAX, f64::min), positive().fold(f64::MIN_POSITIVE, f64::max));
        Self { low: least.min(most) / 10.0, high: most }
    }

    /// 0 to the whole width.
    fn width(self, value: f64) -> f64 {
        if value <= self.low { 0.0 } else { (value / self.low).ln() / (self.high / self.low).ln() * BARS }
    }
}

/// A text in SVG.
pub(crate) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measurement(engine: &str, median: f64) -> Measurement {
        Measurement {
            workload: "a < b".to_owned(),
            engine: engine.to_owned(),
            records: 1,
            median,
            unit: "ns".to_owned(),
            runs: vec![median],
        }
    }

    #[test]
    fn bars_are_logarithmic_and_names_are_escaped() {
        let picture = svg("title", &[measurement("one", 10.0), measurement("two", 100.0), measurement("no", 0.0)]);
        let picture = picture.unwrap();
        let widths: Vec<f64> = picture
            .split("height=")
            .filter_map(|part| part.rsplit_once("width=\"")?.1.trim_end_matches(['"', ' ']).parse().ok())
            .skip(1)
            .collect();
        assert_eq!(widths, [BARS / 2.0, BARS, 0.0], "{picture}");
        assert!(picture.contains("a &lt; b") && !picture.contains("a < b"));
    }
}
