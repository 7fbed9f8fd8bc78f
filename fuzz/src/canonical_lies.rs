//! Target `canonical_lies`: canonical files that are well formed, and say what is true in any form there is, or lie.
//!
//! Input: flags, lies and a number of the style; where to lie, and what; then what is true.

use super::draft::{Draft, Style};
use super::imports::{self, BUDGET, BUDGET_SMALL};
use super::input::Input;
use super::node::{self, Node, Xorshift};
use super::packing;
use std::collections::{HashMap, HashSet};
use vector_datalib::{Import, Key, Value};

/// JSON in gzip, as the first releases wrote; or MessagePack in gzip.
pub const FLAG_JSON: u8 = 1;
pub const FLAG_GZIP: u8 = 2;
/// Save what can be saved.
pub const FLAG_SALVAGE: u8 = 4;
/// With memory enough for everything.
pub const FLAG_MEMORY: u8 = 8;
/// What need not be there is not.
pub const FLAG_BARE: u8 = 16;
/// What follows from the rest is wrong.
pub const FLAG_STALE: u8 = 32;
/// The coordinate map is a map.
pub const FLAG_MAP: u8 = 64;
/// Mappings are pairs without fields.
pub const FLAG_DIRECT: u8 = 128;

/// What a save beside writes can do: cells with ids that have no value, ...
pub const LIE_IDS: u8 = 1;
/// ... a coordinate map that is not that of the points, ...
pub const LIE_COORDINATES: u8 = 2;
/// ... and keys at two coordinates.
pub const LIE_KEYS: u8 = 4;
/// Something is there twice.
pub const LIE_TWICE: u8 = 8;
/// A part is something else.
pub const LIE_PART: u8 = 16;
/// A byte of the content is another.
pub const LIE_BYTE: u8 = 32;

/// Bytes that say where to lie.
const LIE_LEN: usize = 12;

pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let (flags, lies, number) = (input.u8(), input.u8(), input.u16());
    let mut lie = Input::new(input.take(LIE_LEN));
    let has = |flag: u8| flags & flag != 0;
    let mut style = Style {
        is_json: has(FLAG_JSON),
        is_bare: has(FLAG_BARE),
        is_stale: has(FLAG_STALE),
        has_unknown_fields: number & 1 == 1,
        has_map: has(FLAG_MAP),
        is_direct: has(FLAG_DIRECT),
        numbers: Xorshift::new(number.into()),
    };
    let mut draft = Draft::new(&mut input, &style, lies & LIE_KEYS != 0);
    let mut torn = draft.truth().points.len() != draft.slots.iter().flatten().count();
    torn |= lies & LIE_IDS != 0 && lose_values(&mut draft, &mut lie);
    // JSON does not tell keys apart well enough to compare them.
    if lies & LIE_COORDINATES != 0 && !style.is_bare && !style.is_json {
        torn |= confuse_coordinates(&mut draft, &mut lie);
    }
    let truth = draft.truth();
    let is_impossible = lies & LIE_TWICE != 0 && repeat(&mut draft, &mut lie);
    let mut root = draft.node(&mut style);
    if lies & LIE_PART != 0 {
        let part = part(&mut root, &mut lie);
        *part = replacement(&mut lie, style.is_json);
    }
    let file = pack(&root, has(FLAG_GZIP), (lies & LIE_BYTE != 0).then_some(&mut lie), &mut style);

    let [budget, other_budget] = if has(FLAG_MEMORY) { [BUDGET, BUDGET_SMALL] } else { [BUDGET_SMALL, BUDGET] };
    let import = Import::new().memory_budget(budget).salvage(has(FLAG_SALVAGE));
    let other_import = Import::new().memory_budget(other_budget);
    let is_anything = lies & (LIE_PART | LIE_BYTE) != 0;
    match imports::import(&import, file) {
        Ok((report, files)) => {
            let contents = imports::check_sound(&report, &files, &other_import);
            if !is_anything {
                assert!(!is_impossible, "something is there twice");
                assert!(has(FLAG_SALVAGE) || !torn, "what contradicts itself is imported by a salvage only");
                let is_told = !report.losses.is_empty() || report.repairs.unmapped_points > 0;
                assert_eq!(is_told, torn, "{:?}", report.losses);
                assert_eq!(contents.points, truth.points);
                assert_eq!(contents.dimensions, truth.dimensions);
            }
        }
        Err(error) => {
            let salvage = imports::check_refusal(&error);
            if !is_anything && !is_impossible {
                assert!(torn && salvage && !has(FLAG_SALVAGE), "it could be imported, but {error}");
            }
        }
    }
}

