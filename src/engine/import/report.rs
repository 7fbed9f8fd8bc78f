//! What an import found, repaired and lost.

use crate::model::{Value, nested};

/// What `metadata` says, as it stands in the file.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub(super) struct Metadata {
    pub(super) version: Option<String>,
    pub(super) created_at: Option<String>,
    pub(super) last_modified: Option<String>,
}

impl Metadata {
    /// As properties of a manifest (chapter `format-spec/manifest.md`).
    pub(super) fn properties(&self) -> Vec<u8> {
        let Self { version, created_at, last_modified } = self;
        // A time that is missing is neither before nor after the other one.
        let (made, changed) =
            (created_at.as_ref().or(last_modified.as_ref()), last_modified.as_ref().or(created_at.as_ref()));
        let texts = [("version", version.as_ref()), ("created_at", made), ("last_modified", changed)];
        let pairs = texts.into_iter().filter_map(|(name, text)| Some((name.into(), text?.as_str().into())));
        // Three texts nest one level.
        nested::encode(&Value::Map(pairs.collect())).unwrap_or_default()
    }
}

macro_rules! counts {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
        #[non_exhaustive]
        pub struct $name {
            $($(#[$field_doc])* pub $field: u64,)+
        }

        impl $name {
            /// All counts by the names of their fields, zeros too.
            pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
                [$((stringify!($field), self.$field)),+].into_iter()
            }

            /// Whether all counts are zero.
            #[must_use]
            pub fn is_empty(&self) -> bool {
                self.iter().all(|(_, count)| count == 0)
            }
        }
    };
}

counts! {
    /// What an import put right, as it follows from the rest of the file. No point or value is lost by it.
    Repairs {
        /// Dimensions whose `ref_counts` did not count the cells of points.
        ref_counts,
        /// 1 if `free_slots` did not list exactly the places without a point.
        free_slots,
        /// Dimensions whose `next_id` was not above all value ids.
        next_ids,
        /// Numbers of `metadata` (points, dimensions) that were wrong.
        totals,
        /// Cells of coordinates without a point, each of them counted where one coordinate has several.
        ghost_mappings,
        /// Values that no point has.
        unused_values,
        /// Values that had more than one id.
        repeated_values,
        /// Points that `coordinate_map` did not have; none, unless the import was a salvage.
        unmapped_points,
        /// Places without a point behind the last one.
        trailing_tombstones,
        /// Parts that every file of the original has and this one had not, and spaces and mappings of single dimensions that have the other;
        /// those within `metadata` are not counted.
        missing_fields,
        /// Fields that no release knows.
        unknown_fields,
        /// Bytes of the file behind the LZ4 frame, or zeros behind the gzip data.
        trailing_bytes,
    }
}

counts! {
    /// What a salvage could not save.
    Losses {
        /// Cells whose value id has no value, and those of `repeated_keys` and of `null_keys`.
        cells,
        /// Entries of `coordinate_map` whose coordinate does not have that key.
        coordinates,
        /// Places that had the same key as a later one.
        repeated_keys,
        /// Points whose key is null, which no key may be.
        null_keys,
        /// Dimensions whose name is no text. Their cells are not counted.
        dimensions,
    }
}

/// What [`Import`](crate::Import) did.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct ImportReport {
    /// How the file is packed: `"LZ4(MessagePack)"`, `"gzip(MessagePack)"` or `"gzip(JSON)"`.
    pub container: &'static str,
    /// The version that the file states, if it does.
    pub version: Option<String>,
    /// Points of the new database.
    pub points: u64,
    /// Dimensions of the new database.
    pub dimensions: u64,
    /// Values of all points.
    pub cells: u64,
    /// What was put right.
    pub repairs: Repairs,
    /// What was lost; nothing, unless the import was a salvage.
    pub losses: Losses,
    /// The first places where something was lost, or where the file contradicts itself; 20 at most.
    pub lost: Vec<String>,
    /// What a person should look at, 20 at most: which fields were missing or unknown, and which dimensions have values that no point has.
    pub notes: Vec<String>,
}
