//! Scans and counts: what is borrowed, what is put together, and what damage does to them.

use crate::corpus::harness::{block_file, manifest_file};
use std::sync::{Arc, OnceLock};
use vector_datalib::internals::MemoryStorage;
use vector_datalib::{
    CompactOptions, Durability, Options, Segment, SegmentPresence, SegmentValues, Slot, Snapshot, Value, VectorDb,
    attrs,
};

pub(crate) const POINTS: u64 = 66_000;

/// A dimension, the value of a point in it, and how its segments should be: values and presence, by name.
pub(crate) type Layout = (&'static str, fn(u64) -> Option<Value>, &'static str, &'static str);

pub(crate) const LAYOUTS: [Layout; 11] = [
    ("constant", |_| Some(true.into()), "constant", "all"),
    ("dictionary8", |n| Some((n % 200).into()), "dictionary8", "all"),
    ("dictionary16", |n| Some(format!("text {}", n % 1000).into()), "dictionary16", "all"),
    ("i64", |n| Some((n as i64 - 500).into()), "i64", "all"),
    ("u64", |n| Some((u64::MAX - n).into()), "u64", "all"),
    ("f64", |n| Some((n as f64).sqrt().into()), "f64", "all"),
    ("text", |n| Some(format!("{n}").into()), "values", "all"),
    ("mixed", |n| Some(if n % 2 == 0 { n.into() } else { (n as f64).into() }), "values", "all"),
    ("half", |n| (n % 2 == 1).then(|| n.into()), "i64", "bitmap"),
    ("few", |n| (n % 1000 == 7).then(|| n.into()), "i64", "sorted"),
    ("late", |n| (n > 65_600).then(|| n.into()), "values", "none"),
];

fn options() -> Options {
    Options::new().durability(Durability::Eventual).auto_checkpoint(None).merge_fraction(1e9)
}

pub(crate) fn create(storage: &MemoryStorage) -> VectorDb {
    options().create_in(Arc::new(storage.clone())).unwrap()
}

/// A compacted database of all layouts, made once and copied; open, with its files.
pub(crate) fn load() -> (VectorDb, MemoryStorage) {
    static LOADED: OnceLock<MemoryStorage> = OnceLock::new();
    let storage = LOADED.get_or_init(|| {
        let storage = MemoryStorage::new();
        let db = create(&storage);
        let record = |n| {
            let attributes = LAYOUTS.iter().filter_map(|(name, value, ..)| Some((*name, value(n)?)));
            (n, attributes.collect::<Vec<_>>())
        };
        for start in (0..POINTS).step_by(10_000) {
            db.batch_upsert((start..(start + 10_000).min(POINTS)).map(record)).unwrap();
        }
        db.compact(&CompactOptions::new()).unwrap();
        db.close().unwrap();
        storage
    });
    let storage = storage.snapshot();
    (options().open_in(Arc::new(storage.clone())).unwrap(), storage)
}

fn describe(segment: &Segment<'_>) -> (&'static str, &'static str) {
    let values = match segment.values() {
        SegmentValues::Constant(_) => "constant",
        SegmentValues::I64(_) => "i64",
        SegmentValues::U64(_) => "u64",
        SegmentValues::F64(_) => "f64",
        SegmentValues::Dictionary8(..) => "dictionary8",
        SegmentValues::Dictionary16(..) => "dictionary16",
        SegmentValues::Values(_) => "values",
        _ => "new",
    };
    let presence = match segment.presence() {
        SegmentPresence::None => "none",
        SegmentPresence::All => "all",
        SegmentPresence::Bitmap(_) => "bitmap",
        SegmentPresence::Sorted(_) => "sorted",
        _ => "new",
    };
    (values, presence)
}

fn segment<'s>(snapshot: &'s Snapshot, name: &str, number: usize) -> Segment<'s> {
    snapshot.dimension(name).unwrap().segments().nth(number).unwrap().unwrap()
}

