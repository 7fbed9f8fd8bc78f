//! Records: values of the program's own types as the attributes of points, and back, through serde.
//!
//! [`to_attributes`] and [`to_value`] make values; `point_as`, `iter_as` and `deserialize` read them. What becomes of what is the
//! table at [`to_attributes`]. Reading looks only for the fields that a struct has, and decodes nested values in place.

mod attributes;
mod cursor;
mod error;
mod extended;
mod point;
mod tree;
mod value_deserializer;
mod value_serializer;

use crate::bulk_loader::BulkLoader;
use crate::db::VectorDb;
use crate::error::Result;
use crate::model::{KeyRef, Value, ValueRef};
pub(crate) use point::{Known, from_point};
use serde_core::de::DeserializeOwned;
use serde_core::{Deserialize, Serialize};
use std::borrow::Cow;
use std::marker::PhantomData;

/// The attributes of a record: a struct, or a map whose keys are text. For [`VectorDb::upsert`] and everything else that takes
/// attributes. O(size of the record).
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// use vector_datalib::{VectorDb, to_attributes};
///
/// #[derive(serde::Serialize, serde::Deserialize)]
/// struct Person<'a> {
///     name: &'a str,
///     age: u8,
///     email: Option<&'a str>,
/// }
///
/// let db = VectorDb::create(dir.path().join("people.vdb"))?;
/// db.upsert(101, to_attributes(&Person { name: "Alice", age: 25, email: None })?)?;
///
/// let snapshot = db.snapshot();
/// let alice: Person = snapshot.point_as(101)?.expect("she was just put there");
/// assert_eq!((alice.name, alice.age, alice.email), ("Alice", 25, None)); // the name is borrowed from the snapshot
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # What becomes of what
/// | in Rust | in the database | remarks |
/// |---|---|---|
/// | a field, an entry of the record's map | an attribute | its name is the field's, after `rename` and the like |
/// | `Option` | what is in it; `None` of an attribute is *missing*, deeper down it is null | both missing and null are read as `None` |
/// | `()`, unit structs | null | a unit struct as the record is a point without attributes |
/// | integers, `i128` and `u128` too | an integer | read where it fits, else an error |
/// | `f64`, `f32` | a float | read as `f32` only where that keeps the value |
/// | `bool` | a boolean | |
/// | `char`, text | text | `&str` borrows |
/// | `serde_bytes` | bytes | `&[u8]` borrows. Without `serde_bytes`, serde makes an array of integers of it |
/// | sequences, tuples, tuple structs | an array | |
/// | maps, structs in structs | a map | with keys of any type |
/// | newtype structs | what is in them | |
/// | enums | text for a unit variant, else a map of one pair: the variant's name and what is in it | `tag`, `content` and `untagged` work; the record itself needs one of them |
/// | [`Timestamp`](crate::Timestamp), [`BigInt`](crate::BigInt), [`Ext`](crate::Ext), [`Value`] | themselves | |
///
/// Types are as strict as everywhere here: an integer is not read as a float, nor text as bytes. Only where serde itself keeps a value
/// in between (`flatten`, `tag`, `untagged`) it converts between numbers, and has no integers of 128 bits other than in a [`Value`].
/// [`is_human_readable`](serde_core::Serializer::is_human_readable) is true: types that have a text form are text.
///
/// An upsert merges: a `None` leaves what the point had. [`VectorDb::remove_attribute`] takes it away.
///
/// # Errors
/// [`Error::Record`](crate::Error::Record), which names the field: the record is neither a struct nor a map, a key of it is not text,
/// something in it nests deeper than [`NESTING_MAX`](crate::NESTING_MAX), or its own `Serialize` fails.
pub fn to_attributes<T: Serialize + ?Sized>(record: &T) -> Result<Vec<(Cow<'static, str>, Value)>> {
    record.serialize(attributes::RecordSerializer)
}

/// A value, by the rules of [`to_attributes`]. `None` is null here. O(size of the value).
///
/// ```
/// use vector_datalib::{attrs, to_value};
/// let attributes = attrs! { "name" => "Alice", "tags" => to_value(&["a", "b"])? };
/// assert_eq!(attributes[1].1.to_string(), r#"["a", "b"]"#);
/// # Ok::<(), vector_datalib::Error>(())
/// ```
///
/// # Errors
/// [`Error::Record`](crate::Error::Record): it nests deeper than [`NESTING_MAX`](crate::NESTING_MAX), or its `Serialize` fails.
pub fn to_value<T: Serialize + ?Sized>(value: &T) -> Result<Value> {
    value.serialize(value_serializer::ValueSerializer::new())
}

impl VectorDb {
    /// A point as a value of the program's own type, which owns all that is in it;
    /// [`Snapshot::point_as`](crate::Snapshot::point_as) lends, and has the rules.
    ///
    /// # Errors
    /// Those of [`Snapshot::point_as`](crate::Snapshot::point_as).
    pub fn point_as<'k, T: DeserializeOwned>(&self, key: impl Into<KeyRef<'k>>) -> Result<Option<T>> {
        self.snapshot().point_as(key)
    }
}

impl BulkLoader {
    /// Adds a record of the program's own type, by the rules of [`to_attributes`].
    ///
    /// # Errors
    /// Those of [`to_attributes`] and of [`push`](Self::push); also [`Error::InvalidArgument`](crate::Error::InvalidArgument) for a value
    /// that is too large. The record was not added, and loading can go on.
    pub fn push_record<'k, T: Serialize + ?Sized>(&mut self, key: impl Into<KeyRef<'k>>, record: &T) -> Result<()> {
        self.push(key, to_attributes(record)?)
    }
}

impl<'a> ValueRef<'a> {
    /// The value as one of the program's own types, which may borrow text and bytes from where this one does. By the rules of
    /// [`to_attributes`]. O(size of the value); what the type ignores is not decoded.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # use vector_datalib::{VectorDb, to_value};
    /// # let db = VectorDb::create(dir.path().join("people.vdb"))?;
    /// db.upsert(101, [("tags", to_value(&["a", "b"])?)])?;
    /// let snapshot = db.snapshot();
    /// let tags = snapshot.lookup(101, "tags")?.expect("it was just put there");
    /// assert_eq!(tags.deserialize::<Vec<&str>>()?, ["a", "b"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// - [`Error::Record`](crate::Error::Record): the value does not fit the type.
    /// - [`Error::Corrupt`](crate::Error::Corrupt): an array or a map does not decode.
    pub fn deserialize<T: Deserialize<'a>>(self) -> Result<T> {
        cursor::read(self, PhantomData)
    }
}
