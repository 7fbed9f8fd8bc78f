//! A hash table in memory and a vector for each attribute: what a program without an engine would do.

use crate::engine::{CityCounts, Engine, Outcome, Reader, Unsupported, fold_text};
use crate::records::{CITIES, Key, Order, Records, city};
use crate::wide::Shape;
use hashbrown::HashMap;
use std::hash::Hash;
use std::path::Path;

/// The attributes by position.
#[derive(Debug)]
pub(crate) struct Columns {
    ages: Vec<u8>,
    cities: Vec<u16>,
    city_names: Vec<String>,
    scores: Vec<f64>,
    /// All names, one behind the other.
    names: String,
    /// Where each name starts, and the last one ends.
    name_starts: Vec<u64>,
}

impl Columns {
    /// Those of the records, each at the position of its number in the order.
    pub(crate) fn new(records: Records, order: Order) -> Self {
        let capacity = records.count as usize;
        let mut columns = Self {
            ages: Vec::with_capacity(capacity),
            cities: Vec::with_capacity(capacity),
            city_names: (0..CITIES).map(|number| city(number).to_string()).collect(),
            scores: Vec::with_capacity(capacity),
            names: String::with_capacity(capacity * 18),
            name_starts: Vec::with_capacity(capacity + 1),
        };
        columns.name_starts.push(0);
        for number in order.numbers(records.count) {
            columns.ages.push(records.age(number));
            columns.cities.push(records.city_number(number) as u16);
            columns.scores.push(records.score(number));
            columns.names.push_str(&records.name(number));
            columns.name_starts.push(columns.names.len() as u64);
        }
        columns
    }

    /// The score at a position.
    #[inline]
    pub(crate) fn score(&self, position: u32) -> f64 {
        self.scores[position as usize]
    }

    /// Where the score of a position is.
    #[inline]
    pub(crate) fn score_ref(&self, position: u32) -> &f64 {
        &self.scores[position as usize]
    }

    /// Where it is kept where the name of a position starts.
    #[inline]
    pub(crate) fn name_start_ref(&self, position: u32) -> &u64 {
        &self.name_starts[position as usize]
    }

    /// The age at a position.
    #[inline]
    pub(crate) fn age(&self, position: u32) -> u64 {
        self.ages[position as usize].into()
    }

    /// The sum of the scores, in eight sums side by side, so that no addition waits for the one before.
    pub(crate) fn sum(&self) -> f64 {
        let mut sums = [0.0; 8];
        let (groups, rest) = self.scores.as_chunks::<8>();
        for group in groups {
            sums.iter_mut().zip(group).for_each(|(sum, score)| *sum += score);
        }
        sums.iter().chain(rest).sum()
    }

    /// How many records have each city.
    pub(crate) fn city_counts(&self) -> CityCounts {
        let mut counts = vec![0; self.city_names.len()];
        for &city in &self.cities {
            counts[usize::from(city)] += 1;
        }
        let all = self.city_names.iter().map(|name| name.clone().into_bytes()).zip(counts);
        all.filter(|&(_, count)| count > 0).collect()
    }

    /// All attributes at a position, as [`Record::fold`](crate::records::Record::fold) has them.
    #[inline]
    pub(crate) fn point(&self, position: u32) -> u64 {
        let numbers = self.score(position).to_bits() ^ self.age(position);
        numbers ^ fold_text(self.city(position)) ^ fold_text(self.name(position))
    }

    /// The city at a position.
    #[inline]
    pub(crate) fn city(&self, position: u32) -> &[u8] {
        self.city_names[usize::from(self.cities[position as usize])].as_bytes()
    }

    /// The name at a position.
    #[inline]
    pub(crate) fn name(&self, position: u32) -> &[u8] {
        let position = position as usize;
        &self.names.as_bytes()[self.name_starts[position] as usize..self.name_starts[position + 1] as usize]
    }
}

/// A table from key to position, with hashbrown's default hash, and the columns.
pub(crate) struct Hashbrown<K> {
    positions: HashMap<K, u32>,
    columns: Columns,
}

impl<K: Key + Eq + Hash> Engine<K> for Hashbrown<K> {
    type Reader = &'static Self;

    const IN_MEMORY: bool = true;
    const ONLY_READ: Option<&'static str> = Some("nothing that it keeps is durable");

    fn load(path: &Path, records: Records, order: Order) -> Outcome<()> {
        Self::open(path, records, order).map(drop)
    }

    fn open(_path: &Path, records: Records, order: Order) -> Outcome<Self> {
        if records.shape != Shape::Four {
            return Err(Unsupported("its columns are those of four attributes").into());
        }
        let mut positions = HashMap::with_capacity(records.count as usize);
        positions.extend(order.numbers(records.count).map(K::of).zip(0..));
        Ok(Self { positions, columns: Columns::new(records, order) })
    }

    fn reader(&'static self) -> Outcome<&'static Self> {
        Ok(self)
    }
}

impl<K: Key + Eq + Hash> Reader<K> for &'static Hashbrown<K> {
    #[inline]
    fn score(&self, key: &K) -> Outcome<Option<f64>> {
        Ok(self.positions.get(key).map(|&position| self.columns.score(position)))
    }

    #[inline]
    fn age(&self, key: &K) -> Outcome<Option<u64>> {
        Ok(self.positions.get(key).map(|&position| self.columns.age(position)))
    }

    #[inline]
    fn city<T>(&self, key: &K, see: impl FnOnce(&[u8]) -> T) -> Outcome<Option<T>> {
        Ok(self.positions.get(key).map(|&position| see(self.columns.city(position))))
    }

    #[inline]
    fn name<T>(&self, key: &K, see: impl FnOnce(&[u8]) -> T) -> Outcome<Option<T>> {
        Ok(self.positions.get(key).map(|&position| see(self.columns.name(position))))
    }

    #[inline]
    fn point(&self, key: &K) -> Outcome<Option<u64>> {
        Ok(self.positions.get(key).map(|&position| self.columns.point(position)))
    }

    fn sum(&self) -> Outcome<f64> {
        Ok(self.columns.sum())
    }

    fn city_counts(&self) -> Outcome<CityCounts> {
        Ok(self.columns.city_counts())
    }
}
