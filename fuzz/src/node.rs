//! What a canonical file holds, as a tree, and the two encodings it has had.

use vector_datalib::{Timestamp, Value};

/// The type code of VECTOR's ext values.
pub const EXT_CODE: i8 = 0x56;
pub const KIND_ESCAPED: u8 = 0;
pub const KIND_INTEGER: u8 = 1;
pub const KIND_NESTED: u8 = 2;
pub const KIND_SCALAR: u8 = 3;

/// A value of MessagePack or JSON.
#[derive(Clone, PartialEq, Debug)]
pub enum Node {
    Nil,
    Bool(bool),
    /// In MessagePack within 64 bits.
    Int(i128),
    Float(f64),
    Text(String),
    Bytes(Vec<u8>),
    Ext(i8, Vec<u8>),
    Array(Vec<Node>),
    Map(Vec<(Node, Node)>),
}

impl From<&str> for Node {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

/// Numbers that follow from a first one, which is not zero.
#[derive(Clone, Debug)]
pub struct Xorshift(u64);

impl Xorshift {
    /// All numbers are zero if `seed` is.
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15))
    }

    pub fn number(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 >> 8
    }

    pub fn below(&mut self, count: usize) -> usize {
        (self.number() % count as u64) as usize
    }

    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        if self.0 != 0 {
            for at in (1..items.len()).rev() {
                items.swap(at, self.below(at + 1));
            }
        }
    }
}

/// A value as a canonical file has it. `is_wrapped`: in an ext value, or for a timestamp in a longer form, where there is a choice.
pub fn value_node(value: &Value, is_wrapped: bool) -> Node {
    match value {
        Value::Array(_) | Value::Map(_) if is_wrapped => wrapped(KIND_NESTED, &nested_node(value, false)),
        Value::Bool(_) | Value::Float(_) if is_wrapped => wrapped(KIND_SCALAR, &nested_node(value, false)),
        Value::Int(int) if is_wrapped && is_short(*int) => wrapped(KIND_SCALAR, &Node::Int(*int)),
        Value::Ext(ext) if is_wrapped && ext.code() < 0 => wrapped(KIND_SCALAR, &nested_node(value, false)),
        _ => nested_node(value, is_wrapped),
    }
}

/// A value as JSON, which has it.
pub fn json_node(value: &Value) -> Node {
    match value {
        Value::Int(int) => Node::Int(*int),
        Value::Array(values) => Node::Array(values.iter().map(json_node).collect()),
        Value::Map(pairs) => Node::Map(pairs.iter().map(|(key, value)| (json_node(key), json_node(value))).collect()),
        other => nested_node(other, false),
    }
}

fn is_short(int: i128) -> bool {
    i64::try_from(int).is_ok() || u64::try_from(int).is_ok()
}

fn wrapped(kind: u8, node: &Node) -> Node {
    let mut data = vec![kind];
    message_pack(node, &mut Xorshift::new(0), &mut data);
    Node::Ext(EXT_CODE, data)
}

/// A value inside of an array or a map.
fn nested_node(value: &Value, is_long: bool) -> Node {
    match value {
        Value::Null => Node::Nil,
        Value::Bool(bool) => Node::Bool(*bool),
        Value::Int(int) if is_short(*int) => Node::Int(*int),
        Value::Int(int) => integer_node(*int < 0, &int.unsigned_abs().to_be_bytes()),
        Value::BigInt(big) => integer_node(big.as_ref().is_negative(), big.as_ref().magnitude()),
        Value::Float(float) => Node::Float(*float),
        Value::Text(text) => Node::Text(text.clone()),
        Value::Bytes(bytes) => Node::Bytes(bytes.clone()),
        Value::Timestamp(timestamp) => timestamp_node(*timestamp, is_long),
        Value::Ext(ext) if ext.code() == EXT_CODE => Node::Ext(EXT_CODE, [&[KIND_ESCAPED], ext.data()].concat()),
        Value::Ext(ext) => Node::Ext(ext.code(), ext.data().to_vec()),
        Value::Array(values) => Node::Array(values.iter().map(|value| nested_node(value, is_long)).collect()),
        Value::Map(pairs) => {
            let node = |value| nested_node(value, is_long);
            Node::Map(pairs.iter().map(|(key, value)| (node(key), node(value))).collect())
        }
    }
}

