//! The lines of a file of JSON lines, each error with its place.
//!
//! Lines end with LF or CRLF; blank lines are skipped; a byte order mark at the start is too. One line at a time is in memory.

use crate::exit::{Failure, Outcome};
use crate::json;
use crate::source::read_failure;
use std::io::{BufRead as _, BufReader, Read};
use vector_datalib::Value;

/// How much is asked of the reader at once.
const BUFFER_LEN: usize = 1 << 17;
/// The longest line: room for a value of the largest size in base64. A longer one is more likely a file of something else.
const LINE_LEN_MAX: u64 = 1 << 31;
const BYTE_ORDER_MARK: &str = "\u{feff}";

/// A file of JSON lines that is being read.
pub(crate) struct JsonLines<R> {
    name: String,
    reader: BufReader<R>,
    bytes: Vec<u8>,
    number: u64,
    count: u64,
}

/// One line that is not blank.
#[derive(Clone, Copy)]
pub(crate) struct JsonLine<'l> {
    name: &'l str,
    text: &'l str,
    number: u64,
    index: u64,
}

impl<R: Read> JsonLines<R> {
    /// Starts at the first line.
    pub(crate) fn new(name: &str, reader: R) -> Self {
        let reader = BufReader::with_capacity(BUFFER_LEN, reader);
        Self { name: name.to_owned(), reader, bytes: Vec::new(), number: 0, count: 0 }
    }

    /// The next line; `None` at the end.
    pub(crate) fn next(&mut self) -> Outcome<Option<JsonLine<'_>>> {
        loop {
            self.bytes.clear();
            let read = (&mut self.reader).take(LINE_LEN_MAX).read_until(b'\n', &mut self.bytes);
            if read.map_err(|error| read_failure(&self.name, &error))? == 0 {
                return Ok(None);
            }
            self.number += 1;
            if self.bytes.len() as u64 >= LINE_LEN_MAX {
                let gib = LINE_LEN_MAX >> 30;
                return Err(failure(&self.name, self.number, &format!("the line is longer than {gib} GiB")));
            }
            if !self.bytes.trim_ascii().is_empty() {
                break;
            }
        }
        let text = std::str::from_utf8(&self.bytes).map_err(|error| {
            let column = String::from_utf8_lossy(&self.bytes[..error.valid_up_to()]).chars().count() + 1;
            failure(&self.name, self.number, &format!("column {column}: this is not UTF-8"))
        })?;
        let text = if self.number == 1 { text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text) } else { text };
        self.count += 1;
        Ok(Some(JsonLine { name: &self.name, text: text.trim_end(), number: self.number, index: self.count - 1 }))
    }
}

impl JsonLine<'_> {
    /// The number of the line among those that are not blank, from 0.
    pub(crate) const fn index(&self) -> u64 {
        self.index
    }

    /// The members of the object that the line is. Neither it is a tag, nor is an object that is the member named `plain`.
    pub(crate) fn members(&self, plain: Option<&str>) -> Outcome<Vec<(String, Value)>> {
        json::parse_members(self.text, plain).map_err(|error| {
            let column = self.text.get(..error.offset()).unwrap_or_default().chars().count() + 1;
            let hint = if error.is_syntax() { "; each line is one JSON object, all of it" } else { "" };
            let other = if hint.is_empty() || self.number > 1 { "" } else { " (--format says what else SOURCE is)" };
            self.failure(&format!("column {column}: {}{hint}{other}", error.reason()))
        })
    }

    /// A failure whose place is this line.
    pub(crate) fn failure(&self, reason: &str) -> Failure {
        failure(self.name, self.number, reason)
    }
}

fn failure(name: &str, number: u64, reason: &str) -> Failure {
    // What stands where in the line is a place too.
    let separator = if reason.starts_with("column ") { "," } else { ":" };
    Failure::other(format!("{name}, line {number}{separator} {reason}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Number, index and members of a line.
    type Read = (u64, u64, Vec<(String, Value)>);

    fn read(text: &[u8]) -> Outcome<Vec<Read>> {
        let mut lines = JsonLines::new("x.jsonl", text);
        let mut read = Vec::new();
        while let Some(line) = lines.next()? {
            read.push((line.number, line.index(), line.members(None)?));
        }
        Ok(read)
    }

    #[test]
    fn blank_lines_both_line_ends_and_a_byte_order_mark_are_no_matter() {
        let one = |number: i64| vec![("a".to_owned(), Value::from(number))];
        let lines = read(b"\xef\xbb\xbf{\"a\":1}\r\n\r\n  \n {\"a\":2} \n{\"a\":3}").unwrap();
        assert_eq!(lines, [(1, 0, one(1)), (4, 1, one(2)), (5, 2, one(3))]);
        assert_eq!(read(b"").unwrap(), []);
        assert_eq!(read(b"\n\n").unwrap(), []);
    }

    #[test]
    fn every_refusal_has_its_place() {
        for (text, reason) in [
            (
                &b"[1]\n"[..],
                "line 1, column 1: an object is expected; each line is one JSON object, all of it (--format says what else SOURCE is)",
            ),
            (b"{}\n{\n", "line 2, column 2: a name in quotes is expected; each line is one JSON object, all of it"),
            ("{\"é\":1,\"é\":2}".as_bytes(), "line 1, column 8: an object names \"é\" twice"),
            (b"{}\n\n{\"a\":\"\xff\"}", "line 3, column 7: this is not UTF-8"),
            (
                b"{\"a\":{\"$x\":1}}",
                "line 1, column 6: \"$x\" is not a tag that this version knows; a map with that key is {\"$map\":[[\"$x\", value]]}",
            ),
        ] {
            assert_eq!(read(text).unwrap_err().to_string(), format!("x.jsonl, {reason}"));
        }
    }
}
