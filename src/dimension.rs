//! One dimension of a snapshot.

use crate::engine::{AxisReader, DimensionReader, DimensionView, GROUP_LEN, TypedLookup};
use crate::error::Result;
use crate::model::{KeyRef, Slot, ValueRef};
use std::fmt;

/// A dimension as of a [`Snapshot`](crate::Snapshot): the function from key, or slot, to value. Found once by name, then
/// read any number of times.
///
/// Reads cost a bounded number of cache misses whatever the size of the database, take no lock, allocate nothing except as [`Snapshot`](crate::Snapshot) says, and return
/// values that borrow from the mapped file.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # use vector_datalib::{VectorDb, attrs};
/// let db = VectorDb::create(dir.path().join("people.vdb"))?;
/// db.upsert(101, attrs! { "age" => 25 })?;
/// let snapshot = db.snapshot();
/// let age = snapshot.dimension("age").expect("it was just used");
/// assert_eq!(age.lookup(101)?.and_then(|value| value.as_i64()), Some(25));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy)]
pub struct Dimension<'s> {
    axis: AxisReader<'s>,
    reader: DimensionReader<'s>,
    typed: TypedLookup,
}

impl fmt::Debug for Dimension<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dimension").field("name", &self.name()).finish_non_exhaustive()
    }
}

impl<'s> Dimension<'s> {
    pub(crate) fn new(axis: AxisReader<'s>, reader: DimensionReader<'s>) -> Self {
        Self { axis, reader, typed: TypedLookup::new(&axis, &reader) }
    }

    pub(crate) const fn view(self) -> DimensionView<'s> {
        self.reader.view
    }

    /// The name.
    #[must_use]
    pub fn name(self) -> &'s str {
        self.view().name()
    }

    /// The value of a key; `None` when there is no such key, or it has no such attribute.
    ///
    /// # Errors
    /// [`Error::Corrupt`](crate::Error::Corrupt): the bytes that hold the answer are damaged.
    #[inline]
    pub fn lookup<'k>(&self, key: impl Into<KeyRef<'k>>) -> Result<Option<ValueRef<'s>>> {
        self.typed.lookup(&self.reader, &self.axis, key.into())
    }

    /// The values of many keys, in their order, appended to `values`; `None` as of [`lookup`](Self::lookup).
    ///
    /// Keys are taken in groups of 64, and what a group needs is fetched for all of its keys at once, so that a key costs a fraction of what
    /// a lookup costs that waits for memory. Worth it from some ten keys on; the answers are the same.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # use vector_datalib::{VectorDb, attrs};
    /// let db = VectorDb::create(dir.path().join("people.vdb"))?;
    /// db.upsert(101, attrs! { "age" => 25 })?;
    /// db.upsert(102, attrs! { "age" => 31 })?;
    /// let snapshot = db.snapshot();
    /// let age = snapshot.dimension("age").expect("it was just used");
    /// let mut ages = Vec::new();
    /// age.batch_lookup([102, 7, 101], &mut ages)?;
    /// assert_eq!(ages, [Some(31.into()), None, Some(25.into())]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Corrupt`](crate::Error::Corrupt): the bytes that hold an answer are damaged; `values` then has those before it.
    pub fn batch_lookup<'k, K: Into<KeyRef<'k>>>(
        &self,
        keys: impl IntoIterator<Item = K>,
        values: &mut Vec<Option<ValueRef<'s>>>,
    ) -> Result<()> {
        for_each_key_group(keys.into_iter().map(Into::into), |group| {
            self.reader.lookup_group(&self.axis, group, values)
        })
    }

    /// The value of a slot; `None` when the slot is free, or its point has no such attribute.
    ///
    /// # Errors
    /// [`Error::Corrupt`](crate::Error::Corrupt): the bytes that hold the answer are damaged.
    #[inline]
    pub fn get(&self, slot: Slot) -> Result<Option<ValueRef<'s>>> {
        self.reader.get(&self.axis, slot)
    }

    /// The values of many slots, in their order, appended to `values`; `None` as of [`get`](Self::get). Slots are taken in groups of 64, as
    /// [`batch_lookup`](Self::batch_lookup) takes keys. For several dimensions of the same points, ask [`Axis::batch_slot`](crate::Axis::batch_slot)
    /// for their slots once.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # use vector_datalib::{VectorDb, attrs};
    /// let db = VectorDb::create(dir.path().join("people.vdb"))?;
    /// db.upsert(101, attrs! { "name" => "Alice", "age" => 25 })?;
    /// db.upsert(102, attrs! { "name" => "Bob", "age" => 31 })?;
    /// let snapshot = db.snapshot();
    /// let mut slots = Vec::new();
    /// snapshot.axis().batch_slot([102, 7, 101], &mut slots)?;
    /// let there = || slots.iter().copied().flatten();
    /// let (mut names, mut ages) = (Vec::new(), Vec::new());
    /// snapshot.dimension("name").expect("it is used").batch_get(there(), &mut names)?;
    /// snapshot.dimension("age").expect("it is used").batch_get(there(), &mut ages)?;
    /// assert_eq!(names, [Some("Bob".into()), Some("Alice".into())]);
    /// assert_eq!(ages, [Some(31.into()), Some(25.into())]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Corrupt`](crate::Error::Corrupt): the bytes that hold an answer are damaged; `values` then has those before it.
    pub fn batch_get(
        &self,
        slots: impl IntoIterator<Item = Slot>,
        values: &mut Vec<Option<ValueRef<'s>>>,
    ) -> Result<()> {
        for_each_group(slots.into_iter(), Slot(0), |group| self.reader.get_group(&self.axis, group, values))
    }

    /// The number of points that have a value. Costs what was changed since the last checkpoint.
    ///
    /// # Errors
    /// [`Error::Corrupt`](crate::Error::Corrupt): the base file is damaged.
    pub fn point_count(self) -> Result<u64> {
        Ok(self.view().counts()?.points)
    }
}

/// Hands out keys in groups of up to [`GROUP_LEN`].
pub(crate) fn for_each_key_group<'k>(
    keys: impl Iterator<Item = KeyRef<'k>>,
    each: impl FnMut(&[KeyRef<'k>]) -> Result<()>,
) -> Result<()> {
    for_each_group(keys, KeyRef::from(false), each)
}

/// Hands out items in groups of up to [`GROUP_LEN`]. `unused` fills the group until there are items.
fn for_each_group<T: Copy>(
    items: impl Iterator<Item = T>,
    unused: T,
    mut each: impl FnMut(&[T]) -> Result<()>,
) -> Result<()> {
    let mut group = [unused; GROUP_LEN];
    let mut len = 0;
    for item in items {
        group[len] = item;
        len += 1;
        if len == GROUP_LEN {
            each(&group)?;
            len = 0;
        }
    }
    each(&group[..len])
}