#[test]
fn what_nothing_changed_is_borrowed_in_the_form_that_its_file_has() {
    let (db, _) = load();
    let snapshot = db.snapshot();
    for (name, value, values, presence) in LAYOUTS {
        let first = segment(&snapshot, name, 0);
        assert_eq!(describe(&first), (values, presence), "{name}");
        let last = segment(&snapshot, name, 1);
        assert_eq!((last.first_slot(), last.slot_count()), (Slot(65_536), POINTS as usize - 65_536));
        for segment in [first, last] {
            assert!(segment.is_borrowed(), "{name}");
            let slots = u64::from(segment.first_slot().0)..;
            let expected = slots.take(segment.slot_count()).filter_map(|n| Some((Slot(n as u32), value(n)?)));
            let read = segment.iter().map(|read| read.map(|(slot, value)| (slot, value.to_value().unwrap())).unwrap());
            assert!(read.eq(expected), "{name}");
        }
    }
}

#[test]
fn a_change_copies_the_segment_that_it_is_in_and_no_other() {
    let (db, _) = load();
    let touched = |name: &str| {
        let snapshot = db.snapshot();
        let segments = snapshot.dimension(name).unwrap().segments();
        segments.map(|segment| !segment.unwrap().is_borrowed()).collect::<Vec<_>>()
    };
    db.upsert(65_999, attrs! { "i64" => 1, "text" => "new" }).unwrap();
    assert_eq!(["i64", "text", "f64"].map(touched), [[false, true], [false, true], [false, false]]);
    db.save().unwrap();
    assert_eq!(["i64", "text", "f64"].map(touched), [[false, true], [false, true], [false, false]], "in a patch");
    db.delete(5).unwrap();
    assert_eq!(
        ["i64", "f64"].map(touched),
        [[true, true], [true, false]],
        "a freed slot hides cells of all dimensions"
    );
    db.save().unwrap();
    assert_eq!(["i64", "f64"].map(touched), [[true, true], [true, false]]);
    let snapshot = db.snapshot();
    let first = segment(&snapshot, "f64", 0);
    assert_eq!((describe(&first), first.value_count(), first.index_of(5)), (("f64", "bitmap"), 65_535, None));
    db.compact(&CompactOptions::new()).unwrap();
    assert_eq!(["i64", "text", "f64"].map(touched), [[false; 2]; 3]);
}

#[test]
fn values_of_the_type_at_hand_leave_a_segment_typed_and_others_do_not() {
    let (db, _) = load();
    let form = |name: &str| {
        let snapshot = db.snapshot();
        describe(&segment(&snapshot, name, 0)).0
    };
    db.upsert(3, attrs! { "i64" => -1, "u64" => 1, "f64" => 0.5, "constant" => "no", "dictionary8" => "new" }).unwrap();
    let names = ["i64", "u64", "f64", "constant", "dictionary8"];
    assert_eq!(names.map(form), ["i64", "u64", "f64", "dictionary16", "dictionary16"]);
    db.upsert(4, attrs! { "i64" => u64::MAX, "u64" => -1, "f64" => 1 }).unwrap();
    assert_eq!(["i64", "u64", "f64"].map(form), ["values"; 3]);
    let snapshot = db.snapshot();
    let segment = segment(&snapshot, "dictionary8", 0);
    let SegmentValues::Dictionary16(numbers, dictionary) = segment.values() else { panic!("{segment:?}") };
    assert_eq!((dictionary.shared_len(), dictionary.len(), numbers[3]), (200, 201, 200));
    assert_eq!(dictionary.get(200).unwrap().as_str(), Some("new"));
    assert!(dictionary.get(201).unwrap_err().is_corrupt(), "a number that no cell of a sound file has");
}

