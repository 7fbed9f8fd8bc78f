//! `vdb completions` and `vdb man`: what shells and manual readers need, made from the definition of the command line.

use crate::arguments::{Arguments, Completions, Man};
use crate::exit::{Exit, Failure, Outcome};
use crate::output::{Output, count_of};
use clap::{Command, CommandFactory as _};
use std::fs;
use std::io;

const PROGRAM: &str = "vdb";

/// The section of the manual that commands are in.
const SECTION: &str = "1";

/// Runs `completions`.
pub(crate) fn completions(arguments: &Completions, output: &Output) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Arguments::command(), PROGRAM, &mut script);
    print(&script, output)
}

/// Runs `man`.
pub(crate) fn man(arguments: &Man, output: &Output) -> Outcome {
    let program = program();
    if let Some(dir) = &arguments.dir {
        let at = |error: io::Error| Failure::file(dir, &error);
        fs::create_dir_all(dir).map_err(at)?;
        let commands: Vec<&Command> = std::iter::once(&program).chain(program.get_subcommands()).collect();
        for command in &commands {
            let page = dir.join(format!("{}.{SECTION}", page_name(command)));
            fs::write(page, render(command).map_err(at)?).map_err(at)?;
        }
        let pages = count_of(commands.len() as u64, "page");
        output.note(&format!("{}: {pages}; try: man -l {}", dir.display(), dir.join("vdb.1").display()));
        return Ok(Exit::Done);
    }
    let command = match &arguments.command {
        // As the subcommand is called, or as its page is.
        Some(name) => program
            .find_subcommand(name.strip_prefix("vdb-").unwrap_or(name))
            .ok_or_else(|| Failure::usage(format!("there is no command {name:?}; try 'vdb --help'")))?,
        None => &program,
    };
    print(&render(command).map_err(|error| Failure::stdout(&error))?, output)
}

/// The whole command line, as pages show it: `vdb help` has no page of its own.
fn program() -> Command {
    let mut command = Arguments::command().disable_help_subcommand(true);
    command.build();
    command
}

/// What `man` finds a page by: `vdb`, or `vdb-import`.
fn page_name(command: &Command) -> &str {
    command.get_display_name().unwrap_or(PROGRAM)
}

/// The page of a command, with the header that man expects: name, section, no date, source with its version, manual.
fn render(command: &Command) -> io::Result<Vec<u8>> {
    let mut page = Vec::new();
    clap_mangen::Man::new(command.clone()).render(&mut page)?;
    let text = String::from_utf8_lossy(&page);
    let (name, version) = (page_name(command), env!("CARGO_PKG_VERSION"));
    let mut text: String = text
        .split_inclusive('\n')
        .map(|line| match line {
            // The date, which is left out, would be the version without quotes.
            line if line.starts_with(".TH ") => {
                format!(".TH {name} {SECTION} \"\" \"{PROGRAM} {version}\" \"{PROGRAM} manual\"\n")
            }
            ".SH EXTRA\n" => ".SH NOTES\n".to_owned(),
            line => line.to_owned(),
        })
        .collect();
    if name != PROGRAM {
        text.push_str(&format!(".SH \"SEE ALSO\"\n{PROGRAM}({SECTION})\n"));
    }
    Ok(text.into_bytes())
}

fn print(text: &[u8], output: &Output) -> Outcome {
    output.print(String::from_utf8_lossy(text).trim_end_matches('\n'))?;
    Ok(Exit::Done)
}
