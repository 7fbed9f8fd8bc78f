//! The bytes of values; what whole files are is tested in `tests/engine/export.rs`, and held against the original in
//! `tests/engine/original.rs`.

use super::encode::{self, EXT_KIND_SCALAR, Form, uint};
use super::python_integer;
use crate::model::{Value, ValueBuf};

const SPECIFICATION: &str = include_str!("../../../format-spec/canonical.md");

fn encode(value: Value, form: Form) -> Vec<u8> {
    let value = ValueBuf::try_from(value).unwrap();
    let mut out = Vec::new();
    encode::value(&mut out, value.as_ref(), form).unwrap();
    out
}

/// The bytes of a value that no other equals.
fn encoded(value: Value) -> Vec<u8> {
    encode(value, Form::Plain)
}

/// The table "Examples" of the chapter, row by row.
#[test]
fn examples_of_the_specification() {
    let bytes_of = |row: &str| {
        let line = SPECIFICATION
            .lines()
            .find(|line| line.starts_with(&format!("| {row} |")))
            .unwrap_or_else(|| panic!("{row}"));
        let hex = line.split('`').nth_back(1).unwrap();
        hex.split(' ').map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect::<Vec<_>>()
    };
    let wrapped = |value: Value| encode(value, Form::Wrapped);
    assert_eq!(wrapped(true.into()), bytes_of("`true` after `1`"));
    assert_eq!(wrapped(1.0.into()), bytes_of("`1.0` after `1`"));
    assert_eq!(encoded(Value::Array(vec![])), bytes_of("an empty array"));
    assert_eq!(encoded(Value::Map(vec![("a".into(), Value::Null)])), bytes_of("the map `{\"a\": null}`"));
    assert_eq!(encoded(Value::from(1i128 << 64)), bytes_of("2^64"));
    assert_eq!(encoded(Value::ext(0x56, vec![b'a'])), bytes_of("ext of type 0x56, data `61`"));
    assert_eq!(encoded(Value::ext(-2, vec![b'a'])), bytes_of("ext of type -2, data `61`"));
    assert_eq!(encoded(Value::ext(-1, vec![])), bytes_of("ext of type -1, no data (no timestamp)"));
}

#[test]
fn integers_of_any_size_and_negative_ext_codes_become_ext_values() {
    let huge = Value::big_int(true, &[0xab; 40]);
    assert_eq!(encoded(huge), [&[0xc7, 42, 0x56, 1, 1][..], &[0xab; 40]].concat());
    for code in i8::MIN..=i8::MAX {
        let byte = code.to_be_bytes()[0];
        let expected = match code {
            i8::MIN..0 => vec![0xc7, 7, 0x56, EXT_KIND_SCALAR, 0xc7, 3, byte, 9, 9, 9],
            0x56 => vec![0xd6, 0x56, 0, 9, 9, 9],
            _ => vec![0xc7, 3, byte, 9, 9, 9],
        };
        assert_eq!(encoded(Value::ext(code, vec![9; 3])), expected, "{code}");
    }
}

#[test]
fn integers_are_as_short_as_can_be_and_their_lengths_are_known() {
    for (int, bytes) in [
        (0, vec![0]),
        (0x7f, vec![0x7f]),
        (0x80, vec![0xcc, 0x80]),
        (0xff, vec![0xcc, 0xff]),
        (0x100, vec![0xcd, 1, 0]),
        (0xffff, vec![0xcd, 0xff, 0xff]),
        (0x1_0000, vec![0xce, 0, 1, 0, 0]),
        (0xffff_ffff, vec![0xce, 0xff, 0xff, 0xff, 0xff]),
        (1 << 32, vec![0xcf, 0, 0, 0, 1, 0, 0, 0, 0]),
        (u64::MAX, vec![0xcf, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
    ] {
        let mut out = Vec::new();
        uint(&mut out, int).unwrap();
        assert_eq!(out, bytes);
        assert_eq!(encoded(int.into()), bytes);
    }
}

#[test]
fn python_takes_booleans_and_whole_floats_within_64_bits_for_integers() {
    let integer = |value: Value| python_integer(ValueBuf::try_from(value).unwrap().as_ref());
    let two_63 = 9_223_372_036_854_775_808.0;
    for (value, expected) in [
        (Value::from(true), Some(1)),
        (false.into(), Some(0)),
        (7.into(), Some(7)),
        ((-0.0).into(), Some(0)),
        (0.5.into(), None),
        ((-two_63).into(), Some(i64::MIN.into())),
        (two_63.into(), Some(1 << 63)),
        ((two_63 * 2.0).into(), None),
        (u64::MAX.into(), Some(u64::MAX.into())),
        ((1i128 << 64).into(), None),
        (f64::NAN.into(), None),
        (f64::NEG_INFINITY.into(), None),
        ("1".into(), None),
        (Value::Null, None),
    ] {
        assert_eq!(integer(value.clone()), expected, "{value}");
    }
}
