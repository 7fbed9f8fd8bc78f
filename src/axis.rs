//! The central axis of a snapshot.

use crate::dimension::for_each_key_group;
use crate::engine::AxisReader;
use crate::error::Result;
use crate::model::{KeyRef, Slot};
use std::fmt;

/// The central axis as of a [`Snapshot`](crate::Snapshot): the function from key to coordinate. Made once, then asked any number of times;
/// what it finds is read from each [`Dimension`](crate::Dimension) with [`get`](crate::Dimension::get).
///
/// Lookups cost a bounded number of cache misses whatever the size of the database, take no lock, and allocate nothing, except as
/// [`Snapshot`](crate::Snapshot) says.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # use vector_datalib::{VectorDb, attrs};
/// let db = VectorDb::create(dir.path().join("people.vdb"))?;
/// db.upsert(101, attrs! { "name" => "Alice", "age" => 25 })?;
/// let snapshot = db.snapshot();
/// let axis = snapshot.axis();
/// let (name, age) = (snapshot.dimension("name").expect("it is used"), snapshot.dimension("age").expect("it is used"));
/// if let Some(slot) = axis.slot(101)? {
///     assert_eq!((name.get(slot)?, age.get(slot)?), (Some("Alice".into()), Some(25.into())));
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy)]
pub struct Axis<'s> {
    reader: AxisReader<'s>,
}

impl fmt::Debug for Axis<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Axis").field("len", &self.reader.state().point_count()).finish_non_exhaustive()
    }
}

impl<'s> Axis<'s> {
    pub(crate) const fn new(reader: AxisReader<'s>) -> Self {
        Self { reader }
    }

    /// The coordinate of a key: its slot; `None` when there is no such key.
    ///
    /// # Errors
    /// [`Error::Corrupt`](crate::Error::Corrupt): the bytes that hold the answer are damaged.
    #[inline]
    pub fn slot<'k>(&self, key: impl Into<KeyRef<'k>>) -> Result<Option<Slot>> {
        self.reader.slot_of(key.into())
    }

    /// The coordinates of many keys, in their order, appended to `slots`; `None` where there is no such key. Keys are taken in groups of 64,
    /// as [`Dimension::batch_lookup`](crate::Dimension::batch_lookup) does.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # use vector_datalib::{VectorDb, attrs};
    /// let db = VectorDb::create(dir.path().join("people.vdb"))?;
    /// db.upsert("ann", attrs! { "age" => 25 })?;
    /// db.upsert("bob", attrs! { "age" => 31 })?;
    /// let mut slots = Vec::new();
    /// db.snapshot().axis().batch_slot(["bob", "cleo", "ann"], &mut slots)?;
    /// assert_eq!(slots.iter().map(|slot| slot.is_some()).collect::<Vec<_>>(), [true, false, true]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Corrupt`](crate::Error::Corrupt): the bytes that hold an answer are damaged; `slots` then has those before it.
    pub fn batch_slot<'k, K: Into<KeyRef<'k>>>(
        &self,
        keys: impl IntoIterator<Item = K>,
        slots: &mut Vec<Option<Slot>>,
    ) -> Result<()> {
        for_each_key_group(keys.into_iter().map(Into::into), |group| self.reader.find_group(group, slots))
    }

    /// The key of a slot; `None` when it is free.
    ///
    /// # Errors
    /// [`Error::Corrupt`](crate::Error::Corrupt): the bytes that hold the answer are damaged.
    pub fn key(&self, slot: Slot) -> Result<Option<KeyRef<'s>>> {
        self.reader.state().key_at(slot)
    }
}
