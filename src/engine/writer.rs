//! The one writer's state, and the making of commits: resolve, log, put into the overlay, make durable, publish.

use super::batch::{Outcome, Step};
use super::database::{Database, Durability};
use super::log_writer::{AppendError, LogEnd, LogWriter};
use super::overlay::Commit;
use super::plan::{Allocation, Operation, Plan, Planner};
use super::view::View;
use crate::error::{Error, Result};
use crate::format::wal::{Kind, begin_record};
use crate::storage::StorageLock;
use std::sync::atomic::Ordering;
use std::sync::{MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

/// What only the holder of the writer's mutex touches.
#[derive(Debug)]
pub(super) struct Writer {
    /// Held until the database is closed.
    pub(super) lock: Option<Box<dyn StorageLock>>,
    pub(super) allocation: Allocation,
    /// The last commit that was logged.
    pub(super) sequence: u64,
    /// The last step that was put into an overlay.
    pub(super) stamp: u64,
    pub(super) log: Option<LogWriter>,
    /// Where the log ends that comes before the next one to be created.
    pub(super) log_end: LogEnd,
    /// The first log with commits of the active overlay.
    pub(super) active_wal_first: u64,
    /// Set by a failure after which nothing may be written.
    pub(super) poisoned: Option<String>,
}

/// A commit that is in the log, and need not be durable.
#[derive(Debug)]
pub(crate) struct Logged {
    outcomes: Vec<Outcome>,
    /// What has to be durable before anyone is told.
    sequence: u64,
    /// Bytes that it took in the log.
    pub(crate) len: u64,
}

/// Microseconds since 1970.
pub(super) fn now() -> i64 {
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_micros()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_micros()).map_or(i64::MIN + 1, |since| -since),
    }
}

impl Writer {
    fn check(&self) -> Result<()> {
        match (&self.poisoned, &self.lock) {
            (Some(reason), _) => Err(Error::Poisoned { reason: reason.clone() }),
            (None, None) => Err(Error::Closed),
            // A forked child has its parent's handle, and must not write beside it.
            (None, Some(lock)) if !lock.is_ours() => Err(Error::Closed),
            (None, Some(_)) => Ok(()),
        }
    }
}

impl Database {
    /// The first half of a commit, which is all of a batch or nothing: resolves and logs it. Nobody sees it before [`finish`](Self::finish).
    pub(crate) fn log(&self, steps: Vec<Step>) -> Result<Logged> {
        self.maintenance.check_write()?;
        if steps.iter().any(|step| matches!(step, Step::Upsert { position: Some(_), .. })) {
            let outcomes = self.commit_positions(steps)?;
            return Ok(Logged { outcomes, sequence: self.published.load(Ordering::Acquire), len: 0 });
        }
        let mut writer = self.writer()?;
        let view = self.view.load_full();
        let mut planned = self.plan(&view, &mut writer, steps)?;
        let outcomes = std::mem::take(&mut planned.outcomes);
        let (sequence, len) = if planned.operations.is_empty() {
            // What it found may have been logged by a commit that is not durable yet.
            (writer.sequence, 0)
        } else {
            self.append(&view, &mut writer, planned)?
        };
        Ok(Logged { outcomes, sequence, len })
    }

    /// The second half: makes the commit as durable as asked, with all that were logged before it, and visible.
    pub(crate) fn finish(&self, logged: Logged) -> Result<Vec<Outcome>> {
        match self.options.durability {
            Durability::Immediate => self.sync_through(logged.sequence)?,
            Durability::Eventual => self.publish(logged.sequence),
        }
        Ok(logged.outcomes)
    }

