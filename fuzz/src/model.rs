//! A database as a plain list: what the library has to agree with.

use std::collections::BTreeMap;
use vector_datalib::{Key, Slot, Snapshot, Value, VectorDb};

/// A point of the model.
#[derive(Clone, Debug)]
pub struct Point {
    pub key: Key,
    pub attributes: BTreeMap<&'static str, Value>,
}

/// The whole state.
#[derive(Clone, Default, Debug)]
pub struct Model {
    pub slots: Vec<Option<Point>>,
    /// In the order of their first use.
    pub dimensions: Vec<&'static str>,
}

/// Attributes of an upsert.
pub type Attributes = Vec<(&'static str, Value)>;

impl Model {
    pub fn slot_of(&self, key: &Key) -> Option<usize> {
        self.slots.iter().position(|slot| slot.as_ref().is_some_and(|point| point.key == *key))
    }

    fn lowest_free(&self) -> usize {
        self.slots.iter().position(Option::is_none).unwrap_or(self.slots.len())
    }

    /// Changes a key's attributes, or puts a new key at a position (moving what follows) or at the lowest free slot.
    /// False for a position past the end.
    pub fn upsert(&mut self, key: &Key, position: Option<usize>, attributes: Attributes) -> bool {
        let slot = match (self.slot_of(key), position) {
            (Some(slot), _) => slot,
            (None, Some(position)) if position > self.slots.len() => return false,
            (None, position) => {
                let point = Some(Point { key: key.clone(), attributes: BTreeMap::new() });
                let slot = position.unwrap_or_else(|| self.lowest_free());
                if position.is_some() || slot == self.slots.len() {
                    self.slots.insert(slot, point);
                } else {
                    self.slots[slot] = point;
                }
                slot
            }
        };
        for (name, value) in attributes {
            if !self.dimensions.contains(&name) {
                self.dimensions.push(name);
            }
            let point = self.slots[slot].as_mut().expect("it was found or put there");
            point.attributes.insert(name, value);
        }
        true
    }

    pub fn remove(&mut self, key: &Key, name: &str) -> bool {
        let point = self.slot_of(key).and_then(|slot| self.slots[slot].as_mut());
        point.is_some_and(|point| point.attributes.remove(name).is_some())
    }

    pub fn delete(&mut self, key: &Key) -> bool {
        let Some(slot) = self.slot_of(key) else { return false };
        self.slots[slot] = None;
        while self.slots.last().is_some_and(Option::is_none) {
            self.slots.pop();
        }
        true
    }

    /// Closes the gaps.
    pub fn pack(&mut self) {
        self.slots.retain(Option::is_some);
    }

    /// Panics unless a snapshot has exactly this state, however it is asked.
    pub fn check(&self, snapshot: &Snapshot) {
        let points = || self.slots.iter().zip(0u32..).filter_map(|(slot, at)| Some((slot.as_ref()?, Slot(at))));
        assert_eq!(snapshot.len(), points().count() as u64);
        assert_eq!(snapshot.slot_count(), self.slots.len() as u64);
        assert!(snapshot.dimensions().eq(self.dimensions.iter().copied()), "dimensions, in the order of first use");
        for (slot, at) in self.slots.iter().zip(0u32..) {
            let key = snapshot.key(Slot(at)).expect("the files are sound");
            assert_eq!(key.map(|key| key.to_key()), slot.as_ref().map(|point| point.key.clone()));
        }
        assert!(snapshot.key(Slot(self.slots.len() as u32)).expect("the files are sound").is_none());
        let mut found = snapshot.iter();
        for (point, at) in points() {
            let read = found.next().expect("as many points as there are").expect("the files are sound");
            assert_eq!((read.coordinate(), read.key().to_key()), (at, point.key.clone()));
            assert_eq!(snapshot.slot(&point.key).expect("the files are sound"), Some(at));
            let attributes = read.to_point().expect("the files are sound").into_attributes();
            assert_eq!(attributes.len(), point.attributes.len());
            for (name, value) in attributes {
                assert_eq!(point.attributes.get(name.as_str()), Some(&value), "{name} of {:?}", point.key);
            }
            for &name in &self.dimensions {
                let dimension = snapshot.dimension(name).expect("it was listed");
                let value = dimension.lookup(&point.key).expect("the files are sound");
                match (value, point.attributes.get(name)) {
                    (None, None) => {}
                    (Some(read), Some(value)) => assert!(read == *value, "{read:?} is not {value:?}"),
                    (read, value) => panic!("{name} of {:?} is {read:?}, not {value:?}", point.key),
                }
            }
        }
        assert!(found.next().is_none());
        for &name in &self.dimensions {
            let mut values: Vec<&Value> = Vec::new();
            let all = points().filter_map(|(point, _)| point.attributes.get(name));
            let count = all.inspect(|value| values.push(value)).count();
            let dimension = snapshot.dimension(name).expect("it was listed");
            assert_eq!(dimension.point_count().expect("the files are sound"), count as u64);
            let mut distinct: Vec<&Value> = Vec::new();
            for value in values {
                if !distinct.contains(&value) {
                    distinct.push(value);
                }
            }
            let stated = dimension.distinct_count().expect("the files are sound");
            assert_eq!(stated, distinct.len() as u64, "distinct values of {name}");
        }
    }

    /// Panics unless the database has exactly this state and its statistics say so.
    pub fn check_database(&self, db: &VectorDb) {
        self.check(&db.snapshot());
        let stats = db.stats().expect("the files are sound");
        let points = self.slots.iter().flatten();
        assert_eq!(stats.vector_points, points.clone().count() as u64);
        assert_eq!(stats.free_slots, (self.slots.len() as u64) - stats.vector_points);
        for details in stats.dimension_details {
            let is_null = |point: &&Point| point.attributes.get(details.name.as_str()) == Some(&Value::Null);
            assert_eq!(details.nulls, points.clone().filter(is_null).count() as u64, "nulls of {}", details.name);
        }
    }
}
