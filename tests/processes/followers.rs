//! A second process reads while the first one writes: after `refresh` it sees every acknowledged commit.

use super::child::{Child, digest, digest_of};
use super::setting::{alone, is_root, open_directory, open_directory_in_memory, seed, skip};
use crate::random::Random;
use std::collections::BTreeMap;
use std::path::Path;
use vector_datalib::{CompactOptions, Durability, Options, Value, VectorDb, attrs};

type Model = BTreeMap<u64, BTreeMap<String, Value>>;

fn digest_of_model(model: &Model) -> u64 {
    digest(model.iter().map(|(&key, attributes)| (key.into(), attributes.clone().into_iter().collect())))
}

/// A child that may not write, where the system allows that.
fn start(path: &Path, dir: &Path) -> Child {
    if is_root() {
        return Child::start_as_nobody(path, dir);
    }
    skip("not root: a process of the same user reads, not one of another");
    Child::start(path)
}

/// One random change, made to the database and to the map.
fn change(db: &VectorDb, model: &mut Model, random: &mut Random, round: u64) {
    let key = random.below(50) as u64;
    let text = || "x".repeat(round as usize % 70) + &round.to_string();
    let mut set = |key: u64, name: &str, value: Value| {
        model.entry(key).or_default().insert(name.to_owned(), value);
    };
    match random.below(20) {
        0..7 => {
            db.upsert(key, attrs! { "n" => round, "text" => text() }).unwrap();
            set(key, "n", round.into());
            set(key, "text", text().into());
        }
        7..10 => {
            let name = format!("dimension {}", random.below(30));
            db.upsert(key, [(&name, round)]).unwrap();
            set(key, &name, round.into());
        }
        10..12 => {
            db.batch_upsert((key..key + 5).map(|key| (key, attrs! { "batch" => round }))).unwrap();
            (key..key + 5).for_each(|key| set(key, "batch", round.into()));
        }
        12..15 => assert_eq!(db.delete(key).unwrap(), model.remove(&key).is_some()),
        15 => {
            let removed = model.get_mut(&key).and_then(|attributes| attributes.remove("n")).is_some();
            assert_eq!(db.remove_attribute(key, "n").unwrap(), removed);
        }
        16 => {
            let position = random.below(db.snapshot().slot_count() as usize + 1) as u32;
            db.insert_at(key, position, attrs! { "n" => round }).unwrap();
            set(key, "n", round.into());
        }
        17 => db.compact(&CompactOptions::new().reassign_slots(round.is_multiple_of(2))).unwrap(),
        _ => db.save().unwrap(),
    }
}

#[test]
fn every_acknowledged_commit_is_seen_after_refresh() {
    let _alone = alone();
    let dir = open_directory();
    let path = dir.path().join("a.vdb");
    let (mut random, mut model) = (Random::new(seed()), Model::new());
    let db = VectorDb::create(&path).unwrap();
    let mut child = start(&path, dir.path());
    let state = |db: &VectorDb, model: &Model| format!("{} {}", db.snapshot().sequence(), digest_of_model(model));
    assert_eq!(child.ask("open read-only"), state(&db, &model), "empty");
    for round in 1..=400 {
        change(&db, &mut model, &mut random, round);
        // Not after each change, so that a refresh has several commits, logs and generations to catch up with.
        if random.below(3) > 0 {
            assert_eq!(child.ask("refresh"), state(&db, &model), "round {round}");
        }
        if round == 200 {
            let now = child.ask("refresh");
            assert_eq!(child.ask("hold"), now);
        }
    }
    assert_eq!(child.ask("verify"), "[]");
    assert_eq!(child.ask("write through the reader"), "Err(true)");
    let held = child.ask("held");
    drop(db);

    // The reader goes on when another writer comes, and after a clean close.
    for round in 401..=440 {
        let db = VectorDb::open(&path).unwrap();
        change(&db, &mut model, &mut random, round);
        let expected = state(&db, &model);
        if round % 2 == 0 {
            db.close().unwrap();
        }
        assert_eq!(child.ask("refresh"), expected, "round {round}, a writer each");
    }
    assert_eq!(child.ask("held"), held);
}

#[test]
fn a_thousand_generations_are_replaced_under_a_reader() {
    let _alone = alone();
    const GENERATIONS: u64 = 1000;
    const POINTS: u64 = 20;
    let dir = open_directory_in_memory();
    let path = dir.path().join("a.vdb");
    let db = Options::new().durability(Durability::Eventual).create(&path).unwrap();
    let commit = |n: u64| {
        let keys = (0..POINTS).map(|key| (key, attrs! { "n" => n, "text" => format!("text {}", n % 7) }));
        db.batch_upsert(keys).unwrap();
        assert_eq!(db.snapshot().sequence(), n);
    };
    commit(1);
    let mut child = start(&path, dir.path());
    child.ask("open read-only");
    let held = child.ask("hold");
    assert_eq!(child.ask("follow"), "following");
    for n in 2..=GENERATIONS + 1 {
        commit(n);
        db.save().unwrap();
        if n.is_multiple_of(10) {
            let snapshot = db.snapshot();
            assert_eq!(child.ask("refresh"), format!("{} {}", snapshot.sequence(), digest_of(&snapshot)));
        }
    }
    assert!(db.stats().unwrap().generation >= GENERATIONS);
    assert_eq!(child.ask("held"), held);
    let seen: u64 = child.ask("stop").parse().unwrap();
    println!("the reader saw {seen} states of {}", GENERATIONS + 1);
    assert!(seen > GENERATIONS / 20, "only {seen} states were seen");
    // What the generations left is only the last one.
    assert_eq!(std::fs::read_dir(&path).unwrap().filter(|entry| entry.as_ref().is_ok_and(is_column)).count(), 2);
}

fn is_column(entry: &std::fs::DirEntry) -> bool {
    entry.file_name().to_string_lossy().ends_with(".col")
}
