//! Frames: every legal one is read, and every damaged one is refused, wherever it is cut.

use super::case::{Case, Expected, check, import_in_memory};
use super::draft::{SPACES, draft, edited, packed, packed_with, points_of};
use super::frame::{BLOCK_CHECKSUMS, Block, CONTENT_CHECKSUM, CONTENT_LEN, DICTIONARY, Frame};
use super::node::Width;
use crate::support::random::Random;
use lz4_flex::frame::{BlockMode, BlockSize, FrameInfo};
use vector_datalib::{Import, VectorDb};

/// Letters that repeat now and then, so that blocks have matches far back.
fn long_text() -> String {
    let mut random = Random::new(1);
    let words: Vec<String> = (0..500).map(|_| format!("{:x} ", random.next())).collect();
    let mut text = String::new();
    while text.len() < 300_000 {
        text.push_str(random.pick::<String>(&words));
    }
    text
}

fn content() -> Vec<u8> {
    draft().encode(Width::Shortest)
}

fn legal() -> Vec<Case> {
    let text = long_text();
    let mut long = draft();
    long.set(&format!("{SPACES}/name/value_domain/1"), text.as_str());
    let long = long.encode(Width::Shortest);
    let points = points_of([
        (0, "a".into(), &[("age", 25.into()), ("name", text.as_str().into())][..]),
        (2, 7.into(), &[("age", 31.into())]),
    ]);
    let mut cases = Vec::new();
    for size in [BlockSize::Max64KB, BlockSize::Max256KB, BlockSize::Max1MB, BlockSize::Max4MB] {
        for options in 0..16 {
            let is = |bit: u8| options & bit != 0;
            let mode = if is(1) { BlockMode::Linked } else { BlockMode::Independent };
            let info = FrameInfo::new()
                .block_size(size)
                .block_mode(mode)
                .block_checksums(is(2))
                .content_checksum(is(4))
                .content_size(is(8).then_some(long.len() as u64));
            let file = packed_with(info, &long);
            cases.push(Case::new(
                format!("{size:?}, options {options}"),
                file,
                Expected::Points(points.clone(), vec![]),
            ));
        }
    }
    for (block_len, flags) in [(7, 0), (1, CONTENT_LEN), (100, BLOCK_CHECKSUMS | CONTENT_CHECKSUM)] {
        let frame = Frame::stored(&content(), block_len, flags);
        cases.push(Case::same(format!("stored blocks of {block_len} bytes"), frame.to_bytes(), &[]));
    }
    let mut frame = Frame::stored(&content(), 50, CONTENT_CHECKSUM);
    frame.blocks[1] = Block::compressed(&content()[50..100]);
    frame.blocks.insert(1, Block { is_stored: true, bytes: vec![], len: 0, error: 0 });
    cases.push(Case::same("stored, compressed and empty blocks", frame.to_bytes(), &[]));
    cases
}

#[test]
fn every_legal_frame_is_read() {
    check(legal());
}

