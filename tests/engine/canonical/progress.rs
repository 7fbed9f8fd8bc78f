//! How an import tells how far it is: often, also where a small file holds much.

use super::draft::{SPACES, edited, packed_with};
use super::node::{Node, Width, map, raw};
use lz4_flex::frame::{BlockMode, BlockSize, FrameInfo};
use std::ops::ControlFlow;
use vector_datalib::{Error, Import, ImportReport, Progress, Result};

const MIB: usize = 1 << 20;

fn import(file: &[u8], progress: &mut dyn FnMut(Progress) -> ControlFlow<()>) -> Result<ImportReport> {
    let place = tempfile::tempdir().unwrap();
    let (source, target) = (place.path().join("source.db"), place.path().join("target.vdb"));
    std::fs::write(&source, file).unwrap();
    let result = Import::new().run_with(&source, &target, &mut *progress);
    if result.is_err() {
        assert!(!target.exists(), "nothing is left");
    }
    result
}

/// The draft with something that nobody knows, which is not worth any time.
fn with_unknown(size: BlockSize, unknown: Node) -> (Vec<u8>, u64) {
    let mut draft = super::draft::draft();
    draft.add("database", "later", unknown);
    let content = draft.encode(Width::Shortest);
    let info = FrameInfo::new().block_size(size).block_mode(BlockMode::Linked);
    (packed_with(info.content_size(Some(content.len() as u64)), &content), content.len() as u64)
}

/// So many nulls.
fn nulls(count: usize) -> Node {
    raw([&[0xDD][..], &(count as u32).to_be_bytes(), &vec![0xC0; count]].concat())
}

#[test]
fn reading_is_told_in_bytes_of_content_however_small_the_file() {
    let text = || Node::Text("x".repeat(40 * MIB));
    for (size, unknown, gap_max) in [
        (BlockSize::Max64KB, nulls(40 * MIB), 64 << 10),
        (BlockSize::Max64KB, text(), 64 << 10),
        (BlockSize::Max4MB, text(), 4 * MIB as u64),
    ] {
        let (file, len) = with_unknown(size, unknown);
        assert!(file.len() < MIB, "a small file: {}", file.len());
        let (mut before, mut gap, mut last) = (0, 0, None);
        import(&file, &mut |progress| {
            if progress.phase == "reading" {
                assert_eq!((progress.unit, progress.total), ("bytes", Some(len)));
                assert!((before..=len).contains(&progress.done), "{progress:?} after {before}");
                gap = gap.max(progress.done - before);
                before = progress.done;
                last = Some(progress);
            }
            ControlFlow::Continue(())
        })
        .unwrap();
        assert_eq!(last.map(|progress| progress.done), Some(len), "to the end");
        assert!(gap <= gap_max, "{gap} bytes without a word");
    }
}

#[test]
fn many_short_values_in_one_block_are_told_of_one_after_the_other() {
    let (file, _) = with_unknown(BlockSize::Max4MB, nulls(16 * MIB));
    let mut calls = 0;
    import(&file, &mut |progress| {
        calls += u64::from(progress.phase == "reading");
        ControlFlow::Continue(())
    })
    .unwrap();
    assert!(calls > 1000, "{calls} calls for 16 million values");
}

#[cfg(feature = "legacy-import")]
#[test]
fn blanks_are_told_of_too() {
    use std::io::Write as _;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(&vec![b' '; 40 * MIB]).unwrap();
    encoder.write_all(br#"{"database": {"central_axis": {"vector_points": ["a"]}}}"#).unwrap();
    let (mut before, mut gap) = (0, 0);
    import(&encoder.finish().unwrap(), &mut |progress| {
        if progress.phase == "reading" {
            assert_eq!(progress.total, None, "gzip does not say");
            gap = gap.max(progress.done - before);
            before = progress.done;
        }
        ControlFlow::Continue(())
    })
    .unwrap();
    assert!(before > 40 * MIB as u64 && gap <= 64 << 10, "{before}, {gap}");
}

#[test]
fn a_callback_stops_the_reading_at_once() {
    let (file, len) = with_unknown(BlockSize::Max64KB, nulls(40 * MIB));
    let mut done = Vec::new();
    let error = import(&file, &mut |progress| {
        done.push(progress.done);
        if done.len() == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })
    .unwrap_err();
    assert!(matches!(error, Error::Cancelled), "{error}");
    assert_eq!(done.len(), 3);
    assert!(done[2] < len / 100, "{done:?} of {len}");
}

#[test]
fn writing_is_told_of_to_the_end_whether_dimensions_have_cells_or_not() {
    let empty = || map([("value_domain", Node::Map(vec![])), ("next_id", 1.into())]);
    for names in [&[][..], &["x"], &["x", "y", "z"]] {
        let file = edited(|file| names.iter().for_each(|name| file.add(SPACES, *name, empty())));
        let (mut before, mut total) = (0, None);
        import(&file, &mut |progress| {
            if progress.phase == "writing columns" {
                assert!(before <= progress.done, "{progress:?} after {before}");
                assert!(Some(progress.done) <= progress.total, "{progress:?}");
                (before, total) = (progress.done, progress.total);
            }
            ControlFlow::Continue(())
        })
        .unwrap();
        assert_eq!(Some(before), total, "{names:?}");
    }
}
