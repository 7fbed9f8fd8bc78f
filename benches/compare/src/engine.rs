//! What an engine has to do to be compared.

use crate::records::{Key, Order, Record, Records};
use crate::row;
use hashbrown::HashMap;
use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::path::Path;

/// Errors of engines and files, to be printed.
pub(crate) type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// Why an engine has no figure for a workload.
#[derive(Debug)]
pub(crate) struct Unsupported(pub(crate) &'static str);

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl Error for Unsupported {}

/// An engine for one kind of key.
pub(crate) trait Engine<K: Key>: Sized + Sync + 'static {
    /// Reads the database. Each thread takes one of its own.
    type Reader: Reader<K> + Copy + 'static;

    /// Whether the database is not on disk: [`open`](Self::open) then makes it.
    const IN_MEMORY: bool = false;

    /// Why nothing that changes the database is measured, if so.
    const ONLY_READ: Option<&'static str> = None;

    /// Makes a database of the records at a path where nothing is. When it returns, the database survives a loss of power.
    fn load(path: &Path, records: Records, order: Order) -> Outcome<()>;

    /// Opens what was loaded, for reading and writing.
    fn open(path: &Path, records: Records, order: Order) -> Outcome<Self>;

    /// What a program keeps to read many times: a snapshot or read transaction, and handles of tables or dimensions.
    ///
    /// A process measures one thing and ends, so nothing of an engine is ever dropped.
    fn reader(&'static self) -> Outcome<Self::Reader>;

    /// Puts records, given with the numbers of their keys, in place of those that are there, in one commit. When it returns, the commit
    /// survives a loss of power. Many threads call it at once.
    fn upsert(&'static self, _changes: &[(u64, Record)]) -> Outcome<()> {
        Err(Unsupported("it cannot be changed").into())
    }

    /// Writes down what was changed, apart from the log of commits.
    fn checkpoint(&'static self) -> Outcome<()> {
        Err(Unsupported("it has nothing of the kind, or not by itself").into())
    }

    /// Makes all files anew, in the form that is read fastest.
    fn compact(&'static self) -> Outcome<()> {
        Err(Unsupported("it has nothing of the kind, or not by itself").into())
    }

    /// An error unless the engine has changes apart from what was loaded, so that they make a difference to lookups.
    fn check_changes() -> Outcome<()> {
        Err(Unsupported("only vector keeps changes apart in tiers of known sizes").into())
    }

    /// Opens what was loaded, and changes what is changed: half of it in memory, half of it written down, nothing merged.
    fn open_changed(_path: &Path, _records: Records) -> Outcome<Self> {
        Err(Unsupported("only vector keeps changes apart in tiers of known sizes").into())
    }
}

/// How many records have each city.
pub(crate) type CityCounts = BTreeMap<Vec<u8>, u64>;

/// Reads by key. `Ok(None)` where there is no such key.
pub(crate) trait Reader<K: Key> {
    /// The score.
    fn score(&self, key: &K) -> Outcome<Option<f64>>;

    /// The age.
    fn age(&self, key: &K) -> Outcome<Option<u64>>;

    /// Lends the city.
    fn city<T>(&self, key: &K, see: impl FnOnce(&[u8]) -> T) -> Outcome<Option<T>>;

    /// Lends the name.
    fn name<T>(&self, key: &K, see: impl FnOnce(&[u8]) -> T) -> Outcome<Option<T>>;

    /// Reads all attributes, and gives what [`Record::fold`] does.
    fn point(&self, key: &K) -> Outcome<Option<u64>>;

    /// The sum of all scores, by reading them.
    fn sum(&self) -> Outcome<f64>;

    /// How many records have each city, by reading them.
    fn city_counts(&self) -> Outcome<CityCounts>;

    /// The sum of all scores, by reading them on several threads.
    fn sum_on(&self, _threads: usize) -> Outcome<f64> {
        Err(Unsupported("it scans on one thread").into())
    }

    /// How many records have each city, by reading them on several threads.
    fn city_counts_on(&self, _threads: usize) -> Outcome<CityCounts> {
        Err(Unsupported("it scans on one thread").into())
    }

    /// The same from counts that the engine keeps.
    fn kept_city_counts(&self) -> Outcome<CityCounts> {
        Err(Unsupported("it keeps no counts").into())
    }

    /// Lends the name, the attribute being named in each call.
    #[inline]
    fn name_by_name<T>(&self, _key: &K, _see: impl FnOnce(&[u8]) -> T) -> Outcome<Option<T>> {
        Err(Unsupported("its rows have no named attributes").into())
    }

    /// Reads all attributes of many keys, and adds up what [`point`](Self::point) gives.
    fn points(&self, keys: &[K]) -> Outcome<u64> {
        keys.iter().try_fold(0u64, |sum, key| Ok(sum.wrapping_add(self.point(key)?.unwrap_or_default())))
    }

    /// The scores of many keys, in their order.
    #[inline]
    fn scores(&self, keys: &[K], mut see: impl FnMut(Option<f64>)) -> Outcome<()> {
        keys.iter().try_for_each(|key| self.score(key).map(&mut see))
    }

    /// Lends the names of many keys, in the order of the keys.
    #[inline]
    fn names(&self, keys: &[K], mut see: impl FnMut(Option<&[u8]>)) -> Outcome<()> {
        keys.iter().try_for_each(|key| {
            if self.name(key, |name| see(Some(name)))?.is_none() {
                see(None);
            }
            Ok(())
        })
    }
}

/// Reads by key what a store of keys and values keeps: rows.
pub(crate) trait RowReader<K: Key> {
    /// Lends the row of a key.
    fn row<T>(&self, key: &K, see: impl FnOnce(&[u8]) -> T) -> Outcome<Option<T>>;

    /// Lends all rows.
    fn each_row(&self, see: impl FnMut(&[u8]) -> Outcome<()>) -> Outcome<()>;
}

/// A reader of attributes, made from a reader of rows.
#[derive(Clone, Copy)]
pub(crate) struct Rows<R>(pub(crate) R);

impl<K: Key, R: RowReader<K>> Reader<K> for Rows<R> {
    #[inline]
    fn score(&self, key: &K) -> Outcome<Option<f64>> {
        self.0.row(key, row::score)?.transpose()
    }

    #[inline]
    fn age(&self, key: &K) -> Outcome<Option<u64>> {
        self.0.row(key, row::age)?.transpose()
    }

    #[inline]
    fn city<T>(&self, key: &K, see: impl FnOnce(&[u8]) -> T) -> Outcome<Option<T>> {
        self.0.row(key, |row| row::city(row).map(see))?.transpose()
    }

    #[inline]
    fn name<T>(&self, key: &K, see: impl FnOnce(&[u8]) -> T) -> Outcome<Option<T>> {
        self.0.row(key, |row| row::name(row).map(see))?.transpose()
    }

    #[inline]
    fn point(&self, key: &K) -> Outcome<Option<u64>> {
        self.0.row(key, row::point)?.transpose()
    }

    fn sum(&self) -> Outcome<f64> {
        let mut sum = 0.0;
        self.0.each_row(|row| {
            sum += row::score(row)?;
            Ok(())
        })?;
        Ok(sum)
    }

    fn city_counts(&self) -> Outcome<CityCounts> {
        let mut counts: HashMap<Vec<u8>, u64> = HashMap::new();
        self.0.each_row(|row| {
            *counts.entry_ref(row::city(row)?).or_default() += 1;
            Ok(())
        })?;
        Ok(counts.into_iter().collect())
    }
}

/// What reading a text adds to a checksum: its length and its first 8 bytes. Shorter ones count as if zeros followed.
#[inline]
pub(crate) fn fold_text(text: &[u8]) -> u64 {
    let first = text.first_chunk().copied().unwrap_or_else(|| {
        let mut bytes = [0; 8];
        bytes[..text.len()].copy_from_slice(text);
        bytes
    });
    u64::from_le_bytes(first) ^ (text.len() as u64) << 56
}

impl Record {
    /// What reading all attributes adds to a checksum.
    pub(crate) fn fold(&self) -> u64 {
        let numbers = self.score.to_bits() ^ u64::from(self.age);
        numbers ^ fold_text(self.city.as_bytes()) ^ fold_text(self.name.as_bytes())
    }
}
