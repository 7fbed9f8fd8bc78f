//! Ctrl-C, `kill` and `kill -9` in the middle of an import or an export.

use crate::Place;
use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, Output};
use std::time::{Duration, Instant};

/// How long anything may take here before a test gives up.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often a command may be done before a signal comes.
const ATTEMPT_COUNT_MAX: usize = 20;

/// Commands that write `out`, which is nothing yet, and work on it long enough to be stopped.
const COMMANDS: [&[&str]; 5] = [
    &["import", "rows.csv", "out"],
    &["import", "rows.jsonl", "out"],
    &["import", "rows.db", "out"],
    &["export", "rows.vdb", "out", "--format", "db"],
    &["export", "rows.vdb", "out", "--format", "jsonl"],
];

/// A place with what the commands read, in a directory of its own.
fn place() -> Place {
    let place = Place::new();
    let rows: String =
        (0..60_000).map(|row| format!("{row},text {},{}.5\n", row * 7919 % 60_000, row % 1000)).collect();
    place.write("rows.csv", format!("id,text,float\n{rows}"));
    place.line(&["import", "rows.csv", "rows.vdb", "--key", "id", "-q"]);
    for file in ["rows.db", "rows.jsonl"] {
        place.line(&["export", "rows.vdb", file, "-q"]);
    }
    place
}

/// Starts a command and waits until it has begun to write.
fn started(place: &Place, arguments: &[&str]) -> Child {
    let before = place.names();
    let child = place.command(arguments).spawn().unwrap();
    let start = Instant::now();
    while place.names() == before {
        assert!(start.elapsed() < PATIENCE, "{arguments:?} writes nothing");
    }
    child
}

/// Sends signals to a command in the middle of its work. Where it was done before they came, it is tried again.
fn stopped(place: &Place, arguments: &[&str], signals: &[&str]) -> Output {
    for _ in 0..ATTEMPT_COUNT_MAX {
        let child = started(place, arguments);
        let script: String = signals.iter().map(|signal| format!("kill -{signal} {};", child.id())).collect();
        assert!(Command::new("sh").arg("-c").arg(script).status().unwrap().success());
        let output = child.wait_with_output().unwrap();
        let has_worked = output.status.signal().is_some() && place.path("out").exists();
        if !output.status.success() && !has_worked {
            return output;
        }
        remove_out(place);
    }
    panic!("{arguments:?} is done before a signal can come");
}

fn remove_out(place: &Place) {
    let out = place.path("out");
    if out.is_dir() { fs::remove_dir_all(out).unwrap() } else { fs::remove_file(out).unwrap() }
}

#[test]
fn what_a_signal_stops_leaves_nothing() {
    let place = place();
    let before = place.names();
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        for arguments in COMMANDS {
            let output = stopped(&place, arguments, &[signal]);
            let said = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(code), "{arguments:?} {signal}: {said}");
            assert!(said.ends_with("vdb: interrupted; nothing was left behind\n"), "{arguments:?}: {said}");
            assert_eq!(place.names(), before, "{arguments:?} {signal}");
        }
    }
}

#[test]
fn a_second_signal_ends_the_program_at_once() {
    let place = place();
    // Both are waiting when it goes on.
    let output = stopped(&place, COMMANDS[0], &["STOP", "INT", "TERM", "CONT"]);
    assert!(matches!(output.status.signal(), Some(2 | 15)), "{output:?}");
    assert_eq!(output.stderr, b"");
}

#[test]
fn what_a_killed_command_left_is_removed_by_the_next_one() {
    let place = place();
    let before = place.names();
    for arguments in COMMANDS {
        assert_eq!(stopped(&place, arguments, &["KILL"]).status.signal(), Some(9));
        assert_eq!(place.names().len(), before.len() + 1, "{arguments:?}: it has left something");
        place.line(arguments);
        let expected: Vec<String> = ["out"].map(str::to_owned).into_iter().chain(before.clone()).collect();
        assert_eq!(place.names(), expected, "{arguments:?}");
        remove_out(&place);
    }
}
