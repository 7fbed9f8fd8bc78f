//! The records of a CSV file: a header line, then one record after another, each error with its place.
//!
//! The dialect is that of RFC 4180: commas, fields in double quotes where they hold commas, quotes or line breaks, a quote
//! inside of them doubled; lines end with LF or CRLF; blank lines are skipped; a byte order mark at the start is too.

use crate::exit::{Failure, Outcome};
use csv::{ErrorKind, Reader, ReaderBuilder, StringRecord};
use std::collections::HashSet;
use std::io::{self, Read};
use std::path::Path;

/// How much the parser asks its reader for at once.
const BUFFER_LEN: usize = 1 << 17;

/// A CSV file that is being read.
pub(crate) struct Records<R> {
    name: String,
    reader: Reader<R>,
    columns: Vec<String>,
    record: StringRecord,
    count: u64,
}

/// One record: as many cells as there are columns.
#[derive(Clone, Copy)]
pub(crate) struct Row<'r> {
    name: &'r str,
    columns: &'r [String],
    cells: &'r StringRecord,
    index: u64,
}

impl<R: Read> Records<R> {
    /// Reads the header line.
    pub(crate) fn new(name: &str, reader: R) -> Outcome<Self> {
        let reader = ReaderBuilder::new().has_headers(false).flexible(true).buffer_capacity(BUFFER_LEN).from_reader(reader);
        let mut records = Self { name: name.to_owned(), reader, columns: Vec::new(), record: StringRecord::new(), count: 0 };
        if !records.advance()? {
            return Err(Failure::other(format!("{name}: there is no header line")));
        }
        records.columns = records.record.iter().map(str::to_owned).collect();
        let mut seen = HashSet::new();
        if let Some(twice) = records.columns.iter().find(|column| !seen.insert(column.as_str())) {
            return Err(Failure::other(format!("{name}, line {}: two columns are named {twice:?}", line_of(&records.record))));
        }
        Ok(records)
    }

    /// The names of the columns.
    pub(crate) fn columns(&self) -> &[String] {
        &self.columns
    }

    /// The next record; `None` at the end.
    pub(crate) fn next(&mut self) -> Outcome<Option<Row<'_>>> {
        if !self.advance()? {
            return Ok(None);
        }
        let (found, expected) = (self.record.len(), self.columns.len());
        if found != expected {
            let fields = |count| format!("{count} field{}", if count == 1 { "" } else { "s" });
            let place = if found < expected {
                format!("column {:?} and those after it are not there", self.columns.get(found).map_or("", String::as_str))
            } else {
                "there is something after the last column".to_owned()
            };
            return Err(Failure::other(format!(
                "{}, line {}: {} where the header has {expected}: {place}",
                self.name,
                line_of(&self.record),
                fields(found)
            )));
        }
        let index = self.count;
        self.count += 1;
        Ok(Some(Row { name: &self.name, columns: &self.columns, cells: &self.record, index }))
    }

    fn advance(&mut self) -> Outcome<bool> {
        self.reader.read_record(&mut self.record).map_err(|error| {
            let name = &self.name;
            match error.kind() {
                ErrorKind::Io(io) if io.kind() == io::ErrorKind::UnexpectedEof => Failure::other(format!("{name}: the compressed data ends too soon")),
                ErrorKind::Io(io) => Failure::file(Path::new(name), io),
                ErrorKind::Utf8 { pos, err } => {
                    let line = pos.as_ref().map_or(0, csv::Position::line);
                    let column = match self.columns.get(err.field()) {
                        Some(column) => format!("column {column:?}"),
                        None => format!("field {}", err.field() + 1),
                    };
                    Failure::other(format!("{name}, line {line}, {column}: this is not UTF-8"))
                }
                _ => Failure::other(format!("{name}: {error}")),
            }
        })
    }
}

impl<'r> Row<'r> {
    /// The text of a cell; empty if there is no such column.
    pub(crate) fn cell(&self, column: usize) -> &'r str {
        self.cells.get(column).unwrap_or_default()
    }

    /// All cells.
    pub(crate) fn cells(&self) -> impl Iterator<Item = &'r str> + use<'r> {
        self.cells.iter()
    }

    /// The number of the record, from 0, without the header.
    pub(crate) const fn index(&self) -> u64 {
        self.index
    }

    /// A failure whose place is a cell of this record.
    pub(crate) fn failure(&self, column: usize, reason: &str) -> Failure {
        let column = self.columns.get(column).map_or("", String::as_str);
        Failure::other(format!("{}, line {}, column {column:?}: {reason}", self.name, line_of(self.cells)))
    }
}

/// The line on which a record begins, from 1.
fn line_of(record: &StringRecord) -> u64 {
    record.position().map_or(0, csv::Position::line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(csv: &[u8]) -> Outcome<Vec<Vec<String>>> {
        let mut records = Records::new("x.csv", csv)?;
        let mut rows = vec![records.columns().to_vec()];
        while let Some(row) = records.next()? {
            rows.push(row.cells().map(str::to_owned).collect());
        }
        Ok(rows)
    }

    #[test]
    fn the_dialect() {
        let rows = read(b"\xef\xbb\xbfa,\"b,c\"\r\n1,\"x \"\"y\"\"\nz\"\r\n\r\n\"\",5\" disk\n").unwrap();
        assert_eq!(rows, [["a", "b,c"], ["1", "x \"y\"\nz"], ["", "5\" disk"]]);
        assert_eq!(read(b"a").unwrap(), [["a"]]);
        assert_eq!(read(b"a\n\"\"\nx").unwrap(), [["a"], [""], ["x"]]);
    }

    fn refusal(csv: &[u8]) -> String {
        read(csv).unwrap_err().to_string()
    }

    #[test]
    fn every_refusal_has_its_place() {
        assert_eq!(refusal(b""), "x.csv: there is no header line");
        assert_eq!(refusal(b"\n\n"), "x.csv: there is no header line");
        assert_eq!(refusal(b"a,b,a\n"), "x.csv, line 1: two columns are named \"a\"");
        assert_eq!(
            refusal(b"a,b,c\n1,2,3\n1\n"),
            "x.csv, line 3: 1 field where the header has 3: column \"b\" and those after it are not there"
        );
        assert_eq!(refusal(b"a\n1\n1,2\n"), "x.csv, line 3: 2 fields where the header has 1: there is something after the last column");
        assert_eq!(refusal(b"a,b\n1,2\n1,\xff\n"), "x.csv, line 3, column \"b\": this is not UTF-8");
        assert_eq!(refusal(b"a,\xff\n1,2\n"), "x.csv, line 1, field 2: this is not UTF-8");
    }

    #[test]
    fn lines_are_counted_through_quotes_blank_lines_and_both_line_ends() {
        assert!(refusal(b"a,b\r\n1,2\r\n1\r\n").starts_with("x.csv, line 3:"));
        assert!(refusal(b"a,b\n\"1\n2\n3\",4\n1\n").starts_with("x.csv, line 5:"));
        assert!(refusal(b"a,b\n\n\n1\n").starts_with("x.csv, line 4:"));
        assert!(refusal(b"a,b\r\n\r\n1\r\n").starts_with("x.csv, line 3:"));
    }
}
