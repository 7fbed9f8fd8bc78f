//! A consistent point in time.

use crate::axis::Axis;
use crate::dimension::{Dimension, for_each_key_group};
use crate::engine::{AxisReader, DimensionView, PointReader, State};
use crate::error::Result;
use crate::model::{KeyRef, Slot, ValueRef};
use crate::point::VectorPoint;
use crate::record::{self, Known};
use serde_core::Deserialize;
use std::cell::OnceCell;
use std::fmt;
use std::sync::Arc;

/// The database as it was after one commit. Cheap to make and to clone, and independent of the handle that it came from: its
/// answers never change, whatever is committed, checkpointed or compacted. It holds the files and the memory that it
/// reads from, with them all that is committed up to the next checkpoint, as that is in the same memory; drop it to give them back.
///
/// Reads take no lock and never wait for a writer. They allocate nothing, but for those that return owned values, and for what is kept of
/// files when it is first used: descriptors, and after a checkpoint which slots patches touch (10 KiB for 65,536 slots of a dimension that is
/// looked up, and 4 bytes for each of them that is touched).
#[derive(Clone)]
pub struct Snapshot {
    state: Arc<State>,
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot")
            .field("path", &self.state.path())
            .field("sequence", &self.sequence())
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

impl Snapshot {
    pub(crate) fn new(state: State) -> Self {
        Self { state: Arc::new(state) }
    }

    pub(crate) fn state(&self) -> &State {
        &self.state
    }

    /// The number of the last commit that the snapshot includes, counted from 1; 0 before the first.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.state.sequence()
    }

