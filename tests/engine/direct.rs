//! Lookups by key, one by one and many at once, against a plain map: for keys and values of every kind, in files and in the overlay, of
//! newer and older snapshots.

use crate::support::random::Random;
use std::collections::BTreeMap;
use vector_datalib::{BulkLoader, CompactOptions, Error, Key, Layout, Options, Slot, Snapshot, Value, VectorDb};

/// Keys of one kind make an axis of that kind.
const KINDS: [&str; 7] = ["dense", "integers", "large integers", "text", "floats", "mixed", "long text"];
const DIMENSIONS: [&str; 10] =
    ["dictionary", "few", "signed", "constant", "plain", "float", "text", "nested", "sparse", "mixed"];

fn key(kind: &str, n: u64) -> Key {
    let scattered = n.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    match kind {
        "dense" => Key::from(n as i64 - 40),
        "integers" => Key::from(scattered as i64),
        "large integers" => Key::from(scattered | 1 << 63),
        "text" => Key::from(format!("key {scattered}")),
        "floats" => Key::from(n as f64 * 0.25 - 8.0),
        "long text" => Key::from(format!("{n} {}", "long ".repeat(60))),
        _ => match n % 4 {
            0 => Key::from(scattered as i64),
            1 => Key::from(format!("{n}")),
            2 => Key::from(n as f64 + 0.5),
            _ => Key::composite([Key::from(n), Key::from("part")]).unwrap(),
        },
    }
}

fn value(dimension: &str, n: u64) -> Option<Value> {
    Some(match dimension {
        "dictionary" => format!("city {}", n % 300).into(),
        "few" => (n % 50).into(),
        "signed" => (n.wrapping_mul(0x9E37_79B9_7F4A_7C15) as i64).into(),
        "constant" => "always".into(),
        "plain" => n.wrapping_mul(0x9E37_79B9_7F4A_7C15).into(),
        "float" => (n as f64).sqrt().into(),
        "text" => format!("{}{n}", "é".repeat((n % 90) as usize)).into(),
        "nested" => Value::Array(vec![n.into(), "inside".into()]),
        "sparse" if !n.is_multiple_of(50) => return None,
        "sparse" => n.into(),
        _ => match n % 4 {
            0 => Value::Null,
            1 => n.into(),
            2 => return None,
            _ => format!("mixed {n}").into(),
        },
    })
}

type Model = BTreeMap<u64, BTreeMap<&'static str, Value>>;

