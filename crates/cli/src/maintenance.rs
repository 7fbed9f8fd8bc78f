//! `vdb stats`, `checkpoint` and `compact`: a database as a whole.

use crate::arguments::{Compact, Database};
use crate::csv_export::CsvOptions;
use crate::exit::{Exit, Outcome};
use crate::export;
use crate::output::{Output, Table, count_of, duration};
use crate::progress::Observer;
use crate::report::Report;
use indicatif::{HumanBytes, HumanCount};
use std::time::Instant;
use vector_datalib::{CompactOptions, Stats, Value, VectorDb};

/// Runs `stats`.
pub(crate) fn stats(arguments: &Database, output: &Output) -> Outcome {
    let stats = VectorDb::open_read_only(&arguments.db)?.stats()?;
    output.print(&if output.is_json() { stats_json(&stats) } else { stats_tables(&stats) })?;
    Ok(Exit::Done)
}

/// The statistics as one JSON object, with the library's names.
pub(crate) fn stats_json(stats: &Stats) -> String {
    let details = stats.dimension_details.iter().map(|dimension| {
        Report::new()
            .field("name", dimension.name.as_str())
            .field("distinct_values", dimension.distinct_values)
            .field("distinct_exact", dimension.distinct_exact)
            .field("points", dimension.points)
            .field("nulls", dimension.nulls)
            .field("encoding", dimension.encoding)
            .field("presence", dimension.presence.as_str())
            .field("bytes", dimension.bytes)
            .into()
    });
    let details: Vec<Value> = details.collect();
    let metadata = Report::new()
        .field("created_at", stats.metadata.created_at.as_str())
        .field("last_modified", stats.metadata.last_modified.as_str())
        .field("version", stats.metadata.version.as_str());
    Report::new()
        .field("vector_points", stats.vector_points)
        .field("dimensions", stats.dimensions)
        .field("dimension_details", details)
        .field("file_size_bytes", stats.file_size_bytes)
        .field("metadata", metadata)
        .field("slots", stats.slots)
        .field("free_slots", stats.free_slots)
        .field("generation", stats.generation)
        .field("sequence", stats.sequence)
        .field("wal_bytes", stats.wal_bytes)
        .field("axis_bytes", stats.axis_bytes)
        .field("axis_encoding", stats.axis_encoding)
        .to_json()
}

/// The statistics for a person: the whole, then each dimension.
pub(crate) fn stats_tables(stats: &Stats) -> String {
    let count = |count: u64| HumanCount(count).to_string();
    let bytes = |bytes: u64| HumanBytes(bytes).to_string();
    let mut whole = Table::new(&["", ""]);
    for (name, text) in [
        ("points", count(stats.vector_points)),
        ("slots", format!("{} ({} free)", count(stats.slots), count(stats.free_slots))),
        ("dimensions", count(stats.dimensions)),
        ("size", bytes(stats.file_size_bytes)),
        ("keys", format!("{} ({})", bytes(stats.axis_bytes), stats.axis_encoding)),
        ("log", bytes(stats.wal_bytes)),
        ("generation", count(stats.generation)),
        ("sequence", count(stats.sequence)),
        ("created", stats.metadata.created_at.clone()),
        ("modified", stats.metadata.last_modified.clone()),
        ("version", format!("{} (of a .db export)", stats.metadata.version)),
    ] {
        whole.row(vec![name.to_owned(), text]);
    }
    if stats.dimension_details.is_empty() {
        return whole.render();
    }
    let mut details = Table::new(&["dimension", ">points", ">distinct", ">nulls", "encoding", "presence", ">size"]);
    for dimension in &stats.dimension_details {
        details.row(vec![
            dimension.name.clone(),
            count(dimension.points),
            format!("{}{}", if dimension.distinct_exact { "" } else { "~" }, count(dimension.distinct_values)),
            count(dimension.nulls),
            dimension.encoding.to_owned(),
            dimension.presence.clone(),
            bytes(dimension.bytes),
        ]);
    }
    let exact = stats.dimension_details.iter().all(|dimension| dimension.distinct_exact);
    let legend = if exact { "" } else { "\n\n~ as of the last checkpoint" };
    format!("{}\n\n{}{legend}", whole.render(), details.render())
}

