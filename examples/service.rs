//! An async service: many tasks write and share fsyncs, others read meanwhile, and the end is orderly.
//!
//! `cargo run --example service --features tokio`

use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;
use vector_datalib::{AsyncVectorDb, Result, attrs};

const SENSORS: u64 = 16;
const READINGS: u64 = 50;

/// Writes a sensor's readings, one commit each, until there are no more or the service stops.
async fn record(db: AsyncVectorDb, sensor: u64, mut stop: watch::Receiver<bool>) -> Result<u64> {
    for reading in 0..READINGS {
        let degrees = 15.0 + ((sensor + 7 * reading) % 100) as f64 / 10.0;
        let attributes = attrs! { "sensor" => format!("sensor {sensor}"), "degrees" => degrees };
        tokio::select! {
            // Ready when the commit is durable. Dropped by the other branch, it is there as a whole or not at all.
            slot = db.upsert(sensor * READINGS + reading, attributes) => slot?,
            _ = stop.changed() => return Ok(reading),
        };
    }
    Ok(READINGS)
}

/// Tells now and then what there is. Reads are plain calls, and see what has been committed.
async fn watch(db: AsyncVectorDb, mut stop: watch::Receiver<bool>) -> Result<()> {
    while tokio::time::timeout(Duration::from_millis(20), stop.changed()).await.is_err() {
        let latest = db.lookup(0, "degrees")?;
        println!("{:>4} readings; the first one: {latest:?}", db.len());
    }
    Ok(())
}

#[tokio::main]
async fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("readings.vdb");
    let db = AsyncVectorDb::create(&path).await?;

    let (stop, stopped) = watch::channel(false);
    let watcher = tokio::spawn(watch(db.clone(), stopped.clone()));
    let mut sensors = JoinSet::new();
    for sensor in 0..SENSORS {
        sensors.spawn(record(db.clone(), sensor, stopped.clone()));
    }
    let mut written = 0;
    while let Some(readings) = sensors.join_next().await {
        written += readings??;
    }
    stop.send(true)?; // a service would do this on a signal, and then wait for the tasks
    watcher.await??;

    db.save().await?; // on a thread for blocking work: the runtime goes on
    let stats = db.stats().await?;
    println!("{written} readings of {} dimensions in {} bytes", stats.dimensions, stats.file_size_bytes);
    db.close().await?; // waits for writes that are on their way, and tells what failed

    let again = AsyncVectorDb::open(&path).await?;
    assert_eq!(again.len(), written);
    assert!(again.verify().await?.is_sound());
    again.close().await?;
    Ok(())
}
