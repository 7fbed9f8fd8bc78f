//! How often each number occurs.

/// Counts of the numbers below a limit, of up to 2^32 - 1 cells.
///
/// A count that was just written can be added to only after some cycles. So there are several for each number, which neighbours add
/// to in turn: runs of equal cells cost no more than others.
#[derive(Clone, Debug)]
pub(in crate::engine) enum Histogram {
    /// Of so few numbers that all lanes fit in the first cache.
    Lanes(Vec<[u32; LANES]>),
    Single(Vec<[u32; 1]>),
}

const LANES: usize = 4;
/// Numbers whose lanes take 32 KiB.
const LANES_LEN_MAX: usize = 2048;

impl Histogram {
    /// Of the numbers below `len`, none of which was seen.
    pub(in crate::engine) fn new(len: usize) -> Self {
        if len <= LANES_LEN_MAX { Self::Lanes(vec![[0; LANES]; len]) } else { Self::Single(vec![[0]; len]) }
    }

    /// Counts numbers. Returns false if one is not below the limit; the counts are then of no use.
    #[must_use]
    pub(in crate::engine) fn add<N: Copy + Into<usize>>(&mut self, numbers: &[N]) -> bool {
        match self {
            Self::Lanes(counts) => add(counts, numbers),
            Self::Single(counts) => add(counts, numbers),
        }
    }

    /// Counts pairs of numbers as row × `width` + column. Returns false if one is not below the limit; the counts are then of no use.
    #[must_use]
    pub(in crate::engine) fn add_pairs(&mut self, rows: &[u16], columns: &[u16], width: usize) -> bool {
        match self {
            Self::Lanes(counts) => add_pairs(counts, rows, columns, width),
            Self::Single(counts) => add_pairs(counts, rows, columns, width),
        }
    }

    /// The count of each number.
    pub(in crate::engine) fn counts(&self) -> Vec<u32> {
        match self {
            Self::Lanes(counts) => counts.iter().map(|lanes| lanes.iter().sum()).collect(),
            Self::Single(counts) => counts.iter().map(|&[count]| count).collect(),
        }
    }
}

fn add<N: Copy + Into<usize>, const LANES: usize>(counts: &mut [[u32; LANES]], numbers: &[N]) -> bool {
    let mut is_sound = true;
    let mut count = |number: N, lane: usize| match counts.get_mut(number.into()) {
        Some(lanes) => lanes[lane] += 1,
        None => is_sound = false,
    };
    let (rows, rest) = numbers.as_chunks::<LANES>();
    for row in rows {
        for (lane, &number) in row.iter().enumerate() {
            count(number, lane);
        }
    }
    rest.iter().for_each(|&number| count(number, 0));
    is_sound
}

fn add_pairs<const LANES: usize>(counts: &mut [[u32; LANES]], rows: &[u16], columns: &[u16], width: usize) -> bool {
    let mut is_sound = true;
    for (at, (&row, &column)) in rows.iter().zip(columns).enumerate() {
        match counts.get_mut(usize::from(row) * width + usize::from(column)) {
            Some(lanes) => lanes[at % LANES] += 1,
            None => is_sound = false,
        }
    }
    is_sound
}

#[cfg(test)]
mod tests {
    use super::super::random::{LENGTHS, with_seeds};
    use super::*;

    #[test]
    fn counts_are_those_of_a_plain_loop() {
        with_seeds(|random| {
            let limit = [1, 2, 255, 256, 2047, 2048, 2049, 65_536][random.below(8)];
            let mut histogram = Histogram::new(limit);
            let mut expected = vec![0; limit];
            for _ in 0..3 {
                let run = 1 + random.below(5);
                let len = LENGTHS[random.below(LENGTHS.len())];
                let mut number = 0;
                let cells: Vec<u16> = (0..len)
                    .map(|at| {
                        if at % run == 0 {
                            number = random.below(limit) as u16;
                        }
                        number
                    })
                    .collect();
                cells.iter().for_each(|&cell| expected[usize::from(cell)] += 1);
                assert!(histogram.add(&cells));
            }
            assert_eq!(histogram.counts(), expected);
        });
    }

    #[test]
    fn counts_of_pairs_are_those_of_a_plain_loop() {
        with_seeds(|random| {
            let (height, width) = (1 + random.below(60), 1 + random.below(60));
            let len = LENGTHS[random.below(LENGTHS.len())];
            let rows: Vec<u16> = (0..len).map(|_| random.below(height) as u16).collect();
            let columns: Vec<u16> = (0..len).map(|_| random.below(width) as u16).collect();
            let mut histogram = Histogram::new(height * width);
            let mut expected = vec![0; height * width];
            for (&row, &column) in rows.iter().zip(&columns) {
                expected[usize::from(row) * width + usize::from(column)] += 1;
            }
            assert!(histogram.add_pairs(&rows, &columns, width));
            assert_eq!(histogram.counts(), expected);
            assert!(!histogram.add_pairs(&[height as u16], &[0], width));
        });
    }

    #[test]
    fn a_number_past_the_limit_is_told_wherever_it_is() {
        for limit in [1usize, 200, 5000] {
            for at in 0..9 {
                let mut cells = [0u16; 9];
                assert!(Histogram::new(limit).add(&cells));
                cells[at] = limit as u16;
                assert!(!Histogram::new(limit).add(&cells), "cell {at}");
            }
        }
    }
}