#[test]
fn counts_are_kept_for_dictionaries_and_scanned_for_all_else() {
    let (db, _) = load();
    db.upsert(3, attrs! { "dictionary16" => "new", "text" => "5", "in memory" => 1 }).unwrap();
    let snapshot = db.snapshot();
    let dimension = |name| snapshot.dimension(name).unwrap();
    for (name, counted) in
        [("constant", true), ("dictionary16", true), ("in memory", true), ("text", false), ("i64", false)]
    {
        assert_eq!(dimension(name).has_counts().unwrap(), counted, "{name}");
        assert_eq!(dimension(name).top(1).unwrap().scanned(), !counted, "{name}");
    }
    assert_eq!(dimension("dictionary16").distinct_count().unwrap(), 1001);
    assert_eq!(dimension("dictionary16").count_of("text 3").unwrap(), 65);
    assert_eq!(dimension("text").distinct_count().unwrap(), POINTS - 1);
    assert_eq!(dimension("text").count_of("5").unwrap(), 2);
    assert_eq!(dimension("text").count_of("3").unwrap(), 0);
    let slots: Vec<Slot> = dimension("text").find("5").unwrap().map(Result::unwrap).collect();
    assert_eq!(slots, [Slot(3), Slot(5)]);
}

#[test]
fn values_with_as_many_points_come_in_the_order_of_values() {
    let db = create(&MemoryStorage::new());
    let values = [Value::from("b"), Value::from("a"), Value::from(1.0), Value::from(1), Value::Null, Value::from("a")];
    db.batch_upsert(values.into_iter().enumerate().map(|(key, value)| (key as u64, [("v", value)]))).unwrap();
    let snapshot = db.snapshot();
    let dimension = snapshot.dimension("v").unwrap();
    let counts = dimension.value_counts().unwrap();
    let ordered = [Value::from("a"), Value::Null, Value::from(1), Value::from(1.0), Value::from("b")];
    assert!(counts.iter().map(|(value, _)| *value).eq(ordered), "{counts:?}");
    assert_eq!(counts.iter().map(|&(_, count)| count).collect::<Vec<_>>(), [2, 1, 1, 1, 1]);
    assert!(dimension.top(2).unwrap().iter().eq(counts.iter().take(2)));
    assert_eq!((dimension.top(0).unwrap().len(), dimension.top(9).unwrap()), (0, counts));
}

#[test]
fn sums_and_extremes_are_of_the_numbers_and_exact_for_integers() {
    let db = create(&MemoryStorage::new());
    let check = |values: &[Value], integers: Option<i128>, floats: f64, range: Option<(Value, Value)>| {
        let name = format!("{}", db.dimensions().len());
        let records = values.iter().enumerate().map(|(key, value)| (key as u64, [(name.as_str(), value.clone())]));
        db.batch_upsert(records).unwrap();
        for saved in [false, true] {
            let snapshot = db.snapshot();
            let dimension = snapshot.dimension(&name).unwrap();
            let found = dimension.min_max().unwrap().map(|(a, b)| (a.to_value().unwrap(), b.to_value().unwrap()));
            assert_eq!(found, range, "{values:?}, saved: {saved}");
            match dimension.sum().unwrap() {
                Some(sum) => {
                    assert_eq!(sum.integers(), integers, "{values:?}, saved: {saved}");
                    assert_eq!(sum.floats().to_bits(), floats.to_bits(), "{values:?}, saved: {saved}");
                }
                None => assert_eq!(range, None),
            }
            db.compact(&CompactOptions::new()).unwrap();
        }
    };
    let big = Value::big_int(false, &[1; 40]);
    let max = Value::from(i128::MAX);
    check(&["a".into(), Value::Null, true.into()], None, 0.0, None);
    check(&[5.into(), (-7).into(), "a".into()], Some(-2), 0.0, Some(((-7).into(), 5.into())));
    check(
        &[u64::MAX.into(), u64::MAX.into()],
        Some(2 * i128::from(u64::MAX)),
        0.0,
        Some((u64::MAX.into(), u64::MAX.into())),
    );
    check(
        &[max.clone(), max.clone(), i128::MIN.into()],
        Some(i128::MAX - 1),
        0.0,
        Some((i128::MIN.into(), max.clone())),
    );
    check(&[max.clone(), max.clone()], None, 0.0, Some((max.clone(), max)));
    check(&[big.clone(), 1.into()], None, 0.0, Some((1.into(), big.clone())));
    check(&[0.5.into(), 2.into(), (-1.5).into()], Some(2), -1.0, Some(((-1.5).into(), 2.into())));
    check(&[0.0.into(), (-0.0).into()], Some(0), 0.0, Some(((-0.0).into(), 0.0.into())));
    check(&[1.into(), 1.0.into()], Some(1), 1.0, Some((1.into(), 1.0.into())));
    let infinity = Value::from(f64::INFINITY);
    check(&[infinity.clone(), big], None, f64::INFINITY, Some((Value::big_int(false, &[1; 40]), infinity)));
    let snapshot = db.snapshot();
    let name = snapshot.dimensions().nth(6).unwrap();
    let sum = snapshot.dimension(name).unwrap().sum().unwrap().unwrap();
    assert_eq!((sum.integer_count(), sum.float_count(), sum.to_f64()), (1, 2, Some(1.0)));
    assert_eq!(sum.mean(), Some(1.0 / 3.0));
}

