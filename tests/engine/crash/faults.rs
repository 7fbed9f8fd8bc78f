//! Full disks and failing ones: every operation of a workload fails, for a while or for ever.

use super::disk::{Disk, Fault, FaultKind, Survival};
use super::script::{Contents, PROBE, Reference, SCRIPT, Step, contents, create, open, step};
use crate::support::random::Random;
use vector_datalib::{Durability, Error, VectorDb};

/// A workload with a fault in it.
struct Run {
    disk: Disk,
    durability: Durability,
    db: Option<VectorDb>,
    /// Steps that were acknowledged.
    done: Vec<usize>,
    /// A step whose outcome was reported as unknown.
    unknown: Option<usize>,
    failures: u64,
    poisoned: bool,
}

fn expect(is_right: bool, what: impl FnOnce() -> String) -> Result<(), String> {
    if is_right { Ok(()) } else { Err(what()) }
}

fn same(db: &VectorDb, expected: &Contents) -> Result<(), String> {
    let found = contents(db).map_err(|error| format!("reading: {error}"))?;
    expect(found == *expected, || format!("{found:?} instead of {expected:?}"))
}

impl Run {
    /// Runs the script and holds every failure to what is promised.
    fn through(durability: Durability, fault: Option<Fault>, reference: &mut Reference) -> Result<Self, String> {
        let disk = Disk::default();
        let db = Some(create(&disk, durability).unwrap());
        disk.set_fault(fault);
        let mut run = Self { disk, durability, db, done: Vec::new(), unknown: None, failures: 0, poisoned: false };
        for (index, &step) in SCRIPT.iter().enumerate() {
            let result = if step == Step::Reopen { run.reopen() } else { step.run(run.db()) };
            match result {
                Ok(()) => run.done.push(index),
                Err(error) => {
                    run.failed(index, &error, fault, reference).map_err(|what| format!("{step:?}: {what}"))?
                }
            }
        }
        Ok(run)
    }

    fn db(&self) -> &VectorDb {
        self.db.as_ref().unwrap()
    }

    fn open(&mut self) -> Result<(), Error> {
        self.db = Some(open(&self.disk, self.durability)?);
        self.poisoned = false;
        Ok(())
    }

    /// Closes and opens again. A failure of either is returned; the database is open afterwards. A poisoned one stays.
    fn reopen(&mut self) -> Result<(), Error> {
        if self.poisoned {
            return self.db().save();
        }
        let closed = self.db.take().unwrap().close();
        if let Err(error) = self.open() {
            // Nobody opens a database whose disk fails; the rest of the script is run when it works again.
            self.disk.set_fault(None);
            self.open()?;
            return Err(error);
        }
        closed
    }

    fn failed(
        &mut self,
        index: usize,
        error: &Error,
        fault: Option<Fault>,
        reference: &mut Reference,
    ) -> Result<(), String> {
        let fault = fault.ok_or_else(|| format!("{error} without a fault"))?;
        self.failures += 1;
        let was_poisoned = self.poisoned;
        if step(index) != Step::Reopen {
            self.poisoned |= error.is_poisoned();
        }
        expect(!was_poisoned || error.is_poisoned(), || format!("{error} after the writer was poisoned"))?;
        if fault.kind == FaultKind::NoSpace {
            let can_be = error.is_no_space() || error.is_poisoned();
            expect(can_be, || format!("{error} on a full disk"))?;
        }
        if self.poisoned && !was_poisoned {
            self.unknown = Some(index);
        }
        // Reads go on, and see what was acknowledged.
        same(self.db(), reference.after(&self.done)).map_err(|what| format!("after {error}: {what}"))
    }

    /// The histories that may be found when the database is opened again.
    fn allowed(&self, reference: &mut Reference) -> Vec<Contents> {
        let mut allowed = vec![reference.after(&self.done).clone()];
        if let Some(unknown) = self.unknown {
            // It is the last one that could be done: all later ones were refused.
            let place = self.done.partition_point(|&step| step < unknown);
            let mut steps = self.done.clone();
            steps.insert(place, unknown);
            allowed.push(reference.after(&steps).clone());
        }
        allowed
    }

    /// The same when the power went before.
    fn allowed_after_power_loss(&self, reference: &mut Reference) -> Vec<Contents> {
        let mut allowed = self.allowed(reference);
        if self.durability != Durability::Immediate {
            let durable =
                self.done.iter().rposition(|&index| step(index).is_barrier()).map_or(0, |barrier| barrier + 1);
            allowed.extend((durable..self.done.len()).map(|count| reference.after(&self.done[..count]).clone()));
        }
        allowed
    }

