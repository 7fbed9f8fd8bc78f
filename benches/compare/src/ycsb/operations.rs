//! What the core workloads of YCSB do, one operation after the other, and what the answers have to be.
//!
//! Cooper, Silberstein, Tam, Ramakrishnan, Sears: Benchmarking cloud serving systems with YCSB (2010), section 4 and table 2; what the
//! paper leaves open is as in the program of the same name.

use super::records::{FIELDS, Key, append, field, fold_field, fold_fields, hash};
use crate::records::{below, mix};
use crate::zipf::Zipf;
use hashbrown::HashMap;

/// Popular records are drawn from so many ranks, however many records there are, and scattered by a hash, as YCSB does it.
const RANKS: u64 = 10_000_000_000;

/// A core workload.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Mix {
    /// Half reads, half updates.
    A,
    /// 95 percent reads, 5 percent updates.
    B,
    /// Reads only.
    C,
    /// 95 percent reads, most of them of records that were inserted of late; 5 percent inserts.
    D,
    /// Half reads, half reads of a record of which a field is updated then.
    F,
}

impl Mix {
    /// Reads in 100 operations.
    const fn reads(self) -> u64 {
        match self {
            Self::A | Self::F => 50,
            Self::B | Self::D => 95,
            Self::C => 100,
        }
    }

    /// What the other operations do.
    const fn other(self) -> Action {
        match self {
            Self::A | Self::B | Self::C => Action::Update,
            Self::D => Action::Insert,
            Self::F => Action::ReadModifyWrite,
        }
    }
}

/// What an operation does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Action {
    /// Reads all fields of a record.
    Read,
    /// Writes a field of a record.
    Update,
    /// Adds a record.
    Insert,
    /// Reads all fields of a record, then writes one.
    ReadModifyWrite,
}

/// An operation.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Operation {
    /// What it does.
    pub(crate) action: Action,
    /// The number of the record.
    pub(crate) number: u64,
    /// The key of the record.
    pub(crate) key: Key,
    /// The field that it writes, if it writes one.
    pub(crate) field: usize,
    /// The version of the field that it writes.
    pub(crate) version: u64,
}

/// The operations of a workload, without an end. They are the same each time.
#[derive(Clone, Debug)]
pub(crate) struct Operations {
    mix: Mix,
    /// Records so far.
    count: u64,
    /// Operations so far.
    done: u64,
    zipf: Zipf,
}

impl Operations {
    /// Those on a database of so many records.
    pub(crate) fn new(mix: Mix, count: u64) -> Self {
        Self { mix, count, done: 0, zipf: Zipf::new(if mix == Mix::D { count } else { RANKS }) }
    }

    /// The number of the record that is to be read or updated.
    fn choose(&self, random: u64) -> u64 {
        let rank = self.zipf.rank(random);
        match self.mix {
            Mix::D => self.count - 1 - rank,
            _ => hash(rank) % self.count,
        }
    }
}

impl Iterator for Operations {
    type Item = Operation;

    fn next(&mut self) -> Option<Operation> {
        let random = |purpose: u64| mix(mix(self.done ^ 0x7C5B << 48) ^ purpose);
        let action = if below(random(0), 100) < self.mix.reads() { Action::Read } else { self.mix.other() };
        let number = if action == Action::Insert { self.count } else { self.choose(random(1)) };
        let field = below(random(2), FIELDS as u64) as usize;
        self.done += 1;
        if action == Action::Insert {
            self.count += 1;
            self.zipf.grow(self.count);
        }
        Some(Operation { action, number, key: Key::of(number), field, version: self.done })
    }
}

/// What the records have to be after operations.
#[derive(Default, Debug)]
pub(crate) struct Model {
    /// What reading each field gives, of the records that operations came to.
    folds: HashMap<u64, [u64; FIELDS]>,
}

impl Model {
    /// What reading the record of an operation has to give before the operation, if it reads; and does the operation.
    pub(crate) fn apply(&mut self, operation: &Operation) -> Option<u64> {
        let number = operation.number;
        let folds = self
            .folds
            .entry(number)
            .or_insert_with(|| std::array::from_fn(|index| fold_field(&field(number, index, 0))));
        let reads = matches!(operation.action, Action::Read | Action::ReadModifyWrite);
        let read = reads.then(|| fold_fields(*folds));
        if matches!(operation.action, Action::Update | Action::ReadModifyWrite) {
            folds[operation.field] = fold_field(&field(number, operation.field, operation.version));
        }
        read
    }

