//! A small file, to be changed in one way or another before it is packed.

use super::node::{NIL, Node, Width, array, map};
use crate::support::contents::Point;
use lz4_flex::frame::{BlockMode, BlockSize, FrameEncoder, FrameInfo};
use std::io::Write as _;
use vector_datalib::Value;

/// Paths into the contents.
pub(crate) const AXIS: &str = "database/central_axis";
pub(crate) const SPACES: &str = "database/dimensional_spaces";
pub(crate) const MAPPINGS: &str = "database/coordinate_mappings";

/// Three slots, of which one is free, and two dimensions, one of them sparse.
pub(crate) fn draft() -> Node {
    let metadata = map([
        ("version", "1.4.0-beta".into()),
        ("created_at", "2026-01-02T03:04:05.678901".into()),
        ("last_modified", "2026-01-02T03:04:06".into()),
        ("total_vector_points", 2.into()),
        ("total_dimensions", 2.into()),
    ]);
    let axis = map([
        ("vector_points", array(["a".into(), NIL, 7.into()])),
        ("coordinate_map", array([array(["a".into(), 0.into()]), array([7.into(), 2.into()])])),
        ("free_slots", array([1.into()])),
    ]);
    let space = |domain: Node, next: i32| map([("value_domain", domain), ("next_id", next.into())]);
    let spaces =
        map([("age", space(map([(1, 25.into()), (2, 31.into())]), 3)), ("name", space(map([(1, "Alice".into())]), 2))]);
    let mapping = |ids: Node, counts: Node| map([("coordinate_to_value_id", ids), ("ref_counts", counts)]);
    let mappings = map([
        ("age", mapping(map([(0, 1.into()), (2, 2.into())]), map([(1, 1.into()), (2, 1.into())]))),
        ("name", mapping(map([(0, 1.into())]), map([(1, 1.into())]))),
    ]);
    let database = map([("central_axis", axis), ("dimensional_spaces", spaces), ("coordinate_mappings", mappings)]);
    map([("metadata", metadata), ("database", database)])
}

/// The points of [`draft`].
pub(crate) fn points() -> Vec<Point> {
    points_of([
        (0, "a".into(), &[("age", 25.into()), ("name", "Alice".into())][..]),
        (2, 7.into(), &[("age", 31.into())]),
    ])
}

/// Points as they are compared.
pub(crate) fn points_of<'p>(points: impl IntoIterator<Item = (u64, Value, &'p [(&'p str, Value)])>) -> Vec<Point> {
    let owned = |attributes: &[(&str, Value)]| {
        attributes.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
    };
    points.into_iter().map(|(coordinate, key, attributes)| (coordinate, key, owned(attributes))).collect()
}

/// The draft with changes, packed as the original does.
pub(crate) fn edited(edit: impl FnOnce(&mut Node)) -> Vec<u8> {
    let mut draft = draft();
    edit(&mut draft);
    packed(&draft.encode(Width::Shortest))
}

/// Content in a frame as the original writes it.
pub(crate) fn packed(content: &[u8]) -> Vec<u8> {
    let mode = if content.len() > 1 << 16 { BlockMode::Linked } else { BlockMode::Independent };
    let info = FrameInfo::new().block_size(BlockSize::Max64KB).block_mode(mode);
    packed_with(info.content_size(Some(content.len() as u64)), content)
}

/// Content in a frame of some kind.
pub(crate) fn packed_with(info: FrameInfo, content: &[u8]) -> Vec<u8> {
    let mut encoder = FrameEncoder::with_frame_info(info, Vec::new());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}
