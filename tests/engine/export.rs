//! The canonical file: its structure, what is wrapped, and that neither tiers nor the memory budget show in it.

mod raw;

use crate::model::canonical::check_file;
use crate::model::plain::{Contents, PlainKey, PlainPoint};
use crate::support::environment;
use crate::support::random::Random;
use crate::support::values::{self, Flavor};
use raw::{Raw, content, domain, int, ints, pairs, text};
use std::collections::{BTreeMap, HashSet};
use std::ops::ControlFlow;
use std::sync::Arc;
use vector_datalib::internals::MemoryStorage;
use vector_datalib::{CompactOptions, Error, Key, Options, Timestamp, Value, VectorDb, attrs};

/// The least, too little for anything, and enough for everything.
const BUDGETS: [usize; 3] = [1, 1 << 20, 1 << 30];

/// MessagePack of a scalar that Python calls equal to another, in an ext value.
const EXT_KIND_SCALAR: u8 = 3;

/// What is to be in a database.
#[derive(Default)]
struct Table {
    keys: Vec<Option<Value>>,
    dimensions: Vec<(String, BTreeMap<usize, Value>)>,
}

impl Table {
    fn with_dimensions(names: &[&str]) -> Self {
        Self { dimensions: names.iter().map(|&name| (name.to_owned(), BTreeMap::new())).collect(), ..Self::default() }
    }

    fn tombstone(&mut self) {
        self.keys.push(None);
    }

    /// Appends a point; a value for each of the first dimensions.
    fn add(&mut self, key: impl Into<Value>, values: Vec<Value>) {
        for (dimension, value) in self.dimensions.iter_mut().zip(values) {
            dimension.1.insert(self.keys.len(), value);
        }
        self.keys.push(Some(key.into()));
    }

    /// Fills a database, which has some of it in files if `saves`.
    fn fill(&self, db: &VectorDb, saves: bool) {
        // Dimensions are there, in order, before any has a value.
        db.upsert("", self.dimensions.iter().map(|(name, _)| (name, Value::Null))).unwrap();
        db.delete("").unwrap();
        let placeholder = |slot: usize| Key::from(format!("free {slot}"));
        let attributes = |slot: usize| -> Vec<(&String, Value)> {
            let cells = self.dimensions.iter().map(|(name, cells)| (name, cells.get(&slot)));
            cells.filter_map(|(name, value)| Some((name, value?.clone()))).collect()
        };
        let key = |slot: usize| self.keys[slot].clone().map_or(placeholder(slot), |key| Key::try_from(key).unwrap());
        let batches = if saves { 3 } else { 1 };
        let slots: Vec<usize> = (0..self.keys.len()).collect();
        for slots in slots.chunks(self.keys.len().div_ceil(batches).max(1)) {
            db.batch_upsert(slots.iter().map(|&slot| (key(slot), attributes(slot)))).unwrap();
            if saves {
                db.save().unwrap();
            }
        }
        let free = slots.iter().filter(|&&slot| self.keys[slot].is_none());
        let free: Vec<Key> = free.map(|&slot| placeholder(slot)).collect();
        db.batch_delete(&free).unwrap();
    }

    fn contents(&self) -> Contents {
        let point = |slot: usize, key: &Value| PlainPoint {
            key: PlainKey::new(key.clone()),
            attributes: self
                .dimensions
                .iter()
                .enumerate()
                .filter_map(|(number, (_, cells))| Some((number, Arc::new(cells.get(&slot)?.clone()))))
                .collect(),
        };
        let slots = self.keys.iter().enumerate();
        let mut slots: Vec<_> = slots.map(|(slot, key)| Some(Arc::new(point(slot, key.as_ref()?)))).collect();
        while slots.last().is_some_and(Option::is_none) {
            slots.pop();
        }
        let dimensions = self.dimensions.iter().map(|(name, _)| name.as_str().into()).collect();
        Contents { slots, dimensions, sequence: 0 }
    }

