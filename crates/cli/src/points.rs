//! `vdb get`, `put` and `delete`: single points by their keys.

use crate::arguments::{Delete, Get, Put};
use crate::database;
use crate::exit::{Exit, Failure, Outcome};
use crate::json;
use crate::output::{Output, count_of};
use crate::report::Report;
use vector_datalib::{Key, Options, Snapshot, Value, VectorDb, VectorPoint};

/// A key as the command line gives it: a JSON literal where it parses as one, else plain text.
fn parse_key(text: &str) -> Outcome<Key> {
    let value = match json::parse_value(text) {
        Ok(value) => value,
        Err(error) if error.is_syntax() => return Ok(Key::from(text)),
        Err(error) => return Err(Failure::usage(format!("KEY {text}: {error}"))),
    };
    Key::try_from(value).map_err(|error| {
        Failure::usage(format!("KEY {text}: {error}; if the text itself is the key, write {}", quoted(text)))
    })
}

/// Text as a JSON literal, in the quotes that a shell needs.
fn quoted(text: &str) -> String {
    let mut literal = String::new();
    json::write_text(text, &mut literal);
    format!("'{}'", literal.replace('\'', "'\\''"))
}

/// The key of another type that the user may have meant: `101` and `"101"` look alike on a command line.
fn look_alike(snapshot: &Snapshot, key: &Key, text: &str) -> Outcome<Option<String>> {
    let (other, name, way) = match key.to_value() {
        Value::Text(literal) => match json::parse_value(&literal).map(Key::try_from) {
            Ok(Ok(other)) if !matches!(other.to_value(), Value::Text(_)) => (other, "that is no text", literal),
            _ => return Ok(None),
        },
        _ => (Key::from(text), "that is text", quoted(text)),
    };
    Ok(snapshot.contains(&other)?.then(|| format!("there is a key {name}: {way}")))
}

fn note_missing(snapshot: &Snapshot, key: &Key, text: &str, output: &Output) -> Outcome<()> {
    if let Some(hint) = look_alike(snapshot, key, text)? {
        output.note(&format!("no point has the key {text}; {hint}"));
    }
    Ok(())
}

/// Runs `get`.
pub(crate) fn get(arguments: &Get, output: &Output) -> Outcome {
    let key = parse_key(&arguments.key)?;
    let snapshot = database::open_read_only(&arguments.db)?.snapshot();
    for name in &arguments.dimensions {
        if snapshot.dimension(name).is_none() {
            output.note(&format!("the database has no dimension {name:?}"));
        }
    }
    let Some(slot) = snapshot.slot(&key)? else {
        note_missing(&snapshot, &key, &arguments.key, output)?;
        output.print("null")?;
        return Ok(Exit::NotFound);
    };
    if let [name] = arguments.dimensions.as_slice() {
        let value = match snapshot.dimension(name) {
            Some(dimension) => dimension.get(slot)?,
            None => None,
        };
        let mut text = String::new();
        match value {
            Some(value) => json::write_value_ref(value, &mut text)?,
            None => text.push_str("null"),
        }
        output.print(&text)?;
        return Ok(if value.is_some() { Exit::Done } else { Exit::NotFound });
    }
    let point = snapshot.point(&key)?;
    let attributes: Vec<(&str, &Value)> = match &point {
        Some(point) if arguments.dimensions.is_empty() => {
            point.attributes().iter().map(|(name, value)| (name.as_str(), value)).collect()
        }
        Some(point) => named(point, &arguments.dimensions),
        None => Vec::new(),
    };
    output.print(&object(&attributes, output))?;
    Ok(Exit::Done)
}

/// The attributes with these names, in this order, each once.
fn named<'p>(point: &'p VectorPoint, names: &'p [String]) -> Vec<(&'p str, &'p Value)> {
    let mut attributes: Vec<(&str, &Value)> = Vec::new();
    for name in names {
        if attributes.iter().all(|(earlier, _)| earlier != name) {
            attributes.extend(point.get(name).map(|value| (name.as_str(), value)));
        }
    }
    attributes
}

/// The attributes as one JSON object: on one line, or for a person one attribute a line.
fn object(attributes: &[(&str, &Value)], output: &Output) -> String {
    let mut text = String::new();
    if output.is_json() || attributes.is_empty() {
        json::write_map(attributes.iter().copied(), &mut text);
        return text;
    }
    text.push('{');
    for (index, (name, value)) in attributes.iter().enumerate() {
        text.push_str(if index > 0 { ",\n  " } else { "\n  " });
        json::write_text(name, &mut text);
        text.push_str(": ");
        json::write_value(value, &mut text);
    }
    text.push_str("\n}");
    text
}

