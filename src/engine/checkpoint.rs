//! Checkpoints, compaction and position inserts: a new generation takes the place of the old one.

use super::batch::{Outcome, Step};
use super::block_writer::Unsynced;
use super::database::{Database, replace_manifest};
use super::generation::{Generation, files};
use super::maintenance::Entered;
use super::overlay::Overlay;
use super::patching::{Patching, files_are_due};
use super::plan::{Allocation, Planner};
use super::rebuild::Rebuild;
use super::slot_order::{Layout, SlotOrder, slots_vec};
use super::view::View;
use super::writer::{Writer, now};
use crate::error::{Error, Result};
use crate::format::manifest::Manifest;
use crate::format::wal::{wal_name, wal_number};
use crate::model::{FreeSlots, Slot};
use crate::progress::ProgressFn;
use crate::storage::ReplaceError;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// How much a checkpoint writes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Scope {
    /// A patch if that is possible at all: all files are written anew after it.
    Least,
    /// What changed, as [`EngineOptions::merge_fraction`](super::database::EngineOptions) says.
    Changes,
    /// All files.
    Everything,
}

/// Milliseconds that a reader may take to be done with what it was looking up.
const READER_PATIENCE: u32 = 20;

impl Database {
    /// Writes down what was committed since the last checkpoint.
    pub(crate) fn checkpoint(&self, progress: &mut ProgressFn<'_>) -> Result<()> {
        self.catch_up(progress)?;
        let entered = self.maintenance.enter()?;
        self.checkpoint_entered(&entered, progress)
    }

    /// The same for the holder of the lock.
    pub(super) fn checkpoint_entered(&self, _maintenance: &Entered<'_>, progress: &mut ProgressFn<'_>) -> Result<()> {
        self.fold(false, progress)
    }

    /// Rewrites everything into its smallest form.
    pub(crate) fn compact(&self, layout: Layout, progress: &mut ProgressFn<'_>) -> Result<()> {
        let entered = self.maintenance.enter()?;
        match layout {
            Layout::Keep => self.fold(true, progress),
            Layout::Packed | Layout::ByKey | Layout::Frozen => self.reorder(layout, &entered, progress),
        }
    }

    /// Folds the overlays into the base. Commits go on meanwhile.
    fn fold(&self, everything: bool, progress: &mut ProgressFn<'_>) -> Result<()> {
        loop {
            // Without the writer's mutex, so that commits do not wait until a whole log is on the disk.
            self.sync_through(self.appended.load(Ordering::Acquire))?;
            let mut writer = self.writer()?;
            let unfinished = self.view.load().frozen.is_some();
            if !unfinished && !self.freeze(&mut writer)? && !everything {
                return Ok(());
            }
            let view = self.view.load_full();
            let wal_first = writer.active_wal_first;
            drop(writer);
            let scope = match (everything, unfinished) {
                (false, _) => Scope::Changes,
                // All is written anew in the round after this one.
                (true, true) => Scope::Least,
                (true, false) => Scope::Everything,
            };
            let mut manifest = self.write_down(&frozen_part(&view), scope, progress)?;
            manifest.wal_first = wal_first;
            let mut writer = self.writer()?;
            let replaced = self.install(&mut writer, manifest, false)?;
            // Commits do not wait until files are removed, nor until the memory of the overlay is.
            drop(writer);
            replaced.remove_files(self);
            let_go(view);
            if !unfinished {
                return Ok(());
            }
            // What an earlier, failed checkpoint had frozen is written; what came after it is next.
        }
    }

    /// Writes the files of the next generation, and returns the manifest that names them.
    fn write_down(&self, source: &View, scope: Scope, progress: &mut ProgressFn<'_>) -> Result<Manifest> {
        let (storage, moment, memory_budget) = (&self.storage, source.moment(u64::MAX), self.options.memory_budget);
        let everything = scope == Scope::Everything;
        let merge_fraction = if scope == Scope::Least { f64::INFINITY } else { self.options.merge_fraction };
        let mut manifest = source.generation.manifest.clone();
        self.merging.skip_taken(&mut manifest);
        // Column files alone are written beside checkpoints, so that none of them takes so long.
        if everything || (files_are_due(source, merge_fraction) && !self.folds_beside(source)) {
            let rebuild = Rebuild {
                storage,
                memory_budget,
                threads: self.options.threads,
                view: source,
                moment,
                everything,
                order: None,
                perfect_hash: None,
                unsynced: Unsynced::default(),
            };
            return rebuild.write(manifest, progress);
        }
        Patching { storage, memory_budget, view: source, moment }.write(manifest, progress)
    }

