//! What takes the contents of a file.

use super::Refused;

/// Takes the contents of a file; what it does not care for is passed over.
pub(crate) trait Sink {
    type Error;

    /// The next element of `vector_points`: a tagged key, or `None` for a tombstone.
    fn slot(&mut self, _key: Option<&[u8]>) -> Result<(), Self::Error> {
        Ok(())
    }

    /// An entry of `coordinate_map`. A key is `None` where it is null.
    fn coordinate(&mut self, _key: Option<&[u8]>, _coordinate: i128) -> Result<(), Self::Error> {
        Ok(())
    }

    /// `coordinate_map` is there, but its keys are text and cannot be compared.
    fn coordinates_untyped(&mut self) {}

    /// `free_slots` is there.
    fn free_slots(&mut self) {}

    /// An element of `free_slots`.
    fn free_slot(&mut self, _slot: i128) {}

    /// A dimension, or its mapping, has a name that is no text. Whether it is to be passed over.
    fn unnamed(&mut self, _name: &[u8]) -> bool {
        true
    }

    /// The space of a dimension starts. False if it came before.
    fn space(&mut self, _name: &str) -> Result<bool, Self::Error> {
        Ok(true)
    }

    /// A value of the space that started last: its id and its tagged form.
    fn value(&mut self, _id: i64, _tagged: &[u8]) -> Result<(), Self::Error> {
        Ok(())
    }

    /// The `next_id` of the space that started last.
    fn next_id(&mut self, _next_id: i128) {}

    /// The mapping of a dimension starts. False if it came before.
    fn mapping(&mut self, _name: &str) -> Result<bool, Self::Error> {
        Ok(true)
    }

    /// A pair of the mapping that started last.
    fn cell(&mut self, _coordinate: i128, _id: i64) -> Result<(), Self::Error> {
        Ok(())
    }

    /// The mapping that started last has `ref_counts`.
    fn ref_counts(&mut self) {}

    /// An entry of the `ref_counts` of the mapping that started last.
    fn ref_count(&mut self, _id: i64, _count: i128) {}

    /// A text of `metadata`.
    fn metadata(&mut self, _field: MetadataText, _text: &str) {}

    /// A number of `metadata`.
    fn total(&mut self, _field: Total, _number: i128) {}

    /// Something that should be there is not.
    fn missing(&mut self, _field: Missing, _place: &str) {}

    /// A field that no release knows was passed over.
    fn unknown_field(&mut self, _place: &str) {}
}

/// The texts of `metadata`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum MetadataText {
    Version,
    CreatedAt,
    LastModified,
}

/// The numbers of `metadata`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Total {
    Points,
    Dimensions,
}

/// What may be missing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Missing {
    Metadata,
    CoordinateMap,
    FreeSlots,
    Spaces,
    Mappings,
    ValueDomain,
    NextId,
    Cells,
    RefCounts,
}

impl Missing {
    /// What it is called in the file.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Metadata => "metadata",
            Self::CoordinateMap => "coordinate_map",
            Self::FreeSlots => "free_slots",
            Self::Spaces => "dimensional_spaces",
            Self::Mappings => "coordinate_mappings",
            Self::ValueDomain => "value_domain",
            Self::NextId => "next_id",
            Self::Cells => "coordinate_to_value_id",
            Self::RefCounts => "ref_counts",
        }
    }
}

/// Why reading ended early.
#[derive(Debug)]
pub(crate) enum ReadError<E> {
    Refused(Refused),
    Sink(E),
}

impl<E> From<Refused> for ReadError<E> {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}
