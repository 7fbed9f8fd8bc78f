//! Values to JSON text.

use super::{tag, timestamp};
use std::collections::HashSet;
use std::fmt::{Display, Write as _};
use vector_datalib::{NestedError, Timestamp, Value, ValueRef};

/// Writing to a `String` cannot fail; this is where that is said.
fn put(out: &mut String, text: impl Display) {
    let _ = write!(out, "{text}");
}

/// Appends a value.
pub(crate) fn write_value(value: &Value, out: &mut String) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(bool) => put(out, bool),
        Value::Int(int) => put(out, int),
        Value::BigInt(big) => put(out, big),
        Value::Float(float) => write_float(*float, out),
        Value::Text(text) => write_text(text, out),
        Value::Bytes(bytes) => write_bytes(bytes, out),
        Value::Timestamp(timestamp) => write_timestamp(*timestamp, out),
        Value::Ext(ext) => write_ext(ext.code(), ext.data(), out),
        Value::Array(values) => write_sequence(values, out, write_value),
        Value::Map(pairs) if is_object(pairs) => {
            write_map(pairs.iter().map(|(key, value)| (key.as_str().unwrap_or_default(), value)), out);
        }
        Value::Map(pairs) => {
            open_tag(tag::MAP, out);
            write_sequence(pairs, out, |(key, value), out| {
                out.push('[');
                write_value(key, out);
                out.push(',');
                write_value(value, out);
                out.push(']');
            });
            out.push('}');
        }
    }
}

/// Appends a borrowed value.
///
/// # Errors
/// When an array or a map does not decode.
pub(crate) fn write_value_ref(value: ValueRef<'_>, out: &mut String) -> Result<(), NestedError> {
    match value {
        ValueRef::Null => out.push_str("null"),
        ValueRef::Bool(bool) => put(out, bool),
        ValueRef::Int(int) => put(out, int),
        ValueRef::BigInt(big) => put(out, big),
        ValueRef::Float(float) => write_float(float, out),
        ValueRef::Text(text) => write_text(text, out),
        ValueRef::Bytes(bytes) => write_bytes(bytes, out),
        ValueRef::Timestamp(timestamp) => write_timestamp(timestamp, out),
        ValueRef::Ext(ext) => write_ext(ext.code, ext.data, out),
        ValueRef::Array(nested) | ValueRef::Map(nested) => write_value(&nested.to_value()?, out),
    }
    Ok(())
}

/// Appends an object of these names and values, which is never taken for a tag by whoever knows that an object stands here.
pub(crate) fn write_map<'v>(pairs: impl IntoIterator<Item = (&'v str, &'v Value)>, out: &mut String) {
    out.push('{');
    for (index, (name, value)) in pairs.into_iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        write_text(name, out);
        out.push(':');
        write_value(value, out);
    }
    out.push('}');
}

/// Appends text in quotes. Control characters are escaped, also those that JSON would allow: they would move a terminal's cursor.
pub(crate) fn write_text(text: &str, out: &mut String) {
    out.push('"');
    let mut plain = 0;
    for (at, character) in text.char_indices() {
        if !character.is_control() && !matches!(character, '"' | '\\') {
            continue;
        }
        out.push_str(&text[plain..at]);
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            control => put(out, format_args!("\\u{:04x}", u32::from(control))),
        }
        plain = at + character.len_utf8();
    }
    out.push_str(&text[plain..]);
    out.push('"');
}

/// Whether a map can be a plain object: its keys are distinct texts, and it does not look like a tag.
fn is_object(pairs: &[(Value, Value)]) -> bool {
    /// From here on a set finds a repeated key sooner than comparing each with each.
    const SET_FROM: usize = 16;
    let mut names = HashSet::new();
    for (index, (key, _)) in pairs.iter().enumerate() {
        let Value::Text(name) = key else { return false };
        let repeated = if pairs.len() < SET_FROM {
            pairs.iter().take(index).any(|(earlier, _)| earlier.as_str() == Some(name))
        } else {
            !names.insert(name.as_str())
        };
        if repeated || (pairs.len() == 1 && tag::is_tag(name)) {
            return false;
        }
    }
    true
}

fn write_float(float: f64, out: &mut String) {
    if float.is_finite() {
        // The shortest text that reads back as the same bits, always with a point or an exponent.
        put(out, format_args!("{float:?}"));
    } else {
        open_tag(tag::FLOAT, out);
        write_text(&tag::float_text(float), out);
        out.push('}');
    }
}

fn write_bytes(bytes: &[u8], out: &mut String) {
    open_tag(tag::BYTES, out);
    write_base64(bytes, out);
    out.push('}');
}

fn write_ext(code: i8, data: &[u8], out: &mut String) {
    open_tag(tag::EXT, out);
    put(out, format_args!("[{code},"));
    write_base64(data, out);
    out.push_str("]}");
}

fn write_timestamp(time: Timestamp, out: &mut String) {
    open_tag(tag::TIMESTAMP, out);
    match timestamp::to_text(time) {
        Some(text) => put(out, format_args!("\"{text}\"")),
        None => put(out, format_args!("[{},{}]", time.seconds(), time.nanoseconds())),
    }
    out.push('}');
}

fn open_tag(name: &str, out: &mut String) {
    put(out, format_args!("{{\"{name}\":"));
}

fn write_base64(bytes: &[u8], out: &mut String) {
    out.push('"');
    tag::base64(bytes, out);
    out.push('"');
}

fn write_sequence<T>(items: &[T], out: &mut String, write: impl Fn(&T, &mut String)) {
    out.push('[');
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        write(item, out);
    }
    out.push(']');
}
