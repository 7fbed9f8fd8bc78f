//! What the contents of a canonical file mean, in whatever order they come and whatever release wrote them.
//!
//! Tells each part to a [`Sink`] as it is read and keeps nothing. What contradicts itself within one entry is refused here; what takes
//! two places to see is up to the sink.

mod reader;

use self::reader::{Field, Reader, Seen, Step};
use super::sink::{MetadataText, Missing, ReadError, Sink, Total};
use super::tokens::{Token, Tokens};
use super::transcode::{Found, next_value};
use super::{ImportLimits, Place, Refused, quoted};
use crate::format::value;
use crate::model::{NAME_LEN_MAX, ValueRef};

/// Bytes of a version or a time.
const METADATA_LEN_MAX: usize = 4096;

/// Reads all contents. What follows them is an error.
pub(crate) fn read<T: Tokens, S: Sink>(
    tokens: &mut T,
    limits: &ImportLimits,
    sink: &mut S,
) -> Result<(), ReadError<S::Error>> {
    let mut reader = Reader::new(tokens, limits, sink);
    match reader.root() {
        Ok(()) => Ok(()),
        Err(ReadError::Refused(refused)) => Err(ReadError::Refused(reader.located(refused))),
        Err(error) => Err(error),
    }
}

impl<T: Tokens, S: Sink> Reader<'_, T, S> {
    fn root(&mut self) -> Step<S> {
        self.map()?;
        let mut seen = Seen::default();
        loop {
            match self.field(&["metadata", "database"], &mut seen)? {
                Field::End => break,
                Field::Known(0) => self.metadata()?,
                Field::Known(_) => self.database()?,
                Field::Unknown => self.unknown()?,
            }
            self.at("");
        }
        self.expect(&seen, &[(0, Missing::Metadata)]);
        if !seen.contains(1) {
            return self.refuse("there is no field \"database\"");
        }
        self.tokens.finish()?;
        Ok(())
    }

    fn metadata(&mut self) -> Step<S> {
        const NAMES: [&str; 5] = ["version", "created_at", "last_modified", "total_vector_points", "total_dimensions"];
        self.at("metadata");
        self.map()?;
        let mut seen = Seen::default();
        loop {
            match self.field(&NAMES, &mut seen)? {
                Field::End => break,
                Field::Known(0) => self.metadata_text("metadata.version", MetadataText::Version)?,
                Field::Known(1) => self.metadata_text("metadata.created_at", MetadataText::CreatedAt)?,
                Field::Known(2) => self.metadata_text("metadata.last_modified", MetadataText::LastModified)?,
                Field::Known(3) => self.total("metadata.total_vector_points", Total::Points)?,
                Field::Known(_) => self.total("metadata.total_dimensions", Total::Dimensions)?,
                Field::Unknown => self.unknown()?,
            }
            self.at("metadata");
        }
        Ok(())
    }

    fn metadata_text(&mut self, place: &'static str, field: MetadataText) -> Step<S> {
        self.at(place);
        let found = match self.tokens.next()? {
            Token::Scalar(ValueRef::Text(text)) if text.len() > METADATA_LEN_MAX => "a text of more than 4 KiB",
            Token::Scalar(ValueRef::Text(text)) => {
                self.sink.metadata(field, text);
                return Ok(());
            }
            Token::Scalar(ValueRef::Null) => return Ok(()),
            token => token.name(),
        };
        self.refuse(format!("{found} where a version or a time belongs"))
    }

    fn total(&mut self, place: &'static str, field: Total) -> Step<S> {
        self.at(place);
        let number = self.required_integer("a number")?;
        self.sink.total(field, number);
        Ok(())
    }

    fn database(&mut self) -> Step<S> {
        self.at("database");
        self.map()?;
        let mut seen = Seen::default();
        loop {
            match self.field(&["central_axis", "dimensional_spaces", "coordinate_mappings"], &mut seen)? {
                Field::End => break,
                Field::Known(0) => self.axis()?,
                Field::Known(1) => self.spaces()?,
                Field::Known(_) => self.mappings()?,
                Field::Unknown => self.unknown()?,
            }
            self.at("database");
        }
        if !seen.contains(0) {
            return self.refuse("there is no field \"central_axis\"");
        }
        self.expect(&seen, &[(1, Missing::Spaces), (2, Missing::Mappings)]);
        Ok(())
    }

    fn axis(&mut self) -> Step<S> {
        self.at("central_axis");
        self.map()?;
        let mut seen = Seen::default();
        loop {
            match self.field(&["vector_points", "coordinate_map", "free_slots"], &mut seen)? {
                Field::End => break,
                Field::Known(0) => self.points()?,
                Field::Known(1) => self.coordinate_map()?,
                Field::Known(_) => self.free_slots()?,
                Field::Unknown => self.unknown()?,
            }
            self.at("central_axis");
        }
        if !seen.contains(0) {
            return self.refuse("there is no field \"vector_points\"");
        }
        self.expect(&seen, &[(1, Missing::CoordinateMap), (2, Missing::FreeSlots)]);
        Ok(())
    }

    /// The next value into the scratch buffer.
    #[inline]
    fn value(&mut self) -> Step<S, Found> {
        self.scratch.clear();
        Ok(next_value(self.tokens, self.limits, &mut self.scratch)?)
    }

    fn points(&mut self) -> Step<S> {
        self.at("vector_points");
        let allowed = self.limits.points.min(u32::MAX.into());
        self.array()?;
        let mut count = 0u64;
        self.index = Some(0);
        loop {
            let key = match self.value()? {
                Found::End => break,
                Found::Null => None,
                Found::Key => Some(self.scratch.as_slice()),
                Found::Value => return self.refuse(NO_KEY),
            };
            count = count.saturating_add(1);
            // What is free behind the last key needs no slots.
            if count > allowed && key.is_some() {
                return Self::limit("points", count, allowed);
            }
            self.sink.slot(key).map_err(ReadError::Sink)?;
            self.step()?;
        }
        Ok(())
    }

    fn coordinate_map(&mut self) -> Step<S> {
        self.at("coordinate_map");
        let is_map = match self.tokens.next()? {
            Token::Map(_) => true,
            Token::Array(_) => false,
            token => {
                let found = token.name();
                return self.refuse(format!("{found} where a map or an array of pairs belongs"));
            }
        };
        self.index = Some(0);
        if is_map && self.tokens.has_text_keys_only() {
            self.sink.coordinates_untyped();
            return self.leave();
        }
        loop {
            if !is_map {
                match self.tokens.next()? {
                    Token::End => break,
                    Token::Array(_) => {}
                    _ => return self.refuse("an entry that is not a pair of key and coordinate"),
                }
            }
            let key = match self.value()? {
                Found::End if is_map => break,
                Found::End => return self.refuse("an entry without a key"),
                Found::Null => false,
                Found::Key => true,
                Found::Value => return self.refuse(NO_KEY),
            };
            let coordinate = self.required_integer("a coordinate")?;
            let key = key.then_some(self.scratch.as_slice());
            self.sink.coordinate(key, coordinate).map_err(ReadError::Sink)?;
            if !is_map && self.skip_one()? {
                return self.refuse("an entry that is not a pair of key and coordinate");
            }
            self.step()?;
        }
        Ok(())
    }

    fn free_slots(&mut self) -> Step<S> {
        self.at("free_slots");
        self.array()?;
        self.sink.free_slots();
        self.index = Some(0);
        while let Some(slot) = self.integer("a coordinate")? {
            self.sink.free_slot(slot);
            self.step()?;
        }
        Ok(())
    }

    /// The next key of a map of dimensions, which becomes the dimension in hand; false at the end.
    fn dimension(&mut self) -> Step<S, bool> {
        loop {
            self.dimension = None;
            self.scratch.clear();
            let allowed = self.limits.name_len.min(NAME_LEN_MAX as u64);
            // A name is no string of the file's data, and may be an array of any length where it is no text.
            let limits = ImportLimits { string_len: allowed, ..*self.limits };
            match next_value(self.tokens, &limits, &mut self.scratch) {
                Ok(Found::End) => return Ok(false),
                Ok(_) => {}
                Err(Refused::Limit { limit: "string_len", value, .. }) => {
                    return Self::limit("name_len", value, allowed);
                }
                Err(refused) => return Err(refused.into()),
            }
            let len = (self.scratch.len() as u64).saturating_sub(1);
            if len > allowed {
                return Self::limit("name_len", len, allowed);
            }
            self.names_len = self.names_len.saturating_add(len);
            if self.names_len > self.limits.names_len {
                return Self::limit("names_len", self.names_len, self.limits.names_len);
            }
            self.dimensions = self.dimensions.saturating_add(1);
            if self.dimensions > self.limits.dimensions {
                return Self::limit("dimensions", self.dimensions, self.limits.dimensions);
            }
            self.tick()?;
            match value::decode(&self.scratch) {
                Ok(ValueRef::Text(name)) => {
                    self.dimension = Some(name.to_owned());
                    return Ok(true);
                }
                Ok(name) if !self.sink.unnamed(&self.scratch) => {
                    let found = Token::Scalar(name).name();
                    let reason = format!("{found} where the name of a dimension belongs, which is a text");
                    return Err(
                        Refused::Torn { place: Place::Content(self.tokens.offset()), reason: reason.into() }.into()
                    );
                }
                _ => self.skip()?,
            }
        }
    }

    /// Goes into the map of all dimensions.
    fn dimensions(&mut self) -> Step<S> {
        (self.dimensions, self.names_len) = (0, 0);
        match self.map()?.map(u64::from).filter(|&count| count > self.limits.dimensions) {
            Some(count) => Self::limit("dimensions", count, self.limits.dimensions),
            None => Ok(()),
        }
    }

    fn spaces(&mut self) -> Step<S> {
        self.at("dimensional_spaces");
        self.dimensions()?;
        while self.dimension()? {
            let name = self.dimension.as_deref().unwrap_or_default();
            if !self.sink.space(name).map_err(ReadError::Sink)? {
                return self.refuse("the dimension comes twice");
            }
            self.space()?;
            self.at("dimensional_spaces");
        }
        Ok(())
    }

    fn space(&mut self) -> Step<S> {
        self.map()?;
        let mut seen = Seen::default();
        loop {
            match self.field(&["value_domain", "next_id", "value_to_id"], &mut seen)? {
                Field::End => break,
                Field::Known(0) => self.value_domain()?,
                Field::Known(1) => {
                    self.at("next_id");
                    let next_id = self.required_integer("a value id")?;
                    self.sink.next_id(next_id);
                }
                // The inverse of value_domain, in releases before 1.4.
                Field::Known(_) => self.skip()?,
                Field::Unknown => self.unknown()?,
            }
            self.at("dimensional_spaces");
        }
        self.expect(&seen, &[(0, Missing::ValueDomain), (1, Missing::NextId)]);
        Ok(())
    }

    fn value_domain(&mut self) -> Step<S> {
        self.at("value_domain");
        let allowed = self.limits.values.min(u32::MAX.into());
        if let Some(count) = self.map()?.map(u64::from).filter(|&count| count > allowed) {
            return Self::limit("values", count, allowed);
        }
        let mut count = 0u64;
        self.index = Some(0);
        while let Some(id) = self.integer("a value id")? {
            let id = self.id(id)?;
            if self.value()? == Found::End {
                return self.refuse("a value is missing");
            }
            count = count.saturating_add(1);
            if count > allowed {
                return Self::limit("values", count, allowed);
            }
            self.sink.value(id, &self.scratch).map_err(ReadError::Sink)?;
            self.step()?;
        }
        Ok(())
    }

    fn mappings(&mut self) -> Step<S> {
        self.at("coordinate_mappings");
        self.dimensions()?;
        while self.dimension()? {
            let name = self.dimension.as_deref().unwrap_or_default();
            if !self.sink.mapping(name).map_err(ReadError::Sink)? {
                return self.refuse("the dimension comes twice");
            }
            self.mapping()?;
            self.at("coordinate_mappings");
        }
        Ok(())
    }

    /// A mapping: fields, or in releases before 1.4 the pairs themselves.
    fn mapping(&mut self) -> Step<S> {
        const FIELDS: [&str; 2] = ["coordinate_to_value_id", "ref_counts"];
        self.map()?;
        let mut seen = Seen::default();
        let (mut cells, mut others) = (0u64, false);
        loop {
            let token = self.tokens.next()?;
            let (direct, field, is_open) = match &token {
                Token::End => break,
                Token::Scalar(ValueRef::Text(name)) => {
                    let direct = token.integer();
                    if direct.is_none() {
                        self.unknown = quoted(name);
                    }
                    (direct, FIELDS.iter().position(|field| field == name), false)
                }
                Token::Scalar(_) => (token.integer(), None, false),
                Token::Array(_) | Token::Map(_) => (None, None, true),
            };
            if is_open {
                self.leave()?;
            }
            match (direct, field) {
                (Some(coordinate), _) => {
                    cells = cells.saturating_add(1);
                    self.index = Some(cells);
                    self.cell(coordinate)?;
                }
                (None, Some(field)) if !seen.insert(field) => {
                    let name = FIELDS.get(field).copied().unwrap_or_default();
                    return self.refuse(format!("the field {name:?} comes twice"));
                }
                (None, Some(0)) => self.cells()?,
                (None, Some(_)) => self.ref_counts()?,
                (None, None) => {
                    others = true;
                    self.unknown()?;
                }
            }
            self.part = "coordinate_mappings";
        }
        if cells > 0 && (seen.contains(0) || seen.contains(1)) {
            return self.refuse("pairs of coordinate and value id beside fields");
        }
        // Not a field that nobody knows, but a cell that would be lost.
        if others && !seen.contains(0) {
            return self
                .refuse("neither a pair of coordinate and value id nor a field beside \"coordinate_to_value_id\"");
        }
        if seen.contains(0) || seen.contains(1) {
            self.expect(&seen, &[(0, Missing::Cells), (1, Missing::RefCounts)]);
        }
        Ok(())
    }

    fn cells(&mut self) -> Step<S> {
        self.at("coordinate_to_value_id");
        self.map()?;
        self.index = Some(0);
        while let Some(coordinate) = self.integer("a coordinate")? {
            self.cell(coordinate)?;
        }
        self.index = None;
        Ok(())
    }

    /// The id of a cell.
    #[inline]
    fn cell(&mut self, coordinate: i128) -> Step<S> {
        let id = self.required_integer("a value id")?;
        let id = self.id(id)?;
        self.sink.cell(coordinate, id).map_err(ReadError::Sink)?;
        self.step()
    }

    fn ref_counts(&mut self) -> Step<S> {
        self.at("ref_counts");
        self.map()?;
        self.sink.ref_counts();
        self.index = Some(0);
        while let Some(id) = self.integer("a value id")? {
            let id = self.id(id)?;
            let count = self.required_integer("a count")?;
            self.sink.ref_count(id, count);
            self.step()?;
        }
        self.index = None;
        Ok(())
    }
}

const NO_KEY: &str =
    "a value that cannot be a key: a map, an integer outside of 64 bits, or an array with one of these or null";