    /// Makes the active overlay the frozen one. False when there is nothing to freeze.
    fn freeze(&self, writer: &mut Writer) -> Result<bool> {
        let view = self.view.load_full();
        if view.active.is_empty() {
            return Ok(false);
        }
        self.sync_all(writer)?;
        self.publish(writer.sequence);
        self.end_log(writer)?;
        let active = Arc::new(Overlay::new(writer.sequence, self.hash_seed(), view.moment(writer.sequence).slot_count));
        self.view.store(Arc::new(View {
            generation: Arc::clone(&view.generation),
            frozen: Some(Arc::clone(&view.active)),
            active,
        }));
        Ok(true)
    }

    /// Lets the next commit start a new log. The old one is made durable to its very end, marks included: the new one's header
    /// will say how long it is.
    fn end_log(&self, writer: &mut Writer) -> Result<()> {
        if let Some(mut log) = writer.log.take() {
            if let Err(error) = log.trim() {
                return Err(self.poison(writer, &error));
            }
            writer.log_end = log.end();
            self.sync.set_file(None);
        }
        writer.active_wal_first = writer.log_end.number + 1;
        self.backlog.freeze();
        Ok(())
    }

    /// Puts a manifest in place whose files are durable, and reads from them. They have what was in the frozen overlay; `moved`: slots
    /// are not what they were, and nothing is in the active overlay.
    fn install(&self, writer: &mut Writer, manifest: Manifest, moved: bool) -> Result<Replaced> {
        let old = self.view.load_full();
        let generation = self.put_in_place(writer, &old.generation, manifest)?;
        let view = if moved {
            let manifest = &generation.manifest;
            let active = Overlay::new(manifest.last_sequence, manifest.hash_seed, manifest.slot_count);
            View { generation, frozen: None, active: Arc::new(active) }
        } else {
            View { generation, frozen: None, active: Arc::clone(&old.active) }
        };
        writer.allocation = match allocation(&view, writer) {
            Ok(allocation) => allocation,
            // The new files cannot be read: go on with what is in memory makes no sense.
            Err(error) => return Err(self.poison(writer, &error)),
        };
        let replaced = self.switch(&old.generation, view);
        self.backlog.written();
        Ok(replaced)
    }

    /// Puts a manifest in place whose files are durable and say the same as those before, and reads from them.
    pub(super) fn install_files(&self, writer: &mut Writer, manifest: Manifest) -> Result<Replaced> {
        let old = self.view.load_full();
        let generation = self.put_in_place(writer, &old.generation, manifest)?;
        Ok(self.switch(&old.generation, View { generation, ..View::clone(&old) }))
    }

    fn put_in_place(&self, writer: &mut Writer, old: &Generation, manifest: Manifest) -> Result<Arc<Generation>> {
        let generation = match Generation::open(&*self.storage, manifest.clone(), Some(old)) {
            Ok(generation) => Arc::new(generation),
            Err(error) => {
                remove_files(self, &manifest, &old.manifest);
                return Err(error.into_error());
            }
        };
        match replace_manifest(&*self.storage, &manifest) {
            Ok(()) => Ok(generation),
            Err(ReplaceError::Before(error)) => {
                remove_files(self, &manifest, &old.manifest);
                Err(error.into())
            }
            Err(ReplaceError::Unknown(error)) => Err(self.poison(writer, &error.into())),
        }
    }

    /// Lets new readers have a view of another generation.
    fn switch(&self, old: &Arc<Generation>, view: View) -> Replaced {
        let replaced = Replaced { old: Arc::clone(old), new: Arc::clone(&view.generation) };
        self.replace(old);
        self.view.store(Arc::new(view));
        replaced
    }

    /// Folds everything and gives each point the slot that a layout has for it. Commits wait.
    fn reorder(&self, layout: Layout, maintenance: &Entered<'_>, progress: &mut ProgressFn<'_>) -> Result<()> {
        self.fold(false, progress)?;
        let mut writer = self.writer()?;
        maintenance.stop_writes();
        self.fold_locked(&mut writer, progress)?;
        let view = self.view.load_full();
        let generation = &view.generation;
        let order = SlotOrder::new(layout, generation, &self.storage, self.options.memory_budget, progress)?;
        self.rewrite(&mut writer, &view, &order, generation.manifest.last_sequence, progress)
    }

    /// Folds what is left, holding the writer's mutex.
    fn fold_locked(&self, writer: &mut Writer, progress: &mut ProgressFn<'_>) -> Result<()> {
        while self.view.load().frozen.is_some() || self.freeze(writer)? {
            let mut manifest = self.write_down(&frozen_part(&self.view.load_full()), Scope::Changes, progress)?;
            manifest.wal_first = writer.active_wal_first;
            self.install(writer, manifest, false)?.remove_files(self);
        }
        Ok(())
    }