#[test]
fn a_nan_makes_the_sum_of_floats_nan_and_is_neither_least_nor_greatest() {
    let db = create(&MemoryStorage::new());
    db.batch_upsert([(1, [("v", 1.5)]), (2, [("v", f64::NAN)]), (3, [("v", -2.5)])]).unwrap();
    db.batch_upsert([(1, [("only", f64::NAN)])]).unwrap();
    for _ in 0..2 {
        let snapshot = db.snapshot();
        let dimension = snapshot.dimension("v").unwrap();
        assert!(dimension.sum().unwrap().unwrap().floats().is_nan());
        assert_eq!((dimension.min().unwrap(), dimension.max().unwrap()), (Some((-2.5).into()), Some(1.5.into())));
        assert_eq!(dimension.find(f64::NAN).unwrap().map(Result::unwrap).collect::<Vec<_>>(), [Slot(1)]);
        let only = snapshot.dimension("only").unwrap();
        assert_eq!((only.min_max().unwrap(), only.sum().unwrap().unwrap().float_count()), (None, 1));
        db.compact(&CompactOptions::new()).unwrap();
    }
}

#[test]
fn what_a_descriptor_states_of_numbers_says_nothing_of_nans_and_text_beside_them() {
    let db = create(&MemoryStorage::new());
    let float = |n: u64| if n == 500 { f64::NAN } else { (n as f64).sqrt() };
    let integer = |n: u64| if n == 500 { Value::from("text") } else { Value::from(n) };
    db.batch_upsert((0..70_000).map(|n| (n, [("floats", float(n).into()), ("integers", integer(n))]))).unwrap();
    db.compact(&CompactOptions::new()).unwrap();
    let snapshot = db.snapshot();
    let dimension = |name| snapshot.dimension(name).unwrap();
    assert_eq!(["floats", "integers"].map(|name| describe(&segment(&snapshot, name, 0)).0), ["f64", "values"]);
    assert_eq!(dimension("floats").count_in(0..1000).unwrap(), 69_999);
    assert_eq!(dimension("integers").count_in(0..).unwrap(), 69_999);
    assert_eq!(dimension("integers").count_in("a"..).unwrap(), 1);
    assert_eq!(dimension("integers").find_in("a"..).unwrap().next().unwrap().unwrap(), Slot(500));
    assert_eq!([dimension("floats"), dimension("integers")].map(|all| all.count_in::<i64>(..).unwrap()), [70_000; 2]);
}