/// Compares every answer, and those for keys that are not there.
fn check(snapshot: &Snapshot, kind: &str, model: &Model, up_to: u64) {
    let numbers: Vec<u64> = (0..up_to).collect();
    let axis = snapshot.axis();
    let keys: Vec<Key> = numbers.iter().map(|&n| key(kind, n)).collect();
    let mut slots = vec![None];
    axis.batch_slot(&keys, &mut slots).unwrap();
    assert_eq!(slots.remove(0), None);
    for (key, &slot) in keys.iter().zip(&slots) {
        assert_eq!(slot, snapshot.slot(key).unwrap(), "{kind}: the slot of {key} in a batch");
        assert_eq!(slot, axis.slot(key).unwrap(), "{kind}: the slot of {key}");
        assert!(
            slot.is_none_or(|slot| axis.key(slot).unwrap() == Some(key.as_ref())),
            "{kind}: the key of {key}'s slot"
        );
    }
    for name in DIMENSIONS {
        let Some(dimension) = snapshot.dimension(name) else {
            assert!(model.values().all(|point| !point.contains_key(name)), "{kind}: there is no {name}");
            continue;
        };
        let keys: Vec<Key> = numbers.iter().map(|&n| key(kind, n)).collect();
        let mut batch = vec![None];
        dimension.batch_lookup(&keys, &mut batch).unwrap();
        assert_eq!(batch.remove(0), None);
        let pairs = snapshot.batch_lookup(keys.iter().map(|key| (key, name))).unwrap();
        for (n, key) in keys.iter().enumerate() {
            let expected = model.get(&(n as u64)).and_then(|point| point.get(name));
            let lookup = dimension.lookup(key).unwrap().map(|value| value.to_value().unwrap());
            assert_eq!(lookup.as_ref(), expected, "{kind}: {name} of {key}");
            for many in [batch[n], pairs[n]] {
                let many = many.map(|value| value.to_value().unwrap());
                assert_eq!(many.as_ref(), expected, "{kind}: {name} of {key} in a batch");
            }
        }
        assert_eq!(batch.len(), keys.len());
        for (n, key) in keys.iter().enumerate() {
            let slot = snapshot.slot(key).unwrap();
            assert_eq!(slot.is_some(), model.contains_key(&(n as u64)), "{kind}: the slot of {key}");
            let Some(slot) = slot else { continue };
            assert_eq!(snapshot.key(slot).unwrap(), Some(key.as_ref()), "{kind}");
            let get = dimension.get(slot).unwrap().map(|value| value.to_value().unwrap());
            assert_eq!(get.as_ref(), model[&(n as u64)].get(name), "{kind}: {name} of slot {slot} of {key}");
        }
        let used = (0..snapshot.slot_count() as u32).filter(|&slot| snapshot.key(Slot(slot)).unwrap().is_some());
        assert_eq!(used.count(), model.len(), "{kind}");
        let past_the_end = snapshot.slot_count() as u32 + 70;
        let asked: Vec<u32> = (0..past_the_end).chain([1 << 31, u32::MAX - 1, u32::MAX]).collect();
        let mut batch = vec![Some(true.into())];
        dimension.batch_get(asked.iter().copied().map(Slot), &mut batch).unwrap();
        assert_eq!((batch.len() - 1, batch.remove(0)), (asked.len(), Some(true.into())));
        for (&slot, value) in asked.iter().zip(batch) {
            let expected = snapshot.point_at(Slot(slot)).unwrap();
            let expected = expected.as_ref().and_then(|point| point.get(name));
            let value = value.map(|value| value.to_value().unwrap());
            assert_eq!(value.as_ref(), expected, "{kind}: {name} of slot {slot} in a batch");
        }
        for slot in 0..past_the_end {
            let is_used = snapshot.key(Slot(slot)).unwrap().is_some();
            assert!(is_used || dimension.get(Slot(slot)).unwrap().is_none(), "{kind}: {name} of free slot {slot}");
        }
    }
}

fn change(db: &VectorDb, kind: &str, model: &mut Model, random: &mut Random, operations: usize, up_to: u64) {
    for _ in 0..operations {
        let n = random.next() % up_to;
        if random.one_in(4) {
            assert_eq!(db.delete(&key(kind, n)).unwrap(), model.remove(&n).is_some());
            continue;
        }
        let round = random.next() % 1000;
        let names = DIMENSIONS.iter().filter(|_| random.one_in(3));
        let attributes: Vec<_> = names.filter_map(|&name| Some((name, value(name, n + round)?))).collect();
        db.upsert(key(kind, n), attributes.clone()).unwrap();
        model.entry(n).or_default().extend(attributes);
    }
}

