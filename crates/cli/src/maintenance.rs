//! `vdb checkpoint` and `compact`: a database as a whole.

use crate::arguments::{Compact, Database, Layout};
use crate::csv_export::CsvOptions;
use crate::database;
use crate::exit::{Exit, Outcome};
use crate::export;
use crate::output::{Output, count_of, duration};
use crate::progress::Observer;
use crate::report::Report;
use indicatif::HumanBytes;
use std::time::Instant;
use vector_datalib::{CompactOptions, Stats, VectorDb};

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
    let db = database::open(&arguments.db)?;
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

/// Whether closing up the slots has made a database larger: keys that took no room are stored now.
fn is_no_longer_dense(before: &Stats, after: &Stats) -> bool {
    let is_larger = after.file_size_bytes > before.file_size_bytes;
    is_larger && before.axis_encoding == "dense" && after.axis_encoding != "dense"
}

/// What became of a database that was to be frozen.
fn frozen_note(after: &Stats) -> &'static str {
    match after.axis_encoding {
        "frozen" => "frozen: coordinates are worked out from the hashes of keys",
        "dense" => "not frozen: the keys are consecutive integers, which are found without a hash and take no room",
        "none" => "not frozen: there are no points",
        _ => "not frozen: no function was found that tells the keys apart by their hashes; they are packed and indexed",
    }
}

/// Runs `compact`.
pub(crate) fn compact(arguments: &Compact, output: &Output) -> Outcome {
    let started = Instant::now();
    // Before hours of work, not after.
    let format = arguments.export.as_deref().map(export::format_of).transpose()?;
    if let Some(out) = &arguments.export {
        export::check_place(out)?;
    }
    let db = database::open(&arguments.db)?;
    note_unclean(&db, output);
    let before = db.stats()?;
    let mut observer = Observer::new(output);
    let layout = if arguments.reassign_slots { Layout::Packed } else { arguments.layout };
    let options = CompactOptions::new().layout(layout.of_library());
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
    if is_no_longer_dense(&before, &after) {
        output.note(
            "the database is larger than before: each key was the first one plus its coordinate, and took no room; \
             now that coordinates have changed, keys are stored and indexed",
        );
    }
    if layout == Layout::Frozen {
        output.note(frozen_note(&after));
    }
    let mut report = Report::new()
        .field("generation", after.generation)
        .field("points", after.vector_points)
        .field("slots", after.slots)
        .field("file_size_bytes_before", before.file_size_bytes)
        .field("file_size_bytes", after.file_size_bytes)
        .field("axis_encoding_before", before.axis_encoding)
        .field("axis_encoding", after.axis_encoding)
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