    /// The number of points.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.state.point_count().into()
    }

    /// Whether there are no points.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// One above the highest slot in use.
    #[must_use]
    pub fn slot_count(&self) -> u64 {
        self.state.slot_count().into()
    }

    /// The names of all dimensions, in the order of their first use. O(dimensions).
    pub fn dimensions(&self) -> impl Iterator<Item = &str> {
        self.state.dimensions().into_iter().map(DimensionView::name)
    }

    /// The central axis: the function from key to coordinate, ready for many lookups.
    #[must_use]
    pub fn axis(&self) -> Axis<'_> {
        Axis::new(self.state.axis())
    }

    /// The dimension of a name; `None` when no point ever had such an attribute, and no load defined it.
    #[must_use]
    pub fn dimension(&self, name: &str) -> Option<Dimension<'_>> {
        self.state.dimension(name).map(|view| Dimension::new(self.state.axis(), view.reader()))
    }

    /// The coordinate of a key: its slot; `None` when there is no such key. For many keys take [`axis`](Self::axis) first.
    ///
    /// # Errors
    /// [`Error::Corrupt`](crate::Error::Corrupt): the bytes that hold the answer are damaged.
    pub fn slot<'k>(&self, key: impl Into<KeyRef<'k>>) -> Result<Option<Slot>> {
        self.state.axis().slot_of(key.into())
    }

    /// The key of a slot; `None` when it is free.
    ///
    /// # Errors
    /// [`Error::Corrupt`](crate::Error::Corrupt): the bytes that hold the answer are damaged.
    pub fn key(&self, slot: Slot) -> Result<Option<KeyRef<'_>>> {
        self.state.key_at(slot)
    }

    /// Whether a key is there.
    ///
    /// # Errors
    /// [`Error::Corrupt`](crate::Error::Corrupt): the bytes that hold the answer are damaged.
    pub fn contains<'k>(&self, key: impl Into<KeyRef<'k>>) -> Result<bool> {
        Ok(self.slot(key)?.is_some())
    }

    /// The value of a key in a dimension. For many reads of one dimension take [`dimension`](Self::dimension) first.
    ///
    /// # Errors
    /// [`Error::Corrupt`](crate::Error::Corrupt): the bytes that hold the answer are damaged.
    pub fn lookup<'k>(&self, key: impl Into<KeyRef<'k>>, dimension: &str) -> Result<Option<ValueRef<'_>>> {
        self.state.dimension(dimension).map_or(Ok(None), |view| view.lookup(key.into()))
    }

    /// The values of many pairs of key and dimension, in their order. Pairs of the same dimension that follow each other are looked up
    /// together, as [`Dimension::batch_lookup`] does.
    ///
    /// # Errors
    /// [`Error::Corrupt`](crate::Error::Corrupt): the bytes that hold an answer are damaged.
    pub fn batch_lookup<'k, K: Into<KeyRef<'k>>, N: AsRef<str>>(
        &self,
        queries: impl IntoIterator<Item = (K, N)>,
    ) -> Result<Vec<Option<ValueRef<'_>>>> {
        let mut values = Vec::new();
        let mut queries = queries.into_iter().peekable();
        let axis = self.state.axis();
        while let Some((key, name)) = queries.next() {
            let name = name.as_ref();
            let reader = self.state.dimension(name).map(DimensionView::reader);
            let rest = std::iter::from_fn(|| queries.next_if(|(_, next)| next.as_ref() == name));
            let keys = std::iter::once(key).chain(rest.map(|(key, _)| key)).map(Into::into);
            for_each_key_group(keys, |group| match &reader {
                Some(reader) => reader.lookup_group(&axis, group, &mut values),
                None => {
                    values.extend(group.iter().map(|_| None));
                    Ok(())
                }
            })?;
        }
        Ok(values)
    }

    /// A point with all its attributes. O(dimensions).
    ///
    /// # Errors
    /// [`Error::Corrupt`](crate::Error::Corrupt): the bytes that hold the answer are damaged.
    pub fn point<'k>(&self, key: impl Into<KeyRef<'k>>) -> Result<Option<VectorPoint>> {
        let (axis, key) = (self.state.axis(), key.into());
        let Some(slot) = axis.slot_of(key)? else { return Ok(None) };
        self.copy_point(&axis, key, slot).map(Some)
    }

    /// The point of a slot, with all its attributes. O(dimensions).
    ///
    /// # Errors
    /// [`Error::Corrupt`](crate::Error::Corrupt): the bytes that hold the answer are damaged.
    pub fn point_at(&self, slot: Slot) -> Result<Option<VectorPoint>> {
        let Some(key) = self.state.key_at(slot)? else { return Ok(None) };
        self.copy_point(&self.state.axis(), key, slot).map(Some)
    }

    fn copy_point<'s>(&'s self, axis: &AxisReader<'s>, key: KeyRef<'_>, slot: Slot) -> Result<VectorPoint> {
        let mut attributes = Vec::new();
        for view in self.state.dimensions() {
            if let Some(value) = view.reader().get(axis, slot)? {
                attributes.push((view.name().to_owned(), self.state.to_value(value)?));
            }
        }
        Ok(VectorPoint::new(slot, key.to_key(), attributes))
    }

    /// A point as a value of the program's own type, which may borrow text and bytes from the snapshot; `None` when there is no such
    /// key. What becomes of what is the table at [`to_attributes`](crate::to_attributes).
    ///
    /// A struct asks for its fields only: O(fields), however many dimensions there are. With `deny_unknown_fields` where it is in force,
    /// with `flatten`, and for maps and enums every dimension is asked: O(dimensions).
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// use vector_datalib::{VectorDb, attrs};
    ///
    /// #[derive(serde::Deserialize)]
    /// struct Person<'s> {
    ///     name: &'s str,
    ///     age: Option<u8>,
    /// }
    ///
    /// let db = VectorDb::create(dir.path().join("people.vdb"))?;
    /// db.upsert(101, attrs! { "name" => "Alice" })?;
    /// db.upsert(102, attrs! { "name" => "Bob", "age" => 300 })?;
    /// let snapshot = db.snapshot();
    /// let alice = snapshot.point_as::<Person>(101)?.expect("she was just put there");
    /// assert_eq!((alice.name, alice.age), ("Alice", None));
    ///
    /// let error = snapshot.point_as::<Person>(102).map(|_| ()).unwrap_err();
    /// assert_eq!(error.to_string(), "point 102: field `age`: expected u8, found integer 300");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// - [`Error::Record`](crate::Error::Record), which names the key and the field: an attribute does not fit its field, or is missing.
    /// - [`Error::Corrupt`](crate::Error::Corrupt): the bytes that hold the answer are damaged.
    pub fn point_as<'s, 'k, T: Deserialize<'s>>(&'s self, key: impl Into<KeyRef<'k>>) -> Result<Option<T>> {
        let (axis, key) = (self.state.axis(), key.into());
        let Some(slot) = axis.slot_of(key)? else { return Ok(None) };
        record::from_point(&axis, key, slot, Known::default()).map(Some)
    }

    /// All points as values of the program's own type, with their keys, in slot order; see [`point_as`](Self::point_as). An item is an
    /// error where that returns one; the iterator goes on behind it.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # use vector_datalib::{VectorDb, attrs};
    /// # let db = VectorDb::create(dir.path().join("people.vdb"))?;
    /// # db.upsert(101, attrs! { "name" => "Alice", "age" => 25 })?;
    /// #[derive(serde::Deserialize)]
    /// struct Person<'s> {
    ///     name: &'s str,
    ///     age: u8,
    /// }
    ///
    /// for item in db.snapshot().iter_as::<Person>() {
    ///     let (key, person) = item?;
    ///     println!("{key}: {} is {}", person.name, person.age);
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn iter_as<'s, T: Deserialize<'s>>(&'s self) -> impl Iterator<Item = Result<(KeyRef<'s>, T)>> {
        let fields = OnceCell::new();
        self.iter().map(move |point| {
            let PointRef { reader, key, slot } = point?;
            let known = Known { all: Some(&reader.dimensions), fields: Some(&fields) };
            Ok((key, record::from_point(&reader.axis, key, slot, known)?))
        })
    }

    /// All points, in slot order. An item is [`Error::Corrupt`](crate::Error::Corrupt) where the bytes of a key are damaged; the
    /// iterator goes on behind it.
    #[must_use]
    pub fn iter(&self) -> Points<'_> {
        Points { reader: Arc::new(self.state.points()), next: 0 }
    }
}