#[test]
fn lookups_of_every_kind_of_key_and_value_are_those_of_a_map() {
    let seed = crate::support::environment("VECTOR_SEED").unwrap_or(5);
    let kinds = KINDS.into_iter().flat_map(|kind| [Layout::Packed, Layout::Frozen].map(|layout| (kind, layout)));
    for (kind, layout) in kinds {
        println!("VECTOR_SEED={seed}, {kind}, {layout:?}");
        let mut random = Random::new(seed);
        let dir = tempfile::tempdir().unwrap();
        let options = Options::new().durability(vector_datalib::Durability::Eventual);
        let db = options.create(dir.path().join("points.vdb")).unwrap();
        let mut model = Model::new();
        let records = (0..700).map(|n| {
            let attributes: Vec<_> = DIMENSIONS.iter().filter_map(|&name| Some((name, value(name, n)?))).collect();
            model.insert(n, attributes.iter().cloned().collect());
            (key(kind, n), attributes)
        });
        db.batch_upsert(records.collect::<Vec<_>>()).unwrap();
        let before = (db.snapshot(), model.clone());
        check(&before.0, kind, &model, 900);
        for layout in [Layout::ByKey, Layout::Frozen, Layout::Packed, layout] {
            db.compact(&CompactOptions::new().layout(layout)).unwrap();
            check(&db.snapshot(), kind, &model, 900);
        }
        let compacted = (db.snapshot(), model.clone());
        // A patch that says nothing of keys.
        for n in model.keys().copied().filter(|n| n % 7 == 0).collect::<Vec<_>>() {
            let attributes = DIMENSIONS.iter().filter_map(|&name| Some((name, value(name, n + 1)?)));
            let attributes: Vec<_> = attributes.collect();
            db.upsert(key(kind, n), attributes.clone()).unwrap();
            model.entry(n).or_default().extend(attributes);
        }
        db.save().unwrap();
        check(&db.snapshot(), kind, &model, 900);
        // What is in the overlay, what a patch took over, and both.
        for _ in 0..3 {
            change(&db, kind, &mut model, &mut random, 60, 900);
            let changed = (db.snapshot(), model.clone());
            change(&db, kind, &mut model, &mut random, 60, 900);
            check(&changed.0, kind, &changed.1, 900);
            check(&db.snapshot(), kind, &model, 900);
            db.save().unwrap();
            check(&db.snapshot(), kind, &model, 900);
            check(&changed.0, kind, &changed.1, 900);
        }
        db.compact(&CompactOptions::new()).unwrap();
        check(&db.snapshot(), kind, &model, 900);
        change(&db, kind, &mut model, &mut random, 3000, 900);
        check(&db.snapshot(), kind, &model, 900);
        check(&compacted.0, kind, &compacted.1, 900);
        check(&before.0, kind, &before.1, 900);
    }
}

/// An index has 16 bits of each key's hash: of so many keys, some share a bucket with another key that has the same ones.
#[test]
fn keys_whose_fingerprints_are_those_of_others_are_found() {
    const POINTS: u64 = 300_000;
    for kind in ["integers", "text"] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("points.vdb");
        let mut loader = BulkLoader::create(&path).unwrap();
        for n in 0..POINTS {
            loader.push(&key(kind, n), [("number", n)]).unwrap();
        }
        loader.finish().unwrap();
        let db = VectorDb::open(&path).unwrap();
        let snapshot = db.snapshot();
        let numbers = snapshot.dimension("number").unwrap();
        // The second time all blocks have been verified.
        for _ in 0..2 {
            for n in 0..POINTS {
                assert_eq!(numbers.lookup(&key(kind, n)).unwrap(), Some(n.into()), "{kind} {n}");
                assert_eq!(numbers.lookup(&key(kind, n + POINTS)).unwrap(), None, "{kind} {n}");
            }
        }
        let keys: Vec<Key> = (0..2 * POINTS).map(|n| key(kind, n)).collect();
        let (mut values, mut slots) = (Vec::new(), Vec::new());
        numbers.batch_lookup(&keys, &mut values).unwrap();
        snapshot.axis().batch_slot(&keys, &mut slots).unwrap();
        for (n, (value, slot)) in (0..).zip(values.iter().zip(&slots)) {
            assert_eq!(*value, (n < POINTS).then(|| n.into()), "{kind} {n} in a batch");
            assert_eq!(slot.is_some(), n < POINTS, "{kind} {n} in a batch of slots");
        }
    }
}

