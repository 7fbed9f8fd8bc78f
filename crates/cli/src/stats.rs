//! `vdb stats`: counts, sizes and encodings.

use crate::arguments;
use crate::database;
use crate::exit::{Exit, Outcome};
use crate::glyphs::{self, Glyphs};
use crate::output::{Output, Table, count_of};
use crate::report::Report;
use indicatif::{HumanBytes, HumanCount};
use vector_datalib::{Stats, Value};

/// Runs the command.
pub(crate) fn run(arguments: &arguments::Stats, output: &Output) -> Outcome {
    let stats = database::open_read_only(&arguments.db)?.stats()?;
    let text = if output.is_json() {
        stats_json(&stats)
    } else {
        stats_tables(&stats, &Glyphs::choose(arguments.ascii), glyphs::terminal_width())
    };
    output.print(&text)?;
    Ok(Exit::Done)
}

/// The statistics as one JSON object, with the library's names.
fn stats_json(stats: &Stats) -> String {
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
        .field("patches", stats.patches)
        .field("patch_bytes", stats.patch_bytes)
        .field("live_bytes", stats.live_bytes)
        .field("garbage_bytes", stats.garbage_bytes)
        .field("pinned_bytes", stats.pinned_bytes)
        .field("checkpoint_failure", stats.checkpoint_failure.clone())
        .field("axis_bytes", stats.axis_bytes)
        .field("axis_encoding", stats.axis_encoding)
        .to_json()
}

/// The statistics for a person: the whole, then each dimension, with bars where `width` has room for them.
pub(crate) fn stats_tables(stats: &Stats, glyphs: &Glyphs, width: usize) -> String {
    let count = |count: u64| HumanCount(count).to_string();
    let bytes = |bytes: u64| HumanBytes(bytes).to_string();
    let mut whole = Table::new(&["", ""]);
    for (name, text) in [
        ("points", count(stats.vector_points)),
        ("slots", format!("{} ({} free)", count(stats.slots), count(stats.free_slots))),
        ("dimensions", count(stats.dimensions)),
        ("size", bytes(stats.file_size_bytes)),
        ("live", format!("{} (about what a compaction writes)", bytes(stats.live_bytes))),
        ("garbage", format!("{} (about what a compaction frees)", bytes(stats.garbage_bytes))),
        ("pinned", format!("{} (of replaced files that this process reads)", bytes(stats.pinned_bytes))),
        ("keys", format!("{} ({})", bytes(stats.axis_bytes), stats.axis_encoding)),
        ("patches", format!("{} ({})", bytes(stats.patch_bytes), count_of(stats.patches, "file"))),
        ("log", bytes(stats.wal_bytes)),
        ("generation", count(stats.generation)),
        ("sequence", count(stats.sequence)),
        ("created", stats.metadata.created_at.clone()),
        ("modified", stats.metadata.last_modified.clone()),
        ("version", format!("{} (of a .db export)", stats.metadata.version)),
    ] {
        whole.row(vec![name.to_owned(), text]);
    }
    if let Some(reason) = &stats.checkpoint_failure {
        whole.row(vec!["checkpoint".to_owned(), format!("the last one failed: {reason}")]);
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
    let sizes: Vec<u64> = stats.dimension_details.iter().map(|dimension| dimension.bytes).collect();
    let details = details.render();
    let drawn = glyphs.with_bars(&details, &sizes, width).unwrap_or_else(|| {
        // The bars stand below where the table leaves no room for them.
        let mut table = Table::new(&["dimension", ">size"]);
        for dimension in &stats.dimension_details {
            table.row(vec![dimension.name.clone(), bytes(dimension.bytes)]);
        }
        glyphs.with_bars(&table.render(), &sizes, width).map_or(details.clone(), |bars| format!("{details}\n\n{bars}"))
    });
    format!("{}\n\n{drawn}{legend}", whole.render())
}

#[cfg(test)]
mod tests {
    use super::*;
    use vector_datalib::{BulkLoader, ValueRef, VectorDb, attrs};

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
        let tables = stats_tables(&db.stats().unwrap(), &Glyphs::ASCII, 80);
        assert!(tables.contains(" (of a .db export)\n"), "{tables}");
        for line in ["live ", "garbage     0 B (about what a compaction frees)", "pinned      0 B (of replaced files"] {
            assert!(tables.contains(&format!("\n{line}")), "{line}: {tables}");
        }
        assert!(tables.contains("  100,000  ") && !tables.contains('~'), "{tables}");
        db.upsert(5, attrs! { "n" => -1 }).unwrap();
        let tables = stats_tables(&db.stats().unwrap(), &Glyphs::ASCII, 80);
        assert!(tables.contains("  ~100,000  ") && tables.ends_with("\n\n~ as of the last checkpoint"), "{tables}");
    }

    #[test]
    fn bars_stand_below_where_the_table_leaves_no_room() {
        let dir = tempfile::tempdir().unwrap();
        let db = VectorDb::create(dir.path().join("t.vdb")).unwrap();
        db.upsert(1, [("a", 1)]).unwrap();
        db.compact(&Default::default()).unwrap();
        let tables = |width| stats_tables(&db.stats().unwrap(), &Glyphs::ASCII, width);
        let (narrow, wide) = (tables(70), tables(100));
        assert_eq!((narrow.matches("a  ").count(), wide.matches("a  ").count()), (2, 1), "{narrow}\n{wide}");
        assert!(narrow.ends_with(&"#".repeat(40)) && wide.trim_end().ends_with("##"), "{narrow}\n{wide}");
        assert!(!tables(20).contains('#'));
    }

    #[test]
    fn patches_are_counted_and_a_failed_checkpoint_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let db = VectorDb::create(dir.path().join("t.vdb")).unwrap();
        db.upsert(1, [("a", 1)]).unwrap();
        db.save().unwrap();
        db.upsert(1, [("a", 2)]).unwrap();
        db.save().unwrap();
        let mut stats = db.stats().unwrap();
        let tables = stats_tables(&stats, &Glyphs::ASCII, 80);
        assert!(stats.patches > 0 && tables.contains(&format!("({})", count_of(stats.patches, "file"))), "{tables}");
        assert!(!tables.contains("failed"), "{tables}");
        assert!(stats_json(&stats).contains(&format!(
            "\"patches\":{},\"patch_bytes\":{},\"live_bytes\":{},\"garbage_bytes\":{},\"pinned_bytes\":0,\"checkpoint_failure\":null",
            stats.patches, stats.patch_bytes, stats.live_bytes, stats.garbage_bytes
        )));
        stats.checkpoint_failure = Some("no space".to_owned());
        assert!(stats_tables(&stats, &Glyphs::ASCII, 80).contains("the last one failed: no space"));
        assert!(stats_json(&stats).contains("\"checkpoint_failure\":\"no space\""));
    }
}
