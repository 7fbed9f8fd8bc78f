//! Files that declare or hold more than is good: lengths of 4 billion, depth, bombs. Refused before memory is spent on them.

use super::case::{Case, Expected, check};
use super::draft::{AXIS, MAPPINGS, SPACES, edited, points};
use super::frame::{Block, Frame};
use super::node::{NIL, Node, array, map, raw};

/// Containers and strings that are 4 billion long, and end at once.
fn endless() -> Vec<(&'static str, Node)> {
    let with_len = |marker: u8| raw([marker, 0xFF, 0xFF, 0xFF, 0xFF]);
    vec![
        ("text", with_len(0xDB)),
        ("bytes", with_len(0xC6)),
        ("ext", raw([0xC9, 0xFF, 0xFF, 0xFF, 0xFF, 0x05])),
        ("timestamp", raw([0xC9, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF])),
        ("array", with_len(0xDD)),
        ("map", with_len(0xDF)),
        // Just within the limits of lengths.
        ("text of 1 GiB", raw([0xDB, 0x40, 0, 0, 0])),
        ("bytes of 1 GiB", raw([0xC6, 0x3F, 0xFF, 0xFF, 0xFF])),
        ("array of 2^31", raw([0xDD, 0x80, 0, 0, 0])),
        ("map of 2^31", raw([0xDF, 0x80, 0, 0, 0])),
    ]
}

fn declared() -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, node) in endless() {
        let mut add = |place: &str, edit: &dyn Fn(&mut Node, Node)| {
            let file = edited(|file| edit(file, node.clone()));
            cases.push(Case::new(format!("4 billion: {name} as {place}"), file, Expected::Refused));
        };
        add("the root", &|file, node| *file = node);
        add("the metadata", &|file, node| file.set("metadata", node));
        add("the version", &|file, node| file.set("metadata/version", node));
        add("the database", &|file, node| file.set("database", node));
        add("the axis", &|file, node| file.set(AXIS, node));
        add("the points", &|file, node| file.set(&format!("{AXIS}/vector_points"), node));
        add("a key", &|file, node| file.set(&format!("{AXIS}/vector_points/0"), node));
        add("a part of a key", &|file, node| file.set(&format!("{AXIS}/vector_points/0"), array([node])));
        add("the coordinate map", &|file, node| file.set(&format!("{AXIS}/coordinate_map"), node));
        add("a pair", &|file, node| file.set(&format!("{AXIS}/coordinate_map/0"), node));
        add("a coordinate", &|file, node| file.set(&format!("{AXIS}/coordinate_map/0/1"), node));
        add("the free slots", &|file, node| file.set(&format!("{AXIS}/free_slots"), node));
        add("the spaces", &|file, node| file.set(SPACES, node));
        add("a name", &|file, node| file.pairs(SPACES)[0].0 = node);
        add("a space", &|file, node| file.set(&format!("{SPACES}/age"), node));
        add("a domain", &|file, node| file.set(&format!("{SPACES}/age/value_domain"), node));
        add("an id", &|file, node| file.pairs(&format!("{SPACES}/age/value_domain"))[0].0 = node);
        add("a value", &|file, node| file.set(&format!("{SPACES}/age/value_domain/1"), node));
        add("a value in a value", &|file, node| {
            file.set(&format!("{SPACES}/age/value_domain/1"), map([("a", array([node]))]));
        });
        add("the mappings", &|file, node| file.set(MAPPINGS, node));
        add("a mapping", &|file, node| file.set(&format!("{MAPPINGS}/age"), node));
        add("the cells", &|file, node| file.set(&format!("{MAPPINGS}/age/coordinate_to_value_id"), node));
        add("the counts", &|file, node| file.set(&format!("{MAPPINGS}/age/ref_counts"), node));
        add("an unknown field", &|file, node| file.add("metadata", "later", node));
        add("the name of a field", &|file, node| file.add("metadata", node, NIL));
    }
    cases
}

#[test]
fn a_declared_length_of_4_billion_is_refused() {
    check(declared());
}