    /// Exports it from the overlay, from patches and from column files, with every budget, all of which must give the same bytes.
    fn file(&self) -> Vec<u8> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("export.db");
        let storage = Arc::new(MemoryStorage::new());
        let options = || Options::new().merge_fraction(1e9).background(false);
        let db = options().create_in(Arc::clone(&storage) as _).unwrap();
        self.fill(&db, false);
        let mut files: Vec<(String, Vec<u8>)> = Vec::new();
        for tiers in ["overlay", "patch", "files"] {
            match tiers {
                "patch" => db.save().unwrap(),
                "files" => db.compact(&CompactOptions::new()).unwrap(),
                _ => {}
            }
            for budget in BUDGETS {
                let reader = options().memory_budget(budget).open_read_only_in(Arc::clone(&storage) as _).unwrap();
                reader.export(&path).unwrap();
                files.push((format!("{tiers}, {budget}"), std::fs::read(&path).unwrap()));
            }
        }
        check_file(&path, &self.contents());
        let (_, first) = files.swap_remove(0);
        for (what, file) in files {
            assert!(file == first, "same state, same bytes: {what}");
        }
        first
    }

    fn decoded(&self) -> Raw {
        let content = content(&self.file());
        let mut rest = content.as_slice();
        let raw = Raw::decode(&mut rest);
        assert!(rest.is_empty());
        check_wrapping(&raw);
        raw
    }
}

/// What Python takes for an integer, plain or within what we wrap.
fn number(raw: &Raw) -> Option<(i128, bool)> {
    match raw {
        Raw::Bool(bool) => Some((i128::from(*bool), false)),
        Raw::Int(int) => Some((*int, false)),
        Raw::Float(bits) => {
            let float = f64::from_bits(*bits);
            let whole = float.fract() == 0.0 && (-2f64.powi(63)..2f64.powi(64)).contains(&float);
            whole.then_some((float as i128, false))
        }
        Raw::Ext(0x56, data) if data[0] == EXT_KIND_SCALAR => {
            let (number, _) = number(&Raw::decode(&mut &data[1..]))?;
            Some((number, true))
        }
        _ => None,
    }
}

/// Of the keys, and of the values of each dimension, those are wrapped that equal one before them, and no others.
fn check_wrapping(raw: &Raw) {
    let check = |all: Vec<&Raw>| {
        let mut seen = HashSet::new();
        for (number, is_wrapped) in all.into_iter().filter_map(number) {
            assert_eq!(!seen.insert(number), is_wrapped, "{number}");
        }
    };
    let Raw::Array(keys) = raw.get(&["database", "central_axis", "vector_points"]) else { panic!() };
    check(keys.iter().collect());
    let Raw::Map(spaces) = raw.get(&["database", "dimensional_spaces"]) else { panic!() };
    for (_, space) in spaces {
        let Raw::Map(values) = space.get(&["value_domain"]) else { panic!() };
        check(values.iter().map(|(_, value)| value).collect());
    }
}

/// A scalar that no other equals.
fn plain(value: &Value) -> Raw {
    match value {
        Value::Bool(bool) => Raw::Bool(*bool),
        Value::Int(integer) => int(*integer),
        Value::Float(float) => Raw::Float(float.to_bits()),
        Value::Text(of) => text(of),
        Value::Bytes(bytes) => Raw::Bytes(bytes.clone()),
        Value::Timestamp(time) => Raw::Ext(-1, u32::try_from(time.seconds()).unwrap().to_be_bytes().to_vec()),
        Value::Ext(ext) => Raw::Ext(ext.code(), ext.data().to_vec()),
        _ => panic!("{value}"),
    }
}

/// One that equals another.
fn wrapped(scalar: Raw) -> Raw {
    Raw::Array(vec![text("wrapped"), scalar])
}

/// The same with wrapped scalars as [`wrapped`] has them.
fn opened(raw: Raw) -> Raw {
    match raw {
        Raw::Ext(0x56, data) if data[0] == EXT_KIND_SCALAR => wrapped(Raw::decode(&mut &data[1..])),
        Raw::Array(items) => Raw::Array(items.into_iter().map(opened).collect()),
        Raw::Map(pairs) => Raw::Map(pairs.into_iter().map(|(key, value)| (key, opened(value))).collect()),
        other => other,
    }
}

fn create() -> VectorDb {
    Options::new().create_in(Arc::new(MemoryStorage::new())).unwrap()
}

fn export(db: &VectorDb) -> Vec<u8> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("export.db");
    db.export(&path).unwrap();
    std::fs::read(&path).unwrap()
}