    /// Writes a generation in which slots are in another order, as commit `sequence`.
    fn rewrite(
        &self,
        writer: &mut Writer,
        view: &View,
        order: &SlotOrder,
        sequence: u64,
        progress: &mut ProgressFn<'_>,
    ) -> Result<()> {
        let mut moment = view.moment(u64::MAX);
        if moment.sequence != sequence || writer.sequence != sequence {
            moment.sequence = sequence;
            moment.time = now();
        }
        let (storage, memory_budget) = (&self.storage, self.options.memory_budget);
        let rebuild = Rebuild {
            storage,
            memory_budget,
            threads: self.options.threads,
            view,
            moment,
            everything: true,
            order: Some(&order.order),
            perfect_hash: order.perfect_hash.as_ref(),
            unsynced: Unsynced::default(),
        };
        let mut manifest = view.generation.manifest.clone();
        self.merging.skip_taken(&mut manifest);
        manifest = rebuild.write(manifest, progress)?;
        self.end_log(writer)?;
        manifest.wal_first = writer.active_wal_first;
        let replaced = self.install(writer, manifest, true)?;
        replaced.remove_files(self);
        writer.sequence = sequence;
        self.appended.store(sequence, Ordering::Release);
        self.sync.set_synced(sequence);
        self.publish(sequence);
        Ok(())
    }

    /// Commits a batch in which keys go to positions: every later slot moves, so the whole database is rewritten, once for the
    /// batch. Commits wait; snapshots keep what they have.
    pub(super) fn commit_positions(&self, steps: Vec<Step>) -> Result<Vec<Outcome>> {
        let progress: &mut ProgressFn<'_> = &mut crate::progress::ignore;
        let _maintenance = self.maintenance.enter()?;
        let mut writer = self.writer()?;
        self.fold_locked(&mut writer, progress)?;
        let base = self.view.load_full();
        let sequence = writer.sequence + 1;
        // The batch is worked out in an overlay of its own, where a key that is put between two slots gets a slot at the end;
        // `order` has the slots in the order that they will have.
        let scratch = View {
            generation: Arc::clone(&base.generation),
            frozen: None,
            active: Arc::new(Overlay::new(writer.sequence, self.hash_seed(), base.generation.manifest.slot_count)),
        };
        let mut shift = Shift::new(&scratch, writer.allocation.next_dimension)?;
        let mut placed = Vec::with_capacity(steps.len());
        let is_batch = steps.len() > 1;
        for (index, step) in steps.into_iter().enumerate() {
            let slot = shift.step(step, self.hash_seed());
            placed.push(if is_batch { slot.map_err(|error| error.in_record(index as u64)) } else { slot }?);
        }
        let Shift { order, stamp, .. } = shift;
        scratch.active.add_commit(super::overlay::Commit {
            sequence,
            time: now(),
            stamp,
            slot_count: order.len() as u32,
            point_count: 0,
        })?;
        let mut slots = vec![u32::MAX; order.iter().map(|&old| old as usize + 1).max().unwrap_or(0)];
        for (new, &old) in order.iter().enumerate() {
            if let Some(place) = slots.get_mut(old as usize) {
                *place = new as u32;
            }
        }
        let order = SlotOrder { order, perfect_hash: None };
        self.rewrite(&mut writer, &scratch, &order, sequence, progress)?;
        let outcome = |old: Option<u32>| match old {
            Some(old) => Outcome::At(slots.get(old as usize).copied().unwrap_or(u32::MAX)),
            None => Outcome::Missing,
        };
        Ok(placed.into_iter().map(outcome).collect())
    }
}

/// So many changed slots and cells take about a millisecond to free.
const LARGE: u64 = 1 << 14;

