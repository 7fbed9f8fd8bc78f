//! A directory on a simulated disk, behind the storage seam: what was written and what is durable are two things,
//! operations can be made to fail, and the power can go at any of them.
//!
//! The model: a write is durable after `sync_data` of its file, a name after `sync_directory`. Until then a loss of
//! power keeps any part of it, in units of 512 bytes and in any order; ranges that were added to a file and lost read
//! as zeros or as anything. A sync of a file that fails has made durable what it pleases, and a later one that succeeds
//! says nothing of what the failed one covered.

use crate::support::random::Random;
use std::collections::BTreeMap;
use std::io::{Error, ErrorKind};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};
use vector_datalib::internals::{
    LOCK_NAME, MemoryScratch, Region, ScratchFile, Storage, StorageError, StorageFile, StorageLock,
};

/// The unit that a loss of power keeps or loses as a whole.
const SECTOR_LEN: usize = 512;

/// What is done to the disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Operation {
    Create,
    Open,
    Write,
    SetLen,
    Sync,
    Rename,
    Remove,
    SyncDirectory,
}

/// Operations that fail.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fault {
    /// The first one, counted from 0 from when the fault is set.
    pub(crate) from: u64,
    /// How many of those that `kind` can meet.
    pub(crate) count: u64,
    pub(crate) kind: FaultKind,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum FaultKind {
    /// There is no space: met by what needs some, on a disk that puts also what is written again in another place.
    NoSpace,
    /// The medium refuses: met by everything.
    Broken,
    /// The power goes: from there on nothing works.
    PowerLoss,
}

/// What a loss of power leaves of what was not durable.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Survival {
    Nothing,
    Everything,
    /// Of each file a number of first changes.
    Prefix,
    /// Any sectors.
    Some,
}

impl Survival {
    pub(crate) const ALL: [Self; 4] = [Self::Nothing, Self::Everything, Self::Prefix, Self::Some];
}

#[derive(Clone, Debug)]
enum Change {
    Write { offset: usize, bytes: Vec<u8> },
    SetLen(usize),
}

#[derive(Clone, Debug)]
enum NameChange {
    Link(String, usize),
    Move(String, String),
    Unlink(String),
}

/// A change that is not durable. `given_up`: a sync that covered it failed, so that no later one will write it.
#[derive(Clone, Debug)]
struct Pending {
    change: Change,
    given_up: bool,
}

#[derive(Clone, Default, Debug)]
struct Content {
    now: Vec<u8>,
    durable: Vec<u8>,
    pending: Vec<Pending>,
}

type Names = BTreeMap<String, usize>;

#[derive(Default, Debug)]
struct State {
    contents: Vec<Content>,
    names: Names,
    durable_names: Names,
    pending_names: Vec<NameChange>,
    operations: u64,
    fault: Option<Fault>,
    off: bool,
    is_locked: bool,
}

fn apply(bytes: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Write { offset, bytes: new } => {
            let end = offset + new.len();
            if bytes.len() < end {
                bytes.resize(end, 0);
            }
            bytes[*offset..end].copy_from_slice(new);
        }
        Change::SetLen(len) => bytes.resize(*len, 0),
    }
}

fn apply_name(names: &mut Names, change: &NameChange) {
    match change {
        NameChange::Link(name, content) => drop(names.insert(name.clone(), *content)),
        NameChange::Move(from, to) => {
            if let Some(content) = names.remove(from) {
                names.insert(to.clone(), content);
            }
        }
        NameChange::Unlink(name) => drop(names.remove(name)),
    }
}

impl Content {
    fn change(&mut self, change: Change) {
        apply(&mut self.now, &change);
        if let Change::Write { offset, bytes } = &change {
            let range = *offset..*offset + bytes.len();
            // What was given up and is written again is no longer given up.
            self.pending.retain(|pending| match &pending.change {
                Change::Write { offset, bytes } if pending.given_up => {
                    *offset < range.start || offset + bytes.len() > range.end
                }
                _ => true,
            });
        }
        self.pending.push(Pending { change, given_up: false });
    }

    fn sync(&mut self) {
        let durable = &mut self.durable;
        self.pending.retain(|pending| {
            if !pending.given_up {
                apply(durable, &pending.change);
            }
            pending.given_up
        });
    }

    fn after_power_loss(&self, survival: Survival, random: &mut Random) -> Vec<u8> {
        let mut bytes = self.durable.clone();
        let count = match survival {
            Survival::Nothing => 0,
            Survival::Everything | Survival::Some => self.pending.len(),
            Survival::Prefix => random.below(self.pending.len() + 1),
        };
        let (keep_of_eight, junk) = (1 + random.below(7), random.one_in(4));
        for Pending { change, .. } in &self.pending[..count] {
            match change {
                Change::Write { offset, bytes: new } if survival == Survival::Some => {
                    let mut at = 0;
                    while at < new.len() {
                        let end = ((offset + at) / SECTOR_LEN + 1) * SECTOR_LEN - offset;
                        let end = end.min(new.len());
                        let is_new = offset + end > bytes.len();
                        if random.below(8) < keep_of_eight {
                            apply(&mut bytes, &Change::Write { offset: offset + at, bytes: new[at..end].to_vec() });
                        } else if junk && is_new && random.one_in(2) {
                            let junk = (at..end).map(|_| random.next() as u8).collect();
                            apply(&mut bytes, &Change::Write { offset: offset + at, bytes: junk });
                        }
                        at = end;
                    }
                }
                Change::SetLen(_) if survival == Survival::Some && random.one_in(2) => {}
                change => apply(&mut bytes, change),
            }
        }
        bytes
    }
}

