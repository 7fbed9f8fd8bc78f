//! MessagePack as a tree that can be edited, and written in other ways than the shortest.

/// A value, a container of values, or bytes that are neither.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Node {
    /// As it stands.
    Raw(Vec<u8>),
    Int(i128),
    Text(String),
    Bytes(Vec<u8>),
    Array(Vec<Node>),
    Map(Vec<(Node, Node)>),
}

pub(crate) const NIL: Node = Node::Raw(Vec::new());

impl From<i128> for Node {
    fn from(int: i128) -> Self {
        Self::Int(int)
    }
}

impl From<i32> for Node {
    fn from(int: i32) -> Self {
        Self::Int(int.into())
    }
}

impl From<&str> for Node {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<f64> for Node {
    fn from(float: f64) -> Self {
        Self::Raw([&[0xCB][..], &float.to_be_bytes()].concat())
    }
}

impl From<f32> for Node {
    fn from(float: f32) -> Self {
        Self::Raw([&[0xCA][..], &float.to_be_bytes()].concat())
    }
}

impl From<bool> for Node {
    fn from(bool: bool) -> Self {
        Self::Raw(vec![0xC2 + u8::from(bool)])
    }
}

/// Bytes as they stand.
pub(crate) fn raw(bytes: impl Into<Vec<u8>>) -> Node {
    Node::Raw(bytes.into())
}

/// A byte string.
pub(crate) fn bytes(bytes: &[u8]) -> Node {
    Node::Bytes(bytes.to_vec())
}

/// An ext value with a length of one byte.
pub(crate) fn ext(code: i8, data: &[u8]) -> Node {
    raw([&[0xC7, data.len() as u8, code as u8][..], data].concat())
}

/// An array.
pub(crate) fn array<const N: usize>(items: [Node; N]) -> Node {
    Node::Array(items.to_vec())
}

/// A map.
pub(crate) fn map<K: Into<Node>, const N: usize>(pairs: [(K, Node); N]) -> Node {
    Node::Map(pairs.map(|(key, value)| (key.into(), value)).to_vec())
}

/// How numbers, lengths and counts are written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Width {
    Shortest,
    /// In eight bytes, or in four.
    Widest,
}

impl Node {
    /// The child that a path leads to: names or numbers of maps, places in arrays, with slashes between them.
    pub(crate) fn at(&mut self, path: &str) -> &mut Self {
        path.split('/').filter(|step| !step.is_empty()).fold(self, |node, step| {
            let number = step.parse::<i128>().ok();
            match node {
                Self::Array(items) => &mut items[number.expect("a place in an array") as usize],
                Self::Map(pairs) => {
                    let is_it = |key: &Self| match key {
                        Self::Text(text) => text == step,
                        Self::Int(int) => number == Some(*int),
                        _ => false,
                    };
                    &mut pairs.iter_mut().find(|(key, _)| is_it(key)).unwrap_or_else(|| panic!("{path}")).1
                }
                _ => panic!("{path} leads into a scalar"),
            }
        })
    }

    /// Replaces the child that a path leads to.
    pub(crate) fn set(&mut self, path: &str, node: impl Into<Self>) {
        *self.at(path) = node.into();
    }

    /// Appends a pair to the map that a path leads to.
    pub(crate) fn add(&mut self, path: &str, key: impl Into<Self>, value: impl Into<Self>) {
        self.pairs(path).push((key.into(), value.into()));
    }

    /// Removes a field of the map that a path leads to.
    pub(crate) fn remove(&mut self, path: &str, name: &str) {
        self.pairs(path).retain(|(key, _)| *key != Self::from(name));
    }

    /// Appends to the array that a path leads to.
    pub(crate) fn push(&mut self, path: &str, node: impl Into<Self>) {
        match self.at(path) {
            Self::Array(items) => items.push(node.into()),
            other => panic!("{path} is {other:?}"),
        }
    }

    /// The pairs of the map that a path leads to.
    pub(crate) fn pairs(&mut self, path: &str) -> &mut Vec<(Self, Self)> {
        match self.at(path) {
            Self::Map(pairs) => pairs,
            other => panic!("{path} is {other:?}"),
        }
    }

    /// Turns the pairs of every map around.
    pub(crate) fn reverse_maps(&mut self) {
        match self {
            Self::Map(pairs) => {
                pairs.reverse();
                pairs.iter_mut().for_each(|(_, value)| value.reverse_maps());
            }
            Self::Array(items) => items.iter_mut().for_each(Self::reverse_maps),
            _ => {}
        }
    }

    /// Calls a function with every node in the tree: the number of them is always the same.
    pub(crate) fn each(&mut self, visit: &mut impl FnMut(&mut Self)) {
        match self {
            Self::Map(pairs) => pairs.iter_mut().for_each(|(key, value)| {
                key.each(visit);
                value.each(visit);
            }),
            Self::Array(items) => items.iter_mut().for_each(|item| item.each(visit)),
            _ => {}
        }
        visit(self);
    }

    /// The bytes.
    pub(crate) fn encode(&self, width: Width) -> Vec<u8> {
        let mut out = Vec::new();
        self.write(width, &mut out);
        out
    }

    fn write(&self, width: Width, out: &mut Vec<u8>) {
        let wide = width == Width::Widest;
        let mut count = |marker: u8, count: usize| {
            out.push(marker);
            out.extend((count as u32).to_be_bytes());
        };
        match self {
            Self::Raw(bytes) if bytes.is_empty() => out.push(0xC0),
            Self::Raw(bytes) => out.extend(bytes),
            Self::Int(int) if wide && *int < 0 => out.extend([&[0xD3][..], &(*int as i64).to_be_bytes()].concat()),
            Self::Int(int) if wide => out.extend([&[0xCF][..], &(*int as u64).to_be_bytes()].concat()),
            Self::Int(int) => match u64::try_from(*int) {
                Ok(int) => drop(rmp::encode::write_uint(out, int).unwrap()),
                Err(_) => drop(rmp::encode::write_sint(out, *int as i64).unwrap()),
            },
            Self::Text(text) => {
                if wide {
                    count(0xDB, text.len())
                } else {
                    rmp::encode::write_str_len(out, text.len() as u32).map(drop).unwrap()
                }
                out.extend(text.bytes());
            }
            Self::Bytes(bytes) => {
                if wide {
                    count(0xC6, bytes.len())
                } else {
                    rmp::encode::write_bin_len(out, bytes.len() as u32).map(drop).unwrap()
                }
                out.extend(bytes);
            }
            Self::Array(items) => {
                if wide {
                    count(0xDD, items.len())
                } else {
                    rmp::encode::write_array_len(out, items.len() as u32).map(drop).unwrap()
                }
                items.iter().for_each(|item| item.write(width, out));
            }
            Self::Map(pairs) => {
                if wide {
                    count(0xDF, pairs.len())
                } else {
                    rmp::encode::write_map_len(out, pairs.len() as u32).map(drop).unwrap()
                }
                for (key, value) in pairs {
                    key.write(width, out);
                    value.write(width, out);
                }
            }
        }
    }
}
