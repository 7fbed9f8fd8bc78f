//! Writes the seeds of the targets that import, `corpus/canonical_*/seed-*`: `cargo run --example canonical_seeds`.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use vector_datalib_fuzz::canonical_bytes::{FLAG_CHANGE, FLAG_GZIP, FLAG_LZ4, FLAG_MEMORY, FLAG_SALVAGE};
use vector_datalib_fuzz::node::{self, Node, Xorshift};
use vector_datalib_fuzz::{canonical_lies as lies, packing};

/// Longer files, and longer contents, are not small.
const FILE_LEN_MAX: usize = 2048;
const CONTENT_LEN_MAX: usize = 6000;

fn main() {
    let corpus = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let write = |target: &str, name: &str, parts: &[&[u8]]| {
        let directory = corpus.join(target);
        std::fs::create_dir_all(&directory).expect("the corpus can be written");
        std::fs::write(directory.join(format!("seed-{name}")), parts.concat()).expect("the corpus can be written");
    };
    for (name, root) in structures() {
        let mut content = Vec::new();
        node::message_pack(&root, &mut Xorshift::new(0), &mut content);
        write("canonical_bytes", &format!("{name}-content"), &[&[FLAG_LZ4], &content]);
        let file = packing::lz4(&content, &mut Xorshift::new(name.len() as u64));
        write("canonical_bytes", &format!("{name}-file"), &[&[FLAG_CHANGE], &file]);
        let mut wide = Vec::new();
        node::message_pack(&root, &mut Xorshift::new(7), &mut wide);
        write("canonical_bytes", &format!("{name}-wide"), &[&[FLAG_GZIP | FLAG_SALVAGE], &wide]);
    }
    for (name, text) in JSON {
        write("canonical_bytes", &format!("json-{name}"), &[&[FLAG_GZIP | FLAG_MEMORY], text.as_bytes()]);
    }
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures");
    for (name, file) in small_files(&fixtures) {
        write("canonical_bytes", &format!("{name}-file"), &[&[0], &file]);
        let (flag, content) = unpacked(&file);
        if content.len() <= CONTENT_LEN_MAX {
            write("canonical_bytes", &format!("{name}-content"), &[&[flag], &content]);
        }
    }
    let mut random = Xorshift::new(1);
    let mut random = |len: usize| -> Vec<u8> { (0..len).map(|_| random.number() as u8).collect() };
    let flags = [
        0,
        lies::FLAG_JSON,
        lies::FLAG_GZIP | lies::FLAG_STALE,
        lies::FLAG_SALVAGE | lies::FLAG_MAP,
        lies::FLAG_BARE,
        lies::FLAG_DIRECT | lies::FLAG_MEMORY,
        lies::FLAG_JSON | lies::FLAG_DIRECT | lies::FLAG_STALE,
        lies::FLAG_SALVAGE | lies::FLAG_MEMORY,
    ];
    let kinds =
        [0, lies::LIE_IDS, lies::LIE_COORDINATES, lies::LIE_KEYS, lies::LIE_TWICE, lies::LIE_PART, lies::LIE_BYTE];
    for number in 0..42u8 {
        let (flags, lie) = (flags[usize::from(number % 8)], kinds[usize::from(number % 7)]);
        let mut truth = random(200 << (number % 3));
        // A few dimensions.
        truth[12] = 3;
        truth[13] = 0;
        write("canonical_lies", &format!("random-{number}"), &[&[flags, lie, number, number / 2], &truth]);
        write("canonical_round", &format!("random-{number}"), &[&[number % 2], &random(30 << (number % 4))]);
    }
    for number in 0..8u8 {
        // Thousands of points.
        let header = [flags[usize::from(number)], 0, number, 0];
        let truth = [2, 0, 0, 0, 1, 0, 7, 0xD0, 4, number, number];
        // The first few are null; of the others each has its own.
        let values = [&[0; 41][..], &[1, 0]].concat();
        write("canonical_lies", &format!("many-{number}"), &[&header, &[0; 12], &truth, &values, &random(120)]);
        let lie = [number, number % 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        let header = [flags[usize::from(number)], lies::LIE_COORDINATES, 0, 0];
        write("canonical_lies", &format!("map-{number}"), &[&header, &lie, &[1, 0, 0, 3, 0, 1, 1, 0, 2, 1, 0, 3, 1]]);
        write("canonical_round", &format!("many-{number}"), &[&[0, 5, 0xD0, 4, 7, 0, number * 5, number, number * 9]]);
    }
}

fn map(pairs: Vec<(&str, Node)>) -> Node {
    Node::Map(pairs.into_iter().map(|(name, node)| (Node::from(name), node)).collect())
}

fn ints(ints: &[i128]) -> Node {
    Node::Array(ints.iter().map(|int| Node::Int(*int)).collect())
}

fn int_pairs(pairs: &[(i128, i128)]) -> Node {
    Node::Map(pairs.iter().map(|(key, value)| (Node::Int(*key), Node::Int(*value))).collect())
}

/// A file of these keys, and of these values, one behind the other in one dimension.
fn file(keys: Vec<Node>, values: Vec<Node>) -> Node {
    let entries = keys.iter().zip(0..).filter(|(key, _)| **key != Node::Nil);
    let entries = entries.map(|(key, slot)| Node::Array(vec![key.clone(), Node::Int(slot)])).collect();
    let slots = keys.iter().zip(0..).filter(|(key, _)| **key == Node::Nil);
    let free: Vec<i128> = slots.map(|(_, slot)| slot).collect();
    let slots = keys.iter().zip(0..).filter(|(key, _)| **key != Node::Nil);
    let cells: Vec<(i128, i128)> = slots.map(|(_, slot)| slot).zip(1..=values.len() as i128).collect();
    let counts: Vec<(i128, i128)> = cells.iter().map(|(_, id)| (*id, 1)).collect();
    let next_id = values.len() as i128 + 1;
    let domain = (1..).zip(values).map(|(id, value)| (Node::Int(id), value)).collect();
    let axis = map(vec![
        ("vector_points", Node::Array(keys)),
        ("coordinate_map", Node::Array(entries)),
        ("free_slots", ints(&free)),
    ]);
    let space = map(vec![("value_domain", Node::Map(domain)), ("next_id", Node::Int(next_id))]);
    let mapping = map(vec![("coordinate_to_value_id", int_pairs(&cells)), ("ref_counts", int_pairs(&counts))]);
    let database = map(vec![
        ("central_axis", axis),
        ("dimensional_spaces", map(vec![("y", space)])),
        ("coordinate_mappings", map(vec![("y", mapping)])),
    ]);
    map(vec![("metadata", map(vec![("version", Node::from("1.4.0-beta"))])), ("database", database)])
}

/// Whole files made by hand, which show every kind of value, and each way to be torn.
fn structures() -> BTreeMap<&'static str, Node> {
    let ext = |data: &[u8]| Node::Ext(node::EXT_CODE, data.to_vec());
    let keys = || vec![Node::Int(7), Node::Nil, Node::from("a"), Node::Bytes(vec![1, 2])];
    let values = || vec![Node::from("x"), Node::Float(0.5)];
    let mut all = BTreeMap::from([
        ("empty", file(vec![], vec![])),
        ("mixed", file(keys(), values())),
        ("equal", file(vec![Node::Int(1), ext(&[3, 0xC3]), Node::Float(1.5)], vec![Node::Int(1), ext(&[3, 0xC3])])),
        ("nested", file(vec![ext(&[2, 0x91, 1]), Node::Array(vec![Node::Int(2)])], vec![ext(&[2, 0x81, 1, 0xC0])])),
        ("integers", file(vec![Node::Int(u64::MAX.into())], vec![ext(&[1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0])])),
        ("foreign", file(vec![ext(&[9]), ext(&[0, 9])], vec![ext(&[]), ext(&[3, 0xCC, 1])])),
        ("ext", file(vec![Node::Ext(5, vec![1])], vec![Node::Ext(-1, vec![0; 4]), Node::Ext(-2, vec![])])),
        ("repeated-key", file(vec![Node::Int(1), Node::Int(1)], vec![Node::Nil, Node::Bool(true)])),
        ("missing-id", file(vec![Node::Int(1)], vec![])),
        ("no-map", map(vec![("database", map(vec![("central_axis", map(vec![("vector_points", ints(&[4, 2]))]))]))])),
    ]);
    let mut missing = file(keys(), values());
    remove(&mut missing, "value_domain");
    all.insert("missing-domain", missing);
    let mut torn = file(keys(), values());
    replace(&mut torn, "coordinate_map", &Node::Array(vec![Node::Array(vec![Node::Int(7), Node::Int(2)])]));
    all.insert("torn-map", torn);
    let mut direct = file(keys(), values());
    replace(&mut direct, "y", &Node::Map(vec![(Node::from("0"), Node::Int(1)), (Node::Float(2.0), Node::from("2"))]));
    all.insert("direct", direct);
    all
}