/// A handle to the disk. Clones share it.
#[derive(Clone, Default, Debug)]
pub(crate) struct Disk {
    state: Arc<Mutex<State>>,
}

fn error(name: &str, operation: &'static str, cause: Error) -> StorageError {
    StorageError::new(Path::new("/simulated").join(name), operation, cause)
}

impl Disk {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Operations so far.
    pub(crate) fn operations(&self) -> u64 {
        self.state().operations
    }

    /// Makes operations fail from now on; `None`: none.
    pub(crate) fn set_fault(&self, fault: Option<Fault>) {
        let mut state = self.state();
        state.fault = fault.map(|fault| Fault { from: state.operations + fault.from, ..fault });
    }

    /// What is there when the power is back: another disk, of which everything is durable.
    pub(crate) fn after_power_loss(&self, survival: Survival, random: &mut Random) -> Self {
        let state = self.state();
        let mut names = state.durable_names.clone();
        let count = match survival {
            Survival::Nothing => 0,
            Survival::Everything | Survival::Some => state.pending_names.len(),
            Survival::Prefix => random.below(state.pending_names.len() + 1),
        };
        for change in &state.pending_names[..count] {
            if survival != Survival::Some || random.one_in(2) {
                apply_name(&mut names, change);
            }
        }
        let contents = state.contents.iter().map(|content| {
            let bytes = content.after_power_loss(survival, random);
            Content { now: bytes.clone(), durable: bytes, pending: Vec::new() }
        });
        let contents = contents.collect();
        let state = State { contents, durable_names: names.clone(), names, ..State::default() };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// Counts an operation, and fails it if it is to fail. With the power, what was being written may be there all the
    /// same.
    fn enter(
        &self,
        operation: Operation,
        name: &str,
    ) -> Result<MutexGuard<'_, State>, (MutexGuard<'_, State>, StorageError)> {
        let mut state = self.state();
        let number = state.operations;
        state.operations += 1;
        let failure = |kind: ErrorKind| error(name, "do something simulated with", kind.into());
        if state.off {
            return Err((state, failure(ErrorKind::BrokenPipe)));
        }
        let Some(fault) = &mut state.fault else { return Ok(state) };
        let kind = fault.kind;
        let needs_space = matches!(operation, Operation::Create | Operation::Write);
        if number < fault.from || fault.count == 0 || (kind == FaultKind::NoSpace && !needs_space) {
            return Ok(state);
        }
        fault.count -= 1;
        state.off = kind == FaultKind::PowerLoss;
        let kind = if kind == FaultKind::NoSpace { ErrorKind::StorageFull } else { ErrorKind::Other };
        Err((state, failure(kind)))
    }

    fn name_change(&self, operation: Operation, name: &str, change: NameChange) -> Result<(), StorageError> {
        match self.enter(operation, name) {
            Ok(mut state) => {
                apply_name(&mut state.names, &change);
                state.pending_names.push(change);
                Ok(())
            }
            Err((mut state, error)) => {
                if state.off {
                    state.pending_names.push(change);
                }
                Err(error)
            }
        }
    }

    fn open(&self, name: &str, content: usize) -> Box<dyn StorageFile> {
        Box::new(DiskFile { disk: self.clone(), name: name.to_owned(), content })
    }

    fn with_content<T>(&self, name: &str, read: impl FnOnce(&[u8]) -> T) -> Result<Option<T>, StorageError> {
        let state = self.state();
        if state.off {
            return Err(error(name, "read", ErrorKind::BrokenPipe.into()));
        }
        Ok(state.names.get(name).map(|&content| read(&state.contents[content].now)))
    }
}

impl Storage for Disk {
    fn path(&self) -> &Path {
        Path::new("/simulated")
    }

    fn list(&self) -> Result<Vec<String>, StorageError> {
        Ok(self.state().names.keys().cloned().collect())
    }

    fn create(&self, name: &str) -> Result<Box<dyn StorageFile>, StorageError> {
        if self.state().names.contains_key(name) {
            return Err(error(name, "create", ErrorKind::AlreadyExists.into()));
        }
        let content = {
            let mut state = self.state();
            state.contents.push(Content::default());
            state.contents.len() - 1
        };
        self.name_change(Operation::Create, name, NameChange::Link(name.to_owned(), content))?;
        Ok(self.open(name, content))
    }

