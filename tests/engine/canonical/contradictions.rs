//! Files that say two things, and torn files of the original's own making.

use super::case::{Case, Counts, Expected, check, import};
use super::draft::draft;
use super::draft::{AXIS, MAPPINGS, SPACES, edited, packed, points, points_of};
use super::node::{NIL, Node, Width, array, bytes, map};
use crate::support::contents::Point;
use vector_datalib::Import;

fn contradictions() -> Vec<Case> {
    let rejected =
        |name: &str, says: &'static [&'static str], edit: &dyn Fn(&mut Node)| Case::rejected(name, edited(edit), says);
    let map_of = format!("{AXIS}/coordinate_map");
    vec![
        rejected("an entry of three", &["coordinate_map, entry 1 (", "pair"], &|file| {
            file.push(&format!("{map_of}/1"), 1)
        }),
        rejected("an entry of one", &["coordinate_map, entry 1 (", "missing"], &|file| {
            file.set(&format!("{map_of}/1"), array([7.into()]));
        }),
        rejected("an entry of none", &["coordinate_map, entry 1 ("], &|file| {
            file.set(&format!("{map_of}/1"), array([]))
        }),
        rejected("an entry that is no pair", &["coordinate_map, entry 1 (", "pair"], &|file| {
            file.set(&format!("{map_of}/1"), 7)
        }),
        rejected("a space twice", &["dimensional_spaces[\"age\"]", "twice"], &|file| {
            file.pairs(SPACES)[1].0 = "age".into()
        }),
        rejected("a mapping twice", &["coordinate_mappings[\"age\"]", "twice"], &|file| {
            file.pairs(MAPPINGS)[1].0 = "age".into()
        }),
        rejected("a field twice", &["metadata", "twice"], &|file| {
            file.add("", "metadata", map([("version", "x".into())]))
        }),
        rejected("no database", &["no field \"database\""], &|file| file.remove("", "database")),
        rejected("no axis", &["database", "no field \"central_axis\""], &|file| {
            file.remove("database", "central_axis")
        }),
        rejected("no points", &["central_axis", "no field \"vector_points\""], &|file| {
            file.remove(AXIS, "vector_points")
        }),
        rejected("direct pairs beside a field", &["coordinate_mappings[\"age\"]"], &|file| {
            file.add(&format!("{MAPPINGS}/age"), 2, 2);
        }),
        rejected(
            "an id that is a fraction",
            &["coordinate_to_value_id[\"age\"], entry 1", "a float where a value id belongs"],
            &|file| {
                file.set(&format!("{MAPPINGS}/age/coordinate_to_value_id/2"), 1.5);
            },
        ),
        rejected(
            "an id that is a NaN",
            &["value_domain[\"age\"], entry 0", "a float where a value id belongs"],
            &|file| {
                file.pairs(&format!("{SPACES}/age/value_domain"))[0].0 = f64::NAN.into();
            },
        ),
        rejected("an id that is infinite", &["a float where a value id belongs"], &|file| {
            file.pairs(&format!("{SPACES}/age/value_domain"))[0].0 = f64::INFINITY.into();
        }),
        rejected("an id that is a word", &["a text where a value id belongs"], &|file| {
            file.set(&format!("{MAPPINGS}/name/coordinate_to_value_id/0"), "one");
        }),
        rejected("an id that is true", &["a boolean where a value id belongs"], &|file| {
            file.set(&format!("{MAPPINGS}/name/coordinate_to_value_id/0"), true);
        }),
        rejected("a coordinate that is a NaN", &["a float where a coordinate belongs"], &|file| {
            file.pairs(&format!("{MAPPINGS}/name/coordinate_to_value_id"))[0].0 = f64::NAN.into();
        }),
        rejected("a coordinate that is empty bytes", &["a byte string where a coordinate belongs"], &|file| {
            file.pairs(&format!("{MAPPINGS}/name/coordinate_to_value_id"))[0].0 = bytes(b"");
        }),
        Case::rejected("nothing at all", packed(b""), &["ends in the middle"]),
        Case::rejected("a scalar", packed(&[0x01]), &["an integer where a map belongs"]),
        Case::rejected("an array", packed(&[0x90]), &["an array where a map belongs"]),
        Case::rejected(
            "bytes behind the MessagePack value",
            packed(&[draft().encode(Width::Shortest), vec![0xC0]].concat()),
            &["bytes follow the MessagePack value"],
        ),
        Case::rejected(
            "a second MessagePack value",
            packed(&draft().encode(Width::Shortest).repeat(2)),
            &["bytes follow the MessagePack value"],
        ),
        rejected(
            "an id twice in a domain",
            &["in dimensional_spaces[\"name\"]: ", "more than one value has the id 1"],
            &|file| file.add(&format!("{SPACES}/name/value_domain"), 1, "Alice"),
        ),
        rejected(
            "a coordinate twice in a mapping",
            &["in coordinate_mappings[\"name\"]: ", "coordinate 0 has more than one value id"],
            &|file| file.add(&format!("{MAPPINGS}/name/coordinate_to_value_id"), 0, 1),
        ),
        rejected(
            "a coordinate twice in a mapping, behind a ghost that comes twice",
            &["in coordinate_mappings[\"age\"]: ", "coordinate 2 has more than one value id"],
            &|file| {
                for coordinate in [1, 1, 2] {
                    file.add(&format!("{MAPPINGS}/age/coordinate_to_value_id"), coordinate, 1);
                }
            },
        ),
        rejected(
            "a version that is a number",
            &["in metadata.version (byte ", "an integer where a version or a time belongs"],
            &|file| file.set("metadata/version", 5),
        ),
        rejected(
            "a time that is a number",
            &["in metadata.last_modified (byte ", "a float where a version or a time belongs"],
            &|file| file.set("metadata/last_modified", 5.5),
        ),
        rejected(
            "a total that is a word",
            &["in metadata.total_vector_points (byte ", "a text where a number belongs"],
            &|file| file.set("metadata/total_vector_points", "two"),
        ),
        rejected(
            "a next id that is a word",
            &["in next_id[\"name\"] (byte ", " of its uncompressed content): a text where a value id belongs"],
            &|file| file.set(&format!("{SPACES}/name/next_id"), "two"),
        ),
        rejected("counts twice", &["coordinate_mappings[\"age\"]", "the field \"ref_counts\" comes twice"], &|file| {
            file.add(&format!("{MAPPINGS}/age"), "ref_counts", Node::Map(vec![]));
        }),
        Case::new(
            "no map of coordinates",
            edited(|file| file.remove(AXIS, "coordinate_map")),
            Expected::Either(points()),
        ),
    ]
}