/// Says so if the log ends in something that is no commit.
pub(crate) fn note_unclean(db: &VectorDb, output: &Output) {
    let dropped = db.open_report().bytes_dropped;
    if dropped > 0 {
        let reason = "a write that was cut short and never acknowledged, or one that is going on";
        output.note(&format!(
            "{}: the log ends in {}, {reason}",
            db.path().display(),
            count_of(dropped, "unfinished byte")
        ));
    }
}

/// Runs `checkpoint`.
pub(crate) fn checkpoint(arguments: &Database, output: &Output) -> Outcome {
    let started = Instant::now();
    let db = VectorDb::open(&arguments.db)?;
    note_unclean(&db, output);
    let mut observer = Observer::new(output);
    db.save_with(&mut |progress| observer.observe(progress))?;
    drop(observer);
    let after = db.stats()?;
    db.close()?;
    let elapsed = started.elapsed();
    output.note(&format!(
        "{}: checkpoint done in {}: generation {}, {}",
        arguments.db.display(),
        duration(elapsed),
        after.generation,
        HumanBytes(after.file_size_bytes)
    ));
    if output.is_json() {
        let report = Report::new().field("generation", after.generation).field("sequence", after.sequence);
        output.print(&report.field("file_size_bytes", after.file_size_bytes).seconds(elapsed).to_json())?;
    }
    Ok(Exit::Done)
}

/// Runs `compact`.
pub(crate) fn compact(arguments: &Compact, output: &Output) -> Outcome {
    let started = Instant::now();
    // Before hours of work, not after.
    let format = arguments.export.as_deref().map(export::format_of).transpose()?;
    let db = VectorDb::open(&arguments.db)?;
    note_unclean(&db, output);
    let before = db.stats()?;
    let mut observer = Observer::new(output);
    let options = CompactOptions::new().reassign_slots(arguments.reassign_slots);
    db.compact_with(&options, &mut |progress| observer.observe(progress))?;
    drop(observer);
    let after = db.stats()?;
    let elapsed = started.elapsed();
    output.note(&format!(
        "{}: compacted in {}: {} -> {}",
        arguments.db.display(),
        duration(elapsed),
        HumanBytes(before.file_size_bytes),
        HumanBytes(after.file_size_bytes)
    ));
    let mut report = Report::new()
        .field("generation", after.generation)
        .field("points", after.vector_points)
        .field("slots", after.slots)
        .field("file_size_bytes_before", before.file_size_bytes)
        .field("file_size_bytes", after.file_size_bytes)
        .seconds(elapsed);
    if let (Some(out), Some(format)) = (&arguments.export, format) {
        report = report.field("export", export::export(&db, out, format, CsvOptions::default(), output)?);
    }
    db.close()?;
    if output.is_json() {
        output.print(&report.to_json())?;
    }
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use super::*;
    use vector_datalib::{BulkLoader, ValueRef, attrs};

    #[test]
    fn a_table_explains_its_signs_where_it_uses_them() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t.vdb");
        let mut loader = BulkLoader::create(&path).unwrap();
        for key in 0..100_000i64 {
            loader.push(key, [("n", ValueRef::Int((key * 7919).into()))]).unwrap();
        }
        loader.finish().unwrap();
        let db = VectorDb::open(&path).unwrap();
        let tables = stats_tables(&db.stats().unwrap());
        assert!(tables.contains(" (of a .db export)\n"), "{tables}");
        assert!(tables.contains("  100,000  ") && !tables.contains('~'), "{tables}");
        db.upsert(5, attrs! { "n" => -1 }).unwrap();
        let tables = stats_tables(&db.stats().unwrap());
        assert!(tables.contains("  ~100,000  ") && tables.ends_with("\n\n~ as of the last checkpoint"), "{tables}");
    }
}