    /// With room again: the handle works or is poisoned; opened again, all is there, also if the power went meanwhile.
    fn finish(mut self, reference: &mut Reference, random: &mut Random) -> Result<Self, String> {
        self.disk.set_fault(None);
        match step(PROBE).run(self.db()) {
            Ok(()) if self.poisoned => return Err("a poisoned writer writes".to_owned()),
            Ok(()) => self.done.push(PROBE),
            Err(error) => expect(self.poisoned && error.is_poisoned(), || format!("the probe: {error}"))?,
        }
        same(self.db(), reference.after(&self.done))?;
        let allowed = self.allowed_after_power_loss(reference);
        let lost = Survival::ALL.map(|survival| (survival, self.disk.after_power_loss(survival, random)));
        for (survival, disk) in lost {
            Self::opens(&disk, &allowed).map_err(|what| format!("power lost ({survival:?}): {what}"))?;
        }
        self.db = None;
        // What is found when it is opened again, and committed then, is durable: also what a failed sync gave up.
        let db = open(&self.disk, Durability::Immediate).map_err(|error| format!("opening again: {error}"))?;
        step(PROBE).run(&db).map_err(|error| format!("the probe, opened again: {error}"))?;
        let found = contents(&db).map_err(|error| error.to_string())?;
        let disk = self.disk.after_power_loss(Survival::Nothing, random);
        Self::opens(&disk, &[found]).map_err(|what| format!("power lost after opening again: {what}"))?;
        drop(db);
        self.done.push(PROBE);
        Self::opens(&self.disk, &self.allowed(reference)).map_err(|what| format!("opened again: {what}"))?;
        Ok(self)
    }

    fn opens(disk: &Disk, allowed: &[Contents]) -> Result<(), String> {
        for _ in 0..2 {
            let db = open(disk, Durability::Immediate).map_err(|error| error.to_string())?;
            let found = contents(&db).map_err(|error| error.to_string())?;
            expect(allowed.contains(&found), || format!("{found:?} is none of {allowed:?}"))?;
            let report = db.verify().map_err(|error| error.to_string())?;
            expect(report.is_sound(), || format!("{:?}", report.problems))?;
            db.close().map_err(|error| error.to_string())?;
        }
        Ok(())
    }
}

fn fail_everywhere(durability: Durability, kind: FaultKind) {
    let mut reference = Reference::default();
    let whole = Run::through(durability, None, &mut reference).unwrap();
    let operations = whole.disk.operations();
    let patches = whole.db().stats().unwrap().patches;
    assert!(patches < 5, "the script merges no patches: there are {patches}");
    drop(whole);
    let (mut runs, mut failures, mut poisoned, mut wrong) = (0u64, 0, 0, Vec::new());
    for count in [1, 3, u64::MAX] {
        for from in 0..operations {
            let fault = Fault { from, count, kind };
            let mut random = Random::new(from ^ (count << 40));
            let run = Run::through(durability, Some(fault), &mut reference);
            let run = run.and_then(|run| run.finish(&mut reference, &mut random));
            runs += 1;
            match run {
                Ok(run) => {
                    failures += run.failures;
                    poisoned += u64::from(run.poisoned);
                }
                Err(what) => wrong.push(format!("{fault:?}: {what}")),
            }
        }
    }
    println!(
        "{kind:?}, {durability:?}: {runs} runs of {operations} operations, {failures} failed calls, {poisoned} poisoned writers, {} wrong",
        wrong.len()
    );
    assert!(failures > 0);
    assert!(wrong.is_empty(), "{:#?}", &wrong[..wrong.len().min(10)]);
    // What needs space can be undone.
    assert_eq!(poisoned == 0, kind == FaultKind::NoSpace);
}

#[test]
fn a_full_disk_undoes_the_write_and_the_handle_works_again_once_there_is_room() {
    fail_everywhere(Durability::Immediate, FaultKind::NoSpace);
    fail_everywhere(Durability::Eventual, FaultKind::NoSpace);
}

#[test]
fn a_broken_disk_loses_nothing_that_was_acknowledged() {
    fail_everywhere(Durability::Immediate, FaultKind::Broken);
    fail_everywhere(Durability::Eventual, FaultKind::Broken);
}