/// Frees an overlay that was written down, if nobody else has it. Whoever has it last frees it, and that should not be a reader that was
/// just looking something up: waits a moment for such.
fn let_go(view: Arc<View>) {
    let is_ours = |overlay| Arc::strong_count(&view) == 1 && Arc::strong_count(overlay) == 1;
    if let Some(overlay) = &view.frozen
        && overlay.changed_count() >= LARGE
    {
        for _ in 0..READER_PATIENCE {
            if is_ours(overlay) {
                break;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// A generation that another one has taken the place of.
pub(super) struct Replaced {
    old: Arc<Generation>,
    new: Arc<Generation>,
}

impl Replaced {
    /// Removes the files that only the old one used. To be called before another generation takes the place of the new one.
    pub(super) fn remove_files(self, database: &Database) {
        remove_files(database, &self.old.manifest, &self.new.manifest);
        remove_logs(database, self.new.manifest.wal_first);
    }
}

/// A batch with positions being worked out.
struct Shift<'a> {
    view: &'a View,
    /// The slot in the scratch overlay of each slot to be; a free one makes a tombstone.
    order: Vec<u32>,
    /// The next slot in the scratch overlay that was never used.
    next: u32,
    next_dimension: u32,
    stamp: u64,
}

impl<'a> Shift<'a> {
    fn new(view: &'a View, next_dimension: u32) -> Result<Self> {
        let next = view.generation.manifest.slot_count;
        let mut order = slots_vec(next)?;
        order.extend(0..next);
        Ok(Self { view, order, next, next_dimension, stamp: 0 })
    }

    /// Applies one step; returns the slot in the scratch overlay.
    fn step(&mut self, step: Step, hash_seed: u64) -> Result<Option<u32>> {
        let found = self.view.resolve(step.key().as_ref(), u64::MAX)?.map(|(slot, _)| slot);
        let deletes = matches!(step, Step::Delete { .. });
        let free = FreeSlots::new(self.next);
        if let (Step::Upsert { position, .. }, None) = (&step, found) {
            self.place(*position)?;
            // The key goes to the slot at the end of the scratch overlay, wherever it will end up.
            self.next = self.next.checked_add(1).filter(|&next| next <= Slot::MAX.0).ok_or(Error::TooManyPoints)?;
        }
        let mut allocation = Allocation::new(free, u32::MAX / 2, self.next_dimension);
        let plan = Planner::at_end(self.view, hash_seed, &mut allocation).plan(vec![step])?;
        self.next_dimension = allocation.next_dimension;
        let outcome = plan.outcomes.first().copied();
        self.stamp = plan.apply(&self.view.active, self.stamp)?;
        if deletes {
            self.trim()?;
        }
        Ok(match outcome {
            Some(Outcome::At(slot)) => Some(slot),
            _ => None,
        })
    }

    /// Makes room for slot `next`: at a position, or at the lowest free slot.
    fn place(&mut self, position: Option<u32>) -> Result<()> {
        if let Some(position) = position {
            let position = position as usize;
            if position > self.order.len() {
                return Err(Error::invalid_argument(format!(
                    "position {position} is past the end: there are {} slots",
                    self.order.len()
                )));
            }
            self.order.insert(position, self.next);
            return Ok(());
        }
        for index in 0..self.order.len() {
            let slot = self.order.get(index).copied().unwrap_or(u32::MAX);
            if self.view.origin(slot, u64::MAX)?.is_none()
                && let Some(place) = self.order.get_mut(index)
            {
                *place = self.next;
                return Ok(());
            }
        }
        self.order.push(self.next);
        Ok(())
    }

    /// Gives free slots at the end back.
    fn trim(&mut self) -> Result<()> {
        while let Some(&last) = self.order.last() {
            if self.view.origin(last, u64::MAX)?.is_some() {
                break;
            }
            self.order.pop();
        }
        Ok(())
    }
}

/// The part of a view that a checkpoint writes down.
fn frozen_part(view: &View) -> View {
    let manifest = &view.generation.manifest;
    let frozen = view
        .frozen
        .clone()
        .unwrap_or_else(|| Arc::new(Overlay::new(manifest.last_sequence, manifest.hash_seed, manifest.slot_count)));
    View { generation: Arc::clone(&view.generation), frozen: None, active: frozen }
}

/// The free slots of a new base, with what the active overlay did to them since.
fn allocation(view: &View, writer: &Writer) -> Result<Allocation> {
    let manifest = &view.generation.manifest;
    let mut free = FreeSlots::new(manifest.slot_count);
    let mut point_count = manifest.point_count;
    let is_free = |slot| view.generation.is_used(slot).map(|used| !used);
    for occupant in view.active.occupants() {
        if occupant.alive {
            free.take_at(Slot(occupant.slot), is_free)?;
            point_count += 1;
        } else {
            free.free(Slot(occupant.slot), is_free)?;
            point_count = view.generation.one_point_less(point_count)?;
        }
    }
    let next_dimension = u32::try_from(manifest.next_dimension_id).unwrap_or(u32::MAX - 1);
    Ok(Allocation::new(free, point_count, writer.allocation.next_dimension.max(next_dimension)))
}

/// Removes the files that one manifest names and another one does not. What cannot be removed now is removed when the
/// database is next opened.
pub(super) fn remove_files(database: &Database, of: &Manifest, keep: &Manifest) {
    let keep: HashSet<String> = files(keep).into_iter().map(|(name, _)| name).collect();
    for (name, _) in files(of) {
        if !keep.contains(&name) {
            let _left_over = database.storage.remove(&name);
        }
    }
}

/// Removes the logs before `first`.
fn remove_logs(database: &Database, first: u64) {
    let Ok(names) = database.storage.list() else { return };
    for number in names.iter().filter_map(|name| wal_number(name)).filter(|&number| number < first) {
        let _left_over = database.storage.remove(&wal_name(number));
    }
}
