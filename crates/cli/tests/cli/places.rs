//! Where imports and exports read and write: directories that are there, pipes, devices, media that are full or read-only.

use crate::Place;
use std::fs::{self, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// How long a program may wait for what never comes.
const PATIENCE: Duration = Duration::from_secs(20);

/// Says that a test did not run, and why, past the capturing of output.
fn skip(reason: &str) {
    let name = std::thread::current().name().unwrap_or("a test").to_owned();
    // `eprintln!` would write to what the harness captures.
    let mut stderr = std::io::stderr();
    writeln!(stderr, "\nSKIPPED: {name}: {reason}").unwrap();
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|metadata| metadata.uid() == 0)
}

/// A small file system in memory, mounted as long as this lives.
struct Disk {
    at: PathBuf,
}

impl Disk {
    /// `None` where mounting is not allowed.
    fn new(at: &Path, size: &str) -> Option<Self> {
        fs::create_dir(at).unwrap();
        let options = format!("size={size}");
        let status = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(at).output().ok()?.status;
        status.success().then(|| Self { at: at.to_owned() })
    }

    fn make_read_only(&self) {
        assert!(Command::new("mount").args(["-o", "remount,ro"]).arg(&self.at).status().unwrap().success());
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily, so that nothing that a failed test has open keeps it.
        let _gone_with_the_machine = Command::new("umount").arg("-l").arg(&self.at).status();
    }
}

