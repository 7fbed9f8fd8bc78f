//! The committed inputs of the fuzz targets, through the same code that fuzzes: each of them once broke something
//! (`fuzz/regressions`) or reaches code that no other does (`fuzz/corpus`).

use std::path::Path;

#[expect(
    unreachable_pub,
    dead_code,
    reason = "a library of its own where it is fuzzed, and its generator of seeds uses more of it"
)]
#[path = "../../fuzz/src/lib.rs"]
pub(crate) mod harness;

/// Runs a target on every committed input of its own; says which one it was on when it panics.
fn replay(target: &str, run: fn(&[u8])) {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    let directories = [fuzz.join("corpus").join(target), fuzz.join("regressions").join(target)];
    let mut count = 0;
    for entry in directories.iter().filter_map(|directory| directory.read_dir().ok()).flatten() {
        let path = entry.expect("the corpus can be listed").path();
        let input = std::fs::read(&path).expect("the corpus can be read");
        if let Err(panic) = std::panic::catch_unwind(|| run(&input)) {
            eprintln!("this was {}", path.display());
            std::panic::resume_unwind(panic);
        }
        count += 1;
    }
    assert!(count >= 10, "{count} inputs of {target}: the corpus is not where it is looked for");
}

#[test]
fn column_file_inputs_are_corrupt_or_some_value() {
    replay("column_file", harness::column_file::run);
}

#[test]
fn wal_inputs_are_recovered_the_same_every_time() {
    replay("wal", harness::wal::run);
}

#[test]
fn manifest_inputs_are_corrupt_or_open() {
    replay("manifest", harness::manifest::run);
}

#[test]
fn operations_inputs_agree_with_a_plain_list() {
    replay("operations", harness::operations::run);
}

#[test]
fn values_inputs_come_back_as_they_went_in() {
    replay("values", harness::values::run);
}

#[test]
fn canonical_bytes_inputs_are_refused_or_imported_the_same_again() {
    replay("canonical_bytes", harness::canonical_bytes::run);
}

#[test]
#[cfg_attr(not(feature = "legacy-import"), ignore = "reads what old releases wrote, too")]
fn canonical_lies_inputs_are_imported_as_far_as_they_are_true() {
    replay("canonical_lies", harness::canonical_lies::run);
}

#[test]
fn canonical_round_inputs_come_back_from_their_export() {
    replay("canonical_round", harness::canonical_round::run);
}
