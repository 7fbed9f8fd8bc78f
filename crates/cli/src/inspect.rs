//! `vdb inspect`: the files of a database as a tree.

use crate::arguments::Inspect;
use crate::content::Content;
use crate::database;
use crate::exit::{Exit, Failure, Outcome};
use crate::glyphs::{self, Glyphs};
use crate::output::{Output, count_of, printable};
use crate::report::Report;
use indicatif::HumanBytes;
use std::path::Path;
use vector_datalib::inspect::{Inspection, inspect_database, inspect_file};
use vector_datalib::{Error, Value};

/// Runs the command.
pub(crate) fn run(arguments: &Inspect, output: &Output) -> Outcome {
    let limit = usize::try_from(arguments.limit).unwrap_or(usize::MAX);
    let path = &arguments.path;
    let tree = if path.is_dir() { inspect_database(path, limit)? } else { file(path, limit)? };
    if output.is_json() {
        output.print(&report(&tree).to_json())?;
    } else {
        output.print(&text(&tree, &Glyphs::choose(arguments.ascii), glyphs::terminal_width()))?;
    }
    let problems = tree.all_problems();
    if problems.is_empty() {
        return Ok(Exit::Done);
    }
    let message = format!("{}: {}", path.display(), count_of(problems.len() as u64, "problem"));
    let is_damage = problems.iter().any(|problem| problem.is_corrupt());
    Err(if is_damage { Failure::corrupt(message) } else { Failure::other(message) })
}

/// One file of a database, which is not the file that a database was made of or exported to.
fn file(path: &Path, limit: usize) -> Outcome<Inspection> {
    inspect_file(path, limit).map_err(|error| match Content::of(path) {
        Ok(Content::Canonical) if error.is_invalid_argument() => database::not_opened(path, error),
        _ => error.into(),
    })
}

fn report(node: &Inspection) -> Report {
    let mut report = Report::new().field("name", node.name.as_str());
    if !node.fields.is_empty() {
        let fields = node.fields.iter().map(|(name, value)| (Value::from(*name), value.clone()));
        report = report.field("fields", Value::Map(fields.collect()));
    }
    if !node.problems.is_empty() {
        let problems: Vec<Value> = node.problems.iter().map(|problem| problem.to_string().into()).collect();
        report = report.field("problems", problems);
    }
    if !node.repeats.is_empty() {
        let repeats: Vec<Value> = node.repeats.iter().map(|problem| place(problem).into()).collect();
        report = report.field("problems_told_above", repeats);
    }
    if !node.children.is_empty() {
        let children: Vec<Value> = node.children.iter().map(|child| self::report(child).into()).collect();
        report = report.field("children", children);
    }
    report
}

/// The tree as lines, the last one without a line feed.
fn text(tree: &Inspection, glyphs: &Glyphs, width: usize) -> String {
    let mut lines = Vec::new();
    append(tree, "", "", glyphs, width, &mut lines);
    lines.join("\n")
}

/// Appends a node: `first` stands before its first line, `rest` before all that follow.
fn append(node: &Inspection, first: &str, rest: &str, glyphs: &Glyphs, width: usize, lines: &mut Vec<String>) {
    let below = if node.children.is_empty() { "   " } else { glyphs.pass };
    let mut line = format!("{first}{}", printable(&node.name));
    let mut is_new = true;
    for (name, value) in &node.fields {
        let word = format!("{} {}", name, shown(name, value));
        let separator = if is_new { "  " } else { ", " };
        let fits = glyphs::width(&line) + separator.len() + glyphs::width(&word) < width;
        if fits || is_new {
            line.push_str(separator);
        } else {
            line.push(',');
            lines.push(std::mem::replace(&mut line, format!("{rest}{below}  ")));
        }
        line.push_str(&word);
        is_new = false;
    }
    lines.push(line);
    for problem in &node.problems {
        lines.push(format!("{rest}{below}{} {}", glyphs.bad, printable(&reason(problem))));
    }
    for problem in &node.repeats {
        lines.push(format!("{rest}{below}{} {}, see above", glyphs.bad, printable(&place(problem))));
    }
    for (index, child) in node.children.iter().enumerate() {
        let (branch, pass) =
            if index + 1 < node.children.len() { (glyphs.branch, glyphs.pass) } else { (glyphs.last, "   ") };
        append(child, &format!("{rest}{branch}"), &format!("{rest}{pass}"), glyphs, width, lines);
    }
}

/// The problem without the path, which the tree tells.
fn reason(problem: &Error) -> String {
    match problem {
        Error::Corrupt { offset, section, reason, .. } => format!("{section} at byte {offset}: {reason}"),
        other => other.to_string(),
    }
}

/// Where the problem is, for when what it is was said.
fn place(problem: &Error) -> String {
    match problem {
        Error::Corrupt { offset, section, .. } => format!("{section} at byte {offset}"),
        other => other.to_string(),
    }
}

fn shown(name: &str, value: &Value) -> String {
    match value {
        Value::Int(bytes) if name == "bytes" => {
            u64::try_from(*bytes).map_or_else(|_| bytes.to_string(), |bytes| HumanBytes(bytes).to_string())
        }
        // A value of the database is told from another one by its quotes.
        Value::Text(text) if name != "value" => printable(text),
        Value::Null if name != "value" => "none".to_owned(),
        other => printable(&other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vector_datalib::{VectorDb, attrs};

    #[test]
    fn a_tree_has_a_line_for_each_part_and_keeps_to_the_width() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t.vdb");
        let db = VectorDb::create(&path).unwrap();
        for key in 0..100 {
            db.upsert(format!("{key}"), attrs! { "colour" => "1", "size" => key }).unwrap();
        }
        db.compact(&Default::default()).unwrap();
        db.close().unwrap();
        let tree = inspect_database(&path, 5).unwrap();
        for (glyphs, last) in [(Glyphs::UNICODE, "└─ "), (Glyphs::ASCII, "`- ")] {
            let text = text(&tree, &glyphs, 80);
            assert!(text.contains("\"1\""), "{text}");
            assert!(text.contains(&format!("\n{last}LOCK  kind lock")), "{text}");
            for line in text.lines() {
                assert!(glyphs::width(line) <= 80 || !line.contains(','), "{line}");
            }
            assert!(text.is_ascii() == (last == "`- "), "{text}");
        }
    }
}
