//! The model: what a database is to hold, as a list of optional points and a map. Written to be obviously right, not
//! fast.

use crate::support::order::Ordered;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ops::Deref;
use std::sync::{Arc, OnceLock};
use vector_datalib::{Key, Value};

/// A key in the engine's form and as a plain value.
#[derive(Clone, Debug)]
pub(crate) struct PlainKey {
    pub(crate) key: Key,
    pub(crate) value: Arc<Value>,
}

impl PlainKey {
    pub(crate) fn new(value: Value) -> Self {
        Self { key: Key::try_from(value.clone()).expect("the generator makes keys"), value: Arc::new(value) }
    }

    pub(crate) fn ordered(&self) -> Ordered<Arc<Value>> {
        Ordered(Arc::clone(&self.value))
    }
}

#[derive(Clone, Debug)]
pub(crate) struct PlainPoint {
    pub(crate) key: PlainKey,
    /// Values by the number of their dimension.
    pub(crate) attributes: BTreeMap<usize, Arc<Value>>,
}

/// All that a reader can see. Clones share the points.
#[derive(Clone, Default, Debug)]
pub(crate) struct Contents {
    /// Points by slot; the last is never free.
    pub(crate) slots: Vec<Option<Arc<PlainPoint>>>,
    /// In the order of first use.
    pub(crate) dimensions: Vec<Arc<str>>,
    /// Commits so far.
    pub(crate) sequence: u64,
}

/// What a dimension counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct PlainCounts {
    pub(crate) points: u64,
    pub(crate) nulls: u64,
    pub(crate) distinct: u64,
}

impl Contents {
    pub(crate) fn points(&self) -> impl Iterator<Item = (u32, &PlainPoint)> {
        let slots = self.slots.iter().enumerate();
        slots.filter_map(|(slot, point)| Some((slot as u32, &**point.as_ref()?)))
    }

    pub(crate) fn point_count(&self) -> u64 {
        self.points().count() as u64
    }

    pub(crate) fn value(&self, slot: usize, dimension: usize) -> Option<&Value> {
        self.slots.get(slot)?.as_ref()?.attributes.get(&dimension).map(|value| &**value)
    }

    fn counts(&self) -> Vec<PlainCounts> {
        let none = PlainCounts { points: 0, nulls: 0, distinct: 0 };
        let mut counts = vec![none; self.dimensions.len()];
        let mut distinct = vec![HashSet::new(); self.dimensions.len()];
        for (_, point) in self.points() {
            for (&number, value) in &point.attributes {
                counts[number].points += 1;
                counts[number].nulls += u64::from(matches!(**value, Value::Null));
                counts[number].distinct += u64::from(distinct[number].insert(Ordered(&**value)));
            }
        }
        counts
    }
}

/// Contents that do not change any more, counted once.
#[derive(Debug)]
pub(crate) struct Moment {
    contents: Contents,
    counts: OnceLock<Vec<PlainCounts>>,
}

impl Moment {
    pub(crate) fn counts(&self, dimension: usize) -> PlainCounts {
        self.counts.get_or_init(|| self.contents.counts())[dimension]
    }
}

impl From<Contents> for Moment {
    fn from(contents: Contents) -> Self {
        Self { contents, counts: OnceLock::new() }
    }
}

impl Deref for Moment {
    type Target = Contents;

    fn deref(&self) -> &Contents {
        &self.contents
    }
}

/// The contents, where each key is, and which slots are free.
#[derive(Clone, Default, Debug)]
pub(crate) struct Plain {
    pub(crate) contents: Contents,
    places: BTreeMap<Ordered<Arc<Value>>, u32>,
    free: BTreeSet<u32>,
    /// What was handed out last, if nothing has changed since.
    moment: Option<Arc<Moment>>,
}

impl Plain {
    pub(crate) fn point_count(&self) -> u64 {
        self.places.len() as u64
    }

    pub(crate) fn place(&self, key: &PlainKey) -> Option<u32> {
        self.places.get(&key.ordered()).copied()
    }

    pub(crate) fn lookup(&self, key: &PlainKey, dimension: &str) -> Option<&Value> {
        let number = self.dimension(dimension)?;
        self.contents.value(self.place(key)? as usize, number)
    }

