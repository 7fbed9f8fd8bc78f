//! Taking the records of a load apart on a thread of its own, while the caller makes the next ones.

use super::record_batch::{LongValues, RecordBatch};
use super::record_streams::{Origin, RecordStreams};
use crate::error::{Error, Result};
use std::panic::resume_unwind;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

/// Streams, which are here or at the thread.
#[derive(Debug)]
pub(super) struct LoadPipeline {
    here: Option<Box<RecordStreams>>,
    /// What the last batch was in, empty.
    batch: RecordBatch,
    thread: Option<Taker>,
}

#[derive(Debug)]
struct Taker {
    /// None when there is nothing more to take.
    sender: Option<SyncSender<Job>>,
    receiver: Receiver<Done>,
    handle: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Job {
    streams: Box<RecordStreams>,
    batch: RecordBatch,
    origin: Origin,
}

#[derive(Debug)]
struct Done {
    streams: Box<RecordStreams>,
    /// Empty.
    batch: RecordBatch,
    result: Result<()>,
}

impl Taker {
    /// `None` where there can be no thread.
    fn start() -> Option<Self> {
        let (sender, jobs) = sync_channel::<Job>(1);
        let (results, receiver) = sync_channel(1);
        let run = move || {
            for Job { mut streams, mut batch, origin } in jobs {
                let result = streams.take(&batch, &Vec::new(), origin);
                batch.clear();
                if results.send(Done { streams, batch, result }).is_err() {
                    return;
                }
            }
        };
        let handle = thread::Builder::new().name("vector-load".into()).spawn(run).ok()?;
        Some(Self { sender: Some(sender), receiver, handle: Some(handle) })
    }
}

impl Taker {
    /// What it was given last, once it is done. A panic of the thread is passed on.
    fn wait(&mut self) -> Option<Done> {
        let done = self.receiver.recv().ok();
        if done.is_none()
            && let Some(Err(panic)) = self.handle.take().map(JoinHandle::join)
        {
            resume_unwind(panic);
        }
        done
    }
}

impl Drop for Taker {
    fn drop(&mut self) {
        self.sender = None;
        if let Some(handle) = self.handle.take() {
            // A panic was passed on when it was found, unless the load was dropped before.
            let _ = handle.join();
        }
    }
}

impl LoadPipeline {
    pub(super) fn new(streams: RecordStreams) -> Self {
        Self { here: Some(Box::new(streams)), batch: RecordBatch::default(), thread: None }
    }

    /// The streams, once the thread has done what it was given.
    ///
    /// # Errors
    /// A record was written in part only.
    pub(super) fn streams(&mut self) -> Result<&mut RecordStreams> {
        let mut result = Ok(());
        let streams = match self.here.take() {
            Some(streams) => streams,
            None => {
                let done = self.thread.as_mut().and_then(Taker::wait).ok_or_else(broken)?;
                (self.batch, result) = (done.batch, done.result);
                done.streams
            }
        };
        let streams = self.here.insert(streams);
        result.map(|()| &mut **streams)
    }

    /// Adds the records of a batch, and makes it an empty one. With `beside`, that may go on beside the caller: a failure is told next
    /// time.
    ///
    /// # Errors
    /// A record was written in part only.
    pub(super) fn take(
        &mut self,
        batch: &mut RecordBatch,
        long: &LongValues<'_>,
        (origin, beside): (Origin, bool),
    ) -> Result<()> {
        self.streams()?;
        let beside = beside && long.is_empty();
        if beside && self.thread.is_none() {
            self.thread = Taker::start();
        }
        let Some(mut streams) = self.here.take() else { return Err(broken()) };
        if let Some(sender) = self.thread.as_ref().filter(|_| beside).and_then(|taker| taker.sender.as_ref()) {
            let batch = std::mem::replace(batch, std::mem::take(&mut self.batch));
            return sender.send(Job { streams, batch, origin }).map_err(|_| broken());
        }
        let result = streams.take(batch, long, origin);
        batch.clear();
        self.here = Some(streams);
        result
    }

