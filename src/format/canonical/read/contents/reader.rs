//! Where a reader of contents is, what it may go into there, and how it says what is wrong.

use super::super::sink::{Missing, ReadError, Sink};
use super::super::tokens::{Token, Tokens};
use super::super::{ImportLimits, Place, Refused, quoted};
use crate::model::{VALUE_LEN_MAX, ValueRef};

/// Values and pairs between two reports of progress.
const REPORT_INTERVAL: u32 = 8192;

pub(super) struct Reader<'r, T, S> {
    pub(super) tokens: &'r mut T,
    pub(super) limits: &'r ImportLimits,
    pub(super) sink: &'r mut S,
    /// Where in the contents: the part, whose dimension, and which entry of it.
    pub(super) part: &'static str,
    pub(super) dimension: Option<String>,
    pub(super) index: Option<u64>,
    /// Dimensions, counted in spaces or mappings.
    pub(super) dimensions: u64,
    /// Bytes of the names of those.
    pub(super) names_len: u64,
    pub(super) until_report: u32,
    pub(super) scratch: Vec<u8>,
    /// The name of the last field that nobody knows, for messages.
    pub(super) unknown: String,
}

/// A field of a map of which the names are known.
pub(super) enum Field {
    /// Its place in the list of names.
    Known(usize),
    Unknown,
    End,
}

/// Which of a list of fields came.
#[derive(Default)]
pub(super) struct Seen(u32);

impl Seen {
    /// False if it came before.
    pub(super) fn insert(&mut self, field: usize) -> bool {
        let bit = 1u32.checked_shl(u32::try_from(field).unwrap_or(u32::MAX)).unwrap_or(0);
        let is_new = self.0 & bit == 0;
        self.0 |= bit;
        is_new
    }

    pub(super) fn contains(&self, field: usize) -> bool {
        !Self(self.0).insert(field)
    }
}

pub(super) type Step<S, R = ()> = Result<R, ReadError<<S as Sink>::Error>>;

impl<'r, T, S> Reader<'r, T, S> {
    pub(super) const fn new(tokens: &'r mut T, limits: &'r ImportLimits, sink: &'r mut S) -> Self {
        Self {
            tokens,
            limits,
            sink,
            part: "",
            dimension: None,
            index: None,
            dimensions: 0,
            names_len: 0,
            until_report: REPORT_INTERVAL,
            scratch: Vec::new(),
            unknown: String::new(),
        }
    }
}

