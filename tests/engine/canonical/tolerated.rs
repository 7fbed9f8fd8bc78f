//! What the original's loader takes, or a superset of it plainly should: other orders, encodings and releases, and derived data that is
//! missing or wrong.

use super::case::{Case, Expected, check, import};
use super::draft::{AXIS, MAPPINGS, SPACES, draft, edited, packed, points_of};
use super::node::{NIL, Node, Width, array, bytes, ext, map, raw};
use crate::support::contents::Point;
use vector_datalib::{Import, VectorDb};

/// Ids or coordinates of both dimensions, written in another way.
fn renumbered(file: &mut Node, write: impl Fn(i128) -> Node) {
    let change = |node: &mut Node| {
        if let Node::Int(int) = node {
            *node = write(*int);
        }
    };
    for dimension in ["age", "name"] {
        let domain = format!("{SPACES}/{dimension}/value_domain");
        file.pairs(&domain).iter_mut().for_each(|(id, _)| change(id));
        for part in ["coordinate_to_value_id", "ref_counts"] {
            for (key, value) in file.pairs(&format!("{MAPPINGS}/{dimension}/{part}")) {
                change(key);
                change(value);
            }
        }
    }
    for index in 0..2 {
        change(file.at(&format!("{AXIS}/coordinate_map/{index}/1")));
    }
    change(file.at(&format!("{AXIS}/free_slots/0")));
}

fn encodings() -> Vec<Case> {
    let same = |name: &str, edit: &dyn Fn(&mut Node)| Case::same(name, edited(edit), &[]);
    vec![
        same("as it is", &|_| {}),
        Case::same("in the widest encodings", packed(&draft().encode(Width::Widest)), &[]),
        same("every map in the opposite order but that of spaces, whose order is kept", &|file| {
            file.reverse_maps();
            file.pairs(SPACES).reverse();
        }),
        same("mappings before spaces", &|file| file.pairs("database").swap(1, 2)),
        same("the axis behind everything", &|file| file.pairs("database").rotate_left(1)),
        same("counts before the mapping they count", &|file| {
            file.pairs(&format!("{MAPPINGS}/age")).reverse();
            file.pairs(&format!("{SPACES}/age")).reverse();
        }),
        same("mappings in another order than spaces", &|file| file.pairs(MAPPINGS).reverse()),
        same("cells against the order of coordinates", &|file| {
            file.pairs(&format!("{MAPPINGS}/age/coordinate_to_value_id")).reverse();
        }),
        same("ids and coordinates as text", &|file| renumbered(file, |int| int.to_string().as_str().into())),
        same("ids and coordinates as bytes", &|file| renumbered(file, |int| bytes(int.to_string().as_bytes()))),
        same("ids and coordinates as floats", &|file| renumbered(file, |int| (int as f64).into())),
        same("ids and coordinates as 32-bit floats", &|file| renumbered(file, |int| (int as f32).into())),
        same("ids in eight bytes", &|file| {
            renumbered(file, |int| raw([&[0xD3][..], &(int as i64).to_be_bytes()].concat()))
        }),
        same("coordinate_map as a map", &|file| {
            file.set(&format!("{AXIS}/coordinate_map"), Node::Map(vec![("a".into(), 0.into()), (7.into(), 2.into())]));
        }),
        same("coordinate_map in another order", &|file| {
            file.set(
                &format!("{AXIS}/coordinate_map"),
                array([array([7.into(), 2.into()]), array(["a".into(), 0.into()])]),
            );
        }),
        same("direct mappings, as before 1.4", &|file| {
            file.set(&format!("{MAPPINGS}/age"), Node::Map(vec![(0.into(), 1.into()), (2.into(), 2.into())]));
            file.set(&format!("{MAPPINGS}/name"), map([("0", 1.into())]));
        }),
        same("value_to_id, as before 1.4", &|file| {
            file.add(&format!("{SPACES}/name"), "value_to_id", map([("Alice", 1.into())]));
        }),
        same("ids far apart", &|file| {
            let id = || Node::Int(1 << 40);
            file.set(&format!("{SPACES}/name/value_domain"), Node::Map(vec![(id(), "Alice".into())]));
            file.set(&format!("{SPACES}/name/next_id"), Node::Int((1 << 40) + 1));
            file.set(&format!("{MAPPINGS}/name/coordinate_to_value_id/0"), id());
            file.set(&format!("{MAPPINGS}/name/ref_counts"), Node::Map(vec![(id(), 1.into())]));
        }),
    ]
}