    fn open_write(&self, name: &str) -> Result<Box<dyn StorageFile>, StorageError> {
        let state = self.enter(Operation::Open, name).map_err(|(_, error)| error)?;
        match state.names.get(name) {
            Some(&content) => Ok(self.open(name, content)),
            None => Err(error(name, "open to write", ErrorKind::NotFound.into())),
        }
    }

    fn read(&self, name: &str) -> Result<Option<Vec<u8>>, StorageError> {
        self.with_content(name, <[u8]>::to_vec)
    }

    fn read_range(&self, name: &str, offset: u64, len: u64) -> Result<Option<Vec<u8>>, StorageError> {
        self.with_content(name, |bytes| bytes.iter().copied().skip(offset as usize).take(len as usize).collect())
    }

    fn scratch(&self) -> Result<Box<dyn ScratchFile>, StorageError> {
        Ok(Box::new(Scratch { disk: self.clone(), content: MemoryScratch::default() }))
    }

    fn len(&self, name: &str) -> Result<Option<u64>, StorageError> {
        self.with_content(name, |bytes| bytes.len() as u64)
    }

    fn map(&self, name: &str) -> Result<Option<Region>, StorageError> {
        self.with_content(name, Region::from_bytes)
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), StorageError> {
        if !self.state().names.contains_key(from) {
            return Err(error(from, "rename", ErrorKind::NotFound.into()));
        }
        self.name_change(Operation::Rename, from, NameChange::Move(from.to_owned(), to.to_owned()))
    }

    fn remove(&self, name: &str) -> Result<(), StorageError> {
        self.name_change(Operation::Remove, name, NameChange::Unlink(name.to_owned()))
    }

    fn sync_directory(&self) -> Result<(), StorageError> {
        match self.enter(Operation::SyncDirectory, "") {
            Ok(mut state) => {
                let State { durable_names, pending_names, .. } = &mut *state;
                pending_names.drain(..).for_each(|change| apply_name(durable_names, &change));
                Ok(())
            }
            // Names are metadata, which file systems keep in a journal: what one sync did not write the next one does,
            // or none.
            Err((_, error)) => Err(error),
        }
    }

    fn lock(&self) -> Result<Option<Box<dyn StorageLock>>, StorageError> {
        let mut state = self.state();
        if state.is_locked {
            return Ok(None);
        }
        state.is_locked = true;
        if !state.names.contains_key(LOCK_NAME) {
            state.contents.push(Content::default());
            let content = state.contents.len() - 1;
            state.names.insert(LOCK_NAME.to_owned(), content);
        }
        Ok(Some(Box::new(DiskLock(self.clone()))))
    }
}

#[derive(Debug)]
struct DiskLock(Disk);

impl StorageLock for DiskLock {}

impl Drop for DiskLock {
    fn drop(&mut self) {
        self.0.state().is_locked = false;
    }
}

#[derive(Debug)]
struct DiskFile {
    disk: Disk,
    name: String,
    content: usize,
}

impl DiskFile {
    fn change(&self, operation: Operation, change: Change) -> Result<(), StorageError> {
        match self.disk.enter(operation, &self.name) {
            Ok(mut state) => {
                state.contents[self.content].change(change);
                Ok(())
            }
            Err((mut state, error)) => {
                // A write that fails may have written a part, or all.
                let all = state.operations.is_multiple_of(2);
                let content = &mut state.contents[self.content];
                match change {
                    Change::Write { offset, mut bytes } => {
                        bytes.truncate(if all { bytes.len() } else { bytes.len() / 2 });
                        content.change(Change::Write { offset, bytes });
                    }
                    Change::SetLen(_) => {}
                }
                Err(error)
            }
        }
    }
}

/// A file without a name: takes space like any other, and is gone with the power.
#[derive(Debug)]
struct Scratch {
    disk: Disk,
    content: MemoryScratch,
}

impl ScratchFile for Scratch {
    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), StorageError> {
        drop(self.disk.enter(Operation::Write, "a temporary file").map_err(|(_, error)| error)?);
        self.content.write_at(offset, bytes)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), StorageError> {
        self.content.read_at(offset, buffer)
    }
}

impl StorageFile for DiskFile {
    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), StorageError> {
        self.change(Operation::Write, Change::Write { offset: offset as usize, bytes: bytes.to_vec() })
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), StorageError> {
        let state = self.disk.state();
        let content = &state.contents[self.content].now;
        buffer.copy_from_slice(&content[offset as usize..][..buffer.len()]);
        Ok(())
    }

    fn set_len(&self, len: u64) -> Result<(), StorageError> {
        self.change(Operation::SetLen, Change::SetLen(len as usize))
    }

    fn sync_data(&self) -> Result<(), StorageError> {
        match self.disk.enter(Operation::Sync, &self.name) {
            Ok(mut state) => {
                state.contents[self.content].sync();
                Ok(())
            }
            Err((mut state, error)) => {
                if !state.off {
                    state.contents[self.content].pending.iter_mut().for_each(|pending| pending.given_up = true);
                }
                Err(error)
            }
        }
    }

    fn len(&self) -> Result<u64, StorageError> {
        Ok(self.disk.state().contents[self.content].now.len() as u64)
    }
}
