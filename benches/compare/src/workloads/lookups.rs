//! Lookups of one attribute by key. The loops are the same code for every engine: a key goes in, and what comes out is folded into a
//! checksum, which is compared with that of the records as they were made up.

use super::{Context, Figure};
use crate::engine::{Engine, Outcome, Reader, fold_text};
use crate::records::{Key, Records, Shuffle, below, mix};
use crate::zipf::Zipf;
use std::collections::HashSet;
use std::fmt;
use std::time::{Duration, Instant};

/// Keys of a batch.
const GROUP: usize = 64;

/// Of so many records, one is looked up before measuring. So every page of every file is touched, as each holds far more of them.
const WARM_STRIDE: u64 = 8;

/// What is looked up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Attribute {
    Score,
    Age,
    City,
    Name,
    /// The name, whose attribute is given by name in each lookup.
    NameByName,
    /// All four of them.
    Point,
    /// The score of a key that is not there.
    Missing,
}

/// How lookups follow each other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Pattern {
    /// All keys are known before, in random order; the processor may work on several lookups at a time.
    Independent,
    /// Each key follows from the last value that was read.
    Dependent,
    /// Keys come in groups of 64.
    Batched,
    /// As independent ones, but few keys come often.
    Zipfian,
}

impl Attribute {
    /// What reading it adds to a checksum.
    pub(super) fn expected(self, records: Records, number: u64) -> u64 {
        match self {
            Self::Score => records.score(number).to_bits(),
            Self::Age => records.age(number).into(),
            Self::City => fold_text(records.city(number).as_bytes()),
            Self::Name | Self::NameByName => fold_text(records.name(number).as_bytes()),
            Self::Point => records.fold_point(number),
            Self::Missing => 0,
        }
    }
}

/// One attribute, known at compile time, so that loops have no choices in them.
trait Read {
    const ATTRIBUTE: Attribute;

    /// The key that is looked up.
    #[inline]
    fn key<K: Key>(number: u64) -> K {
        K::of(number)
    }

    fn read<K: Key>(reader: &impl Reader<K>, key: &K) -> Outcome<Option<u64>>;

    /// Reads those of a group of keys, and adds them up.
    fn read_group<K: Key>(reader: &impl Reader<K>, keys: &[K]) -> Outcome<u64> {
        keys.iter().try_fold(0u64, |sum, key| Ok(sum.wrapping_add(Self::read(reader, key)?.unwrap_or_default())))
    }
}

struct ReadScore;

impl Read for ReadScore {
    const ATTRIBUTE: Attribute = Attribute::Score;

    #[inline]
    fn read<K: Key>(reader: &impl Reader<K>, key: &K) -> Outcome<Option<u64>> {
        Ok(reader.score(key)?.map(f64::to_bits))
    }

    #[inline]
    fn read_group<K: Key>(reader: &impl Reader<K>, keys: &[K]) -> Outcome<u64> {
        let mut sum = 0u64;
        reader.scores(keys, |score| sum = sum.wrapping_add(score.map_or(0, f64::to_bits)))?;
        Ok(sum)
    }
}

struct ReadAge;

impl Read for ReadAge {
    const ATTRIBUTE: Attribute = Attribute::Age;

    #[inline]
    fn read<K: Key>(reader: &impl Reader<K>, key: &K) -> Outcome<Option<u64>> {
        reader.age(key)
    }
}

struct ReadCity;

impl Read for ReadCity {
    const ATTRIBUTE: Attribute = Attribute::City;

    #[inline]
    fn read<K: Key>(reader: &impl Reader<K>, key: &K) -> Outcome<Option<u64>> {
        reader.city(key, fold_text)
    }
}

struct ReadName;

impl Read for ReadName {
    const ATTRIBUTE: Attribute = Attribute::Name;

    #[inline]
    fn read<K: Key>(reader: &impl Reader<K>, key: &K) -> Outcome<Option<u64>> {
        reader.name(key, fold_text)
    }

    #[inline]
    fn read_group<K: Key>(reader: &impl Reader<K>, keys: &[K]) -> Outcome<u64> {
        let mut sum = 0u64;
        reader.names(keys, |name| sum = sum.wrapping_add(name.map_or(0, fold_text)))?;
        Ok(sum)
    }
}

struct ReadNameByName;

impl Read for ReadNameByName {
    const ATTRIBUTE: Attribute = Attribute::NameByName;

    #[inline]
    fn read<K: Key>(reader: &impl Reader<K>, key: &K) -> Outcome<Option<u64>> {
        reader.name_by_name(key, fold_text)
    }
}