#[test]
fn other_orders_and_encodings_of_the_same_are_the_same() {
    check(encodings());
}

fn derived() -> Vec<Case> {
    let repaired =
        |name: &str, repairs: &[(&'static str, u64)], edit: &dyn Fn(&mut Node)| Case::same(name, edited(edit), repairs);
    let (age, name) = (format!("{MAPPINGS}/age"), format!("{MAPPINGS}/name"));
    vec![
        repaired("counts that drifted", &[("ref_counts", 1)], &|file| file.set(&format!("{age}/ref_counts/1"), 9)),
        repaired("counts of ids that are not there", &[("ref_counts", 1)], &|file| {
            file.add(&format!("{age}/ref_counts"), 77, 3);
        }),
        repaired("no counts of one value", &[("ref_counts", 1)], &|file| {
            file.set(&format!("{name}/ref_counts"), Node::Map(vec![]))
        }),
        repaired("negative counts", &[("ref_counts", 1)], &|file| file.set(&format!("{age}/ref_counts/2"), -5)),
        repaired("a free slot too many", &[("free_slots", 1)], &|file| file.push(&format!("{AXIS}/free_slots"), 0)),
        repaired("no free slots", &[("free_slots", 1)], &|file| file.set(&format!("{AXIS}/free_slots"), array([]))),
        repaired("a free slot twice", &[("free_slots", 1)], &|file| file.push(&format!("{AXIS}/free_slots"), 1)),
        repaired("a free slot far away", &[("free_slots", 1)], &|file| {
            file.set(&format!("{AXIS}/free_slots/0"), i128::from(u64::MAX));
        }),
        repaired("a next id too low", &[("next_ids", 1)], &|file| file.set(&format!("{SPACES}/age/next_id"), 1)),
        repaired("two next ids too low", &[("next_ids", 2)], &|file| {
            file.set(&format!("{SPACES}/age/next_id"), 0);
            file.set(&format!("{SPACES}/name/next_id"), -1);
        }),
        repaired("wrong totals", &[("totals", 2)], &|file| {
            file.set("metadata/total_vector_points", 3);
            file.set("metadata/total_dimensions", i128::from(u64::MAX));
        }),
        repaired("cells of a tombstone and of coordinates past the end", &[("ghost_mappings", 6)], &|file| {
            let cells = format!("{age}/coordinate_to_value_id");
            for coordinate in [1, 3, 4_000_000_000, 1_i128 << 60, -1, i64::MIN.into()] {
                file.add(&cells, coordinate, 1);
            }
            file.set(&format!("{age}/ref_counts/1"), 1);
        }),
        repaired("coordinates that come twice, none of which has a point", &[("ghost_mappings", 12)], &|file| {
            for coordinate in [1, 3, 0xFFFF_FFFE, 0xFFFF_FFFF, 1_i128 << 60, -1].repeat(2) {
                file.add(&format!("{age}/coordinate_to_value_id"), coordinate, 1);
            }
        }),
        repaired("counts whose id comes twice are added", &[], &|file| {
            file.set(&format!("{age}/ref_counts/1"), 0);
            file.add(&format!("{age}/ref_counts"), 1, 1);
        }),
        repaired("a ghost with an id that is not there", &[("ghost_mappings", 1)], &|file| {
            file.add(&format!("{age}/coordinate_to_value_id"), 1, 99);
        }),
        repaired("values that no point has", &[("unused_values", 2)], &|file| {
            file.add(&format!("{SPACES}/age/value_domain"), 3, 99);
            file.add(&format!("{SPACES}/age/value_domain"), 4, 99);
            file.set(&format!("{SPACES}/age/next_id"), 5);
        }),
        repaired("tombstones at the end", &[("trailing_tombstones", 2)], &|file| {
            file.push(&format!("{AXIS}/vector_points"), NIL);
            file.push(&format!("{AXIS}/vector_points"), NIL);
        }),
        Case::same("bytes behind the frame", [edited(|_| {}), b"extra".to_vec()].concat(), &[("trailing_bytes", 5)]),
        Case::same(
            "a second frame behind the frame",
            [edited(|_| {}), packed(b"")].concat(),
            &[("trailing_bytes", packed(b"").len() as u64)],
        ),
        Case::new(
            "a value under two ids",
            edited(repeat_value),
            Expected::Points(both_25(), vec![("repeated_values", 1)]),
        ),
    ]
}

/// Both points have the value 25, each by another id.
fn repeat_value(file: &mut Node) {
    let pairs = |pairs: [(i32, i32); 2]| Node::Map(pairs.map(|(key, value)| (key.into(), value.into())).to_vec());
    file.set(&format!("{SPACES}/age/value_domain"), pairs([(1, 25), (3, 25)]));
    file.set(&format!("{SPACES}/age/next_id"), 4);
    file.set(&format!("{MAPPINGS}/age/coordinate_to_value_id"), pairs([(0, 1), (2, 3)]));
    file.set(&format!("{MAPPINGS}/age/ref_counts"), pairs([(1, 1), (3, 1)]));
}

fn both_25() -> Vec<Point> {
    points_of([
        (0, "a".into(), &[("age", 25.into()), ("name", "Alice".into())][..]),
        (2, 7.into(), &[("age", 25.into())]),
    ])
}

#[test]
fn derived_data_is_rebuilt_and_what_was_wrong_is_counted() {
    check(derived());
}

fn missing() -> Vec<Case> {
    let missing = |path: &str, field: &str, count: u64| {
        Case::same(format!("no {field}"), edited(|file| file.remove(path, field)), &[("missing_fields", count)])
    };
    let without = |name: &str, edit: &dyn Fn(&mut Node), points: Vec<Point>, repairs: &[(&'static str, u64)]| {
        Case::new(name, edited(edit), Expected::Points(points, repairs.to_vec()))
    };
    let bare = || points_of([(0, "a".into(), &[][..]), (2, 7.into(), &[])]);
    let ages = || points_of([(0, "a".into(), &[("age", 25.into())][..]), (2, 7.into(), &[("age", 31.into())])]);
    vec![
        missing("", "metadata", 1),
        missing(AXIS, "free_slots", 1),
        missing(&format!("{SPACES}/age"), "next_id", 1),
        missing(&format!("{MAPPINGS}/age"), "ref_counts", 1),
        Case::same("metadata without a field", edited(|file| file.set("metadata", Node::Map(vec![]))), &[]),
        Case::same(
            "times that are null",
            edited(|file| {
                file.set("metadata/created_at", NIL);
                file.set("metadata/last_modified", NIL);
            }),
            &[],
        ),
        without(
            "no mappings",
            &|file| file.remove("database", "coordinate_mappings"),
            bare(),
            &[("unused_values", 3), ("missing_fields", 1)],
        ),
        without(
            "no mapping of a dimension",
            &|file| file.remove(MAPPINGS, "name"),
            ages(),
            &[("unused_values", 1), ("missing_fields", 1)],
        ),
        Case::same(
            "no mapping of a dimension without values",
            edited(|file| file.add(SPACES, "more", map([("value_domain", Node::Map(vec![])), ("next_id", 1.into())]))),
            &[("totals", 1)],
        ),
        Case::same(
            "a mapping of a dimension that is nowhere else",
            edited(|file| file.add(MAPPINGS, "more", Node::Map(vec![]))),
            &[("missing_fields", 1)],
        ),
        Case::same(
            "a mapping of a dimension that is nowhere else, with a ghost",
            edited(|file| file.add(MAPPINGS, "more", Node::Map(vec![(1.into(), 1.into())]))),
            &[("ghost_mappings", 1), ("missing_fields", 1)],
        ),
        without(
            "counts without the mapping that they count",
            &|file| file.remove(&format!("{MAPPINGS}/name"), "coordinate_to_value_id"),
            ages(),
            &[("ref_counts", 1), ("unused_values", 1), ("missing_fields", 1)],
        ),
        Case::same(
            "a space without values",
            edited(|file| file.add(SPACES, "more", map([("next_id", 1.into())]))),
            &[("totals", 1), ("missing_fields", 1)],
        ),
    ]
}

#[test]
fn what_is_missing_is_counted() {
    check(missing());
}

/// What stands for an integer, and what does not.
fn numbers() -> Vec<Case> {
    let id = |name: &str, id: Node| {
        let file = edited(|file| {
            file.set(&format!("{SPACES}/name/value_domain"), Node::Map(vec![(id.clone(), "Alice".into())]));
            file.set(&format!("{MAPPINGS}/name/coordinate_to_value_id/0"), id.clone());
            file.set(&format!("{MAPPINGS}/name/ref_counts"), Node::Map(vec![(id, 1.into())]));
            file.set(&format!("{SPACES}/name/next_id"), i128::from(i64::MAX) + 1);
        });
        (name.to_owned(), file)
    };
    let taken = [
        id("blanks around it", "\t\n\u{B}\u{C}\r 1 ".into()),
        id("blanks around bytes", bytes(b" 1\t")),
        id("a plus before it", "+1".into()),
        id("a minus before zero", "-0".into()),
        id("zeros before it", "0001".into()),
        id("the lowest", i64::MIN.to_string().as_str().into()),
        id("the lowest as a float", (i64::MIN as f64).into()),
        id("the highest", i64::MAX.to_string().as_str().into()),
        id("negative zero as a float", (-0.0).into()),
    ];
    let refused = [
        id("digits of another script", "\u{661}".into()),
        id("an underscore", "1_0".into()),
        id("a blank that is none", "\u{A0}1".into()),
        id("a blank after the sign", "- 1".into()),
        id("two numbers", "1 1".into()),
        id("a fraction", "1.0".into()),
        id("one more than the highest as a float", 9_223_372_036_854_775_808.0.into()),
        id("less than the lowest as a float", (-9_223_372_036_854_777_856.0).into()),
        id("one more than the highest", i128::from(i64::MAX as u64 + 1).into()),
    ];
    let mut cases: Vec<Case> = taken.map(|(name, file)| Case::same(name, file, &[])).to_vec();
    cases.extend(refused.map(|(name, file)| Case::rejected(name, file, &["value id"])));
    for (part, path) in [
        ("metadata.total_dimensions", "metadata/total_dimensions"),
        ("next_id[\"age\"]", &format!("{SPACES}/age/next_id")),
    ] {
        let huge = |digits: &str| edited(|file| file.set(path, digits));
        let repairs: &[_] = if part.starts_with("next") { &[] } else { &[("totals", 1)] };
        cases.push(Case::same(format!("{part} of 128 bits"), huge(&i128::MAX.to_string()), repairs));
        let says: &'static [&'static str] = Vec::leak(vec!["a text where a ", part]);
        cases.push(Case::rejected(format!("{part} of more bits"), huge(&"9".repeat(40)), says));
    }
    cases
}

#[test]
fn integers_are_what_stands_for_one() {
    check(numbers());
}

/// The times of a database, whose file has some of them.
#[test]
fn times_that_are_missing_are_neither_before_nor_after_those_that_are_there() {
    let times = |edit: fn(&mut Node)| {
        let place = tempfile::tempdir().unwrap();
        let (source, target) = (place.path().join("source.db"), place.path().join("target.vdb"));
        std::fs::write(&source, edited(edit)).unwrap();
        Import::new().run(&source, &target).unwrap();
        let metadata = VectorDb::open(&target).unwrap().stats().unwrap().metadata;
        (metadata.created_at, metadata.last_modified)
    };
    let of = |created: &str, changed: &str| (created.to_owned(), changed.to_owned());
    let (created, changed) = ("2026-01-02T03:04:05.678901", "2026-01-02T03:04:06");
    assert_eq!(times(|_| {}), of(created, changed));
    assert_eq!(times(|file| file.remove("metadata", "created_at")), of(changed, changed));
    assert_eq!(times(|file| file.set("metadata/last_modified", NIL)), of(created, created));
    let (now, also_now) = times(|file| file.remove("", "metadata"));
    assert_eq!(now, also_now);
}

fn unknown() -> Vec<Case> {
    let places = ["", "metadata", "database", AXIS];
    let dimension_parts = [format!("{SPACES}/age"), format!("{MAPPINGS}/name")];
    let anything = || {
        let long = Node::Text("x".repeat(100_000));
        array([
            map([("deep", array([long, NIL, 1.5.into(), ext(5, b"x"), bytes(&[0; 300])]))]),
            raw([0xD6, 0xFF, 0, 0, 0, 1]),
        ])
    };
    let mut cases: Vec<Case> = places
        .into_iter()
        .chain(dimension_parts.iter().map(String::as_str))
        .map(|path| {
            let file = edited(|file| file.pairs(path).insert(0, ("later".into(), anything())));
            Case::same(format!("an unknown field in {path:?}"), file, &[("unknown_fields", 1)])
        })
        .collect();
    cases.push(Case::same(
        "unknown fields whose names are no text",
        edited(|file| {
            for name in [NIL, 5.into(), array([1.into()]), map([("a", NIL)]), bytes(b"metadata")] {
                file.pairs("metadata").insert(0, (name, anything()));
            }
        }),
        &[("unknown_fields", 5)],
    ));
    cases.push(Case::same(
        "an unknown field twice",
        edited(|file| [1, 2].into_iter().for_each(|n| file.add("metadata", "later", n))),
        &[("unknown_fields", 2)],
    ));
    cases
}

#[test]
fn fields_that_no_release_knows_are_passed_over_and_counted() {
    check(unknown());
}

/// All files of this module.
pub(super) fn cases() -> Vec<Case> {
    [encodings(), derived(), missing(), numbers(), unknown()].concat()
}

/// What is taken though it is not there, or though nobody knows what it is, is named.
#[test]
fn what_is_missing_or_unknown_is_named() {
    let report = |edit: fn(&mut Node)| import(&edited(edit), &Import::new()).unwrap().unwrap().report;
    let notes = |edit| report(edit).notes;
    assert_eq!(notes(|_| {}), Vec::<String>::new());
    assert_eq!(notes(|file| file.remove(AXIS, "free_slots")), ["there is no central_axis.free_slots"]);
    assert_eq!(
        notes(|file| file.remove(&format!("{SPACES}/age"), "next_id")),
        ["there is no dimensional_spaces[\"age\"].next_id"]
    );
    assert_eq!(notes(|file| file.add("database", "later", 1)), ["nobody knows the field database.\"later\""]);
    assert_eq!(notes(|file| file.remove(MAPPINGS, "name"))[0], "there is no coordinate_mappings[\"name\"]");
    assert_eq!(
        notes(|file| file.add(MAPPINGS, "more", Node::Map(vec![]))),
        ["there is no dimensional_spaces[\"more\"]"]
    );
    let lost = report(|file| file.remove("database", "coordinate_mappings"));
    assert_eq!(lost.cells, 0);
    assert_eq!(
        lost.notes,
        [
            "there is no database.coordinate_mappings",
            "no point has a value of the dimension \"age\", which has 2",
            "no point has a value of the dimension \"name\", which has 1",
        ]
    );
}