impl<'s> IntoIterator for &'s Snapshot {
    type Item = Result<PointRef<'s>>;
    type IntoIter = Points<'s>;

    fn into_iter(self) -> Points<'s> {
        self.iter()
    }
}

/// The points of a [`Snapshot`], in slot order.
#[derive(Clone)]
pub struct Points<'s> {
    reader: Arc<PointReader<'s>>,
    next: u32,
}

impl fmt::Debug for Points<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Points").field("next", &self.next).finish_non_exhaustive()
    }
}

impl<'s> Iterator for Points<'s> {
    type Item = Result<PointRef<'s>>;

    fn next(&mut self) -> Option<Self::Item> {
        let state = self.reader.axis.state();
        while self.next < state.slot_count() {
            let slot = Slot(self.next);
            self.next += 1;
            match state.key_at(slot) {
                Ok(Some(key)) => return Some(Ok(PointRef { reader: Arc::clone(&self.reader), key, slot })),
                Ok(None) => {}
                Err(error) => return Some(Err(error)),
            }
        }
        None
    }
}

/// A point that borrows from a [`Snapshot`].
#[derive(Clone)]
pub struct PointRef<'s> {
    reader: Arc<PointReader<'s>>,
    key: KeyRef<'s>,
    slot: Slot,
}

impl fmt::Debug for PointRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (coordinate, key) = (self.coordinate(), self.key);
        f.debug_struct("PointRef").field("coordinate", &coordinate).field("key", &key).finish_non_exhaustive()
    }
}

impl<'s> PointRef<'s> {
    /// The coordinate: the slot of the key on the central axis.
    #[must_use]
    pub fn coordinate(&self) -> Slot {
        self.slot
    }

    /// The key.
    #[must_use]
    pub const fn key(&self) -> KeyRef<'s> {
        self.key
    }

    /// The attributes that the point has, in the order of the dimensions' first use. Asks every dimension: O(dimensions). An item is
    /// [`Error::Corrupt`](crate::Error::Corrupt) where the bytes of a value are damaged.
    pub fn attributes(&self) -> impl Iterator<Item = Result<(&'s str, ValueRef<'s>)>> {
        self.reader.dimensions.iter().filter_map(|dimension| match dimension.get(&self.reader.axis, self.slot) {
            Ok(value) => value.map(|value| Ok((dimension.view.name(), value))),
            Err(error) => Some(Err(error)),
        })
    }

    /// The value of an attribute; `None` when the point has none of that name. For one dimension of many points, take
    /// [`Snapshot::dimension`] once and ask it with [`coordinate`](Self::coordinate).
    ///
    /// # Errors
    /// [`Error::Corrupt`](crate::Error::Corrupt): the bytes that hold the answer are damaged.
    pub fn get(&self, dimension: &str) -> Result<Option<ValueRef<'s>>> {
        let axis = &self.reader.axis;
        axis.state().dimension(dimension).map_or(Ok(None), |view| view.reader().get(axis, self.slot))
    }

    /// The point as a value of the program's own type; see [`Snapshot::point_as`].
    ///
    /// # Errors
    /// Those of [`Snapshot::point_as`].
    pub fn deserialize<T: Deserialize<'s>>(&self) -> Result<T> {
        let known = Known { all: Some(&self.reader.dimensions), fields: None };
        record::from_point(&self.reader.axis, self.key, self.slot, known)
    }

    /// Copies the point.
    ///
    /// # Errors
    /// [`Error::Corrupt`](crate::Error::Corrupt): the bytes of an attribute are damaged.
    pub fn to_point(&self) -> Result<VectorPoint> {
        let mut attributes = Vec::new();
        for attribute in self.attributes() {
            let (name, value) = attribute?;
            attributes.push((name.to_owned(), self.reader.axis.state().to_value(value)?));
        }
        Ok(VectorPoint::new(self.coordinate(), self.key.to_key(), attributes))
    }
}