/// A key whose type no key of the axis has is missing, not an error.
#[test]
fn keys_of_another_type_are_missing() {
    for kind in KINDS {
        let dir = tempfile::tempdir().unwrap();
        let db = VectorDb::create(dir.path().join("points.vdb")).unwrap();
        db.batch_upsert((0..100).map(|n| (key(kind, n), [("plain", n)]))).unwrap();
        db.compact(&CompactOptions::new()).unwrap();
        let snapshot = db.snapshot();
        let plain = snapshot.dimension("plain").unwrap();
        let bytes = [1u8, 2];
        let others =
            [Key::from(true), Key::from(&bytes[..]), Key::from("nobody"), Key::from(1e300), Key::from(u64::MAX)];
        // Twice: the second time all blocks have been verified.
        for _ in 0..2 {
            let mut values = Vec::new();
            plain.batch_lookup(&others, &mut values).unwrap();
            assert_eq!(values, [None; 5], "{kind}");
            for other in &others {
                assert_eq!(plain.lookup(other).unwrap(), None, "{kind}: {other}");
            }
        }
    }
}

/// A byte is changed somewhere in a file, so that some blocks can be verified and one cannot.
#[test]
fn a_damaged_block_is_told_whichever_way_it_is_read() {
    const POINTS: u64 = 12_000;
    let seed = crate::support::environment("VECTOR_SEED").unwrap_or(5);
    println!("VECTOR_SEED={seed}");
    let mut random = Random::new(seed);
    for (kind, layout) in [("integers", Layout::Packed), ("text", Layout::Packed), ("integers", Layout::Frozen)] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("points.vdb");
        let mut loader = BulkLoader::create(&path).unwrap();
        for n in 0..POINTS {
            loader.push(&key(kind, n), ["text", "float"].map(|name| (name, value(name, n).unwrap()))).unwrap();
        }
        loader.finish().unwrap();
        VectorDb::open(&path).unwrap().compact(&CompactOptions::new().layout(layout)).unwrap();
        let files: Vec<_> = std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()).collect();
        let files = files.iter().filter(|file| {
            let name = file.file_name().unwrap().to_str().unwrap();
            name.starts_with("axis") || name.starts_with("dim")
        });
        for file in files {
            let sound = std::fs::read(file).unwrap();
            for _ in 0..6 {
                let mut bytes = sound.clone();
                let at = random.next() as usize % bytes.len();
                bytes[at] ^= 1 << (random.next() % 8);
                std::fs::write(file, &bytes).unwrap();
                let place = format!("{kind}, byte {at} of {}", file.display());
                let wrong = read_all(&path, kind, POINTS, &place);
                let is_in_table = at >= sound.len() - 4 * sound.len().div_ceil(65_536);
                assert!(wrong > 0 || is_in_table || layout == Layout::Frozen || at < 4096, "{place}: nobody saw it");
            }
            std::fs::write(file, &sound).unwrap();
            assert_eq!(read_all(&path, kind, POINTS, "sound"), 0);
        }
    }
}

