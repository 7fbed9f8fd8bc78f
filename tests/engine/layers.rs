//! The layers hold: which part of the source may use which.

use std::fs;
use std::path::{Path, PathBuf};

/// Each part of `src/` and what it may name with `crate::`. What is not listed is the public face, which may use everything.
const ALLOWED: [(&str, &[&str]); 6] = [
    ("model", &["model"]),
    ("format", &["model", "format"]),
    ("storage", &["storage"]),
    ("engine", &["model", "format", "storage", "engine", "error", "progress"]),
    ("error.rs", &["model", "format", "storage"]),
    ("progress.rs", &[]),
];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The first names behind `crate::` in code, comments left out.
fn uses(source: &str) -> Vec<String> {
    let code: Vec<&str> = source.lines().map(|line| line.split("//").next().unwrap_or("")).collect();
    let code = code.join("\n");
    code.match_indices("crate::")
        .filter(|(at, _)| {
            !code[..*at].ends_with('$') && !code[..*at].ends_with("rkyv(") && !code[..*at].ends_with("pub(")
        })
        .map(|(at, _)| code[at + 7..].chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect())
        .collect()
}

#[test]
fn each_layer_uses_only_those_below_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    let mut seen = 0;
    for file in files {
        let name = file.strip_prefix(&root).unwrap().to_str().unwrap();
        let part = name.split('/').next().unwrap();
        let Some((_, allowed)) = ALLOWED.iter().find(|(layer, _)| *layer == part) else { continue };
        let source = fs::read_to_string(&file).unwrap();
        for used in uses(&source) {
            seen += 1;
            // `crate::VectorDb` in a doc link is in a comment; anything else must be a layer below.
            assert!(allowed.contains(&used.as_str()), "src/{name} uses crate::{used}, which is not below {part}");
        }
    }
    assert!(seen > 100, "the search found only {seen} uses");
}

#[test]
fn only_storage_touches_files_and_only_two_files_are_unsafe() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    let mut unsafe_files = Vec::new();
    for file in files {
        let name = file.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
        let source = fs::read_to_string(&file).unwrap();
        let code: String = source.lines().map(|line| line.split("//").next().unwrap_or("").to_owned() + "\n").collect();
        if !name.starts_with("storage/") {
            for word in ["std::fs", "memmap2"] {
                assert!(!code.contains(word), "src/{name} uses {word}");
            }
        }
        if code.contains("unsafe {") || code.contains("unsafe fn") || code.contains("unsafe impl") {
            unsafe_files.push(name);
        }
    }
    unsafe_files.sort();
    assert_eq!(unsafe_files, ["format/heap.rs", "storage/region.rs"]);
}
