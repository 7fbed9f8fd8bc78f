//! Tagged objects: what an object whose only name begins with `$` stands for.

use super::timestamp;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use vector_datalib::{Timestamp, Value};

/// The name of each tag.
pub(super) const BYTES: &str = "$bytes";
pub(super) const FLOAT: &str = "$float";
pub(super) const TIMESTAMP: &str = "$timestamp";
pub(super) const EXT: &str = "$ext";
pub(super) const MAP: &str = "$map";

/// Whether an object of one name is a tag.
pub(super) fn is_tag(name: &str) -> bool {
    name.starts_with('$')
}

/// The value that a tag and its content stand for, or what is wrong with them.
pub(super) fn resolve(name: &str, content: Value) -> Result<Value, String> {
    let value = match name {
        BYTES => content.as_str().and_then(bytes).map(Value::Bytes),
        FLOAT => content.as_str().and_then(float).map(Value::Float),
        TIMESTAMP => timestamp_of(&content).map(Value::Timestamp),
        EXT => ext(&content),
        MAP => map(content),
        _ => {
            return Err(format!(
                "{name:?} is not a tag that this version knows; a map with that key is {{\"$map\":[[{name:?}, value]]}}"
            ));
        }
    };
    value.ok_or_else(|| format!("{name:?} needs {}", needs(name)))
}

fn needs(name: &str) -> &'static str {
    match name {
        BYTES => "bytes as base64",
        FLOAT => "\"NaN\", \"Infinity\", \"-Infinity\" or the bits as \"0x\" and 16 hexadecimal digits",
        TIMESTAMP => "a time like \"2013-01-01T10:00:00Z\" or [seconds, nanoseconds]",
        EXT => "[code from -128 to 127, bytes as base64]",
        _ => "an array of [key, value] pairs",
    }
}

/// Bytes as base64, with padding.
pub(super) fn base64(bytes: &[u8], out: &mut String) {
    STANDARD.encode_string(bytes, out);
}

fn bytes(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

/// How a float that JSON has no number for is written.
pub(super) fn float_text(float: f64) -> String {
    if float == f64::INFINITY {
        "Infinity".to_owned()
    } else if float == f64::NEG_INFINITY {
        "-Infinity".to_owned()
    } else if float.to_bits() == f64::NAN.to_bits() {
        "NaN".to_owned()
    } else {
        format!("{:#018x}", float.to_bits())
    }
}

fn float(text: &str) -> Option<f64> {
    match text {
        "NaN" => Some(f64::NAN),
        "Infinity" => Some(f64::INFINITY),
        "-Infinity" => Some(f64::NEG_INFINITY),
        _ => {
            let digits = text.strip_prefix("0x")?;
            let all_hexadecimal = digits.len() == 16 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
            if !all_hexadecimal {
                return None;
            }
            u64::from_str_radix(digits, 16).ok().map(f64::from_bits)
        }
    }
}

fn timestamp_of(content: &Value) -> Option<Timestamp> {
    match content {
        Value::Text(text) => timestamp::from_text(text),
        Value::Array(parts) => match parts.as_slice() {
            [seconds, nanoseconds] => Timestamp::new(seconds.as_i64()?, u32::try_from(nanoseconds.as_i64()?).ok()?),
            _ => None,
        },
        _ => None,
    }
}

fn ext(content: &Value) -> Option<Value> {
    let Value::Array(parts) = content else { return None };
    let [code, data] = parts.as_slice() else { return None };
    Some(Value::ext(i8::try_from(code.as_i64()?).ok()?, bytes(data.as_str()?)?))
}

fn map(content: Value) -> Option<Value> {
    let Value::Array(pairs) = content else { return None };
    let pair = |pair| match pair {
        Value::Array(parts) => <[Value; 2]>::try_from(parts).ok().map(|[key, value]| (key, value)),
        _ => None,
    };
    pairs.into_iter().map(pair).collect::<Option<Vec<_>>>().map(Value::Map)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_that_does_not_fit_its_tag_is_refused_with_what_would() {
        for (name, content) in [
            (BYTES, Value::from("A")),
            (BYTES, Value::from("AB==")),
            (BYTES, Value::from(1)),
            (FLOAT, Value::from("nan")),
            (FLOAT, Value::from("1.5")),
            (FLOAT, Value::from("0x7ff8")),
            (FLOAT, Value::from("0x+ff8000000000000")),
            (TIMESTAMP, Value::from("yesterday")),
            (TIMESTAMP, Value::from(vec![Value::from(1)])),
            (TIMESTAMP, Value::from(vec![Value::from(1), Value::from(1_000_000_000)])),
            (EXT, Value::from(vec![Value::from(128), Value::from("")])),
            (EXT, Value::from(vec![Value::from(1)])),
            (MAP, Value::from(vec![Value::from(1)])),
            (MAP, Value::Map(vec![])),
        ] {
            let message = resolve(name, content).unwrap_err();
            assert!(message.starts_with(&format!("{name:?} needs ")), "{message}");
        }
        let unknown = resolve("$uuid", Value::Null).unwrap_err();
        assert_eq!(
            unknown,
            "\"$uuid\" is not a tag that this version knows; a map with that key is {\"$map\":[[\"$uuid\", value]]}"
        );
    }

    #[test]
    fn other_spellings_are_understood() {
        assert_eq!(resolve(FLOAT, "0x3FF0000000000000".into()), Ok(Value::from(1.0)));
        assert_eq!(
            resolve(TIMESTAMP, Value::from(vec![Value::from(5), Value::from(6)])),
            Ok(Value::Timestamp(Timestamp::new(5, 6).unwrap()))
        );
        assert_eq!(resolve(MAP, Value::Array(vec![])), Ok(Value::Map(vec![])));
    }
}
