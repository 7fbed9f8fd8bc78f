//! Checkpoints and compactions, with commits meanwhile, and cancelled.

use super::Run;
use crate::model::compare::check_stats;
use std::ops::ControlFlow;
use vector_datalib::{CompactOptions, Error, Progress, Result, VectorDb};

impl Run {
    /// Runs a checkpoint or a compaction, during which there may be commits, or which may be cancelled. Returns whether
    /// it was made.
    pub(super) fn fold(
        &mut self,
        busy: bool,
        work: impl FnOnce(&VectorDb, &mut dyn FnMut(Progress) -> ControlFlow<()>) -> Result<()>,
    ) -> bool {
        let before = self.plain.contents.sequence;
        let db = self.db.clone();
        let cancel_at = self.random.one_in(5).then(|| self.random.below(4));
        let (busy, mut calls, mut cancelled, mut merging) = (busy && self.random.one_in(2), 0, false, false);
        let result = work(&db, &mut |progress| {
            assert!(progress.total.is_none_or(|total| progress.done <= total), "{progress:?}");
            if cancel_at == Some(calls) {
                (cancelled, merging) = (true, progress.phase == "merging changes");
                return ControlFlow::Break(());
            }
            calls += 1;
            for _ in 0..if busy { self.random.below(4) } else { 0 } {
                self.change();
            }
            if busy && self.random.one_in(4 + self.plain.contents.slots.len() / 1000) {
                self.hold();
                self.check_held();
                check_stats(&self.db.stats().unwrap(), &self.plain.moment(), false);
            }
            ControlFlow::Continue(())
        });
        // Whether what came meanwhile was written depends on whether an older checkpoint was to be made up for.
        let meanwhile = self.pending && self.plain.contents.sequence != before;
        match result {
            Ok(()) => {
                assert!(!cancelled, "it was cancelled and made all the same");
                self.checkpointed = (!meanwhile).then_some(before);
                self.pending = false;
            }
            Err(Error::Cancelled) => {
                assert!(cancelled, "it was not cancelled");
                // Patches are merged before a checkpoint or after it.
                if self.pending || merging {
                    self.checkpointed = None;
                }
                self.pending = true;
            }
            Err(error) => panic!("{error}"),
        }
        !cancelled
    }

    pub(super) fn save(&mut self) {
        self.fold(true, |db, progress| db.save_with(progress));
        self.check_sound();
    }

    pub(super) fn compact(&mut self) {
        self.fold(true, |db, progress| db.compact_with(&CompactOptions::new(), progress));
        self.check_sound();
    }

    pub(super) fn pack(&mut self) {
        let options = CompactOptions::new().reassign_slots(true);
        if self.fold(false, |db, progress| db.compact_with(&options, progress)) {
            self.plain.pack();
        } else {
            // It may have been cancelled after its checkpoint.
            self.checkpointed = None;
        }
        self.check_sound();
    }
}
