//! The offset tables of `format-spec/` are sound: fields follow each other without gaps, and sums are what the text says.

use std::fs;
use std::path::Path;

/// A table: the chapter, the heading or sentence before it, and its rows of offset, size and field.
struct Table {
    place: String,
    rows: Vec<(u64, u64, String)>,
}

fn tables() -> Vec<Table> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("format-spec");
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "md") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let chapter = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let (mut heading, mut table): (String, Option<Table>) = (String::new(), None);
        for line in text.lines().chain([""]) {
            let cells: Vec<&str> = line.trim().trim_matches('|').split('|').map(str::trim).collect();
            if line.starts_with("| offset | size |") {
                table = Some(Table { place: format!("{chapter}: {heading}"), rows: Vec::new() });
            } else if let (Some(open), true) = (&mut table, line.starts_with('|')) {
                if let (Ok(offset), Ok(size)) = (cells[0].parse(), cells[1].parse()) {
                    open.rows.push((offset, size, cells[2].to_owned()));
                }
            } else if let Some(done) = table.take() {
                found.push(done);
            } else if line.starts_with('#') || line.ends_with(':') {
                heading = line.trim_start_matches('#').trim().to_owned();
            }
        }
    }
    found
}

#[test]
fn fields_follow_each_other_without_gaps() {
    let tables = tables();
    assert!(tables.len() >= 10, "only {} tables found", tables.len());
    for table in tables {
        let mut end = 0;
        for (offset, size, field) in table.rows {
            assert_eq!(offset, end, "{}: {field} does not start where the field before it ends", table.place);
            end += size;
        }
    }
}

#[test]
fn structures_have_the_sizes_that_the_code_asserts() {
    let sizes: Vec<(String, u64)> = tables()
        .into_iter()
        .map(|table| (table.place, table.rows.last().map_or(0, |(offset, size, _)| offset + size)))
        .collect();
    let expect = |place: &str, size: u64| {
        assert!(sizes.contains(&(place.to_owned(), size)), "{place} should have {size} bytes: {sizes:?}");
    };
    expect("block_file: Header", 512);
    expect("block_file: A section:", 24);
    expect("column: Column descriptor", 64);
    expect("column: Segments", 96);
    expect("column: Dictionary", 16);
    expect("axis: Axis descriptor", 64);
    expect("axis: A bucket has ten places:", 64);
    expect("perfect_hash: Parts", 16);
    expect("patch: Patch descriptor", 64);
    expect("patch: Delta columns", 160);
    expect("manifest: Header", 256);
    expect("manifest: Entries", 64);
    expect("wal: Header", 128);
    expect("wal: Records", 40);
}