#[test]
fn an_empty_database_has_the_fields_of_the_original_in_its_order() {
    let db = create();
    let raw = Raw::decode(&mut content(&export(&db)).as_slice());
    assert_eq!(raw.names(), ["metadata", "database"]);
    let empty = || Raw::Map(vec![]);
    let made = db.stats().unwrap().metadata.created_at;
    let metadata = Raw::Map(vec![
        (text("version"), text("1.4.0-beta")),
        (text("created_at"), text(&made)),
        (text("last_modified"), text(&made)),
        (text("total_vector_points"), int(0)),
        (text("total_dimensions"), int(0)),
    ]);
    assert_eq!(raw.get(&["metadata"]), &metadata);
    let axis = ["vector_points", "coordinate_map", "free_slots"].map(|name| (text(name), Raw::Array(vec![])));
    let database = Raw::Map(vec![
        (text("central_axis"), Raw::Map(axis.to_vec())),
        (text("dimensional_spaces"), empty()),
        (text("coordinate_mappings"), empty()),
    ]);
    assert_eq!(raw.get(&["database"]), &database);
}

#[test]
fn the_frame_is_as_specified() {
    let mut database = Table::with_dimensions(&["d"]);
    for i in 0..30_000 {
        database.add(i, vec![Value::from(format!("value {i}"))]);
    }
    let file = database.file();
    let content_len = content(&file).len() as u64;
    assert_eq!(file[..6], [0x04, 0x22, 0x4d, 0x18, 0x5c, 0x40]);
    assert_eq!(file[6..14], content_len.to_le_bytes());
    let mut at = 15;
    let mut blocks = 0;
    loop {
        let header = u32::from_le_bytes(file[at..at + 4].try_into().unwrap());
        at += 4;
        if header == 0 {
            break;
        }
        let len = header & 0x7fff_ffff;
        assert!(len <= 65_536);
        at += len as usize + 4;
        blocks += 1;
    }
    assert_eq!(at + 4, file.len(), "the end mark and the checksum of the content are the last");
    assert_eq!(blocks, content_len.div_ceil(65_536));
    assert!(blocks > 10);
}

#[test]
fn tombstones_ids_and_counts() {
    let mut database = Table::with_dimensions(&["b", "", "never", "a"]);
    database.tombstone();
    database.add("x", vec!["red".into(), 5.into()]);
    database.tombstone();
    database.add("y", vec!["blue".into()]);
    database.add("z", vec!["red".into(), Value::Null]);
    database.tombstone();
    database.dimensions[3].1.insert(4, true.into());
    let raw = database.decoded();

    let axis = |name| raw.get(&["database", "central_axis", name]);
    assert_eq!(axis("vector_points"), &Raw::Array(vec![Raw::Nil, text("x"), Raw::Nil, text("y"), text("z")]));
    let entry = |key, slot: i128| Raw::Array(vec![text(key), int(slot)]);
    assert_eq!(axis("coordinate_map"), &Raw::Array(vec![entry("x", 1), entry("y", 3), entry("z", 4)]));
    assert_eq!(axis("free_slots"), &ints(&[2, 0]));
    assert_eq!(raw.get(&["metadata", "total_vector_points"]), &int(3));
    assert_eq!(raw.get(&["metadata", "total_dimensions"]), &int(4));

    for part in ["dimensional_spaces", "coordinate_mappings"] {
        assert_eq!(raw.get(&["database", part]).names(), ["b", "", "never", "a"]);
    }
    let space = |name, values: &[Raw], next: i128| {
        let space = Raw::Map(vec![(text("value_domain"), domain(values)), (text("next_id"), int(next))]);
        assert_eq!(raw.get(&["database", "dimensional_spaces", name]), &space);
    };
    space("b", &[text("red"), text("blue")], 3);
    space("", &[int(5), Raw::Nil], 3);
    space("never", &[], 1);
    space("a", &[Raw::Bool(true)], 2);
    let mapping = |name, ids: &[(i128, i128)], counts: &[(i128, i128)]| {
        let mapping = Raw::Map(vec![(text("coordinate_to_value_id"), pairs(ids)), (text("ref_counts"), pairs(counts))]);
        assert_eq!(raw.get(&["database", "coordinate_mappings", name]), &mapping);
    };
    mapping("b", &[(1, 1), (3, 2), (4, 1)], &[(1, 2), (2, 1)]);
    mapping("", &[(1, 1), (4, 2)], &[(1, 1), (2, 1)]);
    mapping("never", &[], &[]);
    mapping("a", &[(4, 1)], &[(1, 1)]);
}