    /// The writer's mutex, for a database that may be written.
    pub(super) fn writer(&self) -> Result<MutexGuard<'_, Writer>> {
        let Some(writer) = &self.writer else { return Err(Error::ReadOnly) };
        // A panic while the mutex was held can only be a bug in this crate; what it left is checked by `check`.
        let mut writer = writer.lock().unwrap_or_else(PoisonError::into_inner);
        self.check(&mut writer)?;
        Ok(writer)
    }

    /// Refuses to write after a failure, also one that a thread had while it made the log durable, or after closing.
    pub(super) fn check(&self, writer: &mut Writer) -> Result<()> {
        if writer.poisoned.is_none() {
            writer.poisoned = self.sync.poisoned();
        }
        writer.check()
    }

    /// Resolves a batch. On failure nothing has changed.
    fn plan(&self, view: &View, writer: &mut Writer, steps: Vec<Step>) -> Result<Plan> {
        writer.allocation.begin();
        let planned = Planner::new(view, self.hash_seed(), &mut writer.allocation).plan(steps).and_then(|plan| {
            let cells: usize = plan.operations.iter().map(Operation::len).sum();
            if view.active.is_full(cells) {
                return Err(Error::invalid_argument("too many changes since the last checkpoint; save first"));
            }
            Ok(plan)
        });
        if planned.is_err() {
            writer.allocation.rollback();
        }
        planned
    }

    /// Logs a plan and puts it into the overlay, where nobody sees it yet. Returns its number, and its bytes in the log.
    fn append(&self, view: &View, writer: &mut Writer, plan: Plan) -> Result<(u64, u64)> {
        let sequence = writer.sequence + 1;
        let time = now();
        let operation_count = plan.operations.len() as u32;
        let mut bytes = writer.log.as_mut().map(LogWriter::take_buffer).unwrap_or_default();
        begin_record(&mut bytes);
        plan.encode(&mut bytes);
        let kind = Kind::Commit { operation_count };
        let appended = self.append_record(writer, &mut bytes, sequence, time, kind);
        let len = bytes.len() as u64;
        if let Some(log) = &mut writer.log {
            log.keep_buffer(bytes);
        }
        if let Err(error) = appended {
            writer.allocation.rollback();
            return Err(match error {
                AppendError::Undone(error) => error,
                AppendError::Unknown(error) => self.poison(writer, &error),
            });
        }
        let stamp = match plan.apply(&view.active, writer.stamp) {
            Ok(stamp) => stamp,
            // The commit is logged and cannot be shown: only opening again brings the two together.
            Err(error) => return Err(self.poison(writer, &error)),
        };
        let commit = Commit {
            sequence,
            time,
            stamp,
            slot_count: writer.allocation.free.slot_count(),
            point_count: writer.allocation.point_count,
        };
        if let Err(error) = view.active.add_commit(commit) {
            return Err(self.poison(writer, &error));
        }
        writer.stamp = stamp;
        writer.sequence = sequence;
        self.appended.store(sequence, Ordering::Release);
        Ok((sequence, len))
    }

    fn append_record(
        &self,
        writer: &mut Writer,
        bytes: &mut Vec<u8>,
        sequence: u64,
        time: i64,
        kind: Kind,
    ) -> Result<(), AppendError> {
        let synced = self.sync.synced();
        if writer.log.is_none() {
            let manifest = &self.view.load().generation.manifest;
            let log = LogWriter::create(
                &*self.storage,
                manifest.database_id,
                super::database::random(),
                writer.log_end,
                writer.sequence,
            )?;
            self.sync.set_file(Some(log.file()));
            writer.log = Some(log);
        }
        let Some(log) = &mut writer.log else {
            return Err(AppendError::Undone(Error::Closed));
        };
        let before = log.end().len;
        log.append(bytes, sequence, time, synced, kind)?;
        self.backlog.add(log.end().len - before);
        Ok(())
    }

    /// Stops the writer for good.
    pub(super) fn poison(&self, writer: &mut Writer, error: &Error) -> Error {
        let reason = error.to_string();
        writer.poisoned = Some(reason.clone());
        self.sync.poison(reason.clone());
        Error::Poisoned { reason }
    }

    /// Makes visible what is durable as asked.
    pub(super) fn publish(&self, sequence: u64) {
        self.published.fetch_max(sequence, Ordering::AcqRel);
    }

    /// Waits until a commit is durable, with all that others have logged by then.
    pub(super) fn sync_through(&self, sequence: u64) -> Result<()> {
        let Some(target) = self.sync_or_wait(sequence)? else { return Ok(()) };
        // Commits that were logged meanwhile need an fsync of their own, and its leader a mark.
        if self.appended.load(Ordering::Acquire) == target
            && let Ok(mut writer) = self.writer()
        {
            self.mark(&mut writer, target);
        }
        Ok(())
    }

    /// The same for the holder of the writer's mutex, and for all that has been logged.
    pub(super) fn sync_all(&self, writer: &mut Writer) -> Result<()> {
        if let Some(target) = self.sync_or_wait(writer.sequence)? {
            self.mark(writer, target);
        }
        Ok(())
    }

    /// Lets recovery tell rot from a torn tail. Without it the commits are as durable.
    fn mark(&self, writer: &mut Writer, synced_through: u64) {
        let (sequence, time) = (writer.sequence, now());
        if let Some(log) = &mut writer.log
            && let Err(AppendError::Unknown(error)) = log.mark(sequence, time, synced_through)
        {
            self.poison(writer, &error);
        }
    }

    /// Returns the commit up to which this thread made the log durable, if it was the one to do it.
    fn sync_or_wait(&self, sequence: u64) -> Result<Option<u64>> {
        self.sync.wait(sequence, || self.appended.load(Ordering::Acquire), |target| self.publish(target))
    }
}
