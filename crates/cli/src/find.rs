//! `vdb find`: the points that have a value in a dimension.

use crate::arguments::Find;
use crate::database;
use crate::exit::{Exit, Failure, Outcome};
use crate::glyphs;
use crate::json;
use crate::output::{Output, Table};
use crate::sink::Sink;
use std::path::Path;
use vector_datalib::{Dimension, KeyRef, Slot, Snapshot, Value, ValueBuf, ValueRef};

/// Columns of the longest key that a table shows whole.
const KEY_WIDTH_MAX: usize = 60;

/// Runs the command.
pub(crate) fn run(arguments: &Find, output: &Output) -> Outcome {
    let value = parse_value(&arguments.value)?;
    let snapshot = database::open_read_only(&arguments.db)?.snapshot();
    let Some(dimension) = snapshot.dimension(&arguments.dimension) else {
        output.note(&format!("the database has no dimension {:?}", arguments.dimension));
        return Ok(Exit::NotFound);
    };
    let limit = arguments.limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
    // One more than is shown tells whether there are more.
    let mut slots = slots_of(dimension, value.as_ref(), limit.saturating_add(1))?;
    if slots.is_empty() {
        note_look_alikes(dimension, &arguments.value, &value, output)?;
        return Ok(Exit::NotFound);
    }
    if slots.len() > limit {
        slots.truncate(limit);
        output.note(&format!("there are more points than the {limit} that --limit shows"));
    }
    if output.is_json() {
        print_lines(&snapshot, &slots)?
    } else {
        print_table(&snapshot, &slots, output)?
    }
    Ok(Exit::Done)
}

/// The first slots, up to `limit`, whose points have a value in a dimension.
fn slots_of(dimension: Dimension<'_>, value: ValueRef<'_>, limit: usize) -> Result<Vec<Slot>, vector_datalib::Error> {
    dimension.find(value)?.take(limit).collect()
}

/// A value as the command line gives it: a JSON literal where it parses as one, else plain text.
fn parse_value(text: &str) -> Outcome<ValueBuf> {
    let value = match json::parse_value(text) {
        Ok(value) => value,
        Err(error) if error.is_syntax() => Value::from(text),
        Err(error) => return Err(Failure::usage(format!("VALUE {text}: {error}"))),
    };
    ValueBuf::try_from(value).map_err(|error| Failure::usage(format!("VALUE: {error}")))
}

/// Says which value of another type is there, and may have been meant: `1`, `1.0` and `"1"` look alike on a command line.
fn note_look_alikes(dimension: Dimension<'_>, text: &str, value: &ValueBuf, output: &Output) -> Outcome<()> {
    for other in look_alikes(text, value) {
        let mut literal = String::new();
        json::write_value(&other, &mut literal);
        let other = ValueBuf::try_from(other).map_err(|error| Failure::usage(format!("VALUE: {error}")))?;
        if !slots_of(dimension, other.as_ref(), 1)?.is_empty() {
            let quoted = literal.replace('\'', "'\\''");
            output.note(&format!("no point has that value; there are points with one of another type: '{quoted}'"));
            return Ok(());
        }
    }
    Ok(())
}

fn look_alikes(text: &str, value: &ValueBuf) -> Vec<Value> {
    match value.as_ref() {
        // Text that was in quotes, and what would have been read without them.
        ValueRef::Text(inner) => {
            json::parse_value(inner).ok().filter(|other| other.as_str().is_none()).into_iter().collect()
        }
        ValueRef::Int(int) => {
            let float = int as f64;
            let float = (float as i128 == int).then_some(Value::Float(float));
            float.into_iter().chain([Value::from(text)]).collect()
        }
        ValueRef::Float(float) if float.fract() == 0.0 && float.abs() < 1e18 => {
            vec![Value::Int(float as i128), Value::from(text)]
        }
        _ => vec![Value::from(text)],
    }
}

fn key_of(snapshot: &Snapshot, slot: Slot) -> Result<KeyRef<'_>, Failure> {
    snapshot.key(slot)?.ok_or_else(|| Failure::corrupt(format!("slot {slot} has a value and no key")))
}

fn print_lines(snapshot: &Snapshot, slots: &[Slot]) -> Outcome<()> {
    let mut sink = Sink::create(Path::new("-"))?;
    let mut line = String::new();
    for &slot in slots {
        line.clear();
        line.push_str("{\"key\":");
        json::write_value_ref(key_of(snapshot, slot)?.value(), &mut line)?;
        line.push_str(&format!(",\"coordinate\":{slot}}}\n"));
        sink.write(&line)?;
    }
    sink.finish().map(|_| ())
}

fn print_table(snapshot: &Snapshot, slots: &[Slot], output: &Output) -> Outcome<()> {
    let mut table = Table::new(&["key", ">coordinate"]);
    for &slot in slots {
        let key = key_of(snapshot, slot)?.to_string();
        table.row(vec![glyphs::shorten(&key, KEY_WIDTH_MAX), slot.to_string()]);
    }
    output.print(&table.render())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_a_json_literal_or_else_text() {
        for (text, value) in [
            ("101", Value::from(101)),
            ("1.0", Value::from(1.0)),
            ("JFK", Value::from("JFK")),
            ("\"101\"", Value::from("101")),
            ("null", Value::Null),
            ("{\"a\":1}", Value::Map(vec![("a".into(), 1.into())])),
        ] {
            assert_eq!(parse_value(text).unwrap(), ValueBuf::try_from(value).unwrap(), "{text}");
        }
        assert!(
            parse_value("{\"$x\":1}").unwrap_err().to_string().starts_with("VALUE {\"$x\":1}: \"$x\" is not a tag")
        );
    }
}
