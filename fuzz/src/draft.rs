//! A canonical file in the making: what it says, and what is true.

use super::input::Input;
use super::node::{Node, Xorshift, json_node, value_node};
use super::probe::Attributes;
use std::collections::{BTreeMap, HashMap, HashSet};
use vector_datalib::{Key, Slot, Value};

/// How a draft is written, none of which changes what is true. A choice that is made again and again comes of numbers.
#[derive(Clone, Debug)]
pub struct Style {
    /// For JSON: names are text, and values of other types than JSON's do not occur.
    pub is_json: bool,
    /// Parts that need not be there are not.
    pub is_bare: bool,
    /// What follows from the rest is wrong.
    pub is_stale: bool,
    /// Fields that nobody knows.
    pub has_unknown_fields: bool,
    /// The coordinate map is a map.
    pub has_map: bool,
    /// Mappings are the pairs themselves.
    pub is_direct: bool,
    pub numbers: Xorshift,
}

/// One dimension.
#[derive(Clone, Debug)]
pub struct Dimension {
    pub name: String,
    pub domain: Vec<(i64, Value)>,
    /// Coordinates and ids.
    pub cells: Vec<(i128, i64)>,
}

/// Everything that a file says.
#[derive(Clone, Debug)]
pub struct Draft {
    pub slots: Vec<Option<Key>>,
    /// What the coordinate map has.
    pub coordinates: Vec<(Key, i128)>,
    pub dimensions: Vec<Dimension>,
}

/// What a database must have: slots and keys, dimensions by name, and attributes.
#[derive(PartialEq, Debug)]
pub struct Truth {
    pub points: Vec<(Slot, Key, Attributes)>,
    pub dimensions: Vec<String>,
}

impl Draft {
    /// A draft that contradicts itself nowhere. `repeats`: but for keys that come again.
    pub fn new(input: &mut Input<'_>, style: &Style, repeats: bool) -> Self {
        let mut draft = Self { slots: Vec::new(), coordinates: Vec::new(), dimensions: Vec::new() };
        let mut names: Vec<String> = Vec::new();
        for _ in 0..input.below(5) {
            let name = if input.one_in(4) { input.text().chars().take(300).collect() } else { input.name().to_owned() };
            if !names.contains(&name) {
                names.push(name);
            }
        }
        let mut keys = HashSet::new();
        for _ in 0..input.below(14) {
            let key = draft_key(input, style.is_json);
            let is_free = input.one_in(6);
            let is_new = keys.insert(key.clone());
            draft.slots.push((!is_free && (is_new || repeats)).then_some(key));
        }
        if input.one_in(8) {
            let (count, kind) = (input.u16() % 2000, input.u8());
            let many = (0..count).map(|n| many_key(n, kind)).map(|key| keys.insert(key.clone()).then_some(key));
            draft.slots.extend(many);
        }
        let slots = draft.slots.iter().zip(0..);
        draft.coordinates = slots.filter_map(|(key, slot)| Some((key.clone()?, slot))).collect();
        for name in names {
            draft.dimensions.push(draft.dimension(name, input, style.is_json));
        }
        draft
    }

    fn dimension(&self, name: String, input: &mut Input<'_>, is_json: bool) -> Dimension {
        let mut dimension = Dimension { name, domain: Vec::new(), cells: Vec::new() };
        let ids = input.u8();
        let mut known: HashMap<Value, i64> = HashMap::new();
        let live = self.slots.iter().zip(0..).filter(|(key, _)| key.is_some());
        let mut many = None;
        for (place, (_, slot)) in live.enumerate() {
            let value = if place < 14 {
                if input.one_in(4) {
                    continue;
                }
                let value = input.value();
                if is_json { json_value(value) } else { value }
            } else {
                let (kind, few) = *many.get_or_insert_with(|| (input.u8(), u64::from(input.u8()) + 1));
                match many_value(place as u64, kind, few) {
                    Some(value) => value,
                    None => continue,
                }
            };
            // Now and then a value gets another id.
            let id = match known.get(&value).filter(|_| place >= 14 || !input.one_in(8)) {
                Some(id) => *id,
                None => dimension.add(value.clone(), ids),
            };
            known.insert(value, id);
            dimension.cells.push((slot, id));
        }
        if input.one_in(4) {
            dimension.add(Value::from("nobody has it"), ids);
        }
        if input.one_in(4) {
            self.add_ghosts(&mut dimension, input);
        }
        dimension
    }

    /// Cells of coordinates that have no point, whether their id has a value or not.
    fn add_ghosts(&self, dimension: &mut Dimension, input: &mut Input<'_>) {
        let end = self.slots.len() as i128;
        let free = self.slots.iter().zip(0..).filter(|(key, _)| key.is_none()).map(|(_, slot)| slot);
        let ghosts = free.chain([end, end + 70_000, u32::MAX.into(), u64::MAX.into(), -1, i64::MIN.into()]);
        for ghost in ghosts.take(40) {
            if !input.one_in(2) {
                dimension.cells.push((ghost, i64::from(input.u8())));
            }
        }
    }

