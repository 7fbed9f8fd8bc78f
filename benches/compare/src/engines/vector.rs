//! This project's engine, with default options, in each of its layouts.

use crate::engine::{CityCounts, Engine, Outcome, Reader, fold_text};
use crate::records::{Key, Order, Record, Records, TextKey};
use crate::wide::{FLOATS, INTEGERS, More, TEXTS, fold_more};
use std::marker::PhantomData;
use std::path::Path;
use vector_datalib::{
    Axis, BulkLoader, CompactOptions, Dimension, KeyRef, Layout, Options, Snapshot, Value, ValueCounts, ValueRef,
    VectorDb, attrs,
};

/// What the engine takes for a key.
pub(crate) trait VectorKey: Key {
    /// The key as the engine's own type.
    fn key_ref(&self) -> KeyRef<'_>;
}

impl VectorKey for u64 {
    #[inline]
    fn key_ref(&self) -> KeyRef<'_> {
        KeyRef::from(*self)
    }
}

impl VectorKey for TextKey {
    #[inline]
    fn key_ref(&self) -> KeyRef<'_> {
        KeyRef::from(self.as_str())
    }
}

/// How the points of a database are laid out.
pub(crate) trait Arrangement: Send + Sync + 'static {
    /// What a compaction after the load is asked for; `None` if the load is all.
    const LAYOUT: Option<Layout>;
}

/// As they were loaded.
pub(crate) enum Loaded {}

/// Each at the slot that a perfect hash of its key says.
pub(crate) enum Frozen {}

/// In the order of keys.
pub(crate) enum ByKey {}

impl Arrangement for Loaded {
    const LAYOUT: Option<Layout> = None;
}

impl Arrangement for Frozen {
    const LAYOUT: Option<Layout> = Some(Layout::Frozen);
}

impl Arrangement for ByKey {
    const LAYOUT: Option<Layout> = Some(Layout::ByKey);
}

/// An open database.
pub(crate) struct Vector<A = Loaded>(VectorDb, PhantomData<A>);

/// A snapshot and its dimensions.
#[derive(Clone, Copy)]
pub(crate) struct VectorReader {
    snapshot: &'static Snapshot,
    axis: Axis<'static>,
    age: Dimension<'static>,
    city: Dimension<'static>,
    name: Dimension<'static>,
    score: Dimension<'static>,
    /// The dimensions of the attributes besides the four.
    more: &'static [Dimension<'static>],
}

impl<K: VectorKey, A: Arrangement> Engine<K> for Vector<A> {
    type Reader = VectorReader;

    const ONLY_READ: Option<&'static str> = match A::LAYOUT {
        None => None,
        Some(_) => Some("changes are written as in any other layout"),
    };

    fn load(path: &Path, records: Records, order: Order) -> Outcome<()> {
        let mut loader = BulkLoader::create(path)?;
        for number in order.numbers(records.count) {
            let record = records.get(number);
            let attributes: [(&str, ValueRef<'_>); 4] = [
                ("age", record.age.into()),
                ("city", (&*record.city).into()),
                ("name", (&*record.name).into()),
                ("score", record.score.into()),
            ];
            match records.more(number) {
                None => loader.push(K::of(number).key_ref(), attributes)?,
                Some(more) => loader.push(K::of(number).key_ref(), attributes.into_iter().chain(more_of(&more)))?,
            }
        }
        loader.finish()?;
        if let Some(layout) = A::LAYOUT {
            VectorDb::open(path)?.compact(&CompactOptions::new().layout(layout))?;
        }
        Ok(())
    }

    fn open(path: &Path, _records: Records, _order: Order) -> Outcome<Self> {
        Ok(Self(VectorDb::open(path)?, PhantomData))
    }

    fn reader(&'static self) -> Outcome<Self::Reader> {
        let snapshot: &'static Snapshot = Box::leak(Box::new(self.0.snapshot()));
        let dimension = |name| snapshot.dimension(name).ok_or_else(|| format!("there is no dimension {name}"));
        let more = INTEGERS.into_iter().chain(FLOATS).chain(TEXTS).filter_map(|name| snapshot.dimension(name));
        Ok(VectorReader {
            snapshot,
            axis: snapshot.axis(),
            age: dimension("age")?,
            city: dimension("city")?,
            name: dimension("name")?,
            score: dimension("score")?,
            more: Box::leak(more.collect()),
        })
    }

    fn checkpoint(&'static self) -> Outcome<()> {
        Ok(self.0.save()?)
    }

    fn compact(&'static self) -> Outcome<()> {
        Ok(self.0.compact(&CompactOptions::new().layout(A::LAYOUT.unwrap_or_default()))?)
    }

    fn check_changes() -> Outcome<()> {
        Ok(())
    }

    /// A quarter of the changes in each of two patches, and half in the overlay.
    fn open_changed(path: &Path, records: Records) -> Outcome<Self> {
        let db = Options::new().auto_checkpoint(None).merge_fraction(1e9).open(path)?;
        let numbers = Order::Shuffled.numbers(records.count);
        let changed: Vec<u64> = numbers.filter(|&number| records.is_changed(number)).collect();
        let (written, in_memory) = changed.split_at(changed.len() / 2);
        for patch in written.chunks(written.len().div_ceil(2).max(1)) {
            upsert_all::<K>(&db, records, patch)?;
            db.save()?;
        }
        upsert_all::<K>(&db, records, in_memory)?;
        Ok(Self(db, PhantomData))
    }

    fn upsert(&'static self, changes: &[(u64, Record)]) -> Outcome<()> {
        match changes {
            [(number, record)] => drop(self.0.upsert(K::of(*number).key_ref(), attributes(record))?),
            _ => {
                let records = changes
                    .iter()
                    .map(|(number, record)| (vector_datalib::Key::from(K::of(*number).key_ref()), attributes(record)));
                self.0.batch_upsert(records)?;
            }
        }
        Ok(())
    }
}

