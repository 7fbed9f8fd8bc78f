//! Which cells of a segment pass a test.

use wide::u8x16;

/// A bit for each cell of a segment, the lowest of a word for the first: set where it was selected.
#[derive(Clone, Default, Debug)]
pub(in crate::engine) struct Selection {
    words: Vec<u64>,
}

const WORD: usize = u64::BITS as usize;

impl Selection {
    /// Selects the cells that pass a test, instead of those before.
    #[inline]
    pub(in crate::engine) fn select<T: Copy>(&mut self, cells: &[T], mut test: impl FnMut(T) -> bool) {
        let (rows, rest) = cells.as_chunks::<WORD>();
        self.words.clear();
        self.words.extend(rows.iter().map(|row| word(row, &mut test)));
        if !rest.is_empty() {
            self.words.push(rest.iter().rev().fold(0, |word, &cell| word << 1 | u64::from(test(cell))));
        }
    }

    /// Selects the cells that are equal to one, of which there are few.
    pub(in crate::engine) fn select_equal<T: Copy + PartialEq>(&mut self, cells: &[T], wanted: T) {
        let (rows, rest) = cells.as_chunks::<WORD>();
        let is_wanted = |cell| cell == wanted;
        self.words.clear();
        self.words.extend(rows.iter().map(|row| {
            // Without a branch for each cell, so that several are compared at once.
            let any = row.iter().fold(false, |any, &cell| any | is_wanted(cell));
            if any { word(row, &mut { is_wanted }) } else { 0 }
        }));
        if !rest.is_empty() {
            self.words.push(rest.iter().rev().fold(0, |word, &cell| word << 1 | u64::from(is_wanted(cell))));
        }
    }

    /// Selects none.
    pub(in crate::engine) fn select_none(&mut self) {
        self.words.clear();
    }

    /// Selects the first `count` cells.
    pub(in crate::engine) fn select_all(&mut self, count: usize) {
        self.words.clear();
        self.words.resize(count / WORD, u64::MAX);
        if !count.is_multiple_of(WORD) {
            self.words.push((1 << (count % WORD)) - 1);
        }
    }

    /// Selects the cells of these positions; ascending.
    pub(in crate::engine) fn select_positions(&mut self, positions: impl Iterator<Item = usize>) {
        self.words.clear();
        for position in positions {
            self.words.resize((position / WORD + 1).max(self.words.len()), 0);
            if let Some(word) = self.words.last_mut() {
                *word |= 1 << (position % WORD);
            }
        }
    }

    /// The number of selected cells.
    pub(in crate::engine) fn count(&self) -> usize {
        self.words.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// The positions of the selected cells, ascending.
    pub(in crate::engine) fn positions(&self) -> impl Iterator<Item = usize> {
        self.words.iter().enumerate().flat_map(|(number, &word)| {
            std::iter::successors((word != 0).then_some(word), |&word| {
                Some(word & (word - 1)).filter(|&word| word != 0)
            })
            .map(move |word| number * WORD + word.trailing_zeros() as usize)
        })
    }
}

/// A bit for each of 64 cells.
#[inline]
fn word<T: Copy>(row: &[T; WORD], test: &mut impl FnMut(T) -> bool) -> u64 {
    let mut passed = [0u8; WORD];
    for (passed, &cell) in passed.iter_mut().zip(row) {
        *passed = if test(cell) { u8::MAX } else { 0 };
    }
    let lanes = passed.as_chunks::<16>().0.iter();
    lanes.rev().fold(0, |word, &lanes| word << 16 | u64::from(u8x16::new(lanes).to_bitmask()))
}

/// Whether all numbers are below a limit.
pub(in crate::engine) fn all_below(numbers: &[u16], limit: usize) -> bool {
    let greatest = numbers.iter().fold(0, |greatest, &number| number.max(greatest));
    numbers.is_empty() || usize::from(greatest) < limit
}

#[cfg(test)]
mod tests {
    use super::super::random::{LENGTHS, with_seeds};
    use super::*;

    #[test]
    fn selected_are_the_cells_that_pass() {
        with_seeds(|random| {
            let len = LENGTHS[random.below(LENGTHS.len())];
            let (floats, integers) = (random.floats(len), random.integers(len));
            let numbers: Vec<u16> = integers.iter().map(|&int| int as u16).collect();
            let bytes: Vec<u8> = integers.iter().map(|&int| int as u8).collect();
            check(&floats, |float| (-1.0..=1e9).contains(&float));
            check(&integers, |int| (-5..1 << 60).contains(&int));
            check(&numbers, |number| number == 7 || number > 60_000);
            check(&bytes, |byte| byte == 255);
            check(&bytes, |_| true);
            check(&bytes, |_| false);
            let mut selection = Selection::default();
            selection.select_all(len);
            assert!(selection.positions().eq(0..len) && selection.count() == len);
            let some: Vec<usize> = (0..len).filter(|_| random.below(9) == 0).collect();
            selection.select_positions(some.iter().copied());
            assert!(selection.positions().eq(some.iter().copied()) && selection.count() == some.len());
            assert_eq!(all_below(&numbers, 5000), numbers.iter().all(|&number| number < 5000));
        });
    }

    #[test]
    fn selected_are_the_cells_that_are_equal() {
        with_seeds(|random| {
            let len = LENGTHS[random.below(LENGTHS.len())];
            let cells: Vec<i64> = random.integers(len);
            let numbers: Vec<u8> = cells.iter().map(|&int| int as u8).collect();
            let mut selection = Selection::default();
            selection.select_equal(&cells, i64::MIN);
            assert!(selection.positions().eq((0..len).filter(|&at| cells[at] == i64::MIN)));
            selection.select_equal(&numbers, 7);
            assert!(selection.positions().eq((0..len).filter(|&at| numbers[at] == 7)));
        });
    }

    fn check<T: Copy>(cells: &[T], test: fn(T) -> bool) {
        let mut selection = Selection::default();
        // What was selected before is forgotten.
        selection.select_all(70_000);
        selection.select(cells, test);
        let expected: Vec<usize> =
            cells.iter().enumerate().filter(|(_, cell)| test(**cell)).map(|(at, _)| at).collect();
        assert!(selection.positions().eq(expected.iter().copied()));
        assert_eq!(selection.count(), expected.len());
    }
}
