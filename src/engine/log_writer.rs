//! Appending to the write-ahead log: one file at a time, made when first needed, grown in steps of zeros.

use crate::error::{Error, Result};
use crate::format::wal::{HEADER_LEN, Header, Kind, RECORD_LEN_MAX, Record, begin_record, finish_record, wal_name};
use crate::storage::{Storage, StorageError, StorageFile};
use std::sync::Arc;

/// Where the log's good records end, and what the next file will say of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct LogEnd {
    /// 0 before the first file.
    pub(super) number: u64,
    pub(super) len: u64,
}

/// The file being appended to.
#[derive(Debug)]
pub(super) struct LogWriter {
    file: Arc<dyn StorageFile>,
    header: Header,
    /// End of the last record.
    len: u64,
    /// Zeros are written up to here.
    allocated: u64,
    /// Memory for the next record.
    buffer: Vec<u8>,
}

/// Memory for records is kept from one to the next if it is no more than this.
const BUFFER_MAX: usize = 1 << 20;

/// The first step by which a log grows; each step doubles, up to the largest. The next fsync waits for all zeros of a step.
const STEP_MIN: u64 = 64 << 10;
const STEP_MAX: u64 = 1 << 20;

/// What happened to a write that failed.
pub(super) enum AppendError {
    /// It is undone.
    Undone(Error),
    /// What is in the file is unknown: nothing may be appended to it any more.
    Unknown(Error),
}

impl From<StorageError> for AppendError {
    fn from(error: StorageError) -> Self {
        Self::Undone(error.into())
    }
}

impl LogWriter {
    /// Creates log `previous.number + 1` and makes its header durable.
    pub(super) fn create(
        storage: &dyn Storage,
        database_id: [u8; 16],
        salt: u64,
        previous: LogEnd,
        last_sequence: u64,
    ) -> Result<Self, AppendError> {
        let number = previous.number + 1;
        let header = Header {
            database_id,
            number,
            salt,
            previous_number: previous.number,
            previous_len: previous.len,
            last_sequence,
        };
        let name = wal_name(number);
        let file: Arc<dyn StorageFile> = storage.create(&name)?.into();
        // Nothing but the header until that is durable: a log whose header is bad and that has more was damaged later.
        let written = file.write_at(0, &header.encode()).map_err(Error::from);
        if let Err(error) = written {
            // Without its header the file is no log: taking it away undoes everything.
            return match storage.remove(&name) {
                Ok(()) => Err(AppendError::Undone(error)),
                Err(_) => Err(AppendError::Unknown(error)),
            };
        }
        let durable = file.sync_data().and_then(|()| storage.sync_directory());
        durable.map_err(|error| AppendError::Unknown(error.into()))?;
        Ok(Self { file, header, len: HEADER_LEN, allocated: HEADER_LEN, buffer: Vec::new() })
    }

    /// Where the next record goes.
    pub(super) fn end(&self) -> LogEnd {
        LogEnd { number: self.header.number, len: self.len }
    }

    /// Memory for a record, empty.
    pub(super) fn take_buffer(&mut self) -> Vec<u8> {
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.clear();
        buffer
    }

    /// Keeps memory for the next record.
    pub(super) fn keep_buffer(&mut self, buffer: Vec<u8>) {
        if buffer.capacity() <= BUFFER_MAX {
            self.buffer = buffer;
        }
    }

    /// The file, for making it durable while others append.
    pub(super) fn file(&self) -> Arc<dyn StorageFile> {
        Arc::clone(&self.file)
    }

    /// Appends a record whose body follows the room for a header in `bytes`.
    pub(super) fn append(
        &mut self,
        bytes: &mut Vec<u8>,
        sequence: u64,
        commit_time: i64,
        synced_through: u64,
        kind: Kind,
    ) -> Result<(), AppendError> {
        if bytes.len() > RECORD_LEN_MAX {
            return Err(AppendError::Undone(Error::invalid_argument("a batch of more than 4 GiB; split it")));
        }
        let record = Record { sequence, commit_time, synced_through, kind, body: &[], padded_len: 0 };
        finish_record(bytes, &self.header, self.len, &record)
            .map_err(|invalid| AppendError::Undone(Error::invalid_argument(invalid.to_string())))?;
        let end = self.len + bytes.len() as u64;
        self.allocate(end)?;
        if let Err(error) = self.file.write_at(self.len, bytes) {
            // Whatever part of a commit is there must not be taken for one. A mark is true whether or not it is there.
            let undone = matches!(kind, Kind::Mark) || self.undo();
            return Err(if undone { AppendError::Undone(error.into()) } else { AppendError::Unknown(error.into()) });
        }
        self.len = end;
        Ok(())
    }

    /// Takes away the start of what a failed write left behind the last record, durably: else a loss of power could bring a commit
    /// back that was refused, had only its padding been missing. False when that failed too.
    fn undo(&mut self) -> bool {
        if self.file.write_at(self.len, &[0; 8]).is_err() {
            // A full disk that has no room for eight other bytes can still cut the file.
            if self.file.set_len(self.len).is_err() {
                return false;
            }
            self.allocated = self.len;
        }
        self.file.sync_data().is_ok()
    }

    /// Appends a mark: all commits up to `synced_through` are durable.
    pub(super) fn mark(&mut self, sequence: u64, commit_time: i64, synced_through: u64) -> Result<(), AppendError> {
        let mut bytes = self.take_buffer();
        begin_record(&mut bytes);
        let appended = self.append(&mut bytes, sequence, commit_time, synced_through, Kind::Mark);
        self.keep_buffer(bytes);
        appended
    }

    /// Writes zeros so that the file is at least `end` long.
    fn allocate(&mut self, end: u64) -> Result<(), AppendError> {
        if end <= self.allocated {
            return Ok(());
        }
        let step = self.allocated.next_power_of_two().clamp(STEP_MIN, STEP_MAX);
        let wanted = end.max(self.allocated + step).next_multiple_of(4096);
        // A disk with no room for a step may still have room for the record.
        for target in [wanted, end] {
            match self.fill(target) {
                Ok(()) => {
                    self.allocated = target;
                    return Ok(());
                }
                Err(error) if target == end || !error.is_no_space() => return Err(error.into()),
                Err(_) => {}
            }
        }
        Ok(())
    }

    fn fill(&self, target: u64) -> Result<(), StorageError> {
        let zeros = vec![0; STEP_MIN.min(target - self.allocated) as usize];
        let mut offset = self.allocated;
        while offset < target {
            let len = (target - offset).min(zeros.len() as u64);
            self.file.write_at(offset, zeros.get(..len as usize).unwrap_or_default())?;
            offset += len;
        }
        Ok(())
    }

    /// Cuts the zeros off and makes the file durable.
    pub(super) fn trim(&mut self) -> Result<()> {
        self.file.set_len(self.len)?;
        self.file.sync_data()?;
        self.allocated = self.len;
        Ok(())
    }
}
