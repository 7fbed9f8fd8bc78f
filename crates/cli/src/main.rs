//! `vdb`, the command-line program of vector-datalib: an N-dimensional coordinate database.
//!
//! Each command is a module that takes its arguments and an [`output::Output`], uses nothing but the library's public
//! face (but for the files that exports appear as), and returns an [`exit::Outcome`]. Only this file ends the process.

mod arguments;
mod content;
mod count;
mod csv_export;
mod csv_import;
mod database;
mod db_import;
mod demo;
mod dimension_order;
mod exit;
mod export;
mod find;
mod glyphs;
mod import;
mod inference;
mod inspect;
mod interrupt;
mod json;
mod json_lines;
mod jsonl_import;
mod limits;
mod maintenance;
mod manual;
mod output;
mod points;
mod progress;
mod records;
mod report;
mod sink;
mod source;
mod stats;
mod verify;

use arguments::{Arguments, Command};
use clap::error::ErrorKind;
use clap::{CommandFactory as _, Parser as _};
use exit::{Exit, Outcome};
use output::Output;
use std::io::Write as _;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return refuse(&error).into(),
    };
    let output = Output::new(arguments.json, arguments.quiet);
    match run(arguments.command, &output) {
        Ok(exit) => exit.into(),
        Err(failure) => {
            if !failure.is_silent() {
                output.error(&failure);
            }
            failure.exit().into()
        }
    }
}

fn run(command: Command, output: &Output) -> Outcome {
    match command {
        Command::Demo(arguments) => demo::run(&arguments, output),
        Command::Import(arguments) => import::run(&arguments, output),
        Command::Export(arguments) => export::run(&arguments, output),
        Command::Get(arguments) => points::get(&arguments, output),
        Command::Find(arguments) => find::run(&arguments, output),
        Command::Count(arguments) => count::run(&arguments, output),
        Command::Put(arguments) => points::put(arguments, output),
        Command::Delete(arguments) => points::delete(&arguments, output),
        Command::Stats(arguments) => stats::run(&arguments, output),
        Command::Inspect(arguments) => inspect::run(&arguments, output),
        Command::Verify(arguments) => verify::run(&arguments, output),
        Command::Checkpoint(arguments) => maintenance::checkpoint(&arguments, output),
        Command::Compact(arguments) => maintenance::compact(&arguments, output),
        Command::Completions(arguments) => manual::completions(&arguments, output),
        Command::Man(arguments) => manual::man(&arguments, output),
    }
}

/// Says in one sentence what is wrong with the command line, or prints the help or version that was asked for.
fn refuse(error: &clap::Error) -> Exit {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            // Nothing is left to do for a reader that has gone away.
            let _ = error.print();
            Exit::Done
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let _ = error.print();
            Exit::Usage
        }
        _ => {
            let _ =
                writeln!(std::io::stderr(), "vdb: {}", sentence(&error.render().to_string(), std::env::args().nth(1)));
            Exit::Usage
        }
    }
}

/// What clap says, without its layout: what is wrong, what would be similar, where the help is: that of the command that `first`, the first
/// argument, names.
fn sentence(rendered: &str, first: Option<String>) -> String {
    let mut said = Vec::new();
    let command = first.filter(|name| Arguments::command().find_subcommand(name).is_some());
    let mut help = format!("try 'vdb{} --help'", command.map(|name| format!(" {name}")).unwrap_or_default());
    for line in rendered.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if let Some(tip) = line.strip_prefix("tip: ") {
            help = format!("{tip}; {help}");
        } else if !line.starts_with("For more information") && !line.starts_with("Usage: ") {
            said.push(line.strip_prefix("error: ").unwrap_or(line));
        }
    }
    format!("{}; {help}", said.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal<const N: usize>(arguments: [&str; N]) -> String {
        let first = arguments.get(1).map(|&name| name.to_owned());
        sentence(&Arguments::try_parse_from(arguments).unwrap_err().render().to_string(), first)
    }

    #[test]
    fn a_wrong_command_line_is_one_sentence() {
        assert_eq!(
            refusal(["vdb", "get"]),
            "the following required arguments were not provided: <DB> <KEY>; try 'vdb get --help'"
        );
        assert_eq!(
            refusal(["vdb", "stat", "x"]),
            "unrecognized subcommand 'stat'; a similar subcommand exists: 'stats'; try 'vdb --help'"
        );
        assert_eq!(
            refusal(["vdb", "export", "x"]),
            "the following required arguments were not provided: <OUT>; try 'vdb export --help'"
        );
        let wrong_value = refusal(["vdb", "count", "x", "a", "--top", "many"]);
        assert!(wrong_value.ends_with("; try 'vdb count --help'"), "{wrong_value}");
    }
}