impl<T: Tokens, S: Sink> Reader<'_, T, S> {
    /// Says where something is wrong.
    pub(super) fn located(&self, refused: Refused) -> Refused {
        match refused {
            Refused::Malformed { place, reason } => Refused::Malformed { place: self.place(place), reason },
            Refused::Torn { place, reason } => Refused::Torn { place: self.place(place), reason },
            // What cuts content into tokens allows more.
            Refused::Limit { limit: "string_len", value, .. } => {
                let allowed = self.limits.string_len.min(VALUE_LEN_MAX as u64);
                Refused::Limit { limit: "string_len", value, allowed }
            }
            other => other,
        }
    }

    /// A place in the content, with the part that it is in.
    pub(super) fn place(&self, place: Place) -> Place {
        match place {
            Place::Content(offset) if !self.part.is_empty() => {
                let dimension = self.dimension.as_ref().map(|name| format!("[{}]", quoted(name))).unwrap_or_default();
                let index = self.index.map(|index| format!(", entry {index}")).unwrap_or_default();
                let part = self.part;
                Place::Part(format!("{part}{dimension}{index} (byte {offset} of its uncompressed content)"))
            }
            other => other,
        }
    }

    pub(super) fn refuse<R>(&self, reason: impl Into<std::borrow::Cow<'static, str>>) -> Step<S, R> {
        Err(Refused::content(self.tokens.offset(), reason).into())
    }

    pub(super) fn at(&mut self, part: &'static str) {
        self.part = part;
        self.index = None;
    }

    /// Counts an entry, for places and progress.
    #[inline]
    pub(super) fn step(&mut self) -> Step<S> {
        self.index = self.index.map(|index| index.saturating_add(1));
        self.tick()
    }

    /// Asks now and then whether to go on.
    #[inline]
    pub(super) fn tick(&mut self) -> Step<S> {
        self.until_report = self.until_report.saturating_sub(1);
        if self.until_report == 0 {
            self.until_report = REPORT_INTERVAL;
            self.tokens.report()?;
        }
        Ok(())
    }

    /// Goes into a map.
    pub(super) fn map(&mut self) -> Step<S, Option<u32>> {
        let found = match self.tokens.next()? {
            Token::Map(count) => return Ok(count),
            token => token.name(),
        };
        self.refuse(format!("{found} where a map belongs"))
    }

    /// Goes into an array.
    pub(super) fn array(&mut self) -> Step<S, Option<u32>> {
        let found = match self.tokens.next()? {
            Token::Array(count) => return Ok(count),
            token => token.name(),
        };
        self.refuse(format!("{found} where an array belongs"))
    }

    /// Passes over a value.
    pub(super) fn skip(&mut self) -> Step<S> {
        if self.skip_one()? { Ok(()) } else { self.refuse("a value is missing") }
    }

    /// Passes over a value; false if the array or map ends instead.
    pub(super) fn skip_one(&mut self) -> Step<S, bool> {
        let mut depth = 0u64;
        loop {
            match self.tokens.next()? {
                Token::End if depth == 0 => return Ok(false),
                Token::End => depth = depth.saturating_sub(1),
                Token::Scalar(scalar) => {
                    let (len, allowed) = (string_len(scalar), self.limits.string_len);
                    if len > allowed {
                        return Self::limit("string_len", len, allowed);
                    }
                }
                Token::Array(_) | Token::Map(_) => depth = depth.saturating_add(1),
            }
            self.tick()?;
            if depth == 0 {
                return Ok(true);
            }
        }
    }

    /// The next key of a map whose keys are names.
    pub(super) fn field(&mut self, names: &[&'static str], seen: &mut Seen) -> Step<S, Field> {
        let (found, opened) = match self.tokens.next()? {
            Token::End => return Ok(Field::End),
            Token::Scalar(ValueRef::Text(name)) => {
                let known = names.iter().position(|known| *known == name);
                if known.is_none() {
                    self.unknown = quoted(name);
                }
                (known, false)
            }
            Token::Scalar(_) => (None, false),
            Token::Array(_) | Token::Map(_) => (None, true),
        };
        if opened {
            self.leave()?;
        }
        match found {
            Some(field) if seen.insert(field) => Ok(Field::Known(field)),
            Some(field) => {
                self.refuse(format!("the field {:?} comes twice", names.get(field).copied().unwrap_or_default()))
            }
            None => Ok(Field::Unknown),
        }
    }

    /// Passes over the rest of the array or map that was just gone into.
    pub(super) fn leave(&mut self) -> Step<S> {
        while self.skip_one()? {}
        Ok(())
    }

    /// An integer, or what stands for one: the original takes text, bytes and floats for ids and coordinates.
    #[inline]
    pub(super) fn integer(&mut self, what: &'static str) -> Step<S, Option<i128>> {
        match self.tokens.next_unsigned() {
            Some(number) => Ok(Some(number.into())),
            None => self.other_integer(what),
        }
    }

    pub(super) fn other_integer(&mut self, what: &'static str) -> Step<S, Option<i128>> {
        let token = self.tokens.next()?;
        if let Token::End = token {
            return Ok(None);
        }
        match token.integer() {
            Some(integer) => Ok(Some(integer)),
            None => {
                let found = token.name();
                self.refuse(format!("{found} where {what} belongs"))
            }
        }
    }

    pub(super) fn required_integer(&mut self, what: &'static str) -> Step<S, i128> {
        match self.integer(what)? {
            Some(integer) => Ok(integer),
            None => self.refuse(format!("{what} is missing")),
        }
    }

    pub(super) fn id(&self, id: i128) -> Step<S, i64> {
        match i64::try_from(id) {
            Ok(id) => Ok(id),
            Err(_) => self.refuse(format!("{id} is no value id")),
        }
    }

    pub(super) fn limit<R>(limit: &'static str, value: u64, allowed: u64) -> Step<S, R> {
        Err(Refused::Limit { limit, value, allowed }.into())
    }

    /// Passes over a field that nobody knows.
    pub(super) fn unknown(&mut self) -> Step<S> {
        let name = std::mem::take(&mut self.unknown);
        let place = self.place_of(&name);
        self.sink.unknown_field(&place);
        self.skip()
    }

    /// Says which of some fields did not come.
    pub(super) fn expect(&mut self, seen: &Seen, fields: &[(usize, Missing)]) {
        for &(field, missing) in fields {
            if !seen.contains(field) {
                self.missing(missing);
            }
        }
    }

    pub(super) fn missing(&mut self, field: Missing) {
        let place = self.place_of(field.name());
        self.sink.missing(field, &place);
    }

    /// A field of the part in hand, for messages.
    pub(super) fn place_of(&self, field: &str) -> String {
        let dimension = self.dimension.as_ref().map(|name| format!("[{}]", quoted(name))).unwrap_or_default();
        let separator = if self.part.is_empty() { "" } else { "." };
        format!("{}{dimension}{separator}{field}", self.part)
    }
}

/// Bytes of a string, which [`ImportLimits::string_len`] limits; 0 of what is none.
const fn string_len(scalar: ValueRef<'_>) -> u64 {
    match scalar {
        ValueRef::Text(text) => text.len() as u64,
        ValueRef::Bytes(bytes) => bytes.len() as u64,
        ValueRef::Ext(ext) => ext.data.len() as u64,
        _ => 0,
    }
}
