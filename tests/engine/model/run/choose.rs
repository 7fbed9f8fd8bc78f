//! Choosing keys, dimensions and values.

use super::{Attributes, DIMENSIONS_MAX, Run};
use crate::model::plain::PlainKey;
use std::sync::Arc;
use vector_datalib::Value;

impl Run {
    pub(super) fn key(&mut self) -> PlainKey {
        let slots = &self.plain.contents.slots;
        if !slots.is_empty() && self.random.one_in(3) {
            let slot = self.random.below(slots.len());
            if let Some(point) = &slots[slot] {
                return point.key.clone();
            }
        }
        if let Some(first) = self.profile.dense
            && self.random.one_in(2)
        {
            let slot = self.plain.lowest_free();
            return PlainKey::new(Value::Int(i128::from(first) + i128::from(slot)));
        }
        self.random.pick(&self.profile.keys).clone()
    }

    pub(super) fn name(&mut self) -> Arc<str> {
        if self.random.one_in(30) {
            return "nobody uses this one".into();
        }
        Arc::clone(&self.random.pick(&self.profile.dimensions).name)
    }

    pub(super) fn attributes(&mut self) -> Attributes {
        let random = &mut self.random;
        let mut attributes = Attributes::new();
        if random.one_in(12) {
            return attributes;
        }
        let dimensions = &self.profile.dimensions;
        let first = random.below(dimensions.len());
        for dimension in dimensions[first..].iter().chain(&dimensions[..first]) {
            if random.one_in(dimension.sparsity) {
                attributes.push((Arc::clone(&dimension.name), dimension.value(random)));
            }
        }
        if random.one_in(10) {
            // A name that comes twice: the last value counts.
            let dimension = random.pick(dimensions);
            attributes.push((Arc::clone(&dimension.name), dimension.value(random)));
        }
        let known = self.plain.contents.dimensions.len();
        if known < DIMENSIONS_MAX && random.one_in(40 * (known + 1)) {
            attributes.push((format!("new {known}").into(), self.profile.dimensions[0].value(random)));
        }
        attributes
    }
}
