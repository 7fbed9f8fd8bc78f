//! Real flights: every cell of the table is read back, with its type. A month of them ships with the repository; with
//! `VECTOR_FLIGHTS=FILE` it is the whole year, as a `.csv.gz` (see `scripts/flights.sh`).

use crate::Place;
use flate2::read::GzDecoder;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use vector_datalib::{Slot, Value, ValueRef, VectorDb};

const FLIGHTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data/flights-2013-01.csv.gz");
/// All other columns are integers.
const TEXT: [&str; 5] = ["carrier", "tailnum", "origin", "dest", "time_hour"];
/// Rows of the month and of the year, and missing cells as `awk -F, '{for (i = 1; i <= NF; i++) if ($i == "NA") n++} END {print n}'`
/// counts them.
const MONTH: (u32, u32) = (27_004, 2945);
const YEAR: (u32, u32) = (336_776, 46_595);

#[test]
fn every_cell_of_the_flights_comes_back() {
    let place = Place::new();
    let (file, (rows, missing_cells)) = match std::env::var("VECTOR_FLIGHTS") {
        Ok(file) => (file, YEAR),
        Err(_) => (FLIGHTS.to_owned(), MONTH),
    };
    let summary = place.json(&["import", &file, "flights.vdb", "--null", "NA"]);
    assert_eq!(
        (&summary["rows"], &summary["points"], &summary["dimensions"]),
        (&rows.into(), &rows.into(), &19.into())
    );

    let mut csv = String::new();
    GzDecoder::new(File::open(Path::new(&file)).unwrap()).read_to_string(&mut csv).unwrap();
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
    assert_eq!(missing, missing_cells);
    assert_eq!(db.len(), u64::from(rows));

    // By rows too, from the newest handle down to the command line.
    assert_eq!(db.lookup(0, "tailnum").unwrap(), Some(Value::from("N14228")));
    assert_eq!(place.line(&["get", "flights.vdb", "0", "dep_time", "dest"]), r#"{"dep_time":517,"dest":"IAH"}"#);
    assert_eq!(place.run(&["get", "flights.vdb", &rows.to_string()]).code, 1);

    // And the table again, but for the column of keys that it did not have.
    place.line(&["export", "flights.vdb", "flights.csv", "--null", "NA"]);
    let exported = place.read("flights.csv");
    let without_keys: String = exported.lines().map(|line| format!("{}\n", line.split_once(',').unwrap().1)).collect();
    assert_eq!(without_keys, csv);
}
