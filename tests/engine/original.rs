//! The canonical file is read by the original, the Python package vector_datalib 1.4.0b0.
//!
//! Needs `VECTOR_PYTHON`: a Python that has what `tests/python/requirements.txt` lists (`scripts/python.sh` makes one).

mod random;

use crate::support::skip;
use std::path::Path;
use std::process::Command;
use vector_datalib::{Key, Timestamp, Value, VectorDb, attrs};

/// A Python program of `tests/python`, to be run where there is a Python with the original package.
fn python(script: &str) -> Option<Command> {
    let Ok(python) = std::env::var("VECTOR_PYTHON") else {
        skip("needs VECTOR_PYTHON, a Python with the original package");
        return None;
    };
    let mut command = Command::new(python);
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python").join(script));
    // Nothing is to be left beside the programs.
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    Some(command)
}

/// What the original says of a file, or `None` where there is no Python to ask.
fn read_back(file: &Path, resave: Option<&Path>) -> Option<String> {
    let mut command = python("read_back.py")?;
    command.arg("--strict");
    if let Some(out) = resave {
        command.arg("--resave").arg(out);
    }
    let output = command.arg(file).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{}\n{text}", String::from_utf8_lossy(&output.stderr));
    Some(text)
}

#[test]
fn the_original_reads_and_resaves_what_is_exported() {
    let dir = tempfile::tempdir().unwrap();
    let db = VectorDb::create(dir.path().join("mixed.vdb")).unwrap();
    let values = [
        Value::Null,
        true.into(),
        1.into(),
        1.0.into(),
        "1".into(),
        u64::MAX.into(),
        i64::MIN.into(),
        i128::MAX.into(),
        u128::MAX.into(),
        f64::NAN.into(),
        (-0.0).into(),
        0.into(),
        vec![1u8, 2].into(),
        "é".repeat(70_000).into(),
        Timestamp::new(-1, 5).unwrap().into(),
        Value::ext(86, vec![3]),
        Value::ext(-7, vec![3]),
        Value::Array(vec![1.into(), Value::Map(vec![("k".into(), Value::Null)])]),
    ];
    for (n, value) in values.iter().enumerate() {
        db.upsert(n as i64 + 10, attrs! { "value" => value.clone(), "" => n as i64 % 3 }).unwrap();
        if let Ok(key) = Key::try_from(value.clone()) {
            db.upsert(key, attrs! { "same" => value.clone() }).unwrap();
        }
    }
    db.delete(12).unwrap();
    db.delete(13).unwrap();
    db.upsert("no attributes", attrs! {}).unwrap();
    db.save().unwrap();
    db.upsert("in the overlay", attrs! { "value" => 7, "later" => false }).unwrap();
    let file = dir.path().join("mixed.db");
    db.export(&file).unwrap();
    let Some(report) = read_back(&file, None) else { return };
    assert!(report.contains(&format!("\"len\":{}", db.len())), "{report}");
    assert!(read_back(&file, Some(&dir.path().join("resaved.db"))).is_some());
}

#[test]
fn the_original_reads_an_empty_database() {
    let dir = tempfile::tempdir().unwrap();
    let db = VectorDb::create(dir.path().join("empty.vdb")).unwrap();
    let file = dir.path().join("empty.db");
    db.export(&file).unwrap();
    if let Some(report) = read_back(&file, None) {
        assert!(report.contains("\"len\":0"), "{report}");
    }
}