#[test]
fn a_file_that_contradicts_itself_is_refused_with_the_place() {
    check(contradictions());
}

fn torn() -> Vec<Case> {
    let torn =
        |name: &str, says: &'static [&'static str], points: Vec<Point>, losses: Counts, edit: &dyn Fn(&mut Node)| {
            Case::new(name, edited(edit), Expected::Torn(says, points, losses))
        };
    let nameless = points_of([(0, "a".into(), &[("age", 25.into())][..]), (2, 7.into(), &[("age", 31.into())])]);
    vec![
        torn("a value id that is not there", &["name"], nameless.clone(), vec![("cells", 1)], &|file| {
            file.set(&format!("{MAPPINGS}/name/coordinate_to_value_id/0"), 99);
            file.set(&format!("{MAPPINGS}/name/ref_counts"), Node::Map(vec![(99.into(), 1.into())]));
        }),
        torn("a domain that is gone", &["name"], nameless, vec![("cells", 1)], &|file| {
            file.set(&format!("{SPACES}/name/value_domain"), Node::Map(vec![]));
        }),
        torn(
            "a key whose coordinate is past the end",
            &["coordinate_map", "\"b\" at coordinate 3"],
            points(),
            vec![("coordinates", 1)],
            &|file| {
                file.push(&format!("{AXIS}/coordinate_map"), array(["b".into(), 3.into()]));
            },
        ),
        torn(
            "a key whose coordinate is a tombstone",
            &["coordinate_map"],
            points(),
            vec![("coordinates", 1)],
            &|file| {
                file.push(&format!("{AXIS}/coordinate_map"), array(["b".into(), 1.into()]));
            },
        ),
        torn("a coordinate beyond 32 bits", &["coordinate_map"], points(), vec![("coordinates", 1)], &|file| {
            file.push(&format!("{AXIS}/coordinate_map"), array(["b".into(), Node::Int(1 << 33)]));
        }),
    ]
}

