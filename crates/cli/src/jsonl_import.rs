//! Loading JSON lines into a new database, in two passes: one checks every line and tells the order of the dimensions, one loads.
//!
//! Memory: one line, the names of the dimensions, and what the loader keeps.

use crate::dimension_order::DimensionOrder;
use crate::exit::{Failure, Outcome};
use crate::json_lines::{JsonLine, JsonLines};
use crate::output::Output;
use crate::progress::{Progress, Unit};
use crate::source::Source;
use std::io::Read;
use vector_datalib::{BulkLoader, Key, NAME_LEN_MAX, Value, ValueBuf};

/// After how many lines progress is looked at.
const LINES_PER_LOOK: u64 = 1024;

const KEY: &str = "key";
const COORDINATE: &str = "coordinate";
const ATTRIBUTES: &str = "attributes";

/// What every line of a file is.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Form {
    /// A point as an export writes it: key, coordinate (may be left out) and attributes.
    Points,
    /// The attributes of a point, one of which is its key.
    Keyed(String),
    /// The attributes of a point; its key is the number of the line.
    Numbered,
}

/// What a line says.
#[derive(Debug)]
struct Record {
    key: Key,
    coordinate: Option<i128>,
    attributes: Vec<(String, Value)>,
}

/// What an import of JSON lines found.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Loaded {
    /// Lines that are records.
    pub(crate) rows: u64,
    /// Dimensions.
    pub(crate) dimensions: u64,
    /// Lines whose coordinate is not their number, counted from 0.
    pub(crate) renumbered: u64,
}

/// Whether these are the members of a point as an export writes it.
fn is_point(members: &[(String, Value)]) -> bool {
    let has = |wanted: &str| members.iter().any(|(name, _)| name == wanted);
    let known = |(name, _): &(String, Value)| [KEY, COORDINATE, ATTRIBUTES].contains(&name.as_str());
    has(KEY) && members.iter().all(known) && members.iter().any(|(name, value)| name == ATTRIBUTES && is_map(value))
}

const fn is_map(value: &Value) -> bool {
    matches!(value, Value::Map(_))
}

impl Form {
    /// Tells from the first line, unless the command line says.
    fn of(line: &JsonLine<'_>, key: Option<&str>) -> Outcome<Self> {
        Ok(match key {
            Some(field) => Self::Keyed(field.to_owned()),
            None if is_point(&line.members(Some(ATTRIBUTES))?) => Self::Points,
            None => Self::Numbered,
        })
    }

    fn record(&self, line: &JsonLine<'_>) -> Outcome<Record> {
        let record = match self {
            Self::Points => point(line)?,
            Self::Keyed(field) => keyed(line, field)?,
            Self::Numbered => {
                let attributes = line.members(None)?;
                Record { key: Key::from(line.index()), coordinate: None, attributes }
            }
        };
        if record.attributes.iter().any(|(name, _)| name.len() > NAME_LEN_MAX) {
            return Err(line.failure(&format!("a name is longer than {NAME_LEN_MAX} bytes")));
        }
        Ok(record)
    }
}

fn point(line: &JsonLine<'_>) -> Outcome<Record> {
    let members = line.members(Some(ATTRIBUTES))?;
    if !is_point(&members) {
        return Err(line.failure(
            "this is no point, {\"key\":...,\"coordinate\":...,\"attributes\":{...}}, and the first line is one; \
             --key FIELD takes all lines for plain objects",
        ));
    }
    let (mut key, mut coordinate, mut attributes) = (Value::Null, None, Vec::new());
    for (name, value) in members {
        match (name.as_str(), value) {
            (KEY, value) => key = value,
            (COORDINATE, Value::Int(number)) if (0..i128::from(u32::MAX)).contains(&number) => {
                coordinate = Some(number)
            }
            (COORDINATE, _) => {
                return Err(line.failure("field \"coordinate\": a coordinate is an integer from 0 to 4294967294"));
            }
            (_, Value::Map(pairs)) => {
                attributes =
                    pairs.into_iter().filter_map(|(name, value)| Some((name.as_str()?.to_owned(), value))).collect();
            }
            _ => {}
        }
    }
    Ok(Record { key: key_of(line, KEY, key)?, coordinate, attributes })
}