#[test]
fn the_sum_of_floats_is_added_in_the_documented_order_however_they_are_stored() {
    // What the last one leaves of the others is what their order of adding rounded.
    let float = |n: i32| f64::from(n + 2).sqrt() * 10f64.powi(n * 7 % 17) * if n % 2 == 0 { 1.0 } else { -1.0 };
    let mut floats: Vec<f64> = (0..20).map(float).collect();
    floats.push(-floats.iter().sum::<f64>());
    let lane = |at: usize| floats.iter().skip(at).step_by(8).sum::<f64>();
    let expected = ((lane(0) + lane(1)) + (lane(2) + lane(3))) + ((lane(4) + lane(5)) + (lane(6) + lane(7)));
    assert_ne!(expected.to_bits(), floats.iter().sum::<f64>().to_bits());
    let db = create(&MemoryStorage::new());
    let values = |with_text: bool| floats.iter().map(|&float| Value::from(float)).chain(with_text.then(|| "a".into()));
    db.batch_upsert(values(false).zip(0..).map(|(float, key)| (key, [("floats", float)]))).unwrap();
    // Text before, between and behind changes nothing.
    db.batch_upsert(values(true).zip(0..).map(|(value, key)| (3 * key + 1, [("mixed", value)]))).unwrap();
    db.batch_upsert((0..40).map(|key| (3 * key, [("mixed", "b")]))).unwrap();
    for tier in ["overlay", "base", "patch"] {
        for name in ["floats", "mixed"] {
            let snapshot = db.snapshot();
            let sum = snapshot.dimension(name).unwrap().sum().unwrap().unwrap();
            assert_eq!((sum.float_count(), sum.floats().to_bits()), (21, expected.to_bits()), "{name} in the {tier}");
        }
        if tier == "overlay" {
            db.compact(&CompactOptions::new()).unwrap();
            // The same again, which a patch then holds.
            db.batch_upsert(values(false).zip(0..).map(|(float, key)| (key, [("floats", float)]))).unwrap();
        } else {
            db.save().unwrap();
        }
    }
}

#[test]
fn dimensions_of_two_snapshots_are_not_mapped_to_each_other() {
    let db = create(&MemoryStorage::new());
    db.upsert(1, attrs! { "a" => 1, "b" => 2 }).unwrap();
    let (one, two) = (db.snapshot(), db.snapshot());
    let (a, b) = (one.dimension("a").unwrap(), two.dimension("b").unwrap());
    assert!(a.map_to(b).unwrap_err().is_invalid_argument());
    assert!(a.cross_counts(b).unwrap_err().is_invalid_argument());
    let clone = one.clone();
    assert_eq!(a.map_to(clone.dimension("b").unwrap()).unwrap().len(), 1, "a clone is the same snapshot");
}

#[test]
fn skipping_offsets_is_the_same_as_reading_them() {
    let (db, _) = load();
    let snapshot = db.snapshot();
    for name in ["i64", "half", "few", "late"] {
        let segment = segment(&snapshot, name, 0);
        let all: Vec<u16> = segment.offsets().collect();
        for step in [1, 2, 5, 63, 64, 65, 200, 70_000] {
            assert!(segment.offsets().step_by(step).eq(all.iter().copied().step_by(step)), "{name}, {step}");
        }
    }
}

