//! `vdb completions` and `vdb man`: what shells and manual readers need, made from the definition of the command line.

use crate::arguments::{Arguments, Completions, Man};
use crate::exit::{Exit, Failure, Outcome};
use crate::output::{Output, count_of};
use clap::CommandFactory as _;
use std::fs;
use std::io;
use std::path::Path;

const PROGRAM: &str = "vdb";

/// Runs `completions`.
pub(crate) fn completions(arguments: &Completions, output: &Output) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Arguments::command(), PROGRAM, &mut script);
    print(&script, output)
}

/// Runs `man`.
pub(crate) fn man(arguments: &Man, output: &Output) -> Outcome {
    if let Some(dir) = &arguments.dir {
        let at = |error: io::Error| Failure::file(dir, &error);
        fs::create_dir_all(dir).map_err(at)?;
        clap_mangen::generate_to(Arguments::command().disable_help_subcommand(true), dir).map_err(at)?;
        let pages = count_of(count_pages(dir).map_err(at)?, "page");
        output.note(&format!("{}: {pages}; try: man -l {}", dir.display(), dir.join("vdb.1").display()));
        return Ok(Exit::Done);
    }
    let mut command = Arguments::command();
    command.build();
    if let Some(name) = &arguments.command {
        let found = command.find_subcommand(name).cloned();
        command = found.ok_or_else(|| Failure::usage(format!("there is no command {name:?}; try 'vdb --help'")))?;
    }
    let mut page = Vec::new();
    clap_mangen::Man::new(command).render(&mut page).map_err(|error| Failure::stdout(&error))?;
    print(&page, output)
}

fn count_pages(dir: &Path) -> io::Result<u64> {
    let names = fs::read_dir(dir)?.collect::<io::Result<Vec<_>>>()?;
    let is_page = |name: &str| name.starts_with(PROGRAM) && name.ends_with(".1");
    Ok(names.iter().filter(|entry| is_page(&entry.file_name().to_string_lossy())).count() as u64)
}

fn print(text: &[u8], output: &Output) -> Outcome {
    output.print(String::from_utf8_lossy(text).trim_end_matches('\n'))?;
    Ok(Exit::Done)
}
