//! The queue of writes, and the thread that makes them: whatever waits goes into the log, batch by batch, and is made durable by
//! one fsync.

use crate::engine::{Handle, Outcome, Step};
use crate::error::{Error, Result};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::sync::oneshot;

/// Batches that wait for the thread; further writes wait for a place. Enough for an fsync to be shared by all of a busy service.
const QUEUE_LEN: usize = 1024;

/// Bytes of log, after which a group is made durable although more waits: some milliseconds of writing, so that sharing an fsync
/// delays nobody by much.
const GROUP_LEN_MAX: u64 = 4 << 20;

type Answer<T> = oneshot::Sender<Result<T>>;

enum Job {
    Commit { steps: Vec<Step>, answer: Answer<Vec<Outcome>> },
    Close { answer: Answer<()> },
}

/// The end of the queue where writes go in. The thread ends, and lets go of the database, when the last one is dropped.
#[derive(Clone, Debug)]
pub(super) struct Queue {
    jobs: Sender<Job>,
    /// The thread ended because the database was closed.
    closed: Arc<AtomicBool>,
}

impl Queue {
    /// Starts the thread.
    pub(super) fn start(database: Arc<Handle>) -> Result<Self> {
        let (jobs, waiting) = mpsc::channel(QUEUE_LEN);
        let closed = Arc::new(AtomicBool::new(false));
        let path = database.storage().path().to_owned();
        let writer = Writer { database, waiting, closed: Arc::clone(&closed) };
        match std::thread::Builder::new().name("vector writer".to_owned()).spawn(move || writer.run()) {
            Ok(_runs_until_the_queue_ends) => Ok(Self { jobs, closed }),
            Err(source) => Err(Error::Io { path, operation: "start the writer's thread of", source }),
        }
    }

    /// Has a batch committed. Dropped before the thread takes it, the batch is not written; after that, it is.
    pub(super) async fn commit(self, steps: Vec<Step>) -> Result<Vec<Outcome>> {
        let (answer, answered) = oneshot::channel();
        if self.jobs.send(Job::Commit { steps, answer }).await.is_err() {
            return Err(self.ended());
        }
        answered.await.unwrap_or_else(|_| Err(self.ended()))
    }

    /// Has the database closed, behind all that waits.
    pub(super) async fn close(self) -> Result<()> {
        let (answer, answered) = oneshot::channel();
        let sent = self.jobs.send(Job::Close { answer }).await;
        let result = if sent.is_ok() { answered.await.ok() } else { None };
        match result.unwrap_or_else(|| Err(self.ended())) {
            Err(Error::Closed) => Ok(()),
            result => result,
        }
    }

    /// Why there is no thread any more.
    fn ended(&self) -> Error {
        if self.closed.load(Ordering::Acquire) {
            Error::Closed
        } else {
            Error::Poisoned { reason: "the writer's thread panicked".to_owned() }
        }
    }
}

/// The thread's end.
struct Writer {
    database: Arc<Handle>,
    waiting: Receiver<Job>,
    closed: Arc<AtomicBool>,
}

impl Writer {
    fn run(mut self) {
        while let Some(first) = self.waiting.blocking_recv() {
            match self.group(first) {
                (len, None) => self.database.checkpoint_if_due(len),
                (_, Some(answer)) => {
                    let result = self.database.close();
                    self.closed.store(true, Ordering::Release);
                    // What waits still is taken, and refused, before the loop ends.
                    self.waiting.close();
                    let _nobody_asks_any_more = answer.send(result);
                }
            }
        }
    }

    /// Commits what waits. Returns the bytes that this took in the log, and whom to tell when the database is to be closed.
    fn group(&mut self, first: Job) -> (u64, Option<Answer<()>>) {
        let mut logged = Vec::new();
        let mut next = Some(first);
        let (mut len, mut closing) = (0, None);
        while let Some(job) = next {
            match job {
                // Nobody waits for it any more.
                Job::Commit { answer, .. } if answer.is_closed() => {}
                Job::Commit { steps, answer } => match self.database.log(steps) {
                    Ok(commit) => {
                        len += commit.len;
                        logged.push((commit, answer));
                    }
                    Err(error) => tell(answer, Err(error)),
                },
                Job::Close { answer } => {
                    closing = Some(answer);
                    break;
                }
            }
            let is_full = len >= GROUP_LEN_MAX;
            next = if is_full { None } else { self.waiting.try_recv().ok() };
        }
        for (commit, answer) in logged {
            // The first one's fsync is that of all.
            tell(answer, self.database.finish(commit));
        }
        (len, closing)
    }
}

fn tell(answer: Answer<Vec<Outcome>>, result: Result<Vec<Outcome>>) {
    let _nobody_asks_any_more = answer.send(result);
}
