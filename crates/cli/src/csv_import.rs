//! Loading CSV into a new database, in two passes: one tells the types of the columns, one loads.
//!
//! Memory: the parser's buffers, one record, and what the loader keeps.

use crate::exit::{Failure, Outcome};
use crate::inference::{ColumnType, Inference};
use crate::output::Output;
use crate::progress::{Progress, Unit};
use crate::records::{Records, Row};
use crate::source::Source;
use std::io::Read;
use vector_datalib::{BulkLoader, KeyRef, ValueRef};

/// After how many rows progress is looked at: seldom enough to cost nothing.
const ROWS_PER_LOOK: u64 = 1024;

/// How cells become keys and values.
#[derive(Clone, Debug, Default)]
pub(crate) struct CsvOptions {
    /// The column of keys; without it rows are numbered.
    pub(crate) key: Option<String>,
    /// The texts that mean "missing".
    pub(crate) null: Vec<String>,
    /// Columns that are text whatever they look like.
    pub(crate) text: Vec<String>,
    /// Columns of floats, whether or not they print back as they stand.
    pub(crate) float: Vec<String>,
}

/// What the columns of a file turned out to be.
#[derive(Clone, Debug)]
pub(crate) struct Schema {
    columns: Vec<(String, Option<ColumnType>)>,
    key: Option<usize>,
    null: Vec<String>,
}

impl CsvOptions {
    fn is_missing(&self, cell: &str) -> bool {
        self.null.iter().any(|null| null == cell)
    }

    /// Reads all records and tells the type of each column.
    pub(crate) fn infer<R: Read>(
        &self,
        mut records: Records<R>,
        mut look: impl FnMut() -> Outcome<()>,
    ) -> Outcome<Schema> {
        let name = records.name().to_owned();
        let find = |flag: &str, column: &String| {
            let found = records.columns().iter().position(|name| name == column);
            found.ok_or_else(|| {
                Failure::usage(format!(
                    "{name}: there is no column {column:?} for {flag}; the columns are {}",
                    list(records.columns())
                ))
            })
        };
        let key = self.key.as_ref().map(|column| find("--key", column)).transpose()?;
        let mut inferences = vec![Inference::new(); records.columns().len()];
        for (flag, names, column_type) in
            [("--text", &self.text, ColumnType::Text), ("--float", &self.float, ColumnType::Float)]
        {
            for column in names {
                let index = find(flag, column)?;
                if let Some(inference) = inferences.get_mut(index) {
                    *inference = Inference::fixed(column_type);
                }
            }
        }
        if let Some(both) = self.text.iter().find(|column| self.float.contains(column)) {
            return Err(Failure::usage(format!("{name}: column {both:?} cannot be both --text and --float")));
        }
        while let Some(row) = records.next()? {
            for (index, (cell, inference)) in row.cells().zip(&mut inferences).enumerate() {
                if !self.is_missing(cell) && !inference.observe(cell) {
                    return Err(row.failure(index, &format!("{cell:?} is not a float, as --float says it is")));
                }
            }
            if let Some(key) = key {
                self.check_key(&row, key)?;
            }
            if row.index().is_multiple_of(ROWS_PER_LOOK) {
                look()?;
            }
        }
        let columns = records.columns().iter().cloned().zip(inferences.iter().map(Inference::column_type)).collect();
        Ok(Schema { columns, key, null: self.null.clone() })
    }

    fn check_key(&self, row: &Row<'_>, key: usize) -> Outcome<()> {
        let cell = row.cell(key);
        if cell.is_empty() {
            return Err(row.failure(key, "the key is empty"));
        }
        if self.is_missing(cell) {
            return Err(row.failure(key, &format!("the key is {cell:?}, which --null says is missing")));
        }
        Ok(())
    }
}

/// The first columns, for a message.
fn list(columns: &[String]) -> String {
    const SHOWN: usize = 20;
    let mut names: Vec<_> = columns.iter().take(SHOWN).map(|name| format!("{name:?}")).collect();
    if columns.len() > SHOWN {
        names.push(format!("and {} more", columns.len() - SHOWN));
    }
    names.join(", ")
}

impl Schema {
    /// The columns that become dimensions, with their types; a column all of whose cells are missing has none.
    pub(crate) fn dimensions(&self) -> impl Iterator<Item = (&str, Option<ColumnType>)> {
        let columns = self.columns.iter().enumerate().filter(|(index, _)| Some(*index) != self.key);
        columns.map(|(_, (name, column_type))| (name.as_str(), *column_type))
    }

    /// The type of the keys; none if there are no records to tell it from.
    pub(crate) fn key_type(&self) -> Option<ColumnType> {
        let column_type = self.key.and_then(|key| self.columns.get(key)).map(|(_, column_type)| *column_type);
        column_type.unwrap_or(Some(ColumnType::Integer))
    }

    /// Reads all records once more and loads them.
    pub(crate) fn load<R: Read>(
        &self,
        mut records: Records<R>,
        loader: &mut BulkLoader,
        mut look: impl FnMut() -> Outcome<()>,
    ) -> Outcome<u64> {
        let names: Vec<String> = records.columns().to_vec();
        if !names.iter().eq(self.columns.iter().map(|(name, _)| name)) {
            return Err(Failure::other(format!("{}: the header line changed while the file was read", records.name())));
        }
        for (index, name) in names.iter().enumerate() {
            if self.key != Some(index) {
                loader.dimension(name).map_err(Failure::not_made)?;
            }
        }
        let mut attributes: Vec<(&str, ValueRef<'_>)> = Vec::with_capacity(names.len());
        let mut count = 0;
        while let Some(row) = records.next()? {
            let mut key = ValueRef::Int(i128::from(row.index()));
            let mut record = recycle(attributes);
            for (index, (cell, (name, column_type))) in row.cells().zip(&self.columns).enumerate() {
                let is_key = self.key == Some(index);
                if !is_key && self.null.iter().any(|null| null == cell) {
                    continue;
                }
                let value = column_type.and_then(|column_type| column_type.value(cell));
                let value = value.ok_or_else(|| row.failure(index, "the cell changed while the file was read"))?;
                if is_key { key = value } else { record.push((name.as_str(), value)) }
            }
            let key = KeyRef::try_from(key).map_err(|error| Failure::other(error.to_string()))?;
            loader.push(key, record.iter().copied()).map_err(Failure::not_made)?;
            attributes = recycle(record);
            count += 1;
            if row.index().is_multiple_of(ROWS_PER_LOOK) {
                look()?;
            }
        }
        Ok(count)
    }
}

/// The same allocation, for a record of another lifetime.
fn recycle<'b>(mut attributes: Vec<(&str, ValueRef<'_>)>) -> Vec<(&'b str, ValueRef<'b>)> {
    attributes.clear();
    attributes.into_iter().map(|_| ("", ValueRef::Null)).collect()
}

/// Infers and loads from a source, with progress.
pub(crate) fn import(
    source: &Source,
    options: &CsvOptions,
    loader: &mut BulkLoader,
    output: &Output,
) -> Outcome<(Schema, u64)> {
    let mut progress = Progress::new(output, "reading types", Unit::Bytes, Some(source.len()));
    let schema = source.read(|reader| {
        let records = Records::new(source.name(), reader)?;
        options.infer(records, || progress.set(source.position()))
    })?;
    progress.finish();
    let mut progress = Progress::new(output, "loading", Unit::Bytes, Some(source.len()));
    let rows = source.read(|reader| {
        let records = Records::new(source.name(), reader)?;
        schema.load(records, loader, || progress.set(source.position()))
    })?;
    progress.finish();
    Ok((schema, rows))
}