struct ReadPoint;

impl Read for ReadPoint {
    const ATTRIBUTE: Attribute = Attribute::Point;

    #[inline]
    fn read<K: Key>(reader: &impl Reader<K>, key: &K) -> Outcome<Option<u64>> {
        reader.point(key)
    }
}

struct ReadMissing;

impl Read for ReadMissing {
    const ATTRIBUTE: Attribute = Attribute::Missing;

    #[inline]
    fn key<K: Key>(number: u64) -> K {
        K::missing(number)
    }

    #[inline]
    fn read<K: Key>(reader: &impl Reader<K>, key: &K) -> Outcome<Option<u64>> {
        // A key that is found makes the checksum wrong: the bits of a score are never 0 but for one record.
        Ok(Some(reader.score(key)?.map_or(0, |score| score.to_bits() | 1)))
    }

    #[inline]
    fn read_group<K: Key>(reader: &impl Reader<K>, keys: &[K]) -> Outcome<u64> {
        let mut sum = 0u64;
        reader.scores(keys, |score| sum = sum.wrapping_add(score.map_or(0, |score| score.to_bits() | 1)))?;
        Ok(sum)
    }
}

/// An error unless what was read is what should have been.
pub(super) fn check<T: PartialEq + fmt::Debug>(read: T, expected: T) -> Outcome<()> {
    if read == expected {
        return Ok(());
    }
    Err(format!("wrong answers: their checksum is {read:?} instead of {expected:?}").into())
}

/// Nanoseconds for each lookup.
pub(super) fn run<K: Key, E: Engine<K>>(
    context: &Context,
    attribute: Attribute,
    pattern: Pattern,
) -> Outcome<Vec<Figure>> {
    let engine: &'static E = Box::leak(Box::new(E::open(&context.path, context.records, context.order)?));
    let nanoseconds = time::<K, _>(&engine.reader()?, context.records, context.setting.lookups, attribute, pattern)?;
    Ok(vec![Figure::new("ns", nanoseconds)])
}

/// Nanoseconds for each lookup, everything having been touched before.
pub(super) fn time<K: Key, R: Reader<K>>(
    reader: &R,
    records: Records,
    lookups: u64,
    attribute: Attribute,
    pattern: Pattern,
) -> Outcome<f64> {
    match attribute {
        Attribute::Score => measure::<ReadScore, K>(reader, records, lookups, pattern),
        Attribute::Age => measure::<ReadAge, K>(reader, records, lookups, pattern),
        Attribute::City => measure::<ReadCity, K>(reader, records, lookups, pattern),
        Attribute::Name => measure::<ReadName, K>(reader, records, lookups, pattern),
        Attribute::NameByName => measure::<ReadNameByName, K>(reader, records, lookups, pattern),
        Attribute::Point => measure::<ReadPoint, K>(reader, records, lookups, pattern),
        Attribute::Missing => measure::<ReadMissing, K>(reader, records, lookups, pattern),
    }
}

fn measure<A: Read, K: Key>(reader: &impl Reader<K>, records: Records, lookups: u64, pattern: Pattern) -> Outcome<f64> {
    warm::<A, K>(reader, records)?;
    // A few of the same kind before, and then those that count.
    let seeds = [(1, lookups / 8), (2, lookups)];
    let mut nanoseconds = 0.0;
    match pattern {
        Pattern::Dependent => {
            for (seed, lookups) in seeds {
                nanoseconds = dependent::<A, K>(reader, records, lookups, seed)?;
            }
        }
        Pattern::Independent | Pattern::Batched => {
            for (seed, lookups) in seeds {
                let numbers: Vec<u64> = numbers(records, lookups, seed).collect();
                nanoseconds = many::<A, K>(reader, records, &numbers, pattern == Pattern::Batched)?;
            }
        }
        Pattern::Zipfian => {
            let (zipf, shuffle) = (Zipf::new(records.count), Shuffle::new(records.count));
            for (seed, lookups) in seeds {
                let random = (0..lookups).map(|lookup| mix(lookup ^ seed << 48));
                let numbers: Vec<u64> = random.map(|random| shuffle.place(zipf.rank(random))).collect();
                nanoseconds = many::<A, K>(reader, records, &numbers, false)?;
            }
        }
    }
    Ok(nanoseconds)
}