/// Takes a field away, wherever it is.
fn remove(node: &mut Node, name: &str) {
    if let Node::Map(pairs) = node {
        pairs.retain(|(key, _)| *key != Node::from(name));
        pairs.iter_mut().for_each(|(_, value)| remove(value, name));
    }
}

/// Makes a field something else, wherever it is.
fn replace(node: &mut Node, name: &str, by: &Node) {
    if let Node::Map(pairs) = node {
        for (key, value) in pairs {
            if *key == Node::from(name) {
                value.clone_from(by);
            } else {
                replace(value, name, by);
            }
        }
    }
}

const JSON: [(&str, &str); 6] = [
    ("empty", r#"{"database": {"central_axis": {"vector_points": []}}}"#),
    (
        "points",
        r#" {"database": {"central_axis": {"vector_points": [1, "1", 1.0, true, null, [1, "a"], -0.0, 1e400, NaN]}}}"#,
    ),
    (
        "map",
        r#"{"database": {"central_axis": {"vector_points": ["é\u00e9\ud83d\ude00"], "coordinate_map": {"x": 0}}}}"#,
    ),
    ("half", r#"{"database": {"central_axis": {"vector_points": ["\ud83d"]}}}"#),
    ("long", r#"{"database": {"central_axis": {"vector_points": [123456789012345678901234567890]}}}"#),
    (
        "cells",
        r#"{"metadata": {"version": "1.0.1"}, "database": {"central_axis": {"vector_points": ["a", "b"]},
 "dimensional_spaces": {"y": {"value_domain": {"1": 1.5, "2": {"a": [1, null]}}, "value_to_id": {"1.5": 1}, "next_id": 3}},
 "coordinate_mappings": {"y": {"0": 1, "1": 2}}}}"#,
    ),
];

/// The small files of a directory, by name.
fn small_files(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = directory.read_dir().expect("the directory can be listed");
    let paths = entries.map(|entry| entry.expect("the directory can be listed").path());
    let files = paths.filter(|path| path.extension().is_some_and(|extension| extension == "db")).map(|path| {
        let name = path.file_stem().expect("a file has a name").to_string_lossy().into_owned();
        (name, std::fs::read(path).expect("the file can be read"))
    });
    files.filter(|(_, file)| file.len() <= FILE_LEN_MAX).collect()
}

fn unpacked(file: &[u8]) -> (u8, Vec<u8>) {
    let mut content = Vec::new();
    let flag = if file.starts_with(&[0x1F, 0x8B]) {
        flate2::read::MultiGzDecoder::new(file).read_to_end(&mut content).expect("whole gzip");
        FLAG_GZIP
    } else {
        lz4_flex::frame::FrameDecoder::new(file).read_to_end(&mut content).expect("a whole frame");
        FLAG_LZ4
    };
    (flag, content)
}