/// The attributes besides the four.
fn more_of(more: &More) -> impl Iterator<Item = (&'static str, ValueRef<'_>)> {
    let integers = INTEGERS.into_iter().zip(more.integers.iter().map(|&integer| integer.into()));
    let floats = FLOATS.into_iter().zip(more.floats.iter().map(|&float| float.into()));
    let texts = TEXTS.into_iter().zip(more.texts.iter().map(|text| (&**text).into()));
    integers.chain(floats).chain(texts)
}

fn attributes(record: &Record) -> [(&'static str, Value); 4] {
    attrs! { "age" => record.age, "city" => &*record.city, "name" => &*record.name, "score" => record.score }
}

/// Puts records as they are after changes.
fn upsert_all<K: VectorKey>(db: &VectorDb, records: Records, numbers: &[u64]) -> Outcome<()> {
    for numbers in numbers.chunks(10_000) {
        let points = numbers
            .iter()
            .map(|&number| (vector_datalib::Key::from(K::of(number).key_ref()), attributes(&records.get(number))));
        db.batch_upsert(points)?;
    }
    Ok(())
}

fn by_city(counts: ValueCounts<'_>) -> Outcome<CityCounts> {
    counts.into_iter().map(|(city, count)| Ok((text(Some(city))?.unwrap_or_default().to_vec(), count))).collect()
}

#[inline]
fn text(value: Option<ValueRef<'_>>) -> Outcome<Option<&[u8]>> {
    match value {
        Some(ValueRef::Text(text)) => Ok(Some(text.as_bytes())),
        None => Ok(None),
        Some(_) => Err("a value is not text".into()),
    }
}

impl<K: VectorKey> Reader<K> for VectorReader {
    #[inline]
    fn score(&self, key: &K) -> Outcome<Option<f64>> {
        match self.score.lookup(key.key_ref())? {
            Some(ValueRef::Float(score)) => Ok(Some(score)),
            None => Ok(None),
            Some(_) => Err("a score is not a float".into()),
        }
    }

    #[inline]
    fn age(&self, key: &K) -> Outcome<Option<u64>> {
        match self.age.lookup(key.key_ref())? {
            Some(ValueRef::Int(age)) => Ok(Some(age as u64)),
            None => Ok(None),
            Some(_) => Err("an age is not an integer".into()),
        }
    }

    #[inline]
    fn city<T>(&self, key: &K, see: impl FnOnce(&[u8]) -> T) -> Outcome<Option<T>> {
        Ok(text(self.city.lookup(key.key_ref())?)?.map(see))
    }

    #[inline]
    fn name<T>(&self, key: &K, see: impl FnOnce(&[u8]) -> T) -> Outcome<Option<T>> {
        Ok(text(self.name.lookup(key.key_ref())?)?.map(see))
    }

    #[inline]
    fn name_by_name<T>(&self, key: &K, see: impl FnOnce(&[u8]) -> T) -> Outcome<Option<T>> {
        Ok(text(self.snapshot.lookup(key.key_ref(), "name")?)?.map(see))
    }

    fn sum(&self) -> Outcome<f64> {
        Ok(self.score.sum()?.and_then(|sum| sum.to_f64()).unwrap_or_default())
    }

    fn city_counts(&self) -> Outcome<CityCounts> {
        Reader::<K>::city_counts_on(self, 1)
    }

    fn sum_on(&self, threads: usize) -> Outcome<f64> {
        Ok(self.score.parallel(threads).sum()?.and_then(|sum| sum.to_f64()).unwrap_or_default())
    }

    /// A scan of the cities of all points that have a score.
    fn city_counts_on(&self, threads: usize) -> Outcome<CityCounts> {
        by_city(self.score.parallel(threads).map_to(self.city)?)
    }

    fn kept_city_counts(&self) -> Outcome<CityCounts> {
        by_city(self.city.value_counts()?)
    }

    /// Each dimension is asked for all keys, which it fetches by groups.
    fn points(&self, keys: &[K]) -> Outcome<u64> {
        let all = |dimension: &Dimension<'static>| {
            let mut values = Vec::with_capacity(keys.len());
            dimension.batch_lookup(keys.iter().map(K::key_ref), &mut values).map(|()| values)
        };
        let (scores, ages) = (all(&self.score)?, all(&self.age)?);
        let (cities, names) = (all(&self.city)?, all(&self.name)?);
        let mut sum = 0u64;
        for (((score, age), city), name) in scores.into_iter().zip(ages).zip(cities).zip(names) {
            let (Some(ValueRef::Float(score)), Some(ValueRef::Int(age)), Some(city), Some(name)) =
                (score, age, text(city)?, text(name)?)
            else {
                return Err("a point is not what was loaded".into());
            };
            sum = sum.wrapping_add(score.to_bits() ^ age as u64 ^ fold_text(city) ^ fold_text(name));
        }
        Ok(sum)
    }

    /// One slot for the key, and the cell of each dimension there.
    #[inline]
    fn point(&self, key: &K) -> Outcome<Option<u64>> {
        let Some(slot) = self.axis.slot(key.key_ref())? else { return Ok(None) };
        let (Some(ValueRef::Float(score)), Some(ValueRef::Int(age)), Some(city), Some(name)) =
            (self.score.get(slot)?, self.age.get(slot)?, text(self.city.get(slot)?)?, text(self.name.get(slot)?)?)
        else {
            return Err("a point is not what was loaded".into());
        };
        let four = score.to_bits() ^ age as u64 ^ fold_text(city) ^ fold_text(name);
        let mut more = 0u64;
        for dimension in self.more {
            more = more.wrapping_add(fold_more(match dimension.get(slot)? {
                Some(ValueRef::Int(integer)) => integer as u64,
                Some(ValueRef::Float(float)) => float.to_bits(),
                Some(ValueRef::Text(text)) => fold_text(text.as_bytes()),
                _ => return Err("a point is not what was loaded".into()),
            }));
        }
        Ok(Some(four.wrapping_add(more)))
    }

    #[inline]
    fn scores(&self, keys: &[K], mut see: impl FnMut(Option<f64>)) -> Outcome<()> {
        let mut values = Vec::with_capacity(keys.len());
        self.score.batch_lookup(keys.iter().map(K::key_ref), &mut values)?;
        for value in &values {
            match value {
                Some(ValueRef::Float(score)) => see(Some(*score)),
                None => see(None),
                Some(_) => return Err("a score is not a float".into()),
            }
        }
        Ok(())
    }

    #[inline]
    fn names(&self, keys: &[K], mut see: impl FnMut(Option<&[u8]>)) -> Outcome<()> {
        let mut values = Vec::with_capacity(keys.len());
        self.name.batch_lookup(keys.iter().map(K::key_ref), &mut values)?;
        for value in &values {
            see(text(*value)?);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoding_and_first_number<A: Arrangement>(name: &str) -> (&'static str, Option<u64>) {
        let directory = std::env::temp_dir().join(format!("compare-{name}-{}", std::process::id()));
        let records = Records::new(1000);
        <Vector<A> as Engine<u64>>::load(&directory, records, Order::Shuffled).unwrap();
        let db = VectorDb::open_read_only(&directory).unwrap();
        let snapshot = db.snapshot();
        let first = snapshot.iter().next().unwrap().unwrap();
        let found = (0..records.count).find(|&number| KeyRef::from(u64::of(number)) == first.key());
        let encoding = db.stats().unwrap().axis_encoding;
        std::fs::remove_dir_all(&directory).unwrap();
        (encoding, found)
    }

    #[test]
    fn layouts_are_what_they_are_called() {
        assert_eq!(encoding_and_first_number::<Frozen>("frozen").0, "frozen");
        assert_eq!(encoding_and_first_number::<ByKey>("by-key"), ("plain_i64", Some(0)));
        let first = Order::Shuffled.numbers(1000).next();
        assert_eq!(encoding_and_first_number::<Loaded>("loaded"), ("plain_i64", first));
    }
}
