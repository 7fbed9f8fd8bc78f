//! Analytics by scan: counts from dictionaries, sums and extremes, also by group, ranges, a cross table, and a loop of one's own over typed
//! slices.
//!
//! `cargo run --example analytics`

use std::collections::BTreeMap;
use std::error::Error;
use vector_datalib::{BulkLoader, SegmentValues, ValueRef, VectorDb, attrs};

const CARRIERS: [&str; 5] = ["AA", "B6", "DL", "UA", "WN"];
const ORIGINS: [&str; 3] = ["EWR", "JFK", "LGA"];

fn main() -> Result<(), Box<dyn Error>> {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("flights.vdb");
    let mut loader = BulkLoader::create(&path)?;
    for n in 0..200_000u64 {
        let mixed = n.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
        let carrier = CARRIERS[(mixed % 25).isqrt() as usize];
        let delay = (mixed >> 8) as f64 / 1000.0 % 60.0 - 10.0;
        let attributes: [(&str, ValueRef<'_>); 4] = [
            ("carrier", carrier.into()),
            ("origin", ORIGINS[(mixed >> 5) as usize % 3].into()),
            ("distance", (200 + mixed % 2400).into()),
            ("delay", delay.into()),
        ];
        loader.push(n, attributes)?;
    }
    loader.finish()?;
    let db = VectorDb::open(&path)?;
    db.upsert("the last one", attrs! { "carrier" => "B6", "delay" => 90.5 })?; // scans see what was just written, too

    let snapshot = db.snapshot();
    let dimension = |name| snapshot.dimension(name).ok_or("the dimension is there");
    let (carrier, origin, delay) = (dimension("carrier")?, dimension("origin")?, dimension("delay")?);

    println!("flights by carrier, {} distinct:", carrier.distinct_count()?);
    for (name, flights) in carrier.top(3)? {
        println!("  {name:?}: {flights}");
    }
    println!("origins by carrier:");
    for (name, origins) in carrier.cross_counts(origin)? {
        println!(
            "  {name:?}: {:?}",
            origins.iter().map(|(origin, flights)| (origin.as_str(), flights)).collect::<Vec<_>>()
        );
    }
    let mean = delay.sum()?.and_then(|sum| sum.mean());
    println!("mean delay {mean:?}, least and greatest {:?}", delay.min_max()?);
    if let Some(slot) = delay.find(90.5)?.next() {
        println!("90.5 minutes: {:?}", snapshot.key(slot?)?);
    }

    println!("{} flights were an hour late or more", delay.count_in(60.0..)?);
    println!(
        "{} have a carrier with a B",
        carrier.count_where(|name| name.as_str().is_some_and(|name| name.contains('B')))?
    );
    for (name, delays) in delay.parallel(2).aggregate_by(carrier)? {
        println!(
            "  {name:?}: {} flights, mean {:?}, extremes {:?}",
            delays.point_count(),
            delays.mean(),
            delays.min_max()
        );
    }

    // The same by a loop of one's own: both dimensions a segment at a time.
    let mut delays: BTreeMap<ValueRef<'_>, (f64, u32)> = BTreeMap::new();
    for (carriers, delays_of) in carrier.segments().zip(delay.segments()) {
        let (carriers, segment) = (carriers?, delays_of?);
        let SegmentValues::F64(minutes) = segment.values() else { return Err("delays are floats".into()) };
        for (offset, minutes) in segment.offsets().zip(minutes.iter()) {
            let Some(index) = carriers.index_of(offset) else { continue };
            let (sum, count) = delays.entry(carriers.value(index)?).or_default();
            (*sum, *count) = (*sum + minutes, *count + 1);
        }
    }
    for (name, (sum, count)) in &delays {
        println!("  {name:?}: {:.2} minutes late on average over {count} flights", sum / f64::from(*count));
    }
    assert_eq!(delays.values().map(|(_, count)| u64::from(*count)).sum::<u64>(), snapshot.len());
    Ok(())
}
