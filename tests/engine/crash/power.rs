//! The power goes at every operation of a workload, and again while the database is being recovered.

use super::disk::{Disk, Fault, FaultKind, Survival};
use super::script::{PROBE, Reference, SCRIPT, Step, contents, create, open, step};
use crate::support::environment;
use crate::support::random::Random;
use vector_datalib::{Durability, VectorDb};

/// A workload that the power ended.
struct Ended {
    disk: Disk,
    /// Steps that returned.
    done: usize,
    /// Steps that are durable for certain.
    durable: usize,
    /// Whether the power went at all.
    off: bool,
}

fn run_until(operation: u64, durability: Durability) -> Ended {
    let disk = Disk::default();
    let mut db: Option<VectorDb> = Some(create(&disk, durability).unwrap());
    disk.set_fault(Some(Fault { from: operation, count: 1, kind: FaultKind::PowerLoss }));
    let (mut done, mut durable) = (0, 0);
    for &step in SCRIPT {
        let result = match step {
            Step::Reopen => {
                let closed = db.take().unwrap().close();
                closed.and_then(|()| open(&disk, durability)).map(|opened| db = Some(opened))
            }
            step => step.run(db.as_ref().unwrap()),
        };
        if result.is_err() {
            drop(db);
            return Ended { disk, done, durable, off: true };
        }
        done += 1;
        if step.is_barrier() || durability == Durability::Immediate {
            durable = done;
        }
    }
    Ended { disk, done, durable, off: false }
}

#[derive(Default)]
struct Count {
    images: u64,
    again: u64,
    wrong: Vec<String>,
}

/// Opens what is left and finds it to be one of the allowed histories, which is returned.
fn recover(disk: &Disk, allowed: &[Vec<usize>], reference: &mut Reference) -> Result<(VectorDb, Vec<usize>), String> {
    let db = open(disk, Durability::Immediate).map_err(|error| format!("does not open: {error}"))?;
    let found = contents(&db).map_err(|error| format!("cannot be read: {error}"))?;
    let Some(history) = allowed.iter().find(|steps| *reference.after(steps) == found) else {
        return Err(format!("a state that is none of those after {:?}: {found:?}", allowed.iter().map(Vec::len)));
    };
    let report = db.verify().map_err(|error| error.to_string())?;
    if report.is_sound() { Ok((db, history.clone())) } else { Err(format!("not sound: {:?}", report.problems)) }
}

/// Recovers, sees that a commit is kept, then does the same with the power going at an operation of that.
fn check(
    ended: &Ended,
    survival: Survival,
    random: &mut Random,
    reference: &mut Reference,
    count: &mut Count,
) -> Result<(), String> {
    let until = (ended.done + usize::from(ended.off)).min(SCRIPT.len());
    let allowed: Vec<Vec<usize>> = (ended.durable..=until).map(|steps| (0..steps).collect()).collect();
    let image = ended.disk.after_power_loss(survival, random);
    let again = image.after_power_loss(Survival::Nothing, random);
    count.images += 1;

    let (db, mut history) = recover(&image, &allowed, reference)?;
    step(PROBE).run(&db).map_err(|error| format!("the probe: {error}"))?;
    history.push(PROBE);
    let operations = image.operations();
    // The power goes: the handle is not closed.
    let after = image.after_power_loss(Survival::ALL[random.below(4)], random);
    recover(&after, &[history], reference).map_err(|reason| format!("after a commit upon recovery: {reason}"))?;

    let mut with_probe: Vec<Vec<usize>> = allowed.clone();
    with_probe.extend(allowed.iter().map(|steps| steps.iter().copied().chain([PROBE]).collect()));
    for _ in 0..2 {
        let twice = again.after_power_loss(Survival::Nothing, random);
        twice.set_fault(Some(Fault {
            from: random.below(operations as usize + 1) as u64,
            count: 1,
            kind: FaultKind::PowerLoss,
        }));
        let probed = open(&twice, Durability::Immediate).and_then(|db| step(PROBE).run(&db).and_then(|()| db.close()));
        let allowed = if probed.is_ok() { &with_probe[allowed.len()..] } else { &with_probe[..] };
        let survival = Survival::ALL[random.below(4)];
        let left = twice.after_power_loss(survival, random);
        count.again += 1;
        recover(&left, allowed, reference).map_err(|reason| format!("after a second loss ({survival:?}): {reason}"))?;
    }
    Ok(())
}

fn lose_power_everywhere(durability: Durability) {
    let seed: u64 = environment("POWER_SEED").unwrap_or(1);
    let rounds: u64 = environment("POWER_ROUNDS").unwrap_or(2);
    let (mut count, mut reference) = (Count::default(), Reference::default());
    let mut operations = 0;
    loop {
        let ended = run_until(operations, durability);
        for round in 0..rounds {
            for survival in Survival::ALL {
                let seed = seed ^ (operations << 32) ^ (round << 8) ^ survival as u64;
                let result = check(&ended, survival, &mut Random::new(seed), &mut reference, &mut count);
                if let Err(reason) = result {
                    let done = ended.done;
                    count.wrong.push(format!(
                        "operation {operations}, {done} steps done, {survival:?}, seed {seed}: {reason}"
                    ));
                }
            }
        }
        if !ended.off {
            break;
        }
        operations += 1;
    }
    let Count { images, again, wrong } = &count;
    println!(
        "{durability:?}: power lost at each of {operations} operations: {images} disks recovered, {again} with a second loss, \
         {} wrong (seed {seed})",
        wrong.len()
    );
    assert!(operations > 200, "{operations}");
    assert!(wrong.is_empty(), "{:#?}", &wrong[..wrong.len().min(10)]);
}

#[test]
fn power_lost_at_any_operation_keeps_every_acknowledged_commit() {
    lose_power_everywhere(Durability::Immediate);
}

#[test]
fn power_lost_under_eventual_durability_keeps_a_prefix_from_the_last_checkpoint_on() {
    lose_power_everywhere(Durability::Eventual);
}
