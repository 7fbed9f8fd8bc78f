//! This project's engine: ten dimensions of text.

use super::records::{Field, Fields, Key, NAMES};
use super::{Durability, Store};
use crate::engine::Outcome;
use std::path::Path;
use std::str;
use vector_datalib::{BulkLoader, Options, ValueRef, VectorDb};

/// An open database.
pub(super) struct Vector(VectorDb);

fn named(fields: &Fields) -> Result<Vec<(&'static str, &str)>, str::Utf8Error> {
    NAMES.into_iter().zip(fields).map(|(name, field)| Ok((name, str::from_utf8(field)?))).collect()
}

impl Store for Vector {
    fn load(path: &Path, records: impl Iterator<Item = (Key, Fields)>) -> Outcome<()> {
        let mut loader = BulkLoader::create(path)?;
        for (key, fields) in records {
            loader.push(key.as_str(), named(&fields)?)?;
        }
        loader.finish()?;
        Ok(())
    }

    fn open(path: &Path, durability: Durability) -> Outcome<Self> {
        let durability = match durability {
            Durability::Durable => vector_datalib::Durability::Immediate,
            Durability::Relaxed => vector_datalib::Durability::Eventual,
        };
        Ok(Self(Options::new().durability(durability).open(path)?))
    }

    /// A snapshot for each read: one slot for the key, and the cell of each dimension there.
    #[inline]
    fn read(&mut self, key: &Key, mut see: impl FnMut(&[u8])) -> Outcome<bool> {
        let snapshot = self.0.snapshot();
        let Some(slot) = snapshot.slot(key.as_str())? else { return Ok(false) };
        for name in NAMES {
            match snapshot.dimension(name).map(|dimension| dimension.get(slot)).transpose()?.flatten() {
                Some(ValueRef::Text(text)) => see(text.as_bytes()),
                _ => return Err("a field is not text".into()),
            }
        }
        Ok(true)
    }

    #[inline]
    fn update(&mut self, key: &Key, field: usize, value: &Field) -> Outcome<()> {
        self.0.upsert(key.as_str(), [(NAMES[field], str::from_utf8(value)?)])?;
        Ok(())
    }

    #[inline]
    fn insert(&mut self, key: &Key, fields: &Fields) -> Outcome<()> {
        self.0.upsert(key.as_str(), named(fields)?)?;
        Ok(())
    }
}