fn damaged() -> Vec<Case> {
    let whole = || Frame::stored(&content(), 50, CONTENT_LEN | BLOCK_CHECKSUMS | CONTENT_CHECKSUM);
    let damaged = |name: &str, says: &'static [&'static str], damage: &dyn Fn(&mut Frame)| {
        let mut frame = whole();
        damage(&mut frame);
        Case::rejected(format!("frame: {name}"), frame.to_bytes(), says)
    };
    let file = whole().to_bytes();
    vec![
        Case::same("frame: by hand", file.clone(), &[]),
        damaged("content longer than declared", &["at byte ", "longer than"], &|frame| frame.content_len -= 1),
        damaged("content shorter than declared", &["at byte ", "ends after"], &|frame| frame.content_len += 1),
        damaged("header checksum", &["header", "checksum"], &|frame| frame.header_error = 1),
        damaged("block checksum", &["block", "checksum"], &|frame| frame.blocks[1].error = 1),
        damaged("content checksum", &["content", "checksum"], &|frame| frame.content_error = 1),
        damaged("no end mark", &["at byte "], &|frame| frame.end_mark = false),
        damaged("a block too many", &["longer than"], &|frame| frame.blocks.push(Block::stored(b"x"))),
        damaged("a block too few", &["ends after"], &|frame| drop(frame.blocks.pop())),
        damaged("blocks in another order", &[], &|frame| frame.blocks.swap(0, 1)),
        damaged("a block of 2 GiB", &["at byte 15"], &|frame| frame.blocks[0].len = 0x7FFF_FFFF),
        damaged("a compressed block of 2 GiB", &["at byte 15"], &|frame| {
            frame.blocks[0] = Block { is_stored: false, len: 0x7FFF_FFFF, ..Block::stored(b"x") };
        }),
        damaged("a block that decompresses to nothing known", &["block"], &|frame| {
            frame.blocks[0] = Block { is_stored: false, ..Block::stored(&[0xFF; 40]) };
        }),
        damaged("a match that reaches before the block", &["block"], &|frame| {
            frame.blocks[1] =
                Block { is_stored: false, ..Block::stored(&[0x10, b'a', 0xFF, 0xFF, 0x50, 1, 2, 3, 4, 5]) };
        }),
        damaged("version 2", &["version"], &|frame| frame.flags = frame.flags & 0x3F | 0x80),
        damaged("a reserved flag", &["reserved"], &|frame| frame.flags |= 2),
        damaged("a dictionary", &["dictionary"], &|frame| frame.flags |= DICTIONARY),
        damaged("blocks of no known length", &["block"], &|frame| frame.block_descriptor = 0x30),
        damaged("a reserved bit among the lengths", &["reserved"], &|frame| frame.block_descriptor = 0x41),
        damaged("legacy magic", &["legacy"], &|frame| frame.magic = [0x02, 0x21, 0x4C, 0x18]),
        damaged("another magic", &[], &|frame| frame.magic = *b"SQLi"),
        Case::rejected(
            "frame: a skippable one in front",
            [&b"\x50\x2A\x4D\x18\x04\0\0\0abcd"[..], &file].concat(),
            &["skippable"],
        ),
        Case::rejected("frame: bytes in front", [b"x", &file[..]].concat(), &[]),
        Case::rejected("an empty file", Vec::new(), &[]),
        Case::rejected("a file of one byte", vec![4], &[]),
        Case::rejected("a text", b"{\"metadata\":{}}".to_vec(), &[]),
        Case::rejected("zeros", vec![0; 1000], &[]),
    ]
}

#[test]
fn every_damaged_frame_is_refused() {
    check(damaged());
}

#[test]
fn a_frame_cut_at_any_byte_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let db = VectorDb::create(dir.path().join("own.vdb")).unwrap();
    db.batch_upsert((0..40).map(|n| (n, [("name", format!("name {n}")), ("city", format!("city {}", n % 5))])))
        .unwrap();
    db.export(dir.path().join("own.db")).unwrap();
    let unsized_info = FrameInfo::new().block_size(BlockSize::Max64KB).block_mode(BlockMode::Linked);
    let files = [
        ("one of ours", std::fs::read(dir.path().join("own.db")).unwrap()),
        ("one of the original's", edited(|_| {})),
        ("one that declares no length", packed_with(unsized_info, &content())),
        ("stored blocks", Frame::stored(&content(), 16, 0).to_bytes()),
        ("an empty database of the original", include_bytes!("../../fixtures/o01_empty.db").to_vec()),
    ];
    for (name, file) in files {
        assert!(import_in_memory(&file, Import::new(), name).is_ok(), "{name}");
        for len in 0..file.len() {
            let result = import_in_memory(&file[..len], Import::new(), &format!("{name}, {len} bytes"));
            let error = result.err().unwrap_or_else(|| panic!("{name}: imported from {len} of {} bytes", file.len()));
            assert!(error.is_rejected(), "{name}, {len} bytes: {error}");
        }
    }
}

#[test]
fn content_cut_at_any_byte_is_refused() {
    let content = content();
    for len in 0..content.len() {
        let result = import_in_memory(&packed(&content[..len]), Import::new(), &format!("{len} bytes"));
        let error = result.err().unwrap_or_else(|| panic!("imported from {len} bytes"));
        assert!(error.is_rejected(), "{len} bytes: {error}");
    }
}

/// All files of this module.
pub(super) fn cases() -> Vec<Case> {
    [legal(), damaged()].concat()
}
