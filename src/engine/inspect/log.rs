//! The write-ahead log: header, records, and what is behind the last one.

use super::super::log_reader::{LogTail, vouched_for};
use super::Inspector;
use super::layout;
use super::tree::Inspection;
use crate::error::Error;
use crate::format::Invalid;
use crate::format::wal::{HEADER_LEN, Header, Kind, Operation, Record, decode_record, operations};
use crate::model::Value;

/// How many of each kind there are.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    commits: u64,
    marks: u64,
    defines: u64,
    inserts: u64,
    updates: u64,
    deletes: u64,
}

impl Tally {
    fn add(&mut self, record: &Record<'_>) -> Result<(), Invalid> {
        let Kind::Commit { operation_count } = record.kind else {
            self.marks += 1;
            return Ok(());
        };
        self.commits += 1;
        for operation in operations(record.body, operation_count) {
            match operation? {
                Operation::Define { .. } => self.defines += 1,
                Operation::Insert { .. } => self.inserts += 1,
                Operation::Update { .. } => self.updates += 1,
                Operation::Delete { .. } => self.deletes += 1,
            }
        }
        Ok(())
    }

    fn fields(self) -> Vec<(&'static str, Value)> {
        let Self { commits, marks, defines, inserts, updates, deletes } = self;
        let counts = [
            ("commits", commits),
            ("marks", marks),
            ("defines", defines),
            ("inserts", inserts),
            ("updates", updates),
            ("deletes", deletes),
        ];
        counts.into_iter().map(|(name, count)| (name, count.into())).collect()
    }
}

impl Inspector<'_> {
    /// Adds what a log has to the node of its file. `known_end` is where its good records end, if anything says so.
    pub(super) fn log(&self, node: &mut Inspection, known_end: Option<u64>) {
        let path = self.storage.path().join(&node.name);
        let read = node.check(self.storage.read(&node.name).map_err(Error::from)).flatten();
        let Some(bytes) = read else { return };
        let mut shown = Inspection::new("header");
        shown.fields = layout::read(layout::LOG, &bytes);
        let nothing_follows = bytes.iter().skip(HEADER_LEN as usize).all(|&byte| byte == 0);
        let header = match Header::decode(&bytes) {
            Ok(header) => Some(header),
            // The header is durable before anything in the log is acknowledged.
            Err(invalid) if !invalid.newer && known_end.unwrap_or(0) == 0 && nothing_follows => {
                shown = shown.field("state", "not finished: nothing was written to this log");
                None
            }
            Err(invalid) => shown.check(Err(Error::corrupt(&path, invalid))),
        };
        node.children.push(shown);
        if let Some(header) = header {
            self.records(node, &path, &bytes, &header, known_end);
        }
    }

    fn records(
        &self,
        node: &mut Inspection,
        path: &std::path::Path,
        bytes: &[u8],
        header: &Header,
        known_end: Option<u64>,
    ) {
        let mut records = Inspection::new("records");
        let (mut tally, mut index, mut offset, mut sequence) = (Tally::default(), 0, HEADER_LEN, header.last_sequence);
        let end = known_end.unwrap_or(bytes.len() as u64);
        while offset < end {
            let rest = bytes.get(offset as usize..).unwrap_or_default();
            let record = match decode_record(rest, header, offset) {
                Ok(record) => record,
                Err(invalid) => {
                    let tail = LogTail { bytes, start: 0 };
                    if known_end.is_some() || vouched_for(tail, header, offset, sequence.wrapping_add(1)) {
                        records.problem(Error::corrupt(path, invalid));
                    }
                    break;
                }
            };
            let mut shown = Inspection::new(index.to_string()).field("offset", offset);
            shown.fields.extend(layout::read(layout::LOG_RECORD, rest));
            let due = if record.kind == Kind::Mark { sequence } else { sequence.wrapping_add(1) };
            if record.sequence != due {
                let invalid = Invalid::new(offset, "log record", "a commit out of order");
                shown.problem(Error::corrupt(path, invalid));
            }
            if let Err(invalid) = tally.add(&record) {
                shown.problem(Error::corrupt(path, Invalid { offset, ..invalid }));
            }
            self.list(&mut records, index, shown);
            sequence = record.sequence;
            offset += record.padded_len;
            index += 1;
        }
        records.fields = tally.fields();
        records = records.field("end", offset).field("last_sequence", sequence);
        let rest = bytes.get(offset as usize..).unwrap_or_default();
        let behind = rest.iter().rposition(|&byte| byte != 0).map_or(0, |at| at as u64 + 1);
        if behind > 0 {
            records = records.field("bytes_behind", behind);
        }
        node.children.push(records);
    }
}
