//! Taking the records of a load apart on a thread of its own, while the caller makes the next ones.

use super::record_batch::{LongValues, RecordBatch};
use super::record_streams::RecordStreams;
use crate::error::Result;
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
    receiver: Receiver<(Box<RecordStreams>, RecordBatch, Result<()>)>,
    handle: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Job {
    streams: Box<RecordStreams>,
    batch: RecordBatch,
    hash_seed: u64,
}

impl Taker {
    /// `None` where there can be no thread.
    fn start() -> Option<Self> {
        let (sender, jobs) = sync_channel::<Job>(1);
        let (results, receiver) = sync_channel(1);
        let run = move || {
            for Job { mut streams, mut batch, hash_seed } in jobs {
                let result = streams.take(&batch, &Vec::new(), hash_seed);
                batch.clear();
                if results.send((streams, batch, result)).is_err() {
                    return;
                }
            }
        };
        let handle = thread::Builder::new().name("vector-load".into()).spawn(run).ok()?;
        Some(Self { sender: Some(sender), receiver, handle: Some(handle) })
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
                let (streams, batch, taken) = self.receive();
                self.batch = batch;
                result = taken;
                streams
            }
        };
        let streams = self.here.insert(streams);
        result.map(|()| &mut **streams)
    }

    fn receive(&mut self) -> (Box<RecordStreams>, RecordBatch, Result<()>) {
        let Some(taker) = &mut self.thread else { unreachable!("streams that are not here are at the thread") };
        match taker.receiver.recv() {
            Ok(done) => done,
            Err(_) => match taker.handle.take().map(JoinHandle::join) {
                Some(Err(panic)) => resume_unwind(panic),
                _ => unreachable!("the thread ends only when it is told to"),
            },
        }
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
        (hash_seed, beside): (u64, bool),
    ) -> Result<()> {
        self.streams()?;
        if beside && long.is_empty() && self.thread.is_none() {
            self.thread = Taker::start();
        }
        let sender = self.thread.as_ref().filter(|_| beside && long.is_empty()).and_then(|taker| taker.sender.as_ref());
        match (sender, self.here.take()) {
            (Some(sender), Some(streams)) => {
                let full = std::mem::replace(batch, std::mem::take(&mut self.batch));
                if let Err(failed) = sender.send(Job { streams, batch: full, hash_seed }) {
                    // The thread is gone; nothing of it was taken.
                    let Job { mut streams, batch: mut full, .. } = failed.0;
                    let result = streams.take(&full, &Vec::new(), hash_seed);
                    full.clear();
                    (self.here, *batch) = (Some(streams), full);
                    return result;
                }
                Ok(())
            }
            (None, Some(mut streams)) => {
                let result = streams.take(batch, long, hash_seed);
                batch.clear();
                self.here = Some(streams);
                result
            }
            (_, None) => Ok(()),
        }
    }

    /// The streams of all batches.
    ///
    /// # Errors
    /// A record was written in part only.
    pub(super) fn finish(mut self) -> Result<RecordStreams> {
        self.streams()?;
        match self.here.take() {
            Some(streams) => Ok(*streams),
            None => unreachable!("they are here"),
        }
    }
}