/// A checkpoint that is due is made before the program ends.
fn options() -> Options {
    Options::new().background(false)
}

/// Closes a database after a commit, which is durable whatever becomes of that.
fn close(db: VectorDb, output: &Output) -> Outcome<()> {
    match db.close() {
        Err(error) if error.is_no_space() => {
            output.note(&format!("written; that the database was closed is not recorded: {error}"));
            Ok(())
        }
        closed => Ok(closed?),
    }
}

/// Runs `put`.
pub(crate) fn put(arguments: Put, output: &Output) -> Outcome {
    let key = parse_key(&arguments.key)?;
    let attributes = json::parse_attributes(&arguments.attributes).map_err(|error| {
        Failure::usage(format!("JSON-OBJECT: {error}; attributes look like '{{\"name\":\"Alice\",\"age\":25}}'"))
    })?;
    let db = match options().open(&arguments.db) {
        Err(error) if error.is_not_found() && arguments.create => options().create(&arguments.db)?,
        Err(error) if error.is_not_found() => return Err(Failure::from(error).with_hint("--create makes one")),
        opened => opened.map_err(|error| database::not_opened(&arguments.db, error))?,
    };
    let slot = db.upsert(key, attributes)?;
    close(db, output)?;
    output.print(&slot.to_string())?;
    Ok(Exit::Done)
}

/// Runs `delete`.
pub(crate) fn delete(arguments: &Delete, output: &Output) -> Outcome {
    let keys = arguments.keys.iter().map(|text| parse_key(text)).collect::<Outcome<Vec<Key>>>()?;
    let db = options().open(&arguments.db).map_err(|error| database::not_opened(&arguments.db, error))?;
    let snapshot = db.snapshot();
    let mut missing = 0;
    for (key, text) in keys.iter().zip(&arguments.keys) {
        if !snapshot.contains(key)? {
            missing += 1;
            let hint = look_alike(&snapshot, key, text)?.map_or(String::new(), |hint| format!("; {hint}"));
            output.note(&format!("no point has the key {text}{hint}"));
        }
    }
    drop(snapshot);
    let deleted = db.batch_delete(&keys)?;
    close(db, output)?;
    if output.is_json() {
        output.print(&Report::new().field("deleted", deleted).to_json())?;
    } else {
        output.print(&format!("deleted {}", count_of(deleted, "point")))?;
    }
    Ok(if missing == 0 { Exit::Done } else { Exit::NotFound })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> Value {
        parse_key(text).unwrap().to_value()
    }

    #[test]
    fn a_key_is_a_json_literal_or_else_text() {
        assert_eq!(key("101"), Value::from(101));
        assert_eq!(key("-5"), Value::from(-5));
        assert_eq!(key("1.5"), Value::from(1.5));
        assert_eq!(key("1.0"), Value::from(1.0));
        assert_eq!(key("true"), Value::from(true));
        assert_eq!(key("\"101\""), Value::from("101"));
        assert_eq!(key("04G"), Value::from("04G"));
        assert_eq!(key("JFK"), Value::from("JFK"));
        assert_eq!(key("007"), Value::from("007"));
        assert_eq!(key(""), Value::from(""));
        assert_eq!(key("[\"EWR\",1545]"), Value::from(vec![Value::from("EWR"), Value::from(1545)]));
        assert_eq!(key("{\"$bytes\":\"AA==\"}"), Value::from(vec![0u8]));
        assert_eq!(key("[unclosed"), Value::from("[unclosed"));
        assert_eq!(key("{\"$float\":\"NaN\"}"), Value::from(f64::NAN));
    }

    #[test]
    fn what_is_json_but_no_key_is_refused_with_the_way_out() {
        for text in ["null", "{}", "[null]", "18446744073709551616", "{\"a\":1}"] {
            let message = parse_key(text).unwrap_err().to_string();
            assert!(message.starts_with(&format!("KEY {text}: a key is an integer of 64 bits")), "{message}");
            assert!(message.ends_with(&format!("write {}", quoted(text))), "{message}");
        }
        assert!(parse_key("{\"$bytes\":\"?\"}").unwrap_err().to_string().contains("needs bytes as base64"));
    }

    #[test]
    fn quoting_survives_a_shell() {
        assert_eq!(quoted("it's"), "'\"it'\\''s\"'");
    }
}
