//! The figures in the project's README are those that this program wrote.

use crate::report::{Measurement, number};

/// What is in each cell of tables that is not what the figures say. A row whose first cell is empty names engines, and the first cell of each other
/// row has the name of a workload between backticks.
fn differences(table: &str, measurements: &[Measurement]) -> Vec<String> {
    let cells = |line: &str| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect::<Vec<_>>();
    let (mut engines, mut differences) = (Vec::new(), Vec::new());
    for row in table.lines().filter(|line| line.starts_with('|') && !line.starts_with("|--")).map(cells) {
        if row.first().is_some_and(String::is_empty) {
            engines = row;
            continue;
        }
        let workload = row.first().and_then(|first| first.split('`').nth(1)).unwrap_or_default();
        for (engine, cell) in engines.iter().zip(&row).skip(1) {
            let measured = measurements.iter().find(|found| found.workload == workload && found.engine == *engine);
            let expected = measured.map_or("-".to_owned(), |found| number(found.median));
            if *cell != expected {
                differences.push(format!("{workload} of {engine}: {cell} instead of {expected}"));
            }
        }
    }
    differences
}

#[test]
fn the_readme_has_the_figures_that_were_measured() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    let readme = std::fs::read_to_string(format!("{root}/README.md")).unwrap();
    // Of a workload that several of them have, the first counts.
    let measurements = ["10m-load.json", "10m.json", "10m-writes.json"].into_iter().flat_map(|name| {
        let results = std::fs::read_to_string(format!("{root}/benches/results/{name}")).unwrap();
        serde_json::from_str::<Vec<Measurement>>(&results).unwrap()
    });
    let measurements: Vec<Measurement> = measurements.collect();
    let section = readme.split("\n## ").find(|section| section.starts_with("Speed\n")).unwrap();
    let rows = section.lines().filter(|line| line.contains('`') && line.starts_with('|')).count();
    assert!(rows > 5, "{rows} rows");
    assert_eq!(differences(section, &measurements), Vec::<String>::new());
}

#[test]
fn a_wrong_figure_is_seen() {
    let measurement = |engine: &str, median| Measurement {
        workload: "open".to_owned(),
        engine: engine.to_owned(),
        records: 1,
        median,
        unit: "ms".to_owned(),
        runs: vec![median],
    };
    let measurements = [measurement("vector", 1.0), measurement("heed", 2.0)];
    let table = |first: &str, second: &str| {
        format!(
            "text\n| | vector | heed | redb |\n|---|---|---|---|\n| opening, ms (`open`) | {first} | {second} | - |\n"
        )
    };
    assert_eq!(differences(&table(&number(1.0), &number(2.0)), &measurements), Vec::<String>::new());
    assert_eq!(differences(&table(&number(1.0), &number(3.0)), &measurements).len(), 1);
    assert_eq!(differences(&table("-", &number(2.0)), &measurements).len(), 1);
    let second = "| | heed | vector |\n|---|---|---|\n| opening, ms (`open`) | 2.00 | 1.50 |\n";
    let both = table(&number(1.0), &number(2.0)) + second;
    assert_eq!(differences(&both, &measurements), ["open of vector: 1.50 instead of 1.00"]);
}