#[test]
fn a_database_of_tombstones_writes_none() {
    let mut database = Table::with_dimensions(&["gone"]);
    for _ in 0..3 {
        database.tombstone();
    }
    let raw = database.decoded();
    for name in ["vector_points", "coordinate_map", "free_slots"] {
        assert_eq!(raw.get(&["database", "central_axis", name]), &Raw::Array(vec![]));
    }
}

/// The first of the values that Python calls equal is plain, wherever it comes.
#[test]
fn what_python_calls_equal_is_wrapped_from_the_second_on() {
    let two_53 = 9_007_199_254_740_992.0;
    let groups: [&[Value]; 7] = [
        &[true.into(), 1.into(), 1.0.into()],
        &[false.into(), 0.into(), 0.0.into(), (-0.0).into()],
        &[two_53.into(), (1i64 << 53).into()],
        &[(-9_223_372_036_854_775_808.0).into(), i64::MIN.into()],
        &[9_223_372_036_854_775_808.0.into(), (1u64 << 63).into()],
        &[300.into(), 300.0.into()],
        &[Value::from(-7), (-7.0).into()],
    ];
    let alone: Vec<Value> = vec![
        "1".into(),
        vec![b'1'].into(),
        1.5.into(),
        ((1i64 << 53) + 1).into(),
        u64::MAX.into(),
        18_446_744_073_709_551_616.0.into(),
        i64::MAX.into(),
        f64::NAN.into(),
        (-f64::NAN).into(),
        f64::INFINITY.into(),
        Timestamp::new(1, 0).unwrap().into(),
        Value::ext(1, vec![1]),
    ];
    for rotation in 0..4 {
        let mut database = Table::with_dimensions(&["d"]);
        let mut expected = Vec::new();
        for group in groups {
            let mut group = group.to_vec();
            let middle = rotation % group.len();
            group.rotate_left(middle);
            for (i, value) in group.into_iter().enumerate() {
                expected.push(if i == 0 { plain(&value) } else { wrapped(plain(&value)) });
                database.add(value.clone(), vec![value]);
            }
        }
        for value in &alone {
            expected.push(plain(value));
            database.add(value.clone(), vec![value.clone()]);
        }
        let raw = opened(database.decoded());
        assert_eq!(raw.get(&["database", "dimensional_spaces", "d", "value_domain"]), &domain(&expected));
        assert_eq!(raw.get(&["database", "central_axis", "vector_points"]), &Raw::Array(expected.clone()));
        let map = expected.into_iter().zip(0..).map(|(key, slot)| Raw::Array(vec![key, Raw::Int(slot)])).collect();
        assert_eq!(raw.get(&["database", "central_axis", "coordinate_map"]), &Raw::Array(map));
    }
}

#[test]
fn wrapping_is_decided_for_each_dimension_alone() {
    let mut database = Table::with_dimensions(&["a", "b", "c"]);
    database.add("x", vec![1.into(), true.into(), 0.0.into()]);
    database.add("y", vec![1.into(), true.into(), (-0.0).into()]);
    let raw = opened(database.decoded());
    let values = |name| raw.get(&["database", "dimensional_spaces", name, "value_domain"]);
    assert_eq!(values("a"), &domain(&[int(1)]));
    assert_eq!(values("b"), &domain(&[Raw::Bool(true)]));
    assert_eq!(values("c"), &domain(&[Raw::Float(0), wrapped(plain(&(-0.0).into()))]));
}

#[test]
fn many_values_keep_their_order() {
    let mut database = Table::with_dimensions(&["d"]);
    // Every value twice, the second time in another order.
    for i in 0..20_000u64 {
        database.add(i, vec![Value::from(format!("{}", if i < 10_000 { i } else { (i * 7_919) % 10_000 }))]);
    }
    let raw = database.decoded();
    let values: Vec<Raw> = (0..10_000).map(|i| text(&i.to_string())).collect();
    assert_eq!(raw.get(&["database", "dimensional_spaces", "d", "value_domain"]), &domain(&values));
    let counts: Vec<(i128, i128)> = (1..=10_000).map(|id| (id, 2)).collect();
    assert_eq!(raw.get(&["database", "coordinate_mappings", "d", "ref_counts"]), &pairs(&counts));
    let ids: Vec<(i128, i128)> =
        (0..20_000).map(|i| (i, 1 + if i < 10_000 { i } else { (i * 7_919) % 10_000 })).collect();
    assert_eq!(raw.get(&["database", "coordinate_mappings", "d", "coordinate_to_value_id"]), &pairs(&ids));
}

