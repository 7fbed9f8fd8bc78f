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
    /// Bytes of these, in all logs.
    pub(super) records_len: u64,
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

/// A log from some offset on.
#[derive(Clone, Copy)]
pub(super) struct LogTail<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) start: u64,
}

impl<'a> LogTail<'a> {
    /// What is at an offset of the log, and behind it.
    fn from(self, offset: u64) -> &'a [u8] {
        let at = offset.checked_sub(self.start).and_then(|at| usize::try_from(at).ok());
        at.and_then(|at| self.bytes.get(at..)).unwrap_or_default()
    }
}

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
                    self.check_end(storage)?;
                    return Ok(report);
                }
                // No such log: the chain ends with the one before.
                Ok(None) => {
                    report.unclean = self.end.len > 0 && self.seal.is_none_or(|seal| seal.number != self.end.number);
                    self.check_end(storage)?;
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
        let next = storage.read_range(&wal_name(self.number + 1), 0, HEADER_LEN)?;
        let next_header = next.as_deref().and_then(|bytes| Header::decode(bytes).ok());
        // A copy of another log says nothing of this one.
        let next_header = next_header.filter(|header| self.is_log(header, self.number + 1));
        let sealed = self.seal.filter(|seal| seal.number == self.number);
        // What was read before is not read again.
        let start = if self.header.is_some() { self.offset } else { 0 };
        let Some(bytes) = storage.read_range(&name, start, u64::MAX)? else {
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
                Err(invalid) if !invalid.newer && known_end.is_none() && has_no_records(&bytes) => {
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
        let log = LogTail { bytes: &bytes, start };
        self.read_records(log, &header, known_end, report, apply).map_err(|error| match error {
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
        let rest = log.from(self.offset);
        let dropped = rest.iter().rposition(|&byte| byte != 0).map_or(0, |at| at as u64 + 1);
        Ok(Some(Tail::End { dropped }))
    }

    /// Fails if the chain ends before the log that the manifest seals: that one is missing.
    fn check_end(&self, storage: &dyn Storage) -> Result<()> {
        match self.seal {
            Some(seal) if seal.number > self.end.number => {
                let missing = Invalid::new(0, "log", "the file is missing");
                Err(Error::corrupt(&storage.path().join(wal_name(seal.number)), missing))
            }
            _ => Ok(()),
        }
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
        log: LogTail<'_>,
        header: &Header,
        known_end: Option<u64>,
        report: &mut LogReport,
        apply: &mut dyn FnMut(&Record<'_>) -> Result<(), ApplyError>,
    ) -> Result<(), ApplyError> {
        loop {
            if known_end == Some(self.offset) {
                return Ok(());
            }
            let record = match (decode_record(log.from(self.offset), header, self.offset), known_end) {
                (Ok(record), Some(end)) if self.offset + record.padded_len > end => {
                    return Err(Invalid::new(self.offset, "log record", "it goes past the end of the log").into());
                }
                (Ok(record), _) => record,
                (Err(invalid), Some(_)) => return Err(invalid.into()),
                (Err(invalid), None) => {
                    return if vouched_for(log, header, self.offset, self.sequence + 1) {
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
                report.records_len += record.padded_len;
            }
            self.offset += record.padded_len;
        }
    }
}

/// Whether a log holds nothing behind its header.
fn has_no_records(bytes: &[u8]) -> bool {
    bytes.iter().skip(HEADER_LEN as usize).all(|&byte| byte == 0)
}

/// How many times its length a log may be checksummed in the search for a record.
const CHECKSUM_FACTOR: u64 = 16;

/// Whether a good record behind `offset` was written when commit `sequence`, which should be there, was durable.
///
/// Only what can be such a record by its fields is checksummed, and no more than a bounded number of bytes: a torn record may hold
/// anything. Where the bound is reached, the log is called corrupt rather than shortened.
pub(super) fn vouched_for(log: LogTail<'_>, header: &Header, offset: u64, sequence: u64) -> bool {
    let log_len = log.start + log.bytes.len() as u64;
    let mut budget = log_len.saturating_mul(CHECKSUM_FACTOR);
    let mut at = offset + RECORD_ALIGNMENT;
    while at < log_len {
        let rest = log.from(at);
        if let Some(len) = plausible_len(rest, sequence, log_len) {
            let Some(left) = budget.checked_sub(len) else { return true };
            budget = left;
            if decode_record(rest, header, at).is_ok_and(|record| record.synced_through >= sequence) {
                return true;
            }
        }
        at += RECORD_ALIGNMENT;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::database::new_manifest;
    use crate::format::wal::{begin_record, encode_define, finish_record};
    use crate::storage::MemoryStorage;
    use std::collections::BTreeMap;

    const COMMITS: u64 = 60;

    /// A log of commits that were made durable together, which one mark at the very end says.
    fn log(manifest: &Manifest) -> Vec<u8> {
        let header = Header {
            database_id: manifest.database_id,
            number: 1,
            salt: 7,
            previous_number: 0,
            previous_len: 0,
            last_sequence: 0,
        };
        let mut log = header.encode();
        for sequence in 1..=COMMITS + 1 {
            let mut record = Vec::new();
            begin_record(&mut record);
            let is_mark = sequence > COMMITS;
            let kind = if is_mark { Kind::Mark } else { Kind::Commit { operation_count: 1 } };
            if !is_mark {
                encode_define(sequence as u32, "dimension", &mut record);
            }
            let synced_through = if is_mark { COMMITS } else { 0 };
            let sequence = sequence.min(COMMITS);
            let fields = Record { sequence, commit_time: 0, synced_through, kind, body: &[], padded_len: 0 };
            finish_record(&mut record, &header, log.len() as u64, &fields).unwrap();
            log.extend(record);
        }
        log
    }

    fn read(reader: &mut LogReader, log: &[u8]) -> Result<LogReport> {
        let storage = MemoryStorage::from_files(BTreeMap::from([(wal_name(1), log.to_vec())]));
        reader.read(&storage, false, &mut |_| Ok(()))
    }

    #[test]
    fn a_mark_at_the_end_vouches_for_every_commit_before_it() {
        let manifest = new_manifest(Vec::new());
        let log = log(&manifest);
        assert_eq!(read(&mut LogReader::new(&manifest), &log).unwrap().records, COMMITS);
        for at in (HEADER_LEN as usize + 8..log.len() - 40).step_by(64) {
            let mut rotten = log.clone();
            rotten[at] ^= 1;
            let report = read(&mut LogReader::new(&manifest), &rotten);
            assert!(report.is_err_and(|error| error.is_corrupt()), "byte {at}");
        }
    }

    #[test]
    fn reading_goes_on_where_it_ended_and_still_tells_rot_from_a_torn_tail() {
        let manifest = new_manifest(Vec::new());
        let log = log(&manifest);
        let half = log.len() / 2;
        let mut reader = LogReader::new(&manifest);
        let first = read(&mut reader, &log[..half]).unwrap();
        assert!(first.bytes_dropped > 0);
        // What was read before is not looked at again.
        let mut rotten = log.clone();
        rotten[HEADER_LEN as usize..200].fill(0xFF);
        let second = read(&mut reader.clone(), &rotten).unwrap();
        assert_eq!((first.records + second.records, second.bytes_dropped), (COMMITS, 0));
        rotten[half + 100] ^= 1;
        assert!(read(&mut reader, &rotten).is_err_and(|error| error.is_corrupt()));
    }
}