    /// The streams of all batches.
    ///
    /// # Errors
    /// A record was written in part only.
    pub(super) fn finish(mut self) -> Result<RecordStreams> {
        self.streams()?;
        self.here.take().map(|streams| *streams).ok_or_else(broken)
    }
}

/// Why a load cannot go on.
#[cold]
pub(super) fn broken() -> Error {
    Error::invalid_argument("an earlier record could not be written, so the load cannot go on")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{KeyRef, ValueRef};
    use crate::storage::{MemoryStorage, Region, ScratchFile, Storage, StorageError, StorageFile, StorageLock};
    use std::io::ErrorKind;
    use std::path::Path;
    use std::sync::Arc;

    const ORIGIN: Origin = Origin { database_id: [7; 16], hash_seed: 1 };

    /// A directory without space for temporary files.
    #[derive(Debug)]
    struct Full(MemoryStorage);

    impl Storage for Full {
        fn path(&self) -> &Path {
            self.0.path()
        }
        fn list(&self) -> Result<Vec<String>, StorageError> {
            self.0.list()
        }
        fn create(&self, name: &str) -> Result<Box<dyn StorageFile>, StorageError> {
            self.0.create(name)
        }
        fn open_write(&self, name: &str) -> Result<Box<dyn StorageFile>, StorageError> {
            self.0.open_write(name)
        }
        fn read(&self, name: &str) -> Result<Option<Vec<u8>>, StorageError> {
            self.0.read(name)
        }
        fn read_range(&self, name: &str, offset: u64, len: u64) -> Result<Option<Vec<u8>>, StorageError> {
            self.0.read_range(name, offset, len)
        }
        fn scratch(&self) -> Result<Box<dyn ScratchFile>, StorageError> {
            Err(StorageError::new(self.path(), "create a temporary file in", ErrorKind::StorageFull.into()))
        }
        fn len(&self, name: &str) -> Result<Option<u64>, StorageError> {
            self.0.len(name)
        }
        fn map(&self, name: &str) -> Result<Option<Region>, StorageError> {
            self.0.map(name)
        }
        fn rename(&self, from: &str, to: &str) -> Result<(), StorageError> {
            self.0.rename(from, to)
        }
        fn remove(&self, name: &str) -> Result<(), StorageError> {
            self.0.remove(name)
        }
        fn sync_directory(&self) -> Result<(), StorageError> {
            self.0.sync_directory()
        }
        fn lock(&self) -> Result<Option<Box<dyn StorageLock>>, StorageError> {
            self.0.lock()
        }
    }

    fn batch(records: u64) -> RecordBatch {
        let mut batch = RecordBatch::default();
        for n in 0..records {
            assert!(batch.add(0, ValueRef::Int(n.into())));
            batch.end(KeyRef::from(n * n).value());
        }
        batch
    }

    #[test]
    fn what_fails_beside_the_caller_is_told_next_time() {
        for ends in [false, true] {
            let storage = Arc::new(Full(MemoryStorage::new()));
            let mut pipeline = LoadPipeline::new(RecordStreams::new(storage, 1000));
            let none = Vec::new();
            pipeline.take(&mut batch(10_000), &none, (ORIGIN, true)).unwrap();
            let told =
                if ends { pipeline.finish().map(|_| ()) } else { pipeline.take(&mut batch(1), &none, (ORIGIN, true)) };
            assert!(told.unwrap_err().is_no_space());
        }
    }

    #[test]
    fn what_fails_in_the_callers_thread_is_told_at_once() {
        let storage = Arc::new(Full(MemoryStorage::new()));
        let mut pipeline = LoadPipeline::new(RecordStreams::new(storage, 1000));
        assert!(pipeline.take(&mut batch(10_000), &Vec::new(), (ORIGIN, false)).unwrap_err().is_no_space());
    }

    #[test]
    fn a_pipeline_that_is_dropped_waits_for_its_thread() {
        let storage = Arc::new(MemoryStorage::new());
        let mut pipeline = LoadPipeline::new(RecordStreams::new(Arc::clone(&storage) as Arc<dyn Storage>, 1 << 20));
        pipeline.take(&mut batch(50_000), &Vec::new(), (ORIGIN, true)).unwrap();
        drop(pipeline);
        // The streams, which have the storage, are gone.
        assert_eq!(Arc::strong_count(&storage), 1);
    }
}