/// Touches what lookups need: every eighth record, in the order of keys.
fn warm<A: Read, K: Key>(reader: &impl Reader<K>, records: Records) -> Outcome<()> {
    let (mut sum, mut expected) = (0u64, 0u64);
    for number in (0..records.count).step_by(WARM_STRIDE as usize) {
        sum = sum.wrapping_add(A::read(reader, &A::key(number))?.unwrap_or_default());
        expected = expected.wrapping_add(A::ATTRIBUTE.expected(records, number));
    }
    check(sum, expected)
}

/// Touches what lookups of names need.
pub(super) fn warm_names<K: Key>(reader: &impl Reader<K>, records: Records) -> Outcome<()> {
    warm::<ReadName, K>(reader, records)
}

/// Touches what lookups of whole records need.
pub(super) fn warm_points<K: Key>(reader: &impl Reader<K>, records: Records) -> Outcome<()> {
    warm::<ReadPoint, K>(reader, records)
}

/// The numbers of so many records, or of all if there are fewer, at random and none twice.
pub(super) fn distinct(records: Records, count: u64, seed: u64) -> Vec<u64> {
    let mut seen = HashSet::new();
    let new = numbers(records, u64::MAX, seed).filter(|&number| seen.insert(number));
    new.take(count.min(records.count) as usize).collect()
}

/// The numbers of the records that are looked up, at random.
pub(super) fn numbers(records: Records, lookups: u64, seed: u64) -> impl Iterator<Item = u64> {
    (0..lookups).map(move |lookup| below(mix(lookup ^ seed << 48), records.count))
}

/// Nanoseconds for each of many lookups whose keys are known, one by one or in groups.
fn many<A: Read, K: Key>(reader: &impl Reader<K>, records: Records, numbers: &[u64], batched: bool) -> Outcome<f64> {
    let keys: Vec<K> = numbers.iter().map(|&number| A::key(number)).collect();
    let (sum, elapsed) = if batched { groups::<A, K>(reader, &keys)? } else { one_by_one::<A, K>(reader, &keys)? };
    let expected = |sum: u64, &number: &u64| sum.wrapping_add(A::ATTRIBUTE.expected(records, number));
    check(sum, numbers.iter().fold(0, expected))?;
    Ok(elapsed.as_nanos() as f64 / keys.len().max(1) as f64)
}

fn one_by_one<A: Read, K: Key>(reader: &impl Reader<K>, keys: &[K]) -> Outcome<(u64, Duration)> {
    let mut sum = 0u64;
    let start = Instant::now();
    for key in keys {
        sum = sum.wrapping_add(A::read(reader, key)?.unwrap_or_default());
    }
    Ok((sum, start.elapsed()))
}

fn groups<A: Read, K: Key>(reader: &impl Reader<K>, keys: &[K]) -> Outcome<(u64, Duration)> {
    let mut sum = 0u64;
    let start = Instant::now();
    for group in keys.chunks(GROUP) {
        sum = sum.wrapping_add(A::read_group(reader, group)?);
    }
    Ok((sum, start.elapsed()))
}

/// The record that is looked up after one whose value was read. The value decides, so the processor cannot go ahead; the counter keeps
/// the chain from coming round.
#[inline]
fn next(value: u64, lookup: u64, records: Records) -> u64 {
    below(mix(value ^ lookup), records.count)
}

fn dependent<A: Read, K: Key>(reader: &impl Reader<K>, records: Records, lookups: u64, seed: u64) -> Outcome<f64> {
    let first = next(0, seed << 48, records);
    let mut number = first;
    let mut sum = 0u64;
    let start = Instant::now();
    for lookup in 0..lookups {
        let value = A::read(reader, &A::key(number))?.unwrap_or_default();
        sum = sum.wrapping_add(value);
        number = next(value, lookup, records);
    }
    let elapsed = start.elapsed();
    let mut expected = 0u64;
    number = first;
    for lookup in 0..lookups {
        let value = A::ATTRIBUTE.expected(records, number);
        expected = expected.wrapping_add(value);
        number = next(value, lookup, records);
    }
    check(sum, expected)?;
    Ok(elapsed.as_nanos() as f64 / lookups.max(1) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distinct_records_are_as_many_as_there_are_up_to_a_bound() {
        for count in [1, 100, 50_000] {
            let records = Records::new(count);
            let found = distinct(records, 1000, 1);
            assert_eq!(found.len() as u64, count.min(1000));
            assert!(found.iter().all(|&number| number < count));
            assert_eq!(found.iter().collect::<HashSet<_>>().len(), found.len());
        }
    }
}