    /// The checksum of all that operations read.
    pub(crate) fn apply_all(&mut self, operations: impl Iterator<Item = Operation>) -> u64 {
        operations.filter_map(|operation| self.apply(&operation)).fold(0, append)
    }

    /// The numbers of records that operations came to, with what reading them has to give.
    pub(crate) fn records(&self) -> impl Iterator<Item = (u64, u64)> {
        self.folds.iter().map(|(&number, &folds)| (number, fold_fields(folds)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ycsb::records::fields;
    use std::collections::HashMap;

    const DRAWS: usize = 50_000;

    #[test]
    fn each_workload_has_the_operations_that_the_paper_says() {
        for (mix, reads, other) in [
            (Mix::A, 0.5, Action::Update),
            (Mix::B, 0.95, Action::Update),
            (Mix::C, 1.0, Action::Update),
            (Mix::D, 0.95, Action::Insert),
            (Mix::F, 0.5, Action::ReadModifyWrite),
        ] {
            let operations: Vec<_> = Operations::new(mix, 1000).take(DRAWS).collect();
            let read = operations.iter().filter(|operation| operation.action == Action::Read).count();
            assert!((read as f64 / DRAWS as f64 - reads).abs() < 0.01, "{mix:?}: {read} reads");
            assert!(operations.iter().all(|operation| [Action::Read, other].contains(&operation.action)));
            let mut of_field = [0; FIELDS];
            operations.iter().for_each(|operation| of_field[operation.field] += 1);
            assert!(of_field.iter().all(|&count| (4500..5500).contains(&count)), "{of_field:?}");
            assert!(operations.iter().all(|operation| operation.key == Key::of(operation.number)));
        }
    }

    #[test]
    fn the_same_operations_come_each_time() {
        for mix in [Mix::A, Mix::D] {
            let twice = [0; 2].map(|_| Operations::new(mix, 100).take(1000).collect::<Vec<_>>());
            assert_eq!(twice[0], twice[1]);
        }
    }

    #[test]
    fn popular_records_are_scattered_and_come_as_often_as_their_ranks() {
        let mut counts: HashMap<u64, usize> = HashMap::new();
        for operation in Operations::new(Mix::C, 1_000_000).take(DRAWS) {
            assert!(operation.number < 1_000_000);
            *counts.entry(operation.number).or_default() += 1;
        }
        // The weights of the first ranks, 1 and 1 / 2^0.99, of 26.469 in all.
        for (rank, weight) in [(0, 1.0), (1, 0.5035)] {
            let (count, expected) = (counts[&(hash(rank) % 1_000_000)], weight / 26.469 * DRAWS as f64);
            assert!((count as f64 - expected).abs() < expected * 0.1, "rank {rank}: {count}, not {expected}");
        }
    }

    #[test]
    fn records_that_were_inserted_last_are_read_most() {
        let weight = |rank: u64| (rank as f64).powf(-0.99);
        let (mut count, mut total) = (1000, (1..=1000).map(weight).sum::<f64>());
        let (mut expected, mut newest, mut oldest) = (0.0, 0.0, u64::MAX);
        for operation in Operations::new(Mix::D, 1000).take(DRAWS) {
            if operation.action == Action::Insert {
                assert_eq!(operation.number, count);
                count += 1;
                total += weight(count);
            } else {
                expected += 1.0 / total;
                newest += f64::from(operation.number == count - 1);
                oldest = oldest.min(operation.number);
            }
        }
        assert!((newest - expected).abs() < expected * 0.04, "the newest is read {newest} times, not {expected}");
        assert!(oldest < 100, "{oldest}");
    }

    #[test]
    fn answers_are_those_of_the_last_update() {
        let operation = |action, field, version| Operation { action, number: 7, key: Key::of(7), field, version };
        let mut expected = fields(7);
        let fold = |record: &super::super::records::Fields| Some(fold_fields(record.iter().map(|f| fold_field(f))));
        let mut model = Model::default();
        assert_eq!(model.apply(&operation(Action::Read, 0, 1)), fold(&expected));
        assert_eq!(model.apply(&operation(Action::Update, 3, 2)), None);
        expected[3] = field(7, 3, 2);
        assert_eq!(model.apply(&operation(Action::ReadModifyWrite, 3, 3)), fold(&expected));
        expected[3] = field(7, 3, 3);
        assert_eq!(model.apply(&operation(Action::Read, 3, 4)), fold(&expected));
        assert_eq!(model.records().collect::<Vec<_>>(), [(7, fold(&expected).unwrap())]);
    }
}