fn integer_node(is_negative: bool, magnitude: &[u8]) -> Node {
    let zeros = magnitude.iter().take_while(|byte| **byte == 0).count();
    Node::Ext(EXT_CODE, [&[KIND_INTEGER, is_negative.into()], &magnitude[zeros..]].concat())
}

fn timestamp_node(timestamp: Timestamp, is_long: bool) -> Node {
    let (seconds, nanoseconds) = (timestamp.seconds(), timestamp.nanoseconds());
    let data = match (u32::try_from(seconds), u64::try_from(seconds)) {
        (Ok(seconds), _) if nanoseconds == 0 && !is_long => seconds.to_be_bytes().to_vec(),
        (_, Ok(seconds)) if seconds < 1 << 34 && !is_long => {
            (u64::from(nanoseconds) << 34 | seconds).to_be_bytes().to_vec()
        }
        _ => [&nanoseconds.to_be_bytes()[..], &seconds.to_be_bytes()].concat(),
    };
    Node::Ext(-1, data)
}

/// How long the encodings are that `wide` chooses among: 0 is the shortest.
fn stretch(shortest: usize, longest: usize, wide: &mut Xorshift) -> usize {
    shortest + wide.below(longest - shortest + 1)
}

/// Appends the MessagePack of a tree: in its shortest encodings if all of `wide` is zeros, else now and then in longer ones.
pub fn message_pack(node: &Node, wide: &mut Xorshift, out: &mut Vec<u8>) {
    match node {
        Node::Nil => out.push(0xC0),
        Node::Bool(bool) => out.push(0xC2 + u8::from(*bool)),
        Node::Int(int) => integer(*int, wide, out),
        Node::Float(float) => {
            let short = *float as f32;
            if wide.below(2) == 1 && f64::from(short).to_bits() == float.to_bits() && !float.is_nan() {
                out.push(0xCA);
                out.extend(short.to_be_bytes());
            } else {
                out.push(0xCB);
                out.extend(float.to_be_bytes());
            }
        }
        Node::Text(text) => {
            header(text.len(), [Some((0xA0, 31)), Some((0xD9, 1)), Some((0xDA, 2)), Some((0xDB, 4))], wide, out);
            out.extend(text.as_bytes());
        }
        Node::Bytes(bytes) => {
            header(bytes.len(), [None, Some((0xC4, 1)), Some((0xC5, 2)), Some((0xC6, 4))], wide, out);
            out.extend(bytes);
        }
        Node::Ext(code, data) => {
            let fixed = [1, 2, 4, 8, 16].iter().position(|len| *len == data.len());
            match fixed.filter(|_| wide.below(2) == 0) {
                Some(fixed) => out.push(0xD4 + fixed as u8),
                None => header(data.len(), [None, Some((0xC7, 1)), Some((0xC8, 2)), Some((0xC9, 4))], wide, out),
            }
            out.push(code.cast_unsigned());
            out.extend(data);
        }
        Node::Array(values) => {
            header(values.len(), [Some((0x90, 15)), None, Some((0xDC, 2)), Some((0xDD, 4))], wide, out);
            values.iter().for_each(|value| message_pack(value, wide, out));
        }
        Node::Map(pairs) => {
            header(pairs.len(), [Some((0x80, 15)), None, Some((0xDE, 2)), Some((0xDF, 4))], wide, out);
            for (key, value) in pairs {
                message_pack(key, wide, out);
                message_pack(value, wide, out);
            }
        }
    }
}