    /// What is true of it: what a salvage would have, where it contradicts itself.
    pub fn truth(&self) -> Truth {
        let last: HashMap<&Key, usize> =
            self.slots.iter().enumerate().filter_map(|(slot, key)| Some((key.as_ref()?, slot))).collect();
        let mut attributes: BTreeMap<usize, Attributes> = BTreeMap::new();
        for dimension in &self.dimensions {
            let values: HashMap<i64, &Value> = dimension.domain.iter().map(|(id, value)| (*id, value)).collect();
            for (coordinate, id) in &dimension.cells {
                if let (Ok(slot), Some(value)) = (usize::try_from(*coordinate), values.get(id)) {
                    attributes.entry(slot).or_default().push((dimension.name.clone(), Some((*value).clone())));
                }
            }
        }
        let points = self.slots.iter().enumerate().filter_map(|(slot, key)| {
            let key = key.as_ref().filter(|key| last[key] == slot)?;
            Some((Slot(slot as u32), key.clone(), attributes.remove(&slot).unwrap_or_default()))
        });
        Truth { points: points.collect(), dimensions: self.dimensions.iter().map(|of| of.name.clone()).collect() }
    }

    /// As a tree.
    pub fn node(&self, style: &mut Style) -> Node {
        let points = self.slots.iter().map(|key| match key {
            Some(key) => style.value(&key.to_value()),
            None => Node::Nil,
        });
        let mut points: Vec<Node> = points.collect();
        if style.is_stale {
            points.extend(vec![Node::Nil; style.numbers.below(4)]);
        }
        let free = self.slots.iter().zip(0..).filter(|(key, _)| key.is_none());
        let mut free: Vec<Node> = free.map(|(_, slot)| style.number(slot, false)).collect();
        if style.is_stale {
            free.push(Node::Int(-5));
        }
        let mut axis = vec![("vector_points", Node::Array(points))];
        if !style.is_bare {
            axis.push(("coordinate_map", self.coordinate_map(style)));
            axis.push(("free_slots", Node::Array(free)));
        }
        let mut database = vec![("central_axis", style.fields(axis))];
        if !style.is_bare || !self.dimensions.is_empty() {
            let spaces = self.dimensions.iter().map(|dimension| dimension.space(style));
            database.push(("dimensional_spaces", Node::Map(spaces.collect())));
        }
        let has_cells = |dimension: &&Dimension| !dimension.cells.is_empty();
        let mapped: Vec<_> = self.dimensions.iter().filter(|of| !style.is_bare || has_cells(of)).collect();
        if !style.is_bare || !mapped.is_empty() {
            let mut mappings: Vec<_> = mapped.iter().map(|dimension| dimension.mapping(style)).collect();
            style.numbers.shuffle(&mut mappings);
            database.push(("coordinate_mappings", Node::Map(mappings)));
        }
        let mut root = vec![("database", style.fields(database))];
        if !style.is_bare {
            root.push(("metadata", self.metadata(style)));
        }
        style.fields(root)
    }

    fn coordinate_map(&self, style: &mut Style) -> Node {
        let node = |(key, coordinate): &(Key, i128)| {
            let key = style.value(&key.to_value());
            (key, style.number(*coordinate, false))
        };
        let mut entries: Vec<(Node, Node)> = self.coordinates.iter().map(node).collect();
        style.numbers.shuffle(&mut entries);
        if style.is_json {
            // Different keys may look the same.
            let entries = entries.into_iter().map(|(key, coordinate)| (Node::Text(format!("{key:?}")), coordinate));
            Node::Map(entries.collect())
        } else if style.has_map {
            Node::Map(entries)
        } else {
            Node::Array(entries.into_iter().map(|(key, coordinate)| Node::Array(vec![key, coordinate])).collect())
        }
    }

    fn metadata(&self, style: &mut Style) -> Node {
        let wrong = i128::from(style.is_stale);
        let points = self.slots.iter().flatten().count() as i128;
        let fields = vec![
            ("version", Node::from(if style.is_stale { "9.9" } else { "1.4.0-beta" })),
            ("created_at", if style.is_stale { Node::Nil } else { Node::from("2025-01-02T03:04:05.000006") }),
            ("last_modified", Node::from("2025-01-02T03:04:05")),
            ("total_vector_points", style.number(points + wrong, false)),
            ("total_dimensions", style.number(self.dimensions.len() as i128 + wrong, false)),
        ];
        style.fields(fields)
    }
}

impl Dimension {
    /// Adds a value under an id of its own.
    fn add(&mut self, value: Value, kind: u8) -> i64 {
        let count = self.domain.len() as i64;
        let id = match kind % 4 {
            0 => count + 1,
            1 => count * 7 - 20,
            2 => -count,
            // Far from each other, and no two the same.
            _ => count.wrapping_mul(0x9E37_79B9_7F4A_7C15_u64.cast_signed()).wrapping_add(i64::MAX),
        };
        self.domain.push((id, value));
        id
    }

