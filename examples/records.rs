//! Types of the program's own as points: in with `to_attributes`, out with `point_as`, which borrows.
//!
//! `cargo run --example records`

use serde::{Deserialize, Serialize};
use vector_datalib::{Timestamp, VectorDb, to_attributes};

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Person {
    name: String,
    age: u8,
    email: Option<String>, // None: the point has no such attribute
    joined: Timestamp,
    plan: Plan,
    addresses: Vec<Address>, // nested: one value of the dimension
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Plan {
    Free,
    Paid { cents: u32 },
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Address {
    city: String,
    #[serde(default)]
    country: String,
}

/// What a list of people needs: two of the dimensions, and the name not copied.
#[derive(Debug, Deserialize)]
struct Row<'s> {
    name: &'s str,
    age: u8,
}

fn person(name: &str, age: u8, plan: Plan) -> Person {
    let joined = Timestamp::new(1_767_323_045, 0).expect("no nanoseconds are fewer than a second has");
    let addresses = vec![Address { city: "Boston".into(), country: "US".into() }];
    Person { name: name.into(), age, email: None, joined, plan, addresses }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = tempfile::tempdir()?;
    let db = VectorDb::create(dir.path().join("people.vdb"))?;

    let alice = person("Alice", 25, Plan::Paid { cents: 999 });
    db.upsert("alice@example.com", to_attributes(&alice)?)?;
    let others =
        [("bob@example.com", person("Bob", 31, Plan::Free)), ("eve@example.com", person("Eve", 47, Plan::Free))];
    let records = others.iter().map(|(key, person)| Ok((*key, to_attributes(person)?)));
    db.batch_upsert(records.collect::<vector_datalib::Result<Vec<_>>>()?)?; // one commit

    // Owned, straight from the handle.
    assert_eq!(db.point_as::<Person>("alice@example.com")?, Some(alice));
    assert_eq!(db.point_as::<Person>("nobody@example.com")?, None);

    // Borrowed from a snapshot: only the two dimensions are read, and nothing is copied.
    let snapshot = db.snapshot();
    for item in snapshot.iter_as::<Row>() {
        let (key, row) = item?;
        println!("{key}: {} is {}", row.name, row.age);
    }

    // Types are strict, and errors name the field.
    db.upsert("bob@example.com", [("age", "thirty-one")])?;
    let error = db.point_as::<Person>("bob@example.com").expect_err("text is not an age");
    println!("{error}");
    assert_eq!(error.to_string(), "point \"bob@example.com\": field `age`: expected u8, found text");

    db.close()?;
    Ok(())
}
