//! How stores of keys and values keep a record: one value for each key, fixed fields first, so that each attribute is found without
//! decoding the others.

use crate::engine::{Outcome, fold_text};
use crate::records::{Record, Records};
use crate::wide::{EACH, fold_more};
use std::error::Error;

/// Score, age, length of the city, length of the name; then the two texts.
const FIXED_LEN: usize = 11;

/// Puts a record's row of four attributes in place of what `row` holds.
pub(crate) fn encode(record: &Record, row: &mut Vec<u8>) {
    row.clear();
    row.extend_from_slice(&record.score.to_le_bytes());
    row.extend_from_slice(&[record.age, record.city.len() as u8, record.name.len() as u8]);
    row.extend_from_slice(record.city.as_bytes());
    row.extend_from_slice(record.name.as_bytes());
}

/// Puts a record's row with all attributes in place of what `row` holds. Those besides the four follow: integers, floats, texts.
pub(crate) fn encode_all(records: Records, number: u64, row: &mut Vec<u8>) {
    encode(&records.get(number), row);
    if let Some(more) = records.more(number) {
        more.integers.iter().for_each(|integer| row.extend_from_slice(&integer.to_le_bytes()));
        more.floats.iter().for_each(|float| row.extend_from_slice(&float.to_le_bytes()));
        for text in &more.texts {
            row.push(text.len() as u8);
            row.extend_from_slice(text.as_bytes());
        }
    }
}

#[cold]
fn malformed() -> Box<dyn Error + Send + Sync> {
    "a row is not what was stored".into()
}

/// The fixed fields of a row, and the texts behind them.
#[inline]
fn split(row: &[u8]) -> Outcome<(&[u8; FIXED_LEN], &[u8])> {
    row.split_first_chunk().ok_or_else(malformed)
}

/// The score of a row.
#[inline]
pub(crate) fn score(row: &[u8]) -> Outcome<f64> {
    let (bytes, _) = row.split_first_chunk().ok_or_else(malformed)?;
    Ok(f64::from_le_bytes(*bytes))
}

/// The age of a row.
#[inline]
pub(crate) fn age(row: &[u8]) -> Outcome<u64> {
    let (fixed, _) = split(row)?;
    Ok(fixed[8].into())
}

/// The city of a row.
#[inline]
pub(crate) fn city(row: &[u8]) -> Outcome<&[u8]> {
    let (fixed, texts) = split(row)?;
    texts.get(..fixed[9].into()).ok_or_else(malformed)
}

/// The name of a row.
#[inline]
pub(crate) fn name(row: &[u8]) -> Outcome<&[u8]> {
    let (fixed, texts) = split(row)?;
    let start = usize::from(fixed[9]);
    texts.get(start..start + usize::from(fixed[10])).ok_or_else(malformed)
}

/// What is behind the four attributes.
#[inline]
fn rest(row: &[u8]) -> Outcome<&[u8]> {
    let (fixed, texts) = split(row)?;
    texts.get(usize::from(fixed[9]) + usize::from(fixed[10])..).ok_or_else(malformed)
}

/// An attribute besides the four.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Cell<'r> {
    /// An integer.
    Integer(u16),
    /// A float.
    Float(f64),
    /// A text.
    Text(&'r [u8]),
}

/// Lends the attributes besides the four, in order. Of a row that has none, none.
#[inline]
pub(crate) fn each_more<'r>(row: &'r [u8], mut see: impl FnMut(Cell<'r>) -> Outcome<()>) -> Outcome<()> {
    let mut rest = rest(row)?;
    if rest.is_empty() {
        return Ok(());
    }
    for _ in 0..EACH {
        let (bytes, after) = rest.split_first_chunk().ok_or_else(malformed)?;
        see(Cell::Integer(u16::from_le_bytes(*bytes)))?;
        rest = after;
    }
    for _ in 0..EACH {
        let (bytes, after) = rest.split_first_chunk().ok_or_else(malformed)?;
        see(Cell::Float(f64::from_le_bytes(*bytes)))?;
        rest = after;
    }
    for _ in 0..EACH {
        let (&len, after) = rest.split_first().ok_or_else(malformed)?;
        let (text, after) = after.split_at_checked(len.into()).ok_or_else(malformed)?;
        see(Cell::Text(text))?;
        rest = after;
    }
    Ok(())
}

/// All attributes of a row, folded into one number.
#[inline]
pub(crate) fn point(row: &[u8]) -> Outcome<u64> {
    let numbers = score(row)?.to_bits() ^ age(row)?;
    let four = numbers ^ fold_text(city(row)?) ^ fold_text(name(row)?);
    let mut more = 0u64;
    each_more(row, |cell| {
        more = more.wrapping_add(fold_more(match cell {
            Cell::Integer(integer) => integer.into(),
            Cell::Float(float) => float.to_bits(),
            Cell::Text(text) => fold_text(text),
        }));
        Ok(())
    })?;
    Ok(four.wrapping_add(more))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wide::Shape;

    #[test]
    fn rows_give_back_what_was_stored() {
        let records = Records::new(1000);
        let mut row = Vec::new();
        for number in 0..records.count {
            let record = records.get(number);
            encode(&record, &mut row);
            assert_eq!(score(&row).unwrap(), record.score);
            assert_eq!(age(&row).unwrap(), u64::from(record.age));
            assert_eq!(city(&row).unwrap(), record.city.as_bytes());
            assert_eq!(name(&row).unwrap(), record.name.as_bytes());
            assert_eq!(point(&row).unwrap(), record.fold());
            assert!((0..row.len()).all(|len| name(&row[..len]).is_err()));
        }
    }

    #[test]
    fn rows_of_nineteen_attributes_give_back_all_of_them() {
        let records = Records { shape: Shape::Nineteen, ..Records::new(1000) };
        let mut row = Vec::new();
        for number in 0..records.count {
            encode_all(records, number, &mut row);
            assert_eq!(name(&row).unwrap(), records.name(number).as_bytes());
            assert_eq!(point(&row).unwrap(), records.fold_point(number));
            let four = records.get(number);
            let shortest = FIXED_LEN + four.city.len() + four.name.len();
            assert!((shortest + 1..row.len()).all(|len| point(&row[..len]).is_err()));
        }
    }
}
