//! A month of real flights: every cell of the table is read back, with its type.

use crate::Place;
use flate2::read::GzDecoder;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use vector_datalib::{Slot, Value, ValueRef, VectorDb};

const FLIGHTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data/flights-2013-01.csv.gz");
/// All other columns are integers.
const TEXT: [&str; 5] = ["carrier", "tailnum", "origin", "dest", "time_hour"];
/// As `awk -F, '{for (i = 1; i <= NF; i++) if ($i == "NA") n++} END {print n}'` counts them.
const MISSING: u32 = 2945;

#[test]
fn every_cell_of_a_month_of_flights_comes_back() {
    let place = Place::new();
    let summary = place.json(&["import", FLIGHTS, "flights.vdb", "--null", "NA"]);
    assert_eq!(
        (&summary["rows"], &summary["points"], &summary["dimensions"]),
        (&27_004.into(), &27_004.into(), &19.into())
    );

    let mut csv = String::new();
    GzDecoder::new(File::open(Path::new(FLIGHTS)).unwrap()).read_to_string(&mut csv).unwrap();
    let mut lines = csv.lines();
    let names: Vec<&str> = lines.next().unwrap().split(',').collect();
    let db = VectorDb::open_read_only(place.path("flights.vdb")).unwrap();
    assert_eq!(db.dimensions(), names);
    let snapshot = db.snapshot();
    let dimensions: Vec<_> = names.iter().map(|name| snapshot.dimension(name).unwrap()).collect();
    let mut missing = 0;
    for (row, line) in lines.enumerate() {
        let slot = snapshot.slot(row as u64).unwrap().unwrap();
        assert_eq!(slot, Slot(row as u32));
        for ((name, cell), dimension) in names.iter().zip(line.split(',')).zip(&dimensions) {
            let expected = match cell {
                "NA" => None,
                text if TEXT.contains(name) => Some(ValueRef::Text(text)),
                number => Some(ValueRef::Int(number.parse().unwrap())),
            };
            missing += u32::from(expected.is_none());
            assert_eq!(dimension.get(slot).unwrap(), expected, "row {row}, {name}");
        }
    }
    assert_eq!(missing, MISSING);
    assert_eq!(db.len(), 27_004);

    // By rows too, from the newest handle down to the command line.
    assert_eq!(db.lookup(0, "tailnum").unwrap(), Some(Value::from("N14228")));
    assert_eq!(place.line(&["get", "flights.vdb", "0", "dep_time", "dest"]), r#"{"dep_time":517,"dest":"IAH"}"#);
    assert_eq!(place.run(&["get", "flights.vdb", "27004"]).code, 1);

    // And the table again, but for the column of keys that it did not have.
    place.line(&["export", "flights.vdb", "flights.csv", "--null", "NA"]);
    let exported = place.read("flights.csv");
    let without_keys: String = exported.lines().map(|line| format!("{}\n", line.split_once(',').unwrap().1)).collect();
    assert_eq!(without_keys, csv);
}