/// Where `coordinate_map` disagrees with `vector_points`, a salvage believes the points.
fn disagreeing() -> Vec<Case> {
    let torn = |name: &str, says: &'static str, losses: Option<u64>, edit: &dyn Fn(&mut Node)| {
        let says: &'static [&'static str] = Vec::leak(vec!["coordinate_map", says]);
        Case::new(
            name,
            edited(edit),
            Expected::Torn(says, points(), losses.map(|count| ("coordinates", count)).into_iter().collect()),
        )
    };
    let entry = |key: Node, coordinate: i128| array([key, coordinate.into()]);
    let map_of = format!("{AXIS}/coordinate_map");
    let twice = edited(|file| {
        file.set(&format!("{AXIS}/vector_points"), array(["a".into(), NIL, "a".into()]));
        file.set(&map_of, array([entry("a".into(), 0), entry("a".into(), 2)]));
    });
    let later = points_of([(2, "a".into(), &[("age", 31.into())][..])]);
    vec![
        torn("two keys at one coordinate", "\"b\" at coordinate 0", Some(1), &|file| {
            file.set(&map_of, array([entry("a".into(), 0), entry(7.into(), 2), entry("b".into(), 0)]));
        }),
        torn("keys at each other's coordinates", "at coordinate", Some(2), &|file| {
            file.set(&map_of, array([entry("a".into(), 2), entry(7.into(), 0)]));
        }),
        torn("another key in the map", "8 at coordinate 2", Some(1), &|file| file.set(&format!("{map_of}/1/0"), 8)),
        torn("a key of another type in the map", "7.0 at coordinate 2", Some(1), &|file| {
            file.set(&format!("{map_of}/1/0"), 7.0);
        }),
        torn("a key twice in the map", "\"a\" at coordinate 2", Some(1), &|file| {
            file.push(&map_of, entry("a".into(), 2))
        }),
        torn("a point that the map does not have", "coordinate 2", None, &|file| {
            file.set(&map_of, array([entry("a".into(), 0)]));
        }),
        torn("an empty map", "coordinate 0", None, &|file| file.set(&map_of, array([]))),
        torn("a negative coordinate", "7 at coordinate -1", Some(1), &|file| file.set(&format!("{map_of}/1/1"), -1)),
        Case::new(
            "a key twice in the points",
            twice,
            Expected::Torn(&["vector_points", "\"a\""], later, vec![("cells", 2), ("repeated_keys", 1)]),
        ),
    ]
}

#[test]
fn a_map_that_disagrees_with_the_points_is_refused_and_salvaged_when_asked() {
    check(disagreeing());
}

#[test]
fn points_that_the_map_does_not_have_are_told_of_and_are_no_loss() {
    let file = edited(|file| file.set(&format!("{AXIS}/coordinate_map"), array([])));
    let salvaged = import(&file, &Import::new().salvage(true)).expect("memory does not fail");
    let report = salvaged.expect("a salvage goes by the points").report;
    assert_eq!(report.repairs.unmapped_points, 2);
    assert!(report.losses.is_empty() && report.lost.is_empty(), "{:?}", report.lost);
}

#[test]
fn a_torn_file_is_refused_and_salvaged_when_asked() {
    check(torn());
}

/// All files of this module.
pub(super) fn cases() -> Vec<Case> {
    [contradictions(), torn(), disagreeing()].concat()
}