/// Runs a program that must not wait for anything; returns its code and what it said.
#[track_caller]
fn ends(place: &Place, arguments: &[&str]) -> (i32, String) {
    let mut child = place.command(arguments).spawn().unwrap();
    let start = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if start.elapsed() > PATIENCE {
            child.kill().unwrap();
            panic!("{arguments:?} waits");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let output = child.wait_with_output().unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
}

fn make_pipe(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

#[test]
fn pipes_and_devices_are_refused_and_not_waited_for() {
    let place = Place::new();
    for name in ["pipe", "pipe.db", "pipe.jsonl"] {
        make_pipe(&place.path(name));
        let expected = format!(
            "vdb: {name}: this is a named pipe, not a file; to import what comes out of it, say - and add: < {name}\n"
        );
        assert_eq!(ends(&place, &["import", name, "x.vdb"]), (2, expected));
    }
    for format in ["csv", "db", "jsonl"] {
        for device in ["/dev/zero", "/dev/null"] {
            let (code, said) = ends(&place, &["import", device, "x.vdb", "--format", format]);
            assert!(code == 2 && said.starts_with(&format!("vdb: {device}: this is a device, not a file; ")), "{said}");
        }
    }
    assert_eq!(place.names(), ["pipe", "pipe.db", "pipe.jsonl"]);
}

#[test]
fn what_a_shell_makes_of_a_command_is_read() {
    let place = Place::new();
    let run = place.run_with(&["import", "/dev/stdin", "x.vdb"], Some(b"a\n1\n2\n"));
    assert_eq!(run.code, 0, "{run:?}");
    assert_eq!(place.line(&["get", "x.vdb", "1"]), r#"{"a":2}"#);
}

#[test]
fn a_db_file_replaces_no_pipe_and_a_link_leads_to_the_file_that_it_replaces() {
    let place = Place::new();
    let db = place.people();
    make_pipe(&place.path("pipe"));
    let (code, said) = ends(&place, &["export", db, "pipe", "--format", "db"]);
    assert!(code == 5 && said.contains("a pipe or a device is there, and only files are replaced"), "{said}");
    assert!(fs::symlink_metadata(place.path("pipe")).unwrap().file_type().is_fifo());
    place.write("file.db", "old");
    symlink("file.db", place.path("link.db")).unwrap();
    place.line(&["export", db, "link.db"]);
    assert!(place.path("link.db").is_symlink());
    assert_eq!(place.json(&["import", "file.db", "again.vdb"])["points"], 3);
}

#[test]
fn a_dash_is_no_place_for_a_database() {
    let place = Place::new();
    let db = place.people();
    place.line(&["export", db, "a.db"]);
    for source in ["people.csv", "a.db"] {
        let sentence = "-: a database is a directory and cannot go to stdout; for one of that name say ./-";
        place.fails(&["import", source, "-"], 2, sentence);
    }
    place.line(&["import", "a.db", "./-"]);
    assert_eq!(place.names(), ["-", "a.db", "people.csv", "people.vdb"]);
}

#[test]
fn an_empty_directory_keeps_its_mode_and_a_link_to_one_stays() {
    let place = Place::new();
    let db = place.people();
    place.line(&["export", db, "a.db"]);
    for source in ["people.csv", "a.db"] {
        for mode in [0o700, 0o2770, 0o755] {
            fs::create_dir(place.path("x")).unwrap();
            fs::set_permissions(place.path("x"), Permissions::from_mode(mode)).unwrap();
            if is_root() {
                chown(place.path("x"), Some(65534), Some(65534)).unwrap();
            }
            let before = fs::metadata(place.path("x")).unwrap();
            symlink("x", place.path("link")).unwrap();
            place.line(&["import", source, "link"]);
            let after = fs::metadata(place.path("x")).unwrap();
            assert_eq!(
                (after.mode(), after.uid(), after.gid()),
                (before.mode(), before.uid(), before.gid()),
                "{source}"
            );
            assert!(place.path("link").is_symlink());
            assert_eq!(place.json(&["stats", "x"])["vector_points"], 3);
            fs::remove_dir_all(place.path("x")).unwrap();
            fs::remove_file(place.path("link")).unwrap();
        }
    }
    if !is_root() {
        skip("not root: owners were not looked at");
    }
}

#[test]
fn a_directory_that_cannot_be_replaced_is_refused_before_the_work() {
    let place = Place::new();
    let db = place.people();
    fs::create_dir(place.path("here")).unwrap();
    let output = place.command(&["import", "../people.csv", "."]).current_dir(place.path("here")).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(2) && said.starts_with("vdb: . is the current directory, "), "{said}");
    let Some(_disk) = Disk::new(&place.path("disk"), "2m") else { return skip("mounting is not allowed here") };
    place.line(&["export", db, "a.db"]);
    for source in ["people.csv", "a.db"] {
        let sentence = "disk is where a file system is mounted; choose a directory inside of it";
        place.fails(&["import", source, "disk"], 2, sentence);
    }
}

#[test]
fn a_full_or_read_only_medium_is_one_sentence_and_holds_nothing_new() {
    let place = Place::new();
    let Some(disk) = Disk::new(&place.path("disk"), "512k") else { return skip("mounting is not allowed here") };
    let rows: String =
        (0..40_000).map(|row: u64| format!("{row},{}\n", row.wrapping_mul(0x9E37_79B9_7F4A_7C15))).collect();
    place.write("rows.csv", format!("id,number\n{rows}"));
    place.line(&["import", "rows.csv", "rows.vdb", "-q"]);
    for file in ["rows.db", "rows.jsonl"] {
        place.line(&["export", "rows.vdb", file, "-q"]);
    }
    fs::write(disk.at.join("out.csv"), "old").unwrap();
    let commands: [&[&str]; 6] = [
        &["import", "rows.csv", "disk/out"],
        &["import", "rows.jsonl", "disk/out"],
        &["import", "rows.db", "disk/out"],
        &["export", "rows.vdb", "disk/out.csv"],
        &["export", "rows.vdb", "disk/out.jsonl"],
        &["export", "rows.vdb", "disk/out.db"],
    ];
    for reasons in [["no space left to write ", "No space left on device"], ["ead-only file", "ead-only file"]] {
        for arguments in commands {
            let run = place.run(&[arguments, &["-q"]].concat());
            assert_eq!((run.code, run.stdout.as_str(), run.stderr.lines().count()), (5, "", 1), "{run:?}");
            let is_told = reasons.iter().any(|reason| run.stderr.contains(reason));
            assert!(is_told && run.stderr.contains("disk/out"), "{arguments:?}: {run:?}");
            assert!(run.stderr.ends_with("; nothing was left behind\n"), "{arguments:?}: {run:?}");
            assert_eq!(crate::names_in(&disk.at), ["out.csv"], "{arguments:?}");
            assert_eq!(fs::read_to_string(disk.at.join("out.csv")).unwrap(), "old", "{arguments:?}");
        }
        disk.make_read_only();
    }
}
