//! Compares vector-datalib with other embedded engines. See the README beside this package.

mod arguments;
mod compare;
mod curves;
mod engine;
mod engines;
mod files;
mod machine;
mod plot;
#[cfg(test)]
mod readme;
mod records;
mod report;
mod row;
mod wide;
mod workloads;
mod ycsb;
mod zipf;

use arguments::{Command, Setting};
use engine::{Outcome, Unsupported};
use records::Records;
use report::Line;
use std::process::ExitCode;
use workloads::{Context, WORKLOADS, Workload};

/// The exit code of a process whose engine cannot do the workload.
const UNSUPPORTED: u8 = 3;

fn main() -> ExitCode {
    let done = arguments::parse().and_then(|command| match command {
        Command::Help => {
            println!("{}", arguments::HELP);
            Ok(())
        }
        Command::List => {
            list();
            Ok(())
        }
        Command::Plot(paths) => compare::plot(&paths),
        Command::Compare(plan) => compare::run(&plan),
        Command::Measure { engine, workload, setting } => measure(&engine, workload, setting),
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            if error.is::<Unsupported>() { ExitCode::from(UNSUPPORTED) } else { ExitCode::FAILURE }
        }
    }
}

fn list() {
    println!("engines: {}", engines::ENGINES.join(", "));
    println!("workloads, by group:");
    for workload in WORKLOADS {
        let mark = if workload.is_default { "" } else { " (only when it is named)" };
        println!("  {:<12} {}{mark}", workload.group, workload.name);
    }
}

/// Measures one engine at one workload and prints its figures for the process that started this one.
fn measure(engine: &str, workload: &Workload, setting: Setting) -> Outcome<()> {
    let path = setting.dir.join(compare::database_name(engine, workload, setting.records));
    let context = Context {
        path,
        records: Records { shape: workload.shape, ..Records::new(setting.records) },
        order: workload.order,
        setting,
    };
    for figure in engines::run(engine, workload, &context)? {
        println!("{}", Line::print(&figure));
    }
    Ok(())
}
