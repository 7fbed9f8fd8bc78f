//! Reading the write-ahead log back: the chain of files, the end of each, torn tails told apart from rot.

use super::log_writer::LogEnd;
use crate::error::{Error, Result};
use crate::format::Invalid;
use crate::format::manifest::{Manifest, Seal};
use crate::format::wal::{HEADER_LEN, Header, Kind, RECORD_ALIGNMENT, Record, decode_record, plausible_len, wal_name};
use crate::storage::Storage;

/// What reading the log found.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct LogReport {
    /// Commits replayed.
    pub(super) records: u64,
    /// Bytes behind the last good record that are no record: a write that a crash cut short.
    pub(super) bytes_dropped: u64,
    /// Whether the last log was not closed in order.
    pub(super) unclean: bool,
}

/// Why a record could not be applied.
pub(super) enum ApplyError {
    /// The record makes no sense.
    Invalid(Invalid),
    /// The base could not be read, or memory ran out.
    Failed(Error),
}

impl From<Invalid> for ApplyError {
    fn from(invalid: Invalid) -> Self {
        Self::Invalid(invalid)
    }
}

impl From<Error> for ApplyError {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// A position in the chain of logs, from which reading goes on.
#[derive(Clone, Debug)]
pub(super) struct LogReader {
    database_id: [u8; 16],
    seal: Option<Seal>,
    /// The log to read next.
    number: u64,
    /// Its header, once read, and the end of its last good record.
    header: Option<Header>,
    offset: u64,
    sequence: u64,
    /// Where the last log that has been read ends.
    end: LogEnd,
}

/// Reads again this often before it calls a log that is being written corrupt.
const LIVE_TRIES: u32 = 5;

/// What comes behind the records that were read.
enum Tail {
    /// Another log.
    Next,
    /// Nothing more; so many bytes that are no record.
    End { dropped: u64 },
}

impl LogReader {
    pub(super) fn new(manifest: &Manifest) -> Self {
        Self {
            database_id: manifest.database_id,
            seal: manifest.seal,
            number: manifest.wal_first,
            header: None,
            offset: 0,
            sequence: manifest.last_sequence,
            end: LogEnd { number: manifest.wal_first.saturating_sub(1), len: 0 },
        }
    }

    /// Where the last good record ends.
    pub(super) fn end(&self) -> LogEnd {
        self.end
    }

