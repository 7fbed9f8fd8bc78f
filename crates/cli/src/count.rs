//! `vdb count`: how many points have each value of a dimension.

use crate::arguments::Count;
use crate::database;
use crate::exit::{Exit, Outcome};
use crate::glyphs::{self, Glyphs};
use crate::json;
use crate::output::{Output, Table, count_of};
use crate::sink::Sink;
use indicatif::HumanCount;
use std::path::Path;
use vector_datalib::ValueRef;

/// Columns of the longest value that a table shows whole.
const VALUE_WIDTH_MAX: usize = 60;

/// Runs the command.
pub(crate) fn run(arguments: &Count, output: &Output) -> Outcome {
    let snapshot = database::open_read_only(&arguments.db)?.snapshot();
    let Some(dimension) = snapshot.dimension(&arguments.dimension) else {
        output.note(&format!("the database has no dimension {:?}", arguments.dimension));
        return Ok(Exit::NotFound);
    };
    // The most frequent first; among equals, the order of values.
    let mut counts: Vec<_> = dimension.value_counts()?.iter().copied().collect();
    let (distinct, points) = (counts.len() as u64, counts.iter().map(|(_, count)| count).sum::<u64>());
    counts.truncate(arguments.top.map_or(usize::MAX, |top| usize::try_from(top).unwrap_or(usize::MAX)));
    let (of, values) = (count_of(snapshot.len(), "point"), count_of(distinct, "distinct value"));
    output.note(&format!(
        "{} of {of} with {:?}, {values}{}",
        HumanCount(points),
        arguments.dimension,
        left_out(distinct, points, &counts)
    ));
    if distinct == 0 {
        return Ok(Exit::NotFound);
    }
    if output.is_json() {
        print_lines(&counts)?;
    } else {
        output.print(&table(&counts, &Glyphs::choose(arguments.ascii), glyphs::terminal_width()))?;
    }
    Ok(Exit::Done)
}

/// How much of `points` is not in `counts`.
fn left_out(distinct: u64, points: u64, counts: &[(ValueRef<'_>, u64)]) -> String {
    let values = distinct - counts.len() as u64;
    if values == 0 {
        return String::new();
    }
    let points = points - counts.iter().map(|(_, points)| points).sum::<u64>();
    format!("; {} with {} left out by --top", count_of(values, "more value"), count_of(points, "point"))
}

fn print_lines(counts: &[(ValueRef<'_>, u64)]) -> Outcome<()> {
    let mut sink = Sink::create(Path::new("-"))?;
    let mut line = String::new();
    for (value, points) in counts {
        line.clear();
        line.push_str("{\"value\":");
        json::write_value_ref(*value, &mut line)?;
        line.push_str(&format!(",\"points\":{points}}}\n"));
        sink.write(&line)?;
    }
    sink.finish().map(|_| ())
}

fn table(counts: &[(ValueRef<'_>, u64)], glyphs: &Glyphs, width: usize) -> String {
    let mut table = Table::new(&["value", ">points"]);
    for (value, points) in counts {
        let value = glyphs::shorten(&value.to_string(), VALUE_WIDTH_MAX);
        table.row(vec![value, HumanCount(*points).to_string()]);
    }
    let table = table.render();
    let points: Vec<u64> = counts.iter().map(|(_, points)| *points).collect();
    glyphs.with_bars(&table, &points, width).unwrap_or(table)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_tells_types_apart_and_draws_the_share_of_each_value() {
        let long = "x".repeat(100);
        let counts = [(ValueRef::Text("1"), 1000), (ValueRef::Int(1), 500), (ValueRef::Text(&long), 1)];
        let drawn = table(&counts, &Glyphs::ASCII, 83);
        let lines: Vec<_> = drawn.lines().map(|line| line.split_whitespace().collect::<Vec<_>>()).collect();
        assert_eq!(lines[2], ["\"1\"", "1,000", "############"], "{drawn}");
        assert_eq!(lines[3], ["1", "500", "######"], "{drawn}");
        assert!(lines[4][0].ends_with("x...") && lines[4][2] == "#", "{drawn}");
    }
}
