//! The records of a CSV file: a header line, then one record after another, each error with its place.
//!
//! The dialect is that of RFC 4180: commas, fields in double quotes where they hold commas, quotes or line breaks, a quote
//! inside of them doubled; lines end with LF or CRLF; blank lines are skipped; a byte order mark at the start is too.
//!
//! The state machine is `csv-core`. The buffering is here rather than that of the `csv` crate, because the line of a record must be
//! right after blank lines and CRLF too, and a quote that is never closed must be an error: it means that the file was cut.

use crate::exit::{Failure, Outcome};
use crate::source::read_failure;
use csv_core::{ReadRecordResult, Reader};
use std::collections::HashSet;
use std::io::{self, Read};

/// How much is asked of the reader at once.
const BUFFER_LEN: usize = 1 << 17;
/// The longest record. A longer one is more likely a quote that is not closed, and the file must not end up in memory.
const RECORD_LEN_MAX: usize = 1 << 28;
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A CSV file that is being read.
pub(crate) struct Records<R> {
    name: String,
    reader: R,
    parser: Reader,
    /// What was read and not parsed yet: `buffer[start..end]`.
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// The line at `start`.
    line: u64,
    columns: Vec<String>,
    record: Record,
    count: u64,
}

/// The fields of one record, one after another, and where each ends.
#[derive(Debug, Default)]
struct Record {
    fields: Vec<u8>,
    ends: Vec<usize>,
    field_count: usize,
    line: u64,
}

/// One record: as many cells as there are columns.
#[derive(Clone, Copy)]
pub(crate) struct Row<'r> {
    name: &'r str,
    columns: &'r [String],
    text: &'r str,
    ends: &'r [usize],
    line: u64,
    index: u64,
}

impl<R: Read> Records<R> {
    /// Reads the header line.
    pub(crate) fn new(name: &str, reader: R) -> Outcome<Self> {
        let mut records = Self {
            name: name.to_owned(),
            reader,
            parser: Reader::new(),
            buffer: vec![0; BUFFER_LEN],
            start: 0,
            end: 0,
            line: 1,
            columns: Vec::new(),
            record: Record::default(),
            count: 0,
        };
        while records.end < BYTE_ORDER_MARK.len() && records.fill()? {}
        if records.buffer.starts_with(BYTE_ORDER_MARK) {
            records.start = BYTE_ORDER_MARK.len();
        }
        if !records.advance()? {
            return Err(Failure::other(format!("{name}: there is no header line")));
        }
        let header = Row { columns: &[], ..records.row()? };
        let (columns, line) = (header.cells().map(str::to_owned).collect::<Vec<_>>(), header.line);
        let mut seen = HashSet::new();
        if let Some(twice) = columns.iter().find(|column| !seen.insert(column.as_str())) {
            return Err(Failure::other(format!("{name}, line {line}: two columns are named {twice:?}")));
        }
        records.columns = columns;
        Ok(records)
    }

    /// What messages call the file.
    pub(crate) fn name(&self) -> &str {
        &self.name
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
        let (found, expected) = (self.record.field_count, self.columns.len());
        if found != expected {
            let plural = if found == 1 { "" } else { "s" };
            let place = match self.columns.get(found) {
                Some(column) => format!("nothing from column {column:?} on"),
                None => "something after the last column".to_owned(),
            };
            return Err(self.failure(&format!("{found} field{plural} where the header has {expected}, {place}")));
        }
        self.count += 1;
        self.row().map(Some)
    }

    /// The current record, if it is text.
    fn row(&self) -> Outcome<Row<'_>> {
        let Record { fields, ends, field_count, line } = &self.record;
        let ends = &ends[..*field_count];
        let bytes = &fields[..ends.last().copied().unwrap_or(0)];
        if let Ok(text) = std::str::from_utf8(bytes) {
            // No character may begin in one field and end in the next either.
            if bytes.is_ascii() || ends.iter().all(|&end| text.is_char_boundary(end)) {
                return Ok(Row {
                    name: &self.name,
                    columns: &self.columns,
                    text,
                    ends,
                    line: *line,
                    index: self.count.saturating_sub(1),
                });
            }
        }
        let starts = std::iter::once(0).chain(ends.iter().copied());
        let is_text = |(start, end): (usize, usize)| std::str::from_utf8(&bytes[start..end]).is_ok();
        let index = starts.zip(ends.iter().copied()).take_while(|&field| is_text(field)).count();
        let field = match self.columns.get(index) {
            Some(column) => format!("column {column:?}"),
            None => format!("field {}", index + 1),
        };
        Err(Failure::other(format!("{}, line {line}, {field}: this is not UTF-8", self.name)))
    }

    /// Parses the next record; false at the end.
    fn advance(&mut self) -> Outcome<bool> {
        loop {
            if self.start == self.end && !self.refill()? {
                return Ok(false);
            }
            match self.buffer[self.start] {
                b'\n' => self.line += 1,
                b'\r' => {}
                _ => break,
            }
            self.start += 1;
        }
        let record = &mut self.record;
        (record.line, record.field_count) = (self.line, 0);
        let mut len = 0;
        loop {
            let at_end = self.start == self.end && !self.refill()?;
            // A line feed ends the last record as it ends any other, unless it is inside of quotes.
            let input: &[u8] = if at_end { b"\n" } else { &self.buffer[self.start..self.end] };
            let Record { fields, ends, field_count, .. } = &mut self.record;
            let (result, read, written, ended) =
                self.parser.read_record(input, &mut fields[len..], &mut ends[*field_count..]);
            self.line += input[..read].iter().map(|&byte| u64::from(byte == b'\n')).sum::<u64>();
            if !at_end {
                self.start += read;
            }
            len += written;
            *field_count += ended;
            match result {
                ReadRecordResult::Record => return Ok(true),
                ReadRecordResult::InputEmpty if at_end => {
                    return Err(self.failure("a quote is not closed; is the file complete?"));
                }
                ReadRecordResult::InputEmpty | ReadRecordResult::End => {}
                ReadRecordResult::OutputFull if len >= RECORD_LEN_MAX => {
                    let mib = RECORD_LEN_MAX >> 20;
                    return Err(self.failure(&format!("the record is longer than {mib} MiB; is a quote not closed?")));
                }
                ReadRecordResult::OutputFull => fields.resize((fields.len() * 2).max(1024), 0),
                ReadRecordResult::OutputEndsFull => ends.resize((ends.len() * 2).max(64), 0),
            }
        }
    }

    fn failure(&self, reason: &str) -> Failure {
        Failure::other(format!("{}, line {}: {reason}", self.name, self.record.line))
    }

    /// Reads more after what was parsed entirely; false at the end.
    fn refill(&mut self) -> Outcome<bool> {
        (self.start, self.end) = (0, 0);
        self.fill()
    }

    /// Reads more after what is there; false at the end.
    fn fill(&mut self) -> Outcome<bool> {
        loop {
            match self.reader.read(&mut self.buffer[self.end..]) {
                Ok(len) => {
                    self.end += len;
                    return Ok(len > 0);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(read_failure(&self.name, &error)),
            }
        }
    }
}

