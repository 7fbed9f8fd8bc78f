//! A process that reads what another one writes: it needs no write permission, takes no lock, and sees what is committed when it
//! refreshes.
//!
//! `cargo run --example reader` starts a writer of its own; `reader DATABASE` follows any database until nothing more comes.

use std::error::Error;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use vector_datalib::{Durability, Options, VectorDb, attrs};

const READINGS: i64 = 20_000;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["write", database] => write(Path::new(database)),
        [database] => follow(Path::new(database)),
        _ => {
            let directory = tempfile::tempdir()?;
            let database = directory.path().join("readings.vdb");
            VectorDb::create(&database)?.close()?;
            let mut writer = Command::new(std::env::current_exe()?).arg("write").arg(&database).spawn()?;
            follow(&database)?;
            assert!(writer.wait()?.success());
            Ok(())
        }
    }
}

/// Commits readings of some sensors, and checkpoints now and then.
fn write(database: &Path) -> Result<(), Box<dyn Error>> {
    let db = Options::new().durability(Durability::Eventual).open(database)?;
    for n in 0..READINGS {
        db.upsert(n, attrs! { "sensor" => n % 8, "reading" => n as f64 / 10.0 })?;
        if n % 5000 == 4999 {
            db.save()?;
        }
    }
    Ok(db.close()?)
}

fn follow(database: &Path) -> Result<(), Box<dyn Error>> {
    let db = VectorDb::open_read_only(database)?;
    let (mut seen, mut quiet) = (0, 0);
    while quiet < 20 {
        std::thread::sleep(Duration::from_millis(20));
        quiet += 1;
        if db.refresh()? {
            let snapshot = db.snapshot();
            // Commits come in order and whole: what was there stays, and the last point has all of its attributes.
            assert!(snapshot.len() >= seen);
            seen = snapshot.len();
            let reading = snapshot.lookup(seen as i64 - 1, "reading")?;
            println!("{seen} readings, the last one {}", reading.ok_or("a point without its reading")?);
            quiet = 0;
        }
    }
    println!("nothing more came: {seen} readings in all");
    Ok(())
}
