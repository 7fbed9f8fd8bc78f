//! How stores of keys and values keep a record: one value for each key, fixed fields first, so that each attribute is found without
//! decoding the others.

use crate::engine::{Outcome, fold_text};
use crate::records::Record;
use std::error::Error;

/// Score, age, length of the city, length of the name; then the two texts.
const FIXED_LEN: usize = 11;

/// Puts a record's row in place of what `row` holds.
pub(crate) fn encode(record: &Record, row: &mut Vec<u8>) {
    row.clear();
    row.extend_from_slice(&record.score.to_le_bytes());
    row.extend_from_slice(&[record.age, record.city.len() as u8, record.name.len() as u8]);
    row.extend_from_slice(record.city.as_bytes());
    row.extend_from_slice(record.name.as_bytes());
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

/// All attributes of a row, folded into one number.
#[inline]
pub(crate) fn point(row: &[u8]) -> Outcome<u64> {
    let numbers = score(row)?.to_bits() ^ age(row)?;
    Ok(numbers ^ fold_text(city(row)?) ^ fold_text(name(row)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::Records;

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
}
