//! Create, write, read, change, compact: the whole of it in a minute.
//!
//! `cargo run --example quick_start [DIRECTORY]`

use std::error::Error;
use vector_datalib::{CompactOptions, ValueRef, VectorDb, attrs};

fn main() -> Result<(), Box<dyn Error>> {
    let temporary = tempfile::tempdir()?;
    let directory = std::env::args().nth(1).map_or(temporary.path().to_owned(), Into::into);
    let db = VectorDb::create(directory.join("people.vdb"))?;

    // Dimensions appear by being used; a point has those that it is given.
    db.upsert(101, attrs! { "name" => "Alice", "age" => 25, "city" => "Boston" })?;
    db.upsert("bob@example.com", attrs! { "name" => "Bob", "city" => "Boston" })?;
    db.batch_upsert((200..300).map(|n| (n, attrs! { "name" => format!("Person {n}"), "age" => n % 50 })))?;

    // An upsert merges: what it does not name stays.
    db.upsert(101, attrs! { "age" => 26 })?;
    db.remove_attribute(101, "city")?;
    assert_eq!(db.lookup(101, "name")?, Some("Alice".into()));

    // A snapshot is a point in time; a dimension of it reads without locks and without allocating.
    let snapshot = db.snapshot();
    let age = snapshot.dimension("age").ok_or("nobody has an age")?;
    db.delete(250)?;
    assert_eq!(age.lookup(250)?, Some(ValueRef::from(0)));
    println!("{} points then, {} now", snapshot.len(), db.len());
    for point in snapshot.iter().take(3) {
        let point = point?;
        println!("{} at {}: {:?}", point.key(), point.coordinate(), point.to_point()?.attributes());
    }

    // Types are strict: these are four keys.
    for key in [1.into(), 1.0.into(), true.into(), "1".into()] as [vector_datalib::Key; 4] {
        db.upsert(key, attrs! {})?;
    }

    // Into column files, then into their smallest form, and into a file for the Python package.
    db.save()?;
    db.compact(&CompactOptions::new())?;
    db.export(directory.join("people.db"))?;
    let stats = db.stats()?;
    println!("{} points, {} dimensions, {} bytes", stats.vector_points, stats.dimensions, stats.file_size_bytes);
    db.close()?;

    let again = VectorDb::open(directory.join("people.vdb"))?;
    assert_eq!(again.len(), 105);
    Ok(())
}
