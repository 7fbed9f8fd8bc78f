//! A run: random operations on a database and on the model, compared at each step.

mod change;
mod choose;
mod fold;
mod open;
mod read;

use super::compare::{Held, shorten};
use super::place::Place;
use super::plain::{Moment, Plain};
use super::profile::{Kind, Profile};
use crate::support::random::Random;
use std::cell::Cell;
use std::sync::Arc;
use vector_datalib::{Options, Value, VectorDb};

/// Held snapshots, and open readers, at a time.
const HELD_MAX: usize = 4;

/// Dimensions of a run, at most.
const DIMENSIONS_MAX: usize = 20;

/// A read-only handle and what it shows until it is refreshed.
#[derive(Debug)]
struct Reader {
    db: VectorDb,
    contents: Arc<Moment>,
}

#[derive(Debug)]
pub(crate) struct Run {
    random: Random,
    profile: Profile,
    place: Place,
    db: VectorDb,
    plain: Plain,
    held: Vec<Held>,
    readers: Vec<Reader>,
    /// The commits that the last checkpoint covers; `None` when a cancelled one leaves that open.
    checkpointed: Option<u64>,
    /// Whether a checkpoint was cancelled and not made up for.
    pending: bool,
    /// The commits at the last orderly close.
    sealed: u64,
    created_at: String,
    /// The time of the last commit, as it was given for so many commits.
    last_modified: (u64, String),
    /// One of so many changes is a deletion, for a while.
    deletion: usize,
    trace: bool,
    /// The operation that is under way, counted from 1.
    step: usize,
}

/// The attributes of a record.
type Attributes = Vec<(Arc<str>, Value)>;

impl Run {
    pub(crate) fn new(random: Random, profile: Profile, place: Place) -> Self {
        let db = place
            .create(
                &Options::new()
                    .durability(profile.durability)
                    .merge_fraction(profile.merge_fraction)
                    .background(false)
                    .auto_checkpoint(None),
            )
            .unwrap();
        assert!(db.open_report().records_replayed == 0 && !db.open_report().unclean_close);
        Self::resume(random, profile, place, db, Plain::default())
    }

    /// Goes on with a database that holds what the model says, all of it in base files.
    pub(crate) fn resume(random: Random, profile: Profile, place: Place, db: VectorDb, plain: Plain) -> Self {
        let sequence = plain.contents.sequence;
        let metadata = db.stats().unwrap().metadata;
        let trace = std::env::var_os("VECTOR_TRACE").is_some();
        Self {
            random,
            profile,
            place,
            db,
            plain,
            held: Vec::new(),
            readers: Vec::new(),
            checkpointed: Some(sequence),
            pending: false,
            sealed: 0,
            created_at: metadata.created_at,
            last_modified: (sequence, metadata.last_modified),
            deletion: 3,
            trace,
            step: 0,
        }
    }

    /// Random operations; `step` is the number of the one that is under way.
    pub(crate) fn operations(&mut self, count: usize, step: &Cell<usize>) {
        for _ in 0..count {
            let kind = self.profile.kind(&mut self.random);
            self.operation(kind, step);
        }
    }

    /// Compares everything once more.
    pub(crate) fn finish(mut self) {
        self.check();
        self.held.iter().for_each(Held::check);
        self.reopen();
    }

    fn trace(&self, text: impl FnOnce() -> String) {
        if self.trace {
            eprintln!("{:6} {}", self.step, shorten(&text()));
        }
    }

    pub(crate) fn operation(&mut self, kind: Kind, step: &Cell<usize>) {
        self.step += 1;
        step.set(self.step);
        if kind != Kind::Change && kind != Kind::Read {
            self.trace(|| format!("{kind:?}"));
        }
        match kind {
            Kind::Change => self.change(),
            Kind::Read => self.read(),
            Kind::Refused => self.refused(),
            Kind::Hold => self.hold(),
            Kind::CheckHeld => self.check_held(),
            Kind::Reader => self.open_reader(),
            Kind::Refresh => self.refresh(),
            Kind::Full => self.check(),
            Kind::Save => self.save(),
            Kind::Compact => self.compact(),
            Kind::Pack => self.pack(),
            Kind::ByKey => self.by_key(),
            Kind::Freeze => self.freeze(),
            Kind::Position => self.position(),
            Kind::Reopen => self.reopen(),
            Kind::Crash => self.crash(),
            Kind::Export => self.export(),
        }
    }
}