    fn space(&self, style: &mut Style) -> (Node, Node) {
        let highest = self.domain.iter().map(|(id, _)| i128::from(*id)).max().unwrap_or(0);
        let value = |(id, value): &(i64, Value)| (style.number((*id).into(), true), style.value(value));
        let mut domain: Vec<(Node, Node)> = self.domain.iter().map(value).collect();
        style.numbers.shuffle(&mut domain);
        let mut fields = Vec::new();
        if !style.is_bare || !domain.is_empty() {
            fields.push(("value_domain", Node::Map(domain)));
        }
        if !style.is_bare {
            fields.push(("next_id", style.number(if style.is_stale { highest } else { highest + 1 }, false)));
        }
        if style.is_direct {
            fields.push(("value_to_id", Node::Map(vec![(Node::from("passed over"), Node::Array(vec![Node::Nil]))])));
        }
        (Node::Text(self.name.clone()), style.fields(fields))
    }

    fn mapping(&self, style: &mut Style) -> (Node, Node) {
        let mut cells = Vec::new();
        let mut counts: BTreeMap<i64, i128> = BTreeMap::new();
        for (coordinate, id) in &self.cells {
            cells.push((style.number(*coordinate, true), style.number((*id).into(), false)));
            *counts.entry(*id).or_default() += 1;
        }
        style.numbers.shuffle(&mut cells);
        let name = Node::Text(self.name.clone());
        if style.is_direct {
            return (name, Node::Map(cells));
        }
        let wrong = i128::from(style.is_stale);
        let count = |(id, count): (i64, i128)| (style.number(id.into(), true), style.number(count + wrong, false));
        let counts = counts.into_iter().map(count).collect();
        let mut fields = vec![("coordinate_to_value_id", Node::Map(cells))];
        if !style.is_bare {
            fields.push(("ref_counts", Node::Map(counts)));
        }
        (name, style.fields(fields))
    }
}

impl Style {
    fn value(&mut self, value: &Value) -> Node {
        if self.is_json { json_node(value) } else { value_node(value, self.numbers.below(3) == 2) }
    }

    /// A number in one of the forms that stand for it. `is_name`: it is the key of a map.
    fn number(&mut self, number: i128, is_name: bool) -> Node {
        let text = number.to_string();
        match self.numbers.below(8) {
            _ if self.is_json && is_name => Node::Text(text),
            5 => Node::Text(text),
            6 if !self.is_json => Node::Bytes(text.into_bytes()),
            7 if number.unsigned_abs() < 1 << 53 => Node::Float(number as f64),
            _ => Node::Int(number),
        }
    }

    /// A map of fields, in some order, with others among them.
    fn fields(&mut self, fields: Vec<(&str, Node)>) -> Node {
        let mut fields: Vec<(Node, Node)> = fields.into_iter().map(|(name, node)| (Node::from(name), node)).collect();
        if self.has_unknown_fields {
            let nested = Node::Map(vec![(Node::from("7"), Node::Array(vec![Node::Nil, Node::Bool(true)]))]);
            fields.push((Node::from("unknown"), nested));
            if !self.is_json {
                fields.push((Node::Array(vec![Node::Nil]), Node::Float(0.5)));
            }
        }
        self.numbers.shuffle(&mut fields);
        Node::Map(fields)
    }
}

fn draft_key(input: &mut Input<'_>, is_json: bool) -> Key {
    let key = if input.one_in(2) { Key::try_from(input.value()).ok() } else { None };
    let key = key.unwrap_or_else(|| input.key());
    if is_json { Key::try_from(json_value(key.to_value())).expect("it stays a key") } else { key }
}

fn many_key(n: u16, kind: u8) -> Key {
    match kind % 4 {
        0 => Key::from(i64::from(n) + 1000),
        1 => Key::from(format!("key {n}")),
        2 => Key::from(f64::from(n) / 2.0 + 1000.0),
        _ => Key::from(-i64::from(n) * 1_000_003 - 1),
    }
}

fn many_value(n: u64, kind: u8, few: u64) -> Option<Value> {
    match kind % 5 {
        0 => Some(Value::from(n % few)),
        1 => Some(Value::from(format!("the value number {n}"))),
        2 => Some(Value::from((n % few) as f64)),
        3 => n.is_multiple_of(few).then(|| Value::from(n)),
        _ => None,
    }
}

/// A value that JSON has, made of any.
fn json_value(value: Value) -> Value {
    match value {
        Value::Float(float) if float.is_nan() => Value::Float(f64::from_bits(0x7FF8_0000_0000_0000)),
        Value::BigInt(_) => Value::Int(i128::MAX),
        Value::Bytes(bytes) => Value::from(bytes.len()),
        Value::Timestamp(timestamp) => Value::from(timestamp.seconds()),
        Value::Ext(ext) => Value::Text(format!("{ext:?}")),
        Value::Array(values) => Value::Array(values.into_iter().map(json_value).collect()),
        Value::Map(pairs) => {
            let pairs = pairs.into_iter().take(1);
            Value::Map(pairs.map(|(key, value)| (Value::Text(format!("{key:?}")), json_value(value))).collect())
        }
        other => other,
    }
}
