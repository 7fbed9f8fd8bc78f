//! The program as its users run it: every command, its exit code and what it says.

#[path = "cli/export.rs"]
mod export;
#[path = "cli/find.rs"]
mod find;
#[path = "cli/flights.rs"]
mod flights;
#[path = "cli/import.rs"]
mod import;
#[path = "cli/import_db.rs"]
mod import_db;
#[path = "cli/import_jsonl.rs"]
mod import_jsonl;
#[path = "cli/inspect.rs"]
mod inspect;
#[path = "cli/maintenance.rs"]
mod maintenance;
#[path = "cli/manual.rs"]
mod manual;
#[path = "cli/places.rs"]
mod places;
#[path = "cli/points.rs"]
mod points;
#[path = "cli/signals.rs"]
mod signals;

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// A directory of its own for each test, in which the program runs.
struct Place {
    dir: TempDir,
}

/// How a run of the program ended.
#[derive(Debug)]
struct Run {
    code: i32,
    stdout: String,
    stderr: String,
}

impl Place {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.path(name), content).unwrap();
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// The names in the directory.
    fn names(&self) -> Vec<String> {
        names_in(self.dir.path())
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_vdb"));
        command
            .args(arguments)
            .current_dir(self.dir.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Runs the program.
    fn run(&self, arguments: &[&str]) -> Run {
        self.run_with(arguments, None)
    }

    fn run_with(&self, arguments: &[&str], stdin: Option<&[u8]>) -> Run {
        let mut command = self.command(arguments);
        if stdin.is_some() {
            command.stdin(Stdio::piped());
        }
        let mut child = command.spawn().unwrap();
        if let Some(bytes) = stdin {
            child.stdin.take().unwrap().write_all(bytes).unwrap();
        }
        let output = child.wait_with_output().unwrap();
        Run {
            code: output.status.code().unwrap(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Runs the program, which succeeds and prints a line; returns the line.
    #[track_caller]
    fn line(&self, arguments: &[&str]) -> String {
        let run = self.run(arguments);
        assert_eq!(run.code, 0, "{arguments:?}: {run:?}");
        run.stdout.strip_suffix('\n').unwrap_or(&run.stdout).to_owned()
    }

    /// Runs the program, which succeeds and prints a JSON object.
    #[track_caller]
    fn json(&self, arguments: &[&str]) -> serde_json::Value {
        serde_json::from_str(&self.line(arguments)).unwrap()
    }

    /// Runs the program, which fails with a code and one sentence, and prints nothing.
    #[track_caller]
    fn fails(&self, arguments: &[&str], code: i32, sentence: &str) {
        let run = self.run(arguments);
        assert_eq!((run.code, run.stderr.as_str()), (code, format!("vdb: {sentence}\n").as_str()), "{arguments:?}");
        assert_eq!(run.stdout, "");
    }

    /// A database of three people.
    fn people(&self) -> &'static str {
        self.write(
            "people.csv",
            "id,name,age,height\n101,Alice,25,1.7\n102,Bob,,1.8\n103,\"Carol \"\"C\"\", Jr.\",31,\n",
        );
        self.line(&["import", "people.csv", "people.vdb", "--key", "id", "-q"]);
        "people.vdb"
    }
}

fn names_in(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn help_and_version_go_to_stdout() {
    let place = Place::new();
    let run = place.run(&["--help"]);
    assert_eq!((run.code, run.stderr.as_str()), (0, ""));
    for word in [
        "demo",
        "import",
        "export",
        "get",
        "put",
        "delete",
        "stats",
        "verify",
        "checkpoint",
        "compact",
        "inspect",
        "completions",
        "man",
        "find",
        "count",
        "Exit codes",
        "not a similarity-search",
    ] {
        assert!(run.stdout.contains(word), "{word}");
    }
    for code in
        ["0  done", "1  a key", "2  wrong usage", "3  corrupt", "4  locked", "5  anything else", "130, 143  stopped"]
    {
        assert!(run.stdout.contains(&format!("\n  {code}")), "{code}: {}", run.stdout);
    }
    assert!(place.line(&["-h"]).contains("Exit codes: 0 done"));
    assert_eq!(place.line(&["--version"]), format!("vdb {}", env!("CARGO_PKG_VERSION")));
    assert_eq!(place.run(&["import", "--help"]).code, 0);
    assert_eq!(place.run(&["help", "import"]).code, 0);
}

#[test]
fn a_wrong_command_line_is_one_sentence_and_code_2() {
    let place = Place::new();
    place.fails(&["get"], 2, "the following required arguments were not provided: <DB> <KEY>; try 'vdb get --help'");
    place.fails(
        &["delete", "x"],
        2,
        "the following required arguments were not provided: <KEY>...; try 'vdb delete --help'",
    );
    place.fails(
        &["import", "a", "b", "--nul", "x"],
        2,
        "unexpected argument '--nul' found; a similar argument exists: '--null'; try 'vdb import --help'",
    );
    for (arguments, option) in [
        (["find", "a", "b", "c", "--limit=x"], "--limit"),
        (["inspect", "a", "--limit=-1", "--ascii", "--json"], "--limit"),
        (["count", "a", "b", "--top=1.5", "--json"], "--top"),
    ] {
        let run = place.run(&arguments);
        let command = arguments[0];
        let expected =
            format!("for '{option} <N>': a whole number is expected, 0 or more; try 'vdb {command} --help'\n");
        assert!(run.code == 2 && run.stderr.contains(&expected), "{run:?}");
    }
    let run = place.run(&["find", "a", "b", "c", "--limit", "99999999999999999999"]);
    assert!(run.stderr.contains(": the largest number is 18446744073709551615; try"), "{run:?}");
    let nothing = place.run(&[]);
    assert_eq!((nothing.code, nothing.stdout.as_str()), (2, ""));
    assert!(nothing.stderr.contains("Usage: vdb"));
}

#[test]
fn a_database_that_is_not_there_is_named_by_every_command() {
    let place = Place::new();
    place.write("file", "not a database");
    for arguments in [
        &["get", "no.vdb", "1"][..],
        &["put", "no.vdb", "1", "{}"],
        &["delete", "no.vdb", "1"],
        &["stats", "no.vdb"],
        &["verify", "no.vdb"],
        &["inspect", "no.vdb"],
        &["find", "no.vdb", "a", "1"],
        &["count", "no.vdb", "a"],
        &["checkpoint", "no.vdb"],
        &["compact", "no.vdb"],
        &["export", "no.vdb", "x.csv"],
    ] {
        let run = place.run(arguments);
        assert_eq!((run.code, run.stdout.as_str()), (5, ""), "{arguments:?}: {run:?}");
        assert!(run.stderr.starts_with("vdb: ") && run.stderr.contains(arguments[1]), "{arguments:?}: {run:?}");
        assert_eq!(run.stderr.lines().count(), 1, "{run:?}");
    }
    let sentence = "file is a file, not the directory of a database; if it is CSV or JSON lines, make one of it with: \
                    vdb import file file.vdb";
    place.fails(&["stats", "file"], 2, sentence);
    place.fails(&["put", "file", "1", "{}"], 2, sentence);
    place.write("binary", [0, 1, 2]);
    place.fails(&["stats", "binary"], 2, "binary is a file, not the directory of a database");
    assert_eq!(place.names(), ["binary", "file"]);
}

#[test]
fn every_command_says_how_a_canonical_file_becomes_a_database() {
    let place = Place::new();
    let db = place.people();
    place.line(&["export", db, "x.db"]);
    for arguments in [
        &["get", "x.db", "1"][..],
        &["put", "x.db", "1", "{}"],
        &["put", "x.db", "1", "{}", "--create"],
        &["delete", "x.db", "1"],
        &["stats", "x.db"],
        &["verify", "x.db"],
        &["inspect", "x.db"],
        &["find", "x.db", "a", "1"],
        &["count", "x.db", "a"],
        &["checkpoint", "x.db"],
        &["compact", "x.db"],
        &["export", "x.db", "x.csv"],
    ] {
        let rest =
            "is a canonical file (.db), not the directory of a database; make one of it with: vdb import x.db x.vdb";
        place.fails(arguments, 2, &format!("x.db {rest}"));
    }
    let manifest = format!("{db}/MANIFEST");
    place.fails(&["stats", &manifest], 2, &format!("{manifest} is a file of the database {db}; name that"));
    place.line(&["import", "x.db", "x.vdb"]);
}

#[test]
fn a_reader_that_leaves_ends_the_program_quietly() {
    let place = Place::new();
    let rows: String = (0..20_000).map(|row| format!("{row},some text that fills a pipe\n")).collect();
    place.write("rows.csv", format!("a,b\n{rows}"));
    place.line(&["import", "rows.csv", "rows.vdb"]);
    for format in ["jsonl", "csv"] {
        let mut child = place.command(&["export", "rows.vdb", "-", "--format", format]).spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!(
            (output.status.code(), String::from_utf8(output.stderr).unwrap().as_str()),
            (Some(0), ""),
            "{format}"
        );
    }
}

#[test]
fn the_demo_tells_its_steps_and_leaves_nothing_or_what_was_asked_for() {
    let place = Place::new();
    let run = place.run(&["demo"]);
    // The lowest free coordinate is the one of the point that the demo has just deleted.
    assert!(run.stdout.contains("=> coordinate 786"), "{}", run.stdout);
    assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{run:?}");
    for words in [
        "=> 1,458 points\n       dimensions: name text, lat float, lon float, alt integer, tz integer, dst text, tzone text",
        "db.lookup(\"JFK\", \"name\")?\n    => Some(\"John F Kennedy Intl\")",
        "=> None",
        "=> [Some(14), None]\n       [Some(13), Some(\"La Guardia\")]",
        "db.export(\"airports.db\")?;",
        "=> Some(\"Vector Field\")",
        "=> sound: ",
    ] {
        assert!(run.stdout.contains(words), "{words}\n{}", run.stdout);
    }
    assert!(!run.stdout.contains('\x1b'));
    assert!(place.names().is_empty());

    assert!(place.line(&["demo", "tour"]).contains("try: vdb stats tour/airports.vdb"));
    assert_eq!(names_in(&place.path("tour")), ["airports.db", "airports.vdb"]);
    assert_eq!(place.line(&["get", "tour/airports.vdb", "VDB"]), r#"{"name":"Vector Field","alt":-3,"gates":2}"#);
    assert_eq!(place.run(&["demo", "tour"]).code, 5);
}

#[test]
fn the_demo_is_quiet_when_told_and_is_no_json() {
    let place = Place::new();
    let run = place.run(&["demo", "tour", "-q"]);
    assert_eq!((run.code, run.stdout.as_str(), run.stderr.as_str()), (0, "", ""));
    assert_eq!(place.line(&["get", "tour/airports.vdb", "VDB", "gates"]), "2");
    let run = place.run(&["demo", "tour", "-q"]);
    assert_eq!((run.code, run.stdout.as_str(), run.stderr.lines().count()), (5, "", 1));
    place.fails(&["demo", "new", "--json"], 2, "demo shows its steps as text and has no --json; leave it out");
    assert_eq!(place.names(), ["tour"]);
}
