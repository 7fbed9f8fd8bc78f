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
    /// The one copy of a name and its place, if it is among the first few. Records mostly have the same names in the same order: the name may be
    /// at `place`.
    fn share(&mut self, name: &str, place: usize) -> (Arc<str>, Option<usize>) {
        let is_it = |known: &&Arc<str>| ***known == *name;
        if let Some(known) = self.0.get(place).filter(is_it) {
            return (Arc::clone(known), Some(place));
        }
        if let Some((place, known)) = self.0.iter().enumerate().find(|(_, known)| is_it(known)) {
            return (Arc::clone(known), Some(place));
        }
        let shared: Arc<str> = name.into();
        let is_kept = self.0.len() < FEW;
        if is_kept {
            self.0.push(Arc::clone(&shared));
        }
        (shared, is_kept.then(|| self.0.len() - 1))
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
    // Points with many attributes are looked through by hash, those with few as they are, and those not at all whose names ascend among the
    // shared ones.
    let mut places: HashMap<Arc<str>, usize> = HashMap::new();
    let (mut last, mut ascend) = (None, true);
    for pair in pairs {
        let (name, value) = pair?;
        let name = name.as_ref();
        if name.len() > NAME_LEN_MAX {
            return Err(Error::invalid_argument(format!(
                "the name of a dimension has at most {NAME_LEN_MAX} bytes, this one has {}",
                name.len()
            )));
        }
        let (name, place) = names.share(name, attributes.len());
        ascend &= place > last;
        last = place;
        // The last one wins, as in a map.
        let known = if ascend {
            None
        } else if attributes.len() <= FEW {
            attributes.iter().position(|(other, _)| **other == *name)
        } else {
            if places.is_empty() {
                places = attributes.iter().enumerate().map(|(at, (name, _))| (name.clone(), at)).collect();
            }
            places.get(&name).copied()
        };
        match known.and_then(|at| attributes.get_mut(at)) {
            Some((_, place)) => *place = value,
            None => {
                if attributes.len() > FEW {
                    places.insert(Arc::clone(&name), attributes.len());
                }
                attributes.push((name, value));
            }
        }
    }
    Ok(attributes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_value_of_a_name_counts_in_whatever_order_records_have_names() {
        let mut names = Names::default();
        let many: Vec<String> = (0..40).map(|n| format!("name {n}")).collect();
        let orders: [Vec<usize>; 8] = [
            vec![0, 1, 2, 3],
            vec![0, 1, 2, 3],
            vec![0, 1, 1, 0],
            vec![3, 2, 1, 0, 3],
            vec![1, 3, 5, 3],
            (0..40).collect(),
            (0..40).chain([5, 39, 20]).collect(),
            (0..40).rev().chain(0..40).collect(),
        ];
        for order in orders {
            let mut expected: Vec<(&str, usize)> = Vec::new();
            for (at, &name) in order.iter().enumerate() {
                match expected.iter_mut().find(|(known, _)| *known == many[name]) {
                    Some((_, last)) => *last = at,
                    None => expected.push((&many[name], at)),
                }
            }
            let pairs = order.iter().enumerate().map(|(at, &name)| (&*many[name], Some(Value::from(at as u64))));
            let found = shared_attributes(pairs, &mut names).unwrap();
            let found: Vec<_> = found.iter().map(|(name, value)| (&**name, value.clone().unwrap())).collect();
            let expected: Vec<_> = expected.iter().map(|&(name, at)| (name, ValueBuf::Int(at as i128))).collect();
            assert_eq!(found, expected, "{order:?}");
        }
    }
}
