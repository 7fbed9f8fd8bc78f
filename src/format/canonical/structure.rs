//! The structure of the content: which fields there are, in which order, and how many elements each has.

use super::encode::{array_len, map_len, text, uint};
use std::io::{self, Write};

/// What the file says about itself. The times are as [`isoformat`](super::isoformat) makes them.
#[derive(Clone, Debug)]
pub(crate) struct Metadata {
    pub(crate) version: String,
    pub(crate) created_at: String,
    pub(crate) last_modified: String,
}

/// Elements that are written one by one, their count in front. Dimensions are numbered in the order of first use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Part {
    /// `vector_points`: a key or nil for each slot up to the last key.
    Points,
    /// `coordinate_map`: an array of key and slot for each key.
    CoordinateMap,
    /// `free_slots`: the slots without a key before the last key.
    FreeSlots,
    /// `value_domain` of a dimension: pairs of id and value.
    ValueDomain(usize),
    /// `coordinate_to_value_id` of a dimension: pairs of slot and id.
    ValueIds(usize),
    /// `ref_counts` of a dimension: pairs of id and count.
    RefCounts(usize),
}

/// How much there is on the central axis.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AxisCounts {
    /// One above the last slot that has a key.
    pub(crate) slots: u32,
    /// Keys.
    pub(crate) points: u32,
}

/// A dimension, and how much there is in it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DimensionCounts<'a> {
    pub(crate) name: &'a str,
    /// Slots that have a value.
    pub(crate) cells: u32,
    /// Distinct values.
    pub(crate) values: u32,
}

/// What fills the structure.
pub(crate) trait Contents {
    type Out: Write;
    type Error: From<io::Error>;

    fn metadata(&self) -> &Metadata;
    fn axis(&self) -> AxisCounts;
    fn dimension_count(&self) -> usize;
    fn dimension(&self, number: usize) -> DimensionCounts<'_>;

    /// Writes the elements of a part, as many as were counted. Parts are asked for once each, in the order of the file.
    fn elements(&mut self, part: Part, out: &mut Self::Out) -> Result<(), Self::Error>;
}

/// Writes the content.
pub(crate) fn write<C: Contents>(contents: &mut C, out: &mut C::Out) -> Result<(), C::Error> {
    let dimension_count = contents.dimension_count();
    map_len(out, 2)?;
    text(out, "metadata")?;
    write_metadata(contents, out)?;
    text(out, "database")?;
    map_len(out, 3)?;
    text(out, "central_axis")?;
    write_axis(contents, out)?;
    text(out, "dimensional_spaces")?;
    map_len(out, dimension_count)?;
    for number in 0..dimension_count {
        let DimensionCounts { name, values, .. } = contents.dimension(number);
        text(out, name)?;
        map_len(out, 2)?;
        text(out, "value_domain")?;
        map_len(out, values)?;
        contents.elements(Part::ValueDomain(number), out)?;
        text(out, "next_id")?;
        uint(out, u64::from(values).saturating_add(1))?;
    }
    text(out, "coordinate_mappings")?;
    map_len(out, dimension_count)?;
    for number in 0..dimension_count {
        let DimensionCounts { name, values, cells } = contents.dimension(number);
        text(out, name)?;
        map_len(out, 2)?;
        text(out, "coordinate_to_value_id")?;
        map_len(out, cells)?;
        contents.elements(Part::ValueIds(number), out)?;
        text(out, "ref_counts")?;
        map_len(out, values)?;
        contents.elements(Part::RefCounts(number), out)?;
    }
    Ok(())
}

fn write_metadata<C: Contents>(contents: &C, out: &mut C::Out) -> io::Result<()> {
    let metadata = contents.metadata();
    map_len(out, 5)?;
    for (name, of) in [
        ("version", &metadata.version),
        ("created_at", &metadata.created_at),
        ("last_modified", &metadata.last_modified),
    ] {
        text(out, name)?;
        text(out, of)?;
    }
    text(out, "total_vector_points")?;
    uint(out, u64::from(contents.axis().points))?;
    text(out, "total_dimensions")?;
    uint(out, u64::try_from(contents.dimension_count()).unwrap_or(u64::MAX))
}

fn write_axis<C: Contents>(contents: &mut C, out: &mut C::Out) -> Result<(), C::Error> {
    let AxisCounts { slots, points } = contents.axis();
    map_len(out, 3)?;
    text(out, "vector_points")?;
    array_len(out, slots)?;
    contents.elements(Part::Points, out)?;
    text(out, "coordinate_map")?;
    array_len(out, points)?;
    contents.elements(Part::CoordinateMap, out)?;
    text(out, "free_slots")?;
    array_len(out, slots.saturating_sub(points))?;
    contents.elements(Part::FreeSlots, out)
}
