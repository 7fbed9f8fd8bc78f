//! A hash table in memory from key to record: the limit. Nothing of it is durable.

use super::records::{Field, Fields, Key};
use super::{Durability, Store};
use crate::engine::Outcome;
use hashbrown::HashMap;
use std::path::Path;

/// The table, with hashbrown's default hash.
pub(super) struct Hashbrown(HashMap<Key, Box<Fields>>);

impl Store for Hashbrown {
    const IN_MEMORY: bool = true;

    fn load(_path: &Path, records: impl Iterator<Item = (Key, Fields)>) -> Outcome<()> {
        std::hint::black_box(records.map(|(key, fields)| (key, Box::new(fields))).collect::<HashMap<_, _>>());
        Ok(())
    }

    fn open(_path: &Path, _durability: Durability) -> Outcome<Self> {
        Ok(Self(HashMap::new()))
    }

    #[inline]
    fn read(&mut self, key: &Key, see: impl FnMut(&[u8])) -> Outcome<bool> {
        let fields = self.0.get(key);
        fields.into_iter().flat_map(|fields| fields.iter().map(|field| &field[..])).for_each(see);
        Ok(fields.is_some())
    }

    #[inline]
    fn update(&mut self, key: &Key, field: usize, value: &Field) -> Outcome<()> {
        self.0.get_mut(key).ok_or("no such record")?[field] = *value;
        Ok(())
    }

    #[inline]
    fn insert(&mut self, key: &Key, fields: &Fields) -> Outcome<()> {
        self.0.insert(*key, Box::new(*fields));
        Ok(())
    }
}