impl<'r> Row<'r> {
    /// The text of a cell; empty if there is no such column.
    pub(crate) fn cell(&self, column: usize) -> &'r str {
        self.cells().nth(column).unwrap_or_default()
    }

    /// All cells.
    pub(crate) fn cells(&self) -> impl Iterator<Item = &'r str> + use<'r> {
        let (text, mut start) = (self.text, 0);
        self.ends.iter().map(move |&end| {
            let cell = text.get(start..end).unwrap_or_default();
            start = end;
            cell
        })
    }

    /// The number of the record, from 0, without the header.
    pub(crate) const fn index(&self) -> u64 {
        self.index
    }

    /// A failure whose place is a cell of this record.
    pub(crate) fn failure(&self, column: usize, reason: &str) -> Failure {
        let column = self.columns.get(column).map_or("", String::as_str);
        Failure::other(format!("{}, line {}, column {column:?}: {reason}", self.name, self.line))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hands out a few bytes at a time.
    struct Dripping<'b>(&'b [u8], usize);

    impl Read for Dripping<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let len = self.1.min(buffer.len());
            self.0.read(&mut buffer[..len])
        }
    }

    fn read(csv: &[u8]) -> Outcome<Vec<Vec<String>>> {
        let whole = read_by(csv, usize::MAX);
        for len in [1, 2, 3, 7] {
            assert_eq!(format!("{:?}", read_by(csv, len)), format!("{whole:?}"), "{len} bytes at a time");
        }
        whole
    }

    fn read_by(csv: &[u8], len: usize) -> Outcome<Vec<Vec<String>>> {
        let mut records = Records::new("x.csv", Dripping(csv, len))?;
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
        assert_eq!(read(b"a\n\"x\"").unwrap(), [["a"], ["x"]]);
        assert_eq!(read("é,ü\n\u{1F600},ß\n".as_bytes()).unwrap(), [["é", "ü"], ["\u{1F600}", "ß"]]);
        let long = "x".repeat(300_000);
        assert_eq!(read_by(format!("a,b\n1,{long}\n").as_bytes(), 1 << 20).unwrap(), [["a", "b"], ["1", &long]]);
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
            "x.csv, line 3: 1 field where the header has 3, nothing from column \"b\" on"
        );
        assert_eq!(
            refusal(b"a\n1\n1,2\n"),
            "x.csv, line 3: 2 fields where the header has 1, something after the last column"
        );
        assert_eq!(refusal(b"a,b\n1,2\n1,\xff\n"), "x.csv, line 3, column \"b\": this is not UTF-8");
        assert_eq!(refusal(b"a,\xff\n1,2\n"), "x.csv, line 1, field 2: this is not UTF-8");
        // Together the two fields would be a character.
        assert_eq!(refusal(b"a,b\n\xc3,\xa9\n"), "x.csv, line 2, column \"a\": this is not UTF-8");
        assert_eq!(refusal(b"a,b\n1,\"2\n3,4\n"), "x.csv, line 2: a quote is not closed; is the file complete?");
        assert_eq!(refusal(b"a,\"b"), "x.csv, line 1: a quote is not closed; is the file complete?");
    }

    #[test]
    fn lines_are_counted_through_quotes_blank_lines_and_both_line_ends() {
        assert!(refusal(b"a,b\r\n1,2\r\n1\r\n").starts_with("x.csv, line 3:"));
        assert!(refusal(b"a,b\n\"1\n2\n3\",4\n1\n").starts_with("x.csv, line 5:"));
        assert!(refusal(b"a,b\n\n\n1\n").starts_with("x.csv, line 4:"));
        assert!(refusal(b"a,b\r\n\r\n1\r\n").starts_with("x.csv, line 3:"));
    }
}