    fn dimension(&self, name: &str) -> Option<usize> {
        self.contents.dimensions.iter().position(|known| **known == *name)
    }

    fn define(&mut self, name: &str) -> usize {
        self.dimension(name).unwrap_or_else(|| {
            self.contents.dimensions.push(name.into());
            self.contents.dimensions.len() - 1
        })
    }

    pub(crate) fn lowest_free(&self) -> u32 {
        self.free.first().copied().unwrap_or(self.contents.slots.len() as u32)
    }

    /// What a reader sees now.
    pub(crate) fn moment(&mut self) -> Arc<Moment> {
        let contents = &self.contents;
        let last = self.moment.take().filter(|moment| moment.sequence == contents.sequence);
        let moment = last.unwrap_or_else(|| Arc::new(contents.clone().into()));
        self.moment = Some(Arc::clone(&moment));
        moment
    }

    /// Without a position a new key takes the lowest free slot; with one, later points move up.
    pub(crate) fn upsert(&mut self, key: &PlainKey, position: Option<u32>, attributes: &[(Arc<str>, Value)]) -> u32 {
        self.moment = None;
        let slot = self.place(key).unwrap_or_else(|| self.insert(key, position));
        for (name, value) in attributes {
            let number = self.define(name);
            let point = self.contents.slots[slot as usize].as_mut().expect("a key is at its place");
            Arc::make_mut(point).attributes.insert(number, Arc::new(value.clone()));
        }
        slot
    }

    fn insert(&mut self, key: &PlainKey, position: Option<u32>) -> u32 {
        let point = Some(Arc::new(PlainPoint { key: key.clone(), attributes: BTreeMap::new() }));
        if let Some(position) = position {
            self.contents.slots.insert(position as usize, point);
            self.find_places();
            return position;
        }
        let slot = self.lowest_free();
        if !self.free.remove(&slot) {
            self.contents.slots.push(None);
        }
        self.contents.slots[slot as usize] = point;
        self.places.insert(key.ordered(), slot);
        slot
    }

    pub(crate) fn remove_attribute(&mut self, key: &PlainKey, dimension: &str) -> bool {
        self.moment = None;
        let (Some(slot), Some(number)) = (self.place(key), self.dimension(dimension)) else { return false };
        let point = self.contents.slots[slot as usize].as_mut().expect("a key is at its place");
        Arc::make_mut(point).attributes.remove(&number).is_some()
    }

    pub(crate) fn delete(&mut self, key: &PlainKey) -> bool {
        self.moment = None;
        let Some(slot) = self.places.remove(&key.ordered()) else { return false };
        let slots = &mut self.contents.slots;
        slots[slot as usize] = None;
        self.free.insert(slot);
        while slots.last().is_some_and(Option::is_none) {
            slots.pop();
            self.free.remove(&(slots.len() as u32));
        }
        true
    }

    /// Closes the gaps.
    pub(crate) fn pack(&mut self) {
        self.moment = None;
        self.contents.slots.retain(Option::is_some);
        self.find_places();
    }

    /// Puts points where their keys are said to be: all of them, each at a slot of its own, without gaps.
    pub(crate) fn lay_out(&mut self, slot_of: impl Fn(&PlainKey) -> Option<u32>) {
        self.moment = None;
        let points: Vec<_> = self.contents.slots.drain(..).flatten().collect();
        self.contents.slots.resize(points.len(), None);
        for point in points {
            let slot = slot_of(&point.key).expect("every key has a slot") as usize;
            let place = self.contents.slots.get_mut(slot).unwrap_or_else(|| panic!("a gap before slot {slot}"));
            assert!(place.replace(point).is_none(), "two keys at slot {slot}");
        }
        self.find_places();
    }

    fn find_places(&mut self) {
        self.places = self.contents.points().map(|(slot, point)| (point.key.ordered(), slot)).collect();
        let slots = self.contents.slots.iter().enumerate();
        self.free = slots.filter(|(_, point)| point.is_none()).map(|(slot, _)| slot as u32).collect();
    }
}