#[test]
fn threads_divide_the_segments_among_them() {
    let (db, _) = load();
    let snapshot = db.snapshot();
    let segments = snapshot.dimension("i64").unwrap().segments();
    assert_eq!(segments.len(), 2);
    let counts: Vec<usize> = std::thread::scope(|scope| {
        let count =
            |at: usize| segments.clone().skip(at).step_by(2).map(|segment| segment.unwrap().value_count()).sum();
        let threads: Vec<_> = (0..2).map(|at| scope.spawn(move || count(at))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(counts, [65_536, POINTS as usize - 65_536]);
}

/// The files with a byte of a column file changed, where these eight bytes are.
fn damaged(storage: &MemoryStorage, number: u32, content: [u8; 8]) -> MemoryStorage {
    let mut files = storage.files();
    let prefix = format!("dim-{number}-");
    let (_, bytes) = files.iter_mut().find(|(name, _)| name.starts_with(&prefix)).unwrap();
    let at = bytes.windows(8).position(|window| window == content).unwrap();
    bytes[at] ^= 1;
    MemoryStorage::from_files(files)
}

/// The database with damage in both segments of a dimension.
pub(crate) fn damage_all(storage: &MemoryStorage, name: &str) -> VectorDb {
    let number = LAYOUTS.iter().position(|(other, ..)| *other == name).unwrap() as u32;
    let storage = damaged(storage, number, 30_000i64.to_le_bytes());
    damage(&storage, number, 65_300i64.to_le_bytes())
}

fn damage(storage: &MemoryStorage, number: u32, content: [u8; 8]) -> VectorDb {
    Options::new().open_read_only_in(Arc::new(damaged(storage, number, content))).unwrap()
}

#[test]
fn what_descriptors_answer_reads_no_cells_and_what_cells_answer_finds_their_damage() {
    let (db, storage) = load();
    db.close().unwrap();
    let number = LAYOUTS.iter().position(|(name, ..)| *name == "i64").unwrap() as u32;
    let db = damage(&storage, number, 30_000i64.to_le_bytes());
    let snapshot = db.snapshot();
    let dimension = snapshot.dimension("i64").unwrap();
    assert_eq!(dimension.min_max().unwrap(), Some(((-500).into(), (POINTS as i64 - 501).into())));
    assert_eq!(dimension.find(1_000_000).unwrap().count(), 0, "out of range in each segment");
    assert_eq!(dimension.find("text").unwrap().count(), 0);
    assert_eq!(dimension.count_of(65_100).unwrap(), 1, "in the other segment");
    assert_eq!(dimension.find_in(1_000_000..).unwrap().count(), 0);
    assert_eq!(dimension.find_in("a"..).unwrap().count(), 0);
    assert_eq!(dimension.count_in(-500..=100_000).unwrap(), POINTS, "all of both segments");
    assert_eq!(dimension.count_in(65_036.5..).unwrap(), POINTS - 65_537, "none of the damaged one, some of the other");
    assert!(dimension.count_in(-499..).unwrap_err().is_corrupt());
    assert!(dimension.count_where(|_| true).unwrap_err().is_corrupt());
    assert!(dimension.aggregate_by(dimension).unwrap_err().is_corrupt());
    assert!(dimension.sum().unwrap_err().is_corrupt());
    assert!(dimension.value_counts().unwrap_err().is_corrupt());
    let mut segments = dimension.segments();
    assert!(segments.next().unwrap().unwrap_err().is_corrupt());
    assert_eq!(segments.next().unwrap().unwrap().value_count(), POINTS as usize - 65_536, "goes on behind the damage");
    let mut found = dimension.find(29_999).unwrap();
    assert!(found.next().unwrap().unwrap_err().is_corrupt() && found.next().is_none());
}

#[test]
fn extremes_of_a_changed_segment_are_read_only_where_one_of_them_was_changed() {
    let (db, storage) = load();
    db.close().unwrap();
    let number = LAYOUTS.iter().position(|(name, ..)| *name == "i64").unwrap() as u32;
    let range = |db: &VectorDb| {
        let snapshot = db.snapshot();
        let range = snapshot.dimension("i64").unwrap().min_max()?;
        Ok::<_, vector_datalib::Error>(range.map(|(least, greatest)| (least.as_i64(), greatest.as_i64())))
    };
    let greatest = POINTS as i64 - 501;
    for saved in [false, true] {
        let db = options().open_in(Arc::new(damaged(&storage, number, 30_000i64.to_le_bytes()))).unwrap();
        db.upsert(5, attrs! { "i64" => 7 }).unwrap();
        db.upsert(6, attrs! { "i64" => -600 }).unwrap();
        db.delete(7).unwrap();
        db.upsert("new", attrs! { "i64" => f64::NAN }).unwrap();
        if saved {
            db.save().unwrap();
        }
        assert_eq!(range(&db).unwrap(), Some((Some(-600), Some(greatest))), "saved: {saved}");
        db.upsert(0, attrs! { "i64" => 7 }).unwrap();
        assert!(range(&db).unwrap_err().is_corrupt(), "the least value of the damaged segment was changed");
    }
}

/// Puts bytes into a section of a dimension's column file, under checksums that are right.
fn forge(storage: &MemoryStorage, name: &str, kind: u32, at: usize, bytes: &[u8]) -> VectorDb {
    let number = LAYOUTS.iter().position(|(other, ..)| *other == name).unwrap();
    let mut files = storage.files();
    let mut manifest = files.remove(manifest_file::NAME).unwrap();
    let prefix = format!("dim-{number}-");
    let entries = manifest_file::entries(&manifest);
    let entry = entries.iter().find(|entry| entry.file_name.starts_with(&prefix)).unwrap();
    let file = files.get_mut(&entry.file_name).unwrap();
    let section = block_file::sections(file).into_iter().find(|section| section.kind == kind).unwrap();
    block_file::put(file, section.offset + at, bytes);
    let checksum = block_file::seal(file);
    manifest_file::agree(&mut manifest, entry, file, checksum);
    manifest_file::seal(&mut manifest);
    files.insert(manifest_file::NAME.to_owned(), manifest);
    Options::new().open_read_only_in(Arc::new(MemoryStorage::from_files(files))).unwrap()
}

const SEGMENTS: u32 = 2;
const CELLS: u32 = 3;
const PRESENCE: u32 = 4;

#[test]
fn statistics_that_are_not_those_of_the_values_are_found_by_verify() {
    let (db, storage) = load();
    db.close().unwrap();
    // Minimum, maximum, flags, types, number of nulls.
    for (at, byte) in [(56, 1), (64, 1), (3, 1), (4, 1), (16, 1)] {
        let report = forge(&storage, "i64", SEGMENTS, at, &[byte]).verify().unwrap();
        let problems: Vec<String> = report.problems.iter().map(ToString::to_string).collect();
        assert!(problems.iter().any(|problem| problem.contains("the statistics of the segment")), "{at}: {problems:?}");
    }
    let sound = forge(&storage, "i64", SEGMENTS, 0, &[3]);
    assert!(sound.verify().unwrap().is_sound(), "nothing was changed");
}

#[test]
fn presence_and_numbers_that_lie_under_right_checksums_are_corrupt() {
    let (db, storage) = load();
    db.close().unwrap();
    let first = |db: &VectorDb, name| {
        let snapshot = db.snapshot();
        snapshot.dimension(name).unwrap().segments().next().unwrap().map(|segment| segment.value_count())
    };
    let lies: [(&str, usize, &[u8]); 4] =
        [("half", 24, &[31]), ("half", 0, &[0xFF]), ("few", 0, &[0xFF, 0xFF]), ("few", 2, &[7, 0])];
    for (name, at, bytes) in lies {
        let db = forge(&storage, name, PRESENCE, at, bytes);
        assert!(first(&db, name).unwrap_err().is_corrupt(), "{name}, byte {at}");
    }
    let db = forge(&storage, "dictionary16", CELLS, 6, &[0xFF, 0xFF]);
    let snapshot = db.snapshot();
    let dimension = snapshot.dimension("dictionary16").unwrap();
    let segment = dimension.segments().next().unwrap().unwrap();
    assert!(segment.value(3).unwrap_err().is_corrupt() && segment.value(4).is_ok());
    assert!(dimension.map_to(dimension).unwrap_err().is_corrupt());
    assert!(dimension.cross_counts(dimension).unwrap_err().is_corrupt());
    assert!(dimension.sum().unwrap_err().is_corrupt() && segment.null_count().is_ok());
    assert!(dimension.aggregate_by(dimension).unwrap_err().is_corrupt());
    let other = snapshot.dimension("dictionary8").unwrap();
    assert!(dimension.cross_counts(other).unwrap_err().is_corrupt());
    assert!(other.cross_counts(dimension).unwrap_err().is_corrupt());
    assert!(snapshot.dimension("half").unwrap().map_to(dimension).unwrap_err().is_corrupt());
    let mut found = dimension.find_where(|value| value.as_str().is_some_and(|text| text.ends_with('5'))).unwrap();
    assert!(found.next().unwrap().unwrap_err().is_corrupt() && found.next().unwrap().is_ok());
}