/// A length in one of the forms that have room for it: the first one is within the marker, with the longest length there is;
/// the others are a marker and the bytes of the length behind it.
fn header(len: usize, forms: [Option<(u8, usize)>; 4], wide: &mut Xorshift, out: &mut Vec<u8>) {
    let has_room = |form: usize| match forms[form] {
        Some((_, longest)) if form == 0 => len <= longest,
        Some((_, bytes)) => bytes == 4 || len < 1 << (8 * bytes),
        None => false,
    };
    let shortest = (0..4).find(|form| has_room(*form)).expect("lengths have 32 bits");
    let form = Some(stretch(shortest, 3, wide)).filter(|form| has_room(*form)).unwrap_or(shortest);
    let (marker, bytes) = forms[form].expect("it has room");
    if form == 0 {
        out.push(marker | len as u8);
    } else {
        out.push(marker);
        out.extend(&(len as u64).to_be_bytes()[8 - bytes..]);
    }
}

fn integer(int: i128, wide: &mut Xorshift, out: &mut Vec<u8>) {
    let is_signed = int < 0 || (int <= i64::MAX.into() && wide.below(2) == 1);
    let has_room = |log: usize| match is_signed {
        true => int >= -(1 << ((8 << log) - 1)) && int < 1 << ((8 << log) - 1),
        false => int < 1 << (8 << log),
    };
    let is_fixed = if int < 0 { int >= -32 } else { int <= 0x7F };
    if is_fixed && (wide.below(2) == 0) {
        out.push(int as u8);
        return;
    }
    let shortest = (0..4).find(|log| has_room(*log)).expect("within 64 bits");
    let log = stretch(shortest, 3, wide);
    out.push((if is_signed { 0xD0 } else { 0xCC }) + log as u8);
    out.extend(&int.to_be_bytes()[16 - (1 << log)..]);
}

/// Appends the JSON of a tree, whose maps have text for keys and which has neither bytes nor ext values.
pub fn json(node: &Node, style: &mut Xorshift, out: &mut String) {
    let blank = ["", "", " ", "\n\t"][style.below(4)];
    out.push_str(blank);
    match node {
        Node::Nil => out.push_str("null"),
        Node::Bool(bool) => out.push_str(if *bool { "true" } else { "false" }),
        Node::Int(int) => out.push_str(&int.to_string()),
        Node::Float(float) if float.is_nan() => out.push_str("NaN"),
        Node::Float(float) if float.is_infinite() => {
            out.push_str(if *float > 0.0 { "Infinity" } else { "-Infinity" });
        }
        Node::Float(float) => out.push_str(&format!("{float:?}")),
        Node::Text(text) => json_text(text, style, out),
        Node::Bytes(_) | Node::Ext(..) => panic!("JSON has no {node:?}"),
        Node::Array(values) => {
            out.push('[');
            for (at, value) in values.iter().enumerate() {
                out.push_str(if at == 0 { "" } else { "," });
                json(value, style, out);
            }
            out.push_str(blank);
            out.push(']');
        }
        Node::Map(pairs) => {
            out.push('{');
            for (at, (key, value)) in pairs.iter().enumerate() {
                out.push_str(if at == 0 { "" } else { "," });
                json(key, style, out);
                out.push_str(blank);
                out.push(':');
                json(value, style, out);
            }
            out.push('}');
        }
    }
    out.push_str(blank);
}

fn json_text(text: &str, style: &mut Xorshift, out: &mut String) {
    let is_ascii = style.below(2) == 1;
    out.push('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => out.extend(['\\', character]),
            '\n' => out.push_str("\\n"),
            '\0'..' ' => out.push_str(&format!("\\u{:04x}", u32::from(character))),
            _ if is_ascii && !character.is_ascii() => {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    out.push_str(&format!("\\u{unit:04X}"));
                }
            }
            _ => out.push(character),
        }
    }
    out.push('"');
}
