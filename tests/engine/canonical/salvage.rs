//! What the original lets a user do and no database here can hold, and what a salvage makes of it.

use super::case::{Case, Expected, check, import};
use super::draft::{AXIS, MAPPINGS, SPACES, edited, points, points_of};
use super::node::{NIL, Node, array, bytes};
use vector_datalib::Import;

/// A point whose key is None: its slot is written as a free one is, and the map of coordinates has it.
fn with_null_key(file: &mut Node) {
    file.push(&format!("{AXIS}/coordinate_map"), array([NIL, 1.into()]));
    file.set(&format!("{AXIS}/free_slots"), array([]));
    file.set("metadata/total_vector_points", 3);
    file.add(&format!("{MAPPINGS}/age/coordinate_to_value_id"), 1, 2);
    file.set(&format!("{MAPPINGS}/age/ref_counts/2"), 2);
}

fn null_keys() -> Vec<Case> {
    const SAYS: &[&str] = &["in coordinate_map: ", "the key of the point at coordinate 1 is null, which no key may be"];
    let torn = |name: &str, losses: &[(&'static str, u64)], edit: &dyn Fn(&mut Node)| {
        let file = edited(|file| {
            with_null_key(file);
            edit(file);
        });
        Case::new(name, file, Expected::Torn(SAYS, points(), losses.to_vec()))
    };
    vec![
        torn("a null key", &[("cells", 1), ("null_keys", 1)], &|_| {}),
        torn("a null key without cells", &[("null_keys", 1)], &|file| {
            file.pairs(&format!("{MAPPINGS}/age/coordinate_to_value_id")).pop();
        }),
        torn("a null key in a map of coordinates", &[("cells", 1), ("null_keys", 1)], &|file| {
            let pairs = vec![(NIL, 1.into()), ("a".into(), 0.into()), (7.into(), 2.into())];
            file.set(&format!("{AXIS}/coordinate_map"), Node::Map(pairs));
        }),
        torn("a null key twice", &[("cells", 1), ("coordinates", 1), ("null_keys", 1)], &|file| {
            file.push(&format!("{AXIS}/coordinate_map"), array([NIL, 1.into()]));
        }),
        torn("another null key", &[("cells", 1), ("coordinates", 1), ("null_keys", 1)], &|file| {
            file.push(&format!("{AXIS}/coordinate_map"), array([NIL, 3.into()]));
        }),
        Case::new(
            "a null key at the last slot",
            edited(|file| {
                file.push(&format!("{AXIS}/vector_points"), NIL);
                file.push(&format!("{AXIS}/coordinate_map"), array([NIL, 3.into()]));
                file.add(&format!("{MAPPINGS}/age/coordinate_to_value_id"), 3, 1);
            }),
            Expected::Torn(
                &["the key of the point at coordinate 3 is null"],
                points(),
                vec![("cells", 1), ("null_keys", 1)],
            ),
        ),
        Case::new(
            "a null key where there is another",
            edited(|file| file.push(&format!("{AXIS}/coordinate_map"), array([NIL, 0.into()]))),
            Expected::Torn(
                &["the key null at coordinate 0, where vector_points has another"],
                points(),
                vec![("coordinates", 1)],
            ),
        ),
        Case::new(
            "a null key behind all slots",
            edited(|file| file.push(&format!("{AXIS}/coordinate_map"), array([NIL, 3.into()]))),
            Expected::Torn(
                &["the key null at coordinate 3, where vector_points has none"],
                points(),
                vec![("coordinates", 1)],
            ),
        ),
    ]
}

#[test]
fn a_key_of_null_is_refused_with_its_place_and_lost_with_its_values() {
    check(null_keys());
}

/// Python's NaN is no other, so the same one can be a key more than once.
fn nan_keys() -> Vec<Case> {
    let with = |other: u64| {
        edited(|file| {
            let nan = || Node::from(f64::NAN);
            let other = Node::from(f64::from_bits(other));
            file.set(&format!("{AXIS}/vector_points"), array([nan(), NIL, other.clone()]));
            file.set(&format!("{AXIS}/coordinate_map"), array([array([nan(), 0.into()]), array([other, 2.into()])]));
        })
    };
    let of = |bits: u64| f64::from_bits(bits).into();
    let bits = f64::NAN.to_bits();
    let later = points_of([(2, of(bits), &[("age", 31.into())][..])]);
    let both = points_of([
        (0, of(bits), &[("age", 25.into()), ("name", "Alice".into())][..]),
        (2, of(bits + 1), &[("age", 31.into())]),
    ]);
    vec![
        Case::new(
            "a NaN twice",
            with(bits),
            Expected::Torn(
                &[
                    "vector_points",
                    "coordinate 0 and at coordinate 2, and keys are the same if their types and bits are",
                ],
                later,
                vec![("cells", 2), ("repeated_keys", 1)],
            ),
        ),
        Case::new("NaNs of other bits", with(bits + 1), Expected::Points(both, vec![])),
    ]
}

#[test]
fn nans_of_the_same_bits_are_one_key() {
    check(nan_keys());
}

/// Dimensions by names that are no text: Python takes any.
fn unnamed() -> Vec<Case> {
    let ageless = || points_of([(0, "a".into(), &[("name", "Alice".into())][..]), (2, 7.into(), &[])]);
    let case = |says: &'static [&'static str], name: Node| {
        let file = edited(|file| {
            file.pairs(SPACES)[0].0 = name.clone();
            file.pairs(MAPPINGS)[0].0 = name.clone();
        });
        let what = format!("a dimension {name:?}");
        Case::new(what, file, Expected::Torn(says, ageless(), vec![("dimensions", 1)]))
    };
    vec![
        case(&["dimensional_spaces", "an integer where the name of a dimension belongs, which is a text"], 1.into()),
        case(&["dimensional_spaces", "null where the name"], NIL),
        case(&["dimensional_spaces", "a byte string where the name"], bytes(b"age")),
        case(&["dimensional_spaces", "a float where the name"], 1.5.into()),
        case(&["dimensional_spaces", "an array where the name"], array([1.into(), "x".into()])),
        Case::new(
            "a mapping without a name",
            edited(|file| file.pairs(MAPPINGS)[0].0 = true.into()),
            Expected::Torn(&["coordinate_mappings", "a boolean where the name"], ageless(), vec![("dimensions", 1)]),
        ),
        Case::new(
            "no name at all",
            edited(|file| {
                for (part, from) in [(SPACES, 5), (MAPPINGS, 6)] {
                    let pairs = file.pairs(part).iter_mut();
                    pairs.zip(from..).for_each(|((name, _), n)| *name = n.into());
                }
            }),
            Expected::Torn(
                &["an integer where the name"],
                points_of([(0, "a".into(), &[][..]), (2, 7.into(), &[])]),
                vec![("dimensions", 3)],
            ),
        ),
    ]
}

#[test]
fn dimensions_whose_names_are_no_text_are_refused_and_lost_as_a_whole() {
    check(unnamed());
}

#[test]
fn what_a_salvage_loses_is_named() {
    let file = edited(|file| {
        file.pairs(SPACES)[0].0 = 1.into();
        file.pairs(MAPPINGS)[0].0 = 1.into();
        file.push(&format!("{AXIS}/coordinate_map"), array([NIL, 1.into()]));
        file.set(&format!("{MAPPINGS}/name/coordinate_to_value_id/0"), 9);
    });
    let report = import(&file, &Import::new().salvage(true)).unwrap().unwrap().report;
    assert_eq!(
        report.lost,
        [
            "the key of the point at coordinate 1 is null, which no key may be",
            "the dimension 1, whose name is no text, with all its values",
            "1 cell of dimension \"name\": coordinate 0 has the value id 9, which has no value",
        ]
    );
    assert_eq!((report.losses.null_keys, report.losses.dimensions, report.losses.cells), (1, 1, 1));
}

/// All files of this module.
pub(super) fn cases() -> Vec<Case> {
    [null_keys(), nan_keys(), unnamed()].concat()
}