/// Leaves cells without their value; false if there is no such cell of a point.
fn lose_values(draft: &mut Draft, input: &mut Input<'_>) -> bool {
    let live = live_slots(&draft.slots);
    let mut is_lost = false;
    for dimension in &mut draft.dimensions {
        if dimension.cells.is_empty() || input.one_in(4) {
            continue;
        }
        let at = input.below(dimension.cells.len());
        let (coordinate, id) = dimension.cells[at];
        if input.one_in(2) {
            dimension.domain.retain(|(of, _)| *of != id);
            is_lost |= dimension.cells.iter().any(|(coordinate, of)| *of == id && live.contains(coordinate));
        } else {
            // No dimension has so many values, and no id is so even.
            dimension.cells[at].1 = 1 << 62;
            is_lost |= live.contains(&coordinate);
        }
    }
    is_lost
}

/// The slots that have a point: of those with the same key, the last.
fn live_slots(slots: &[Option<Key>]) -> HashSet<i128> {
    let slots = slots.iter().zip(0..).filter_map(|(key, slot)| Some((key.as_ref()?, slot)));
    slots.collect::<HashMap<_, _>>().into_values().collect()
}

/// Makes the coordinate map another one; false if it has no entry.
fn confuse_coordinates(draft: &mut Draft, input: &mut Input<'_>) -> bool {
    let coordinates = &mut draft.coordinates;
    if coordinates.is_empty() {
        return false;
    }
    let at = input.below(coordinates.len());
    match input.u8() % 5 {
        0 => drop(coordinates.remove(at)),
        1 => coordinates[at].1 += i128::from(input.u16()) + 1,
        2 => coordinates[at].1 = -1,
        3 => coordinates.push((coordinates[at].0.clone(), -1 - i128::from(input.u16()))),
        _ => coordinates.push(coordinates[at].clone()),
    }
    true
}

/// Puts something there twice that must not be; false if there is nothing.
fn repeat(draft: &mut Draft, input: &mut Input<'_>) -> bool {
    if draft.dimensions.is_empty() {
        return false;
    }
    let at = input.below(draft.dimensions.len());
    let dimension = &mut draft.dimensions[at];
    match input.u8() % 3 {
        0 if !dimension.domain.is_empty() => {
            let (id, _) = dimension.domain[input.below(dimension.domain.len())];
            dimension.domain.push((id, Value::from("again")));
        }
        1 => {
            // Where no point is, it may be as often as it likes.
            let key = |coordinate: i128| draft.slots.get(usize::try_from(coordinate).ok()?)?.as_ref();
            let mut cells = dimension.cells.iter().filter(|(coordinate, _)| key(*coordinate).is_some());
            let Some(&cell) = cells.next_back() else { return false };
            dimension.cells.push(cell);
        }
        _ => {
            let again = dimension.clone();
            draft.dimensions.push(again);
        }
    }
    true
}

/// Some part of a tree.
fn part<'n>(node: &'n mut Node, input: &mut Input<'_>) -> &'n mut Node {
    let count = match node {
        Node::Array(values) => values.len(),
        Node::Map(pairs) => pairs.len(),
        _ => 0,
    };
    if count == 0 || input.one_in(5) {
        return node;
    }
    let at = input.below(count);
    match node {
        Node::Array(values) => part(&mut values[at], input),
        Node::Map(pairs) => {
            let (name, of) = &mut pairs[at];
            part(if input.one_in(6) { name } else { of }, input)
        }
        _ => unreachable!("it has parts"),
    }
}

fn replacement(input: &mut Input<'_>, is_json: bool) -> Node {
    let names = ["database", "vector_points", "ref_counts", "coordinate_to_value_id", "value_domain", "", "7", "-1"];
    match input.u8() % 8 {
        0 => Node::Nil,
        1 => Node::from(names[input.below(8)]),
        2 => Node::Int(input.u8().into()),
        3 => Node::Int([-1, i64::MIN.into(), u64::MAX.into(), u32::MAX.into()][input.below(4)]),
        4 => Node::Float([0.5, 1.0, 1e300, f64::NAN, -0.0, 1e19][input.below(6)]),
        5 => Node::Array(vec![Node::Nil; input.below(4)]),
        6 => Node::Map(vec![(Node::from("1"), Node::Int(1))]),
        _ if is_json => Node::Bool(true),
        _ => Node::Ext(node::EXT_CODE, input.take(8).to_vec()),
    }
}

fn pack(root: &Node, is_gzip: bool, byte: Option<&mut Input<'_>>, style: &mut Style) -> Vec<u8> {
    let numbers = &mut style.numbers;
    let mut content = Vec::new();
    if style.is_json {
        let mut text = String::new();
        node::json(root, numbers, &mut text);
        content = text.into_bytes();
    } else {
        node::message_pack(root, numbers, &mut content);
    }
    if let Some(input) = byte {
        let at = usize::from(input.u16()) % content.len();
        content[at] = input.u8();
    }
    if style.is_json || is_gzip {
        return packing::gzip(&content, numbers);
    }
    let mut file = packing::lz4(&content, numbers);
    if style.is_stale {
        file.extend(b"whatever follows");
    }
    file
}
