//! What one commit changes, before it is known to which slots.

use crate::error::{Error, Result};
use crate::model::{Key, NAME_LEN_MAX, Value, ValueBuf};
use std::collections::HashMap;
use std::sync::Arc;

/// Up to so many attributes are compared one by one.
const FEW: usize = 16;

/// Attributes by name; `None` removes one.
pub(crate) type Attributes = Vec<(Arc<str>, Option<ValueBuf>)>;

/// Names that the records of a batch share.
#[derive(Debug, Default)]
pub(crate) struct Names(Vec<Arc<str>>);

impl Names {
    /// The one copy of a name, if it is among the first few.
    fn share(&mut self, name: &str) -> Arc<str> {
        if let Some(known) = self.0.iter().find(|known| ***known == *name) {
            return Arc::clone(known);
        }
        let shared: Arc<str> = name.into();
        if self.0.len() < FEW {
            self.0.push(Arc::clone(&shared));
        }
        shared
    }
}

/// One step of a batch.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// Inserts a key, or changes the attributes that are named. At a position, a new key goes there and later slots move up.
    Upsert { key: Key, attributes: Attributes, position: Option<u32> },
    /// Removes attributes of a key, if it is there.
    Remove { key: Key, attributes: Attributes },
    /// Deletes a key, if it is there.
    Delete { key: Key },
}

impl Step {
    pub(crate) fn key(&self) -> &Key {
        match self {
            Self::Upsert { key, .. } | Self::Remove { key, .. } | Self::Delete { key } => key,
        }
    }
}

/// What became of a step.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Outcome {
    /// The key's slot.
    At(u32),
    /// The key, or the attribute, was not there: nothing changed.
    Missing,
}

/// Checks and encodes the attributes of a step.
pub(crate) fn attributes<N: AsRef<str>>(pairs: impl IntoIterator<Item = (N, Option<Value>)>) -> Result<Attributes> {
    shared_attributes(pairs, &mut Names::default())
}

/// The same for a record of a batch.
pub(crate) fn shared_attributes<N: AsRef<str>>(
    pairs: impl IntoIterator<Item = (N, Option<Value>)>,
    names: &mut Names,
) -> Result<Attributes> {
    let encoded = pairs.into_iter().map(|(name, value)| match value.map(ValueBuf::try_from).transpose() {
        Ok(value) => Ok((name, value)),
        Err(error) => Err(Error::invalid_argument(format!("attribute `{}`: {error}", name.as_ref()))),
    });
    encoded_attributes(encoded, names)
}

/// Checks the attributes of a step whose values are encoded.
pub(super) fn encoded_attributes<N: AsRef<str>>(
    pairs: impl IntoIterator<Item = Result<(N, Option<ValueBuf>)>>,
    names: &mut Names,
) -> Result<Attributes> {
    let pairs = pairs.into_iter();
    let mut attributes: Attributes = Vec::with_capacity(pairs.size_hint().0.min(FEW));
    // Points with many attributes are looked through by hash, those with few as they are.
    let mut places: HashMap<Arc<str>, usize> = HashMap::new();
    for pair in pairs {
        let (name, value) = pair?;
        let name = name.as_ref();
        if name.len() > NAME_LEN_MAX {
            return Err(Error::invalid_argument(format!(
                "the name of a dimension has at most {NAME_LEN_MAX} bytes, this one has {}",
                name.len()
            )));
        }
        // The last one wins, as in a map.
        let known = if attributes.len() <= FEW {
            attributes.iter().position(|(other, _)| **other == *name)
        } else {
            if places.is_empty() {
                places = attributes.iter().enumerate().map(|(at, (name, _))| (name.clone(), at)).collect();
            }
            places.get(name).copied()
        };
        match known.and_then(|at| attributes.get_mut(at)) {
            Some((_, place)) => *place = value,
            None => {
                let name = names.share(name);
                if attributes.len() > FEW {
                    places.insert(Arc::clone(&name), attributes.len());
                }
                attributes.push((name, value));
            }
        }
    }
    Ok(attributes)
}
