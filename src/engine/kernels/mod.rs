//! Loops over the cells of a segment: pure functions of slices that know nothing of files or tiers, written so that the
//! processor takes several steps of them at a time.

mod extremes;
mod histogram;
mod selection;
mod sum;

pub(super) use extremes::{float_extremes, integer_extremes};
pub(super) use histogram::Histogram;
pub(super) use selection::{Selection, all_below};
pub(super) use sum::{sum_f64, sum_i64, sum_u64};

#[cfg(test)]
mod random;