fn keyed(line: &JsonLine<'_>, field: &str) -> Outcome<Record> {
    let mut attributes = line.members(None)?;
    let Some(at) = attributes.iter().position(|(name, _)| name == field) else {
        let reason = format!("there is no field {field:?}, which --key says is the key");
        return Err(line.failure(&reason));
    };
    let (_, key) = attributes.remove(at);
    Ok(Record { key: key_of(line, field, key)?, coordinate: None, attributes })
}

fn key_of(line: &JsonLine<'_>, field: &str, value: Value) -> Outcome<Key> {
    Key::try_from(value).map_err(|error| line.failure(&format!("field {field:?}: {error}")))
}

/// What the first pass tells.
#[derive(Debug, Default)]
struct Survey {
    form: Option<Form>,
    order: DimensionOrder,
    renumbered: u64,
}

/// Checks all lines.
fn survey<R: Read>(
    mut lines: JsonLines<R>,
    key: Option<&str>,
    mut look: impl FnMut() -> Outcome<()>,
) -> Outcome<Survey> {
    let mut survey = Survey::default();
    while let Some(line) = lines.next()? {
        let form = match &mut survey.form {
            Some(form) => form,
            none => none.insert(Form::of(&line, key)?),
        };
        let record = form.record(&line)?;
        survey.order.observe(record.attributes.iter().map(|(name, _)| name.as_str()));
        let other = record.coordinate.is_some_and(|coordinate| coordinate != i128::from(line.index()));
        survey.renumbered += u64::from(other);
        if line.index().is_multiple_of(LINES_PER_LOOK) {
            look()?;
        }
    }
    Ok(survey)
}

/// Reads all lines once more and loads them.
fn load<R: Read>(
    mut lines: JsonLines<R>,
    form: &Form,
    loader: &mut BulkLoader,
    mut look: impl FnMut() -> Outcome<()>,
) -> Outcome<u64> {
    let mut rows = 0;
    while let Some(line) = lines.next()? {
        let Record { key, attributes, .. } = form.record(&line)?;
        let mut values = Vec::with_capacity(attributes.len());
        for (name, value) in attributes {
            let value = ValueBuf::try_from(value).map_err(|error| line.failure(&format!("field {name:?}: {error}")))?;
            values.push((name, value));
        }
        let attributes = values.iter().map(|(name, value)| (name.as_str(), value.as_ref()));
        loader.push(&key, attributes).map_err(|error| match error {
            error if error.is_invalid_argument() => line.failure(&error.to_string()),
            error => Failure::not_made(error),
        })?;
        rows += 1;
        if line.index().is_multiple_of(LINES_PER_LOOK) {
            look()?;
        }
    }
    Ok(rows)
}

/// Checks and loads a source, with progress. `key` is the field of the keys.
pub(crate) fn import(source: &Source, key: Option<&str>, loader: &mut BulkLoader, output: &Output) -> Outcome<Loaded> {
    let mut progress = Progress::new(output, "checking lines", Unit::Bytes, Some(source.len()));
    let Survey { form, order, renumbered } =
        source.read(|reader| survey(JsonLines::new(source.name(), reader), key, || progress.set(source.position())))?;
    progress.finish();
    let Some(form) = form else { return Ok(Loaded::default()) };
    let names = order.into_names();
    for name in &names {
        loader.dimension(name).map_err(Failure::not_made)?;
    }
    let mut progress = Progress::new(output, "loading", Unit::Bytes, Some(source.len()));
    let rows = source.read(|reader| {
        load(JsonLines::new(source.name(), reader), &form, loader, || progress.set(source.position()))
    })?;
    progress.finish();
    Ok(Loaded { rows, dimensions: names.len() as u64, renumbered })
}
