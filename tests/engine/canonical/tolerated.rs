//! What the original's loader takes, or a superset of it plainly should: other orders, encodings and releases, and derived data that is
//! missing or wrong.

use super::case::{Case, Expected, check, import};
use super::draft::{AXIS, MAPPINGS, SPACES, draft, edited, packed, points_of};
use super::node::{NIL, Node, Width, array, bytes, ext, map, raw};
use crate::support::contents::Point;
use vector_datalib::Import;

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
        without("no mapping of a dimension", &|file| file.remove(MAPPINGS, "name"), ages(), &[("unused_values", 1)]),
    ]
}

#[test]
fn what_is_missing_is_counted() {
    check(missing());
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
    cases
}

#[test]
fn fields_that_no_release_knows_are_passed_over_and_counted() {
    check(unknown());
}

/// All files of this module.
pub(super) fn cases() -> Vec<Case> {
    [encodings(), derived(), missing(), unknown()].concat()
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