/// Databases with keys and values of every kind, deleted points, and values that come again: what is in the file is what was put in, and
/// nothing else shows in its bytes.
#[test]
fn random_databases_give_the_same_bytes_from_every_tier_with_every_budget() {
    let alone: Option<u64> = environment("VECTOR_SEED");
    for seed in alone.map_or(0..12, |seed| seed..seed + 1) {
        println!("seed {seed}: VECTOR_SEED={seed} repeats it");
        let mut random = Random::new(seed);
        let names: Vec<String> = (0..random.within(1..6)).map(|number| format!("d{number}")).collect();
        let mut table = Table::with_dimensions(&names.iter().map(String::as_str).collect::<Vec<_>>());
        let flavors: Vec<Flavor> = names.iter().map(|_| Flavor::new(&mut random, false)).collect();
        let density = random.within(1..5);
        let mut keys = HashSet::new();
        for _ in 0..*random.pick(&[10, 500, 3000]) {
            if random.one_in(9) {
                table.tombstone();
            }
            let slot = table.keys.len();
            let key = if random.one_in(2) { values::key(&mut random, 0) } else { Value::from(slot as u64) };
            if key == Value::from("") || !keys.insert(Key::try_from(key.clone()).unwrap()) {
                continue;
            }
            table.add(key, vec![]);
            for (flavor, (_, cells)) in flavors.iter().zip(&mut table.dimensions) {
                if random.one_in(density) {
                    cells.insert(slot, flavor.value(&mut random));
                }
            }
        }
        table.decoded();
    }
}

/// Compacted before, with more values that come again than are counted at a time, and with values that all differed until then.
#[test]
fn what_was_changed_since_the_files_were_written_is_exported() {
    let mut table = Table::with_dimensions(&["few", "twice", "once"]);
    for i in 0..140_000u64 {
        if i % 1000 == 7 {
            table.tombstone();
        } else {
            table.add(i, vec![Value::from(i % 50), Value::from(i / 2), Value::from(format!("value {i}"))]);
        }
    }
    let options = Options::new().merge_fraction(1e9).background(false).memory_budget(1);
    let db = options.create_in(Arc::new(MemoryStorage::new())).unwrap();
    table.fill(&db, true);
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("export.db");
    let check = |table: &Table| {
        db.export(&path).unwrap();
        check_file(&path, &table.contents());
    };
    check(&table);
    db.compact(&CompactOptions::new()).unwrap();
    check(&table);
    let changed = (0..500u64).map(|i| i * 10);
    let value = |name: &str| Value::from(format!("another {name}"));
    let attributes = || table.dimensions.iter().map(|(name, _)| (name.clone(), value(name))).collect::<Vec<_>>();
    db.batch_upsert(changed.clone().map(|key| (key, attributes()))).unwrap();
    for (name, cells) in &mut table.dimensions {
        cells.extend(changed.clone().map(|key| (key as usize, value(name))));
    }
    check(&table);
    let file = export(&db);
    db.save().unwrap();
    assert!(export(&db) == file);
    db.compact(&CompactOptions::new()).unwrap();
    assert!(export(&db) == file);
}

#[test]
fn progress_never_goes_back_and_ends_at_its_end_and_cancelling_leaves_nothing() {
    let db = create();
    db.batch_upsert((0..100_000i64).map(|i| (i, attrs! { "n" => i / 3, "text" => i.to_string() }))).unwrap();
    db.batch_delete(99_000..100_000i64).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("export.db");
    let (mut done, mut reports) = (0, 0);
    db.export_with(&path, &mut |progress| {
        assert_eq!((progress.phase, progress.unit, progress.total), ("exporting", "cells", Some(3 * 3 * 99_000)));
        assert!(done <= progress.done, "{done} {progress:?}");
        (done, reports) = (progress.done, reports + 1);
        ControlFlow::Continue(())
    })
    .unwrap();
    assert_eq!(done, 3 * 3 * 99_000);
    assert!(reports > 10);
    let before = std::fs::read(&path).unwrap();
    for stop in 1..=reports {
        let mut left = stop;
        let cancelled = db.export_with(&path, &mut |_| {
            left -= 1;
            if left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        if left > 0 && stop > 10 {
            // It was quicker than before, so there was less to tell.
            break;
        }
        assert!(matches!(cancelled, Err(Error::Cancelled)), "{stop}");
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1, "{stop}");
    }
    assert!(std::fs::read(&path).unwrap() == before);
}