/// Where the value of a key cannot be read, a batch ends with those before it, whether these were changed or not.
#[test]
fn a_batch_that_meets_a_damaged_patch_has_the_values_before_it() {
    const POINTS: u64 = 12_000;
    // Changed values are so long that the patch has many blocks: one with its slots and cells, the others with texts.
    let expected = |n: u64| if n.is_multiple_of(20) { format!("{n:->600}") } else { n.to_string() };
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("points.vdb");
    let mut loader = BulkLoader::create(&path).unwrap();
    for n in 0..POINTS {
        loader.push(&key("integers", n), [("text", n.to_string())]).unwrap();
    }
    loader.finish().unwrap();
    let options = Options::new().auto_checkpoint(None);
    let db = options.open(&path).unwrap();
    // Half of the changes in a patch, the other half in the overlay.
    for rest in [0, 20] {
        let changed = (0..POINTS).filter(|n| n % 40 == rest);
        db.batch_upsert(changed.map(|n| (key("integers", n), [("text", expected(n))]))).unwrap();
        if rest == 0 {
            db.save().unwrap();
        }
    }
    drop(db);
    let files = std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path());
    let patch = files.into_iter().find(|file| file.to_str().unwrap().contains("/patch-")).expect("a patch");
    let sound = std::fs::read(&patch).unwrap();
    let keys: Vec<Key> = (0..POINTS).map(|n| key("integers", n)).collect();
    let mut ended = 0;
    for at in (0..sound.len()).step_by(sound.len() / 40) {
        let mut bytes = sound.clone();
        bytes[at] ^= 4;
        std::fs::write(&patch, &bytes).unwrap();
        let Ok(db) = Options::new().auto_checkpoint(None).open(&path) else { continue };
        let snapshot = db.snapshot();
        let Some(dimension) = snapshot.dimension("text") else { continue };
        // The first lookups verify the axis and the column file; then all groups go the same way.
        let errors: Vec<bool> = keys.iter().map(|key| dimension.lookup(key).is_err()).collect();
        for (group, keys) in keys.chunks(64).enumerate() {
            let mut values = Vec::new();
            let result = dimension.batch_lookup(keys, &mut values);
            let first_error = errors[group * 64..].iter().take(keys.len()).position(|&is_error| is_error);
            assert_eq!(
                (result.is_err(), values.len()),
                (first_error.is_some(), first_error.unwrap_or(keys.len())),
                "byte {at}"
            );
            ended += usize::from(result.is_err() && !values.is_empty());
            for (n, value) in (group as u64 * 64..).zip(values) {
                assert_eq!(value, Some(expected(n).as_str().into()), "byte {at}: point {n}");
            }
        }
    }
    assert!(ended > 0, "no batch ended between its first key and its last");
}

/// Reads all values in every way, each twice; all must be right, or errors, whose number it returns.
fn read_all(path: &std::path::Path, kind: &str, points: u64, place: &str) -> usize {
    let Ok(db) = VectorDb::open_read_only(path) else { return 1 };
    let snapshot = db.snapshot();
    let mut errors = 0;
    let mut see = |error: Error| {
        assert!(matches!(error, Error::Corrupt { .. }), "{place}: {error}");
        errors += 1;
    };
    let keys: Vec<Key> = (0..points).map(|n| key(kind, n)).collect();
    for name in ["text", "float"] {
        let dimension = snapshot.dimension(name).unwrap();
        for _ in 0..2 {
            for (n, key) in (0..points).zip(&keys) {
                let expected = value(name, n);
                let got = |value: Option<vector_datalib::ValueRef<'_>>| value.map(|value| value.to_value().unwrap());
                match dimension.lookup(key) {
                    Ok(found) => assert_eq!(got(found), expected, "{place}: {name} of {key}"),
                    Err(error) => see(error),
                }
                match snapshot.axis().slot(key).and_then(|slot| slot.map_or(Ok(None), |slot| dimension.get(slot))) {
                    Ok(found) => assert_eq!(got(found), expected, "{place}: {name} of the slot of {key}"),
                    Err(error) => see(error),
                }
            }
            for (group, keys) in keys.chunks(64).enumerate() {
                let mut values = Vec::new();
                if let Err(error) = dimension.batch_lookup(keys, &mut values) {
                    see(error);
                }
                let (mut slots, mut of_slots) = (Vec::new(), Vec::new());
                let found = snapshot.axis().batch_slot(keys, &mut slots);
                let there = slots.iter().copied().flatten();
                if let Err(error) = found.and_then(|()| dimension.batch_get(there, &mut of_slots)) {
                    see(error);
                }
                for (n, found) in of_slots.iter().enumerate() {
                    let expected = value(name, (group * 64 + n) as u64);
                    let found = found.map(|value| value.to_value().unwrap());
                    assert_eq!(found, expected, "{place}: {name} in a batch of slots");
                }
                for (n, found) in values.iter().enumerate() {
                    let expected = value(name, (group * 64 + n) as u64);
                    assert_eq!(found.map(|value| value.to_value().unwrap()), expected, "{place}: {name} in a batch");
                }
            }
        }
    }
    errors
}
