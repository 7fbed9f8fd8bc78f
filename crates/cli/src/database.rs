//! Opening the database that a command line names, or saying what is there instead.

use crate::content::Content;
use crate::exit::{Failure, Outcome};
use std::path::{Path, PathBuf};
use vector_datalib::inspect::enclosing_database;
use vector_datalib::{Error, VectorDb};

/// Opens a database for reading.
pub(crate) fn open_read_only(path: &Path) -> Outcome<VectorDb> {
    VectorDb::open_read_only(path).map_err(|error| not_opened(path, error))
}

/// Opens a database for reading and writing.
pub(crate) fn open(path: &Path) -> Outcome<VectorDb> {
    VectorDb::open(path).map_err(|error| not_opened(path, error))
}

/// Why what is at a path could not be opened as a database.
pub(crate) fn not_opened(path: &Path, error: Error) -> Failure {
    if error.is_invalid_argument()
        && let Some(failure) = file(path)
    {
        return failure;
    }
    error.into()
}

/// What a regular file is that was taken for a database, and how it becomes one.
pub(crate) fn file(path: &Path) -> Option<Failure> {
    if !path.is_file() {
        return None;
    }
    let name = path.display();
    let import = format!("vdb import {} {}", word(path), word(&suggestion(path)));
    Some(Failure::usage(match (enclosing_database(path), Content::of(path)) {
        (Some(database), _) => format!("{name} is a file of the database {}; name that", database.display()),
        (None, Ok(Content::Canonical)) => {
            format!("{name} is a canonical file (.db), not the directory of a database; make one of it with: {import}")
        }
        (None, Ok(Content::Text)) => format!(
            "{name} is a file, not the directory of a database; if it is CSV or JSON lines, make one of it with: {import}"
        ),
        _ => format!("{name} is a file, not the directory of a database"),
    }))
}

/// A path as a shell takes it for one word.
fn word(path: &Path) -> String {
    let text = path.to_string_lossy();
    let is_plain = |character: char| character.is_alphanumeric() || "._-/+,:@%=".contains(character);
    if text.chars().all(is_plain) { text.into_owned() } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

/// What to call the database that is made of a file.
fn suggestion(path: &Path) -> PathBuf {
    let packed = path.extension().is_some_and(|ending| ending == "gz" || ending == "zip");
    let plain = if packed { path.with_extension("") } else { path.to_owned() };
    let database = plain.with_extension("vdb");
    if database == path { path.with_extension("new.vdb") } else { database }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_one_word_to_a_shell() {
        assert_eq!(word(Path::new("a/b-1.db")), "a/b-1.db");
        assert_eq!(word(Path::new("it's a.db")), r"'it'\''s a.db'");
    }

    #[test]
    fn a_database_is_called_like_its_file_and_otherwise() {
        for (file, database) in [
            ("a/x.db", "a/x.vdb"),
            ("x.csv.gz", "x.vdb"),
            ("x.vdb", "x.new.vdb"),
            ("x", "x.vdb"),
            ("x.vdb.gz", "x.vdb"),
        ] {
            assert_eq!(suggestion(Path::new(file)), Path::new(database));
        }
    }
}
