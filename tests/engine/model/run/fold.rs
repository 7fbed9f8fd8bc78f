//! Checkpoints and compactions, with commits meanwhile, and cancelled.

use super::Run;
use crate::model::compare::check_stats;
use std::collections::{BTreeSet, HashMap};
use std::ops::ControlFlow;
use vector_datalib::{CompactOptions, Error, Key, Layout, Progress, Result, VectorDb};

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
        if self.lay_out(Layout::Packed) {
            self.plain.pack();
        }
        self.check_sound();
    }

    pub(super) fn by_key(&mut self) {
        if self.lay_out(Layout::ByKey) {
            let keys: Vec<_> = self.plain.contents.points().map(|(_, point)| point.key.key.clone()).collect();
            let place = |key: &Key| keys.iter().filter(|other| *other < key).count() as u32;
            let places: HashMap<&Key, u32> = match keys.len() {
                // Counted, where that does not take long: sorting is what is tested.
                0..300 => keys.iter().map(|key| (key, place(key))).collect(),
                _ => keys.iter().collect::<BTreeSet<_>>().into_iter().zip(0..).collect(),
            };
            self.plain.lay_out(|key| places.get(&key.key).copied());
        }
        self.check_sound();
    }

    pub(super) fn freeze(&mut self) {
        if self.lay_out(Layout::Frozen) {
            let snapshot = self.db.snapshot();
            match self.db.stats().unwrap().axis_encoding {
                // As they are, or in the order of keys.
                "dense" if snapshot.slot_count() > snapshot.len() => {}
                _ => self.plain.lay_out(|key| snapshot.slot(&key.key).unwrap().map(|slot| slot.0)),
            }
        }
        self.check_sound();
    }

    /// Compacts into a layout that moves points. Returns whether it did.
    fn lay_out(&mut self, layout: Layout) -> bool {
        let options = CompactOptions::new().layout(layout);
        let done = self.fold(false, |db, progress| db.compact_with(&options, progress));
        if !done {
            // It may have been cancelled after its checkpoint.
            self.checkpointed = None;
        }
        done
    }
}