fn deep() -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, open) in [("arrays", &[0x91][..]), ("maps", &[0x81, 0xA1, b'a']), ("keys of maps", &[0x81])] {
        let deep = || raw([open.repeat(100_000), vec![0xC0]].concat());
        let mut add = |place: &str, edit: &dyn Fn(&mut Node, Node)| {
            let file = edited(|file| edit(file, deep()));
            cases.push(Case::new(format!("100,000 deep: {name} as {place}"), file, Expected::Limit("depth")));
        };
        add("an unknown field", &|file, node| file.add("", "later", node));
        add("an unknown field in a space", &|file, node| file.add(&format!("{SPACES}/age"), "later", node));
    }
    for (name, open) in [("arrays", &[0x91][..]), ("maps", &[0x81, 0xA1, b'a'])] {
        let deep = || raw([open.repeat(100_000), vec![0xC0]].concat());
        let value = edited(|file| file.set(&format!("{SPACES}/age/value_domain/1"), deep()));
        cases.push(Case::new(format!("100,000 deep: {name} as a value"), value, Expected::Refused));
        let key = edited(|file| file.set(&format!("{AXIS}/vector_points/0"), deep()));
        cases.push(Case::new(format!("100,000 deep: {name} as a key"), key, Expected::Refused));
    }
    cases
}

#[test]
fn depth_is_refused() {
    check(deep());
}

/// Content of 256 MiB: a beginning, and a byte again and again.
pub(crate) fn bomb(start: &[u8], byte: u8) -> Vec<u8> {
    const BLOCK_LEN: usize = 4 << 20;
    let mut frame = Frame::stored(start, BLOCK_LEN, 0);
    frame.block_descriptor = 0x70;
    frame.blocks.extend(std::iter::repeat_n(Block::compressed(&vec![byte; BLOCK_LEN]), 64));
    frame.to_bytes()
}

fn bombs() -> Vec<Case> {
    // Up to a place, and there so many items of a byte each.
    let until = |edit: &dyn Fn(&mut Node)| {
        let mut file = super::draft::draft();
        edit(&mut file);
        let content = file.encode(super::node::Width::Shortest);
        let at = content.windows(5).position(|window| window == b"#HERE").expect("a place");
        content[..at].to_vec()
    };
    let here = |open: &[u8]| raw([open, b"#HERE"].concat());
    const MANY: [u8; 4] = [0x0F, 0xF0, 0, 0];
    let array_of = [&[0xDD][..], &MANY].concat();
    let bytes_of = [&[0xC6][..], &MANY].concat();
    let text_of = [&[0xDB][..], &MANY].concat();
    let bomb_at = |name: &str, start: Vec<u8>, byte: u8| {
        Case::new(format!("bomb: {name}"), bomb(&start, byte), Expected::Limit("inflated_ratio"))
    };
    vec![
        bomb_at("tombstones", until(&|file| file.set(&format!("{AXIS}/vector_points"), here(&array_of))), 0xC0),
        bomb_at("free slots", until(&|file| file.set(&format!("{AXIS}/free_slots"), here(&array_of))), 1),
        bomb_at(
            "a value of bytes",
            until(&|file| file.set(&format!("{SPACES}/age/value_domain/1"), here(&bytes_of))),
            0,
        ),
        bomb_at("a text", until(&|file| file.set(&format!("{SPACES}/age/value_domain/1"), here(&text_of))), b'a'),
        bomb_at(
            "a value of nulls",
            until(&|file| file.set(&format!("{SPACES}/age/value_domain/1"), here(&array_of))),
            0xC0,
        ),
        bomb_at("an unknown field of bytes", until(&|file| file.set("metadata", map([("later", here(&bytes_of))]))), 0),
        bomb_at("an unknown field of zeros", until(&|file| file.set("metadata", map([("later", here(&array_of))]))), 0),
        bomb_at("a version", until(&|file| file.set("metadata/version", here(&text_of))), b'1'),
        Case::new("bomb: one that declares itself", declared_bomb(), Expected::Limit("inflated_ratio")),
        Case::same("a long unknown field is none", long_but_honest(), &[("unknown_fields", 1)]),
    ]
}

/// Content of 2^40 bytes is declared.
fn declared_bomb() -> Vec<u8> {
    let mut frame = Frame::stored(b"\x82", 100, super::frame::CONTENT_LEN);
    frame.content_len = 1 << 40;
    frame.to_bytes()
}

/// 8 MiB of zeros, which compress well: below the length from which the ratio counts.
fn long_but_honest() -> Vec<u8> {
    edited(|file| file.add("metadata", "later", Node::Bytes(vec![0; 8 << 20])))
}

#[test]
fn bombs_are_refused() {
    let all = bombs();
    assert!(all.iter().any(|case| matches!(&case.expected, Expected::Points(found, _) if *found == points())));
    check(all);
}

/// All files of this module.
pub(super) fn cases() -> Vec<Case> {
    [declared(), deep(), bombs()].concat()
}