    /// The last commit that was read.
    pub(super) fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Reads all records from here on and hands each commit to `apply`.
    ///
    /// `live`: another process may be writing, so what looks like rot is read again before it is reported.
    pub(super) fn read(
        &mut self,
        storage: &dyn Storage,
        live: bool,
        apply: &mut dyn FnMut(&Record<'_>) -> Result<(), ApplyError>,
    ) -> Result<LogReport> {
        let mut report = LogReport::default();
        let mut tries = 0;
        loop {
            match self.read_one(storage, &mut report, apply) {
                Ok(Some(Tail::Next)) => {
                    self.number += 1;
                    self.header = None;
                    self.offset = 0;
                    tries = 0;
                }
                Ok(Some(Tail::End { dropped })) => {
                    report.bytes_dropped = dropped;
                    report.unclean = self.seal.is_none_or(|seal| seal.number != self.number);
                    return Ok(report);
                }
                // No such log: the chain ends with the one before.
                Ok(None) => {
                    report.unclean = self.end.len > 0 && self.seal.is_none_or(|seal| seal.number != self.end.number);
                    return Ok(report);
                }
                Err(error) if live && error.is_corrupt() && tries < LIVE_TRIES => {
                    tries += 1;
                    std::thread::sleep(std::time::Duration::from_millis(u64::from(tries)));
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn read_one(
        &mut self,
        storage: &dyn Storage,
        report: &mut LogReport,
        apply: &mut dyn FnMut(&Record<'_>) -> Result<(), ApplyError>,
    ) -> Result<Option<Tail>> {
        let name = wal_name(self.number);
        let path = storage.path().join(&name);
        let corrupt = |invalid| Error::corrupt(&path, invalid);
        // The next log first: once it is there, this one does not grow any more.
        let next = storage.read(&wal_name(self.number + 1))?;
        let next_header = next.as_deref().and_then(|bytes| Header::decode(bytes).ok());
        // A copy of another log says nothing of this one.
        let next_header = next_header.filter(|header| self.is_log(header, self.number + 1));
        let sealed = self.seal.filter(|seal| seal.number == self.number);
        let Some(bytes) = storage.read(&name)? else {
            if sealed.is_some() || next.is_some() {
                return Err(corrupt(Invalid::new(0, "log", "the file is missing")));
            }
            return Ok(None);
        };
        let known_end = match (next_header, sealed) {
            (Some(header), Some(seal)) if header.previous_len != seal.len => {
                return Err(corrupt(Invalid::new(0, "log", "manifest and next log do not agree on its length")));
            }
            (Some(header), _) => Some(header.previous_len),
            (None, Some(seal)) => Some(seal.len),
            (None, None) => None,
        };
        let tail = if next.is_some() { Tail::Next } else { Tail::End { dropped: 0 } };
        if known_end == Some(0) {
            self.end = LogEnd { number: self.number, len: 0 };
            return Ok(Some(tail));
        }
        let header = match self.header {
            Some(header) => header,
            None => match self.read_header(&bytes) {
                Ok(header) => header,
                // Nothing in it was ever acknowledged: the header is durable before that.
                Err(_) if known_end.is_none() && bytes.iter().skip(HEADER_LEN as usize).all(|&byte| byte == 0) => {
                    self.end = LogEnd { number: self.number, len: 0 };
                    let dropped = bytes.iter().rposition(|&byte| byte != 0).map_or(0, |at| at as u64 + 1);
                    return Ok(Some(if next.is_some() { Tail::Next } else { Tail::End { dropped } }));
                }
                Err(invalid) => return Err(corrupt(invalid)),
            },
        };
        if self.header.is_none() {
            self.header = Some(header);
            self.offset = HEADER_LEN;
        }
        self.read_records(&bytes, &header, known_end, report, apply).map_err(|error| match error {
            ApplyError::Invalid(invalid) => corrupt(invalid),
            ApplyError::Failed(error) => error,
        })?;
        self.end = LogEnd { number: self.number, len: self.offset };
        if sealed.is_some_and(|seal| seal.sequence != self.sequence) {
            return Err(corrupt(Invalid::new(self.offset, "log", "the last commit is not the one that was sealed")));
        }
        if known_end.is_some() || next.is_some() {
            return Ok(Some(tail));
        }
        let rest = bytes.get(self.offset as usize..).unwrap_or_default();
        let dropped = rest.iter().rposition(|&byte| byte != 0).map_or(0, |at| at as u64 + 1);
        Ok(Some(Tail::End { dropped }))
    }

    fn is_log(&self, header: &Header, number: u64) -> bool {
        header.database_id == self.database_id && header.number == number
    }

    fn read_header(&self, bytes: &[u8]) -> Result<Header, Invalid> {
        let header = Header::decode(bytes)?;
        let invalid = |offset, reason| Err(Invalid::new(offset, "log header", reason));
        if !self.is_log(&header, self.number) {
            return invalid(24, "this is a log of another database, or another log");
        }
        if header.last_sequence != self.sequence || header.previous_number != self.number.saturating_sub(1) {
            return invalid(72, "this log does not follow the one before it");
        }
        Ok(header)
    }

    fn read_records(
        &mut self,
        bytes: &[u8],
        header: &Header,
        known_end: Option<u64>,
        report: &mut LogReport,
        apply: &mut dyn FnMut(&Record<'_>) -> Result<(), ApplyError>,
    ) -> Result<(), ApplyError> {
        loop {
            if known_end == Some(self.offset) {
                return Ok(());
            }
            let rest = bytes.get(self.offset as usize..).unwrap_or_default();
            let record = match (decode_record(rest, header, self.offset), known_end) {
                (Ok(record), Some(end)) if self.offset + record.padded_len > end => {
                    return Err(Invalid::new(self.offset, "log record", "it goes past the end of the log").into());
                }
                (Ok(record), _) => record,
                (Err(invalid), Some(_)) => return Err(invalid.into()),
                (Err(invalid), None) => {
                    return if vouched_for(bytes, header, self.offset, self.sequence + 1) {
                        Err(invalid.into())
                    } else {
                        Ok(())
                    };
                }
            };
            let in_order = match record.kind {
                Kind::Commit { .. } => record.sequence == self.sequence + 1,
                Kind::Mark => record.sequence == self.sequence,
            };
            if !in_order {
                return Err(Invalid::new(self.offset, "log record", "a commit out of order").into());
            }
            if matches!(record.kind, Kind::Commit { .. }) {
                apply(&record)?;
                self.sequence = record.sequence;
                report.records += 1;
            }
            self.offset += record.padded_len;
        }
    }
}

/// How many times its length a log may be checksummed in the search for a record.
const CHECKSUM_FACTOR: u64 = 16;

/// Whether a good record behind `offset` was written when commit `sequence`, which should be there, was durable.
///
/// Only what can be such a record by its fields is checksummed, and no more than a bounded number of bytes: a torn record may hold
/// anything. Where the bound is reached, the log is called corrupt rather than shortened.
fn vouched_for(bytes: &[u8], header: &Header, offset: u64, sequence: u64) -> bool {
    let step = RECORD_ALIGNMENT as usize;
    let mut budget = (bytes.len() as u64).saturating_mul(CHECKSUM_FACTOR);
    let mut at = offset as usize + step;
    while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
        if let Some(len) = plausible_len(rest, sequence, bytes.len() as u64) {
            let Some(left) = budget.checked_sub(len) else { return true };
            budget = left;
            if decode_record(rest, header, at as u64).is_ok_and(|record| record.synced_through >= sequence) {
                return true;
            }
        }
        at += step;
    }
    false
}
