//! Reading all values of one attribute.

use super::lookups::check;
use super::{Context, Figure};
use crate::engine::{CityCounts, Engine, Outcome, Reader};
use crate::records::{Key, Records};
use crate::report::median;
use std::hint::black_box;
use std::time::{Duration, Instant};

/// Scans of a process, at least.
const SCANS: usize = 3;

/// How long a process scans, at least.
const TIME: Duration = Duration::from_millis(200);

/// A question about all records.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Scan {
    /// The sum of all scores.
    Sum,
    /// How many records have each city, by reading them.
    CityCounts,
    /// The same from counts that the engine keeps.
    KeptCityCounts,
}

/// Milliseconds of a scan on so many threads, everything having been touched by one before.
pub(super) fn run<K: Key, E: Engine<K>>(context: &Context, scan: Scan, threads: usize) -> Outcome<Vec<Figure>> {
    let engine: &'static E = Box::leak(Box::new(E::open(&context.path, context.records, context.order)?));
    let reader = engine.reader()?;
    let time = match scan {
        Scan::Sum if threads > 1 => measure(|| reader.sum_on(threads), |sum| check_sum(sum, context.records))?,
        Scan::CityCounts if threads > 1 => {
            measure(|| reader.city_counts_on(threads), |counts| check_counts(&counts, context.records))?
        }
        Scan::Sum => measure(|| reader.sum(), |sum| check_sum(sum, context.records))?,
        Scan::CityCounts => measure(|| reader.city_counts(), |counts| check_counts(&counts, context.records))?,
        Scan::KeptCityCounts => measure(|| reader.kept_city_counts(), |counts| check_counts(&counts, context.records))?,
    };
    Ok(vec![Figure::new("ms", time)])
}

/// The median of several scans, in milliseconds.
fn measure<T>(scan: impl Fn() -> Outcome<T>, check: impl Fn(T) -> Outcome<()>) -> Outcome<f64> {
    check(scan()?)?;
    let mut times = Vec::new();
    let all = Instant::now();
    while times.len() < SCANS || all.elapsed() < TIME {
        let start = Instant::now();
        black_box(scan()?);
        times.push(start.elapsed().as_secs_f64() * 1e3);
    }
    Ok(median(&times))
}

/// Engines add in different orders, so the last bits differ.
pub(crate) fn check_sum(sum: f64, records: Records) -> Outcome<()> {
    let expected: f64 = (0..records.count).map(|number| records.score(number)).sum();
    check((sum - expected).abs() <= expected * 1e-9, true)
}

/// An error unless each city has as many records as it should.
pub(crate) fn check_counts(counts: &CityCounts, records: Records) -> Outcome<()> {
    let mut expected = CityCounts::new();
    for number in 0..records.count {
        let city = records.city(number);
        match expected.get_mut(city.as_bytes()) {
            Some(count) => *count += 1,
            None => drop(expected.insert(city.as_bytes().to_vec(), 1)),
        }
    }
    check(*counts == expected, true)
}
