//! Which segments a delta column has: from the number of a segment to the place of its descriptor.
//!
//! Memory follows the number of descriptors, not the numbers that they state, since a patch of a few bytes can touch the last slots
//! of a large database.

/// The segments that a delta column touches.
#[derive(Debug)]
pub(super) struct TouchedSegments {
    /// By place, ascending.
    numbers: Box<[u16]>,
    lookup: Lookup,
}

/// How the place of a segment is found.
#[derive(Debug)]
enum Lookup {
    /// Each segment up to the last is there, so that its number is its place.
    Direct,
    /// A bit for each segment up to the last.
    Bitmap(Box<[Word]>),
    /// Far too few for a bitmap, and so few that searching them is quick.
    Search,
}

/// 64 segments: a bit for each, and how many are touched before them.
#[derive(Clone, Copy, Default, Debug)]
struct Word {
    bits: u64,
    rank: u32,
}

/// Words of a bitmap for each segment in it, at most: with 1,024 words for the segments of the largest database, at most 7 steps of a
/// search where there is no bitmap.
const WORDS_PER_SEGMENT: usize = 8;

impl TouchedSegments {
    /// Of their numbers, ascending.
    pub(super) fn new(numbers: Vec<u16>) -> Self {
        let end = numbers.last().map_or(0, |&last| usize::from(last) + 1);
        let word_count = end.div_ceil(64);
        let lookup = if numbers.len() == end {
            Lookup::Direct
        } else if word_count <= numbers.len().saturating_mul(WORDS_PER_SEGMENT) {
            Lookup::Bitmap(bitmap(&numbers, word_count))
        } else {
            Lookup::Search
        };
        Self { numbers: numbers.into_boxed_slice(), lookup }
    }

    /// Where a segment is; `None` when it is not touched.
    #[inline]
    pub(super) fn place(&self, number: usize) -> Option<usize> {
        match &self.lookup {
            Lookup::Direct => Some(number),
            Lookup::Bitmap(words) => {
                let word = words.get(number >> 6)?;
                let bit = 1u64 << (number & 63);
                (word.bits & bit != 0)
                    .then(|| word.rank as usize + (word.bits & bit.wrapping_sub(1)).count_ones() as usize)
            }
            Lookup::Search => self.numbers.binary_search(&u16::try_from(number).ok()?).ok(),
        }
    }

    /// The segments from a number on, each with its place.
    pub(super) fn from(&self, number: usize) -> impl Iterator<Item = (usize, usize)> {
        let first = self.numbers.partition_point(|&before| usize::from(before) < number);
        let rest = self.numbers.get(first..).unwrap_or_default();
        rest.iter().zip(first..).map(|(&number, place)| (usize::from(number), place))
    }
}

fn bitmap(numbers: &[u16], word_count: usize) -> Box<[Word]> {
    let mut words = vec![Word::default(); word_count];
    for &number in numbers {
        if let Some(word) = words.get_mut(usize::from(number >> 6)) {
            word.bits |= 1 << (number & 63);
        }
    }
    let mut rank = 0;
    for word in &mut words {
        word.rank = rank;
        rank += word.bits.count_ones();
    }
    words.into_boxed_slice()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(numbers: &[u16]) -> &'static str {
        match TouchedSegments::new(numbers.to_vec()).lookup {
            Lookup::Direct => "direct",
            Lookup::Bitmap(_) => "bitmap",
            Lookup::Search => "search",
        }
    }

    #[test]
    fn every_segment_is_found_at_its_place_and_no_other_is_found() {
        let few: Vec<u16> = (0..100).map(|n| n * 650 + 7).collect();
        let many: Vec<u16> = (0..=u16::MAX).filter(|n| n % 3 == 1).collect();
        let all: Vec<u16> = (0..=u16::MAX).collect();
        let lists = [vec![], vec![0], vec![u16::MAX], vec![3, 64, 65, 200], few, many, all];
        for numbers in lists {
            let touched = TouchedSegments::new(numbers.clone());
            let mut places = vec![None; 1 << 16];
            numbers.iter().zip(0..).for_each(|(&number, place)| places[usize::from(number)] = Some(place));
            for (number, &place) in places.iter().enumerate() {
                let found = touched.place(number).filter(|&place| place < numbers.len());
                assert_eq!(found, place, "segment {number} of {} ({})", numbers.len(), kind(&numbers));
            }
            for from in [0, 1, 64, 1000, 65_535] {
                let expected = numbers.iter().zip(0..).filter(|(number, _)| usize::from(**number) >= from);
                assert!(touched.from(from).eq(expected.map(|(&number, place)| (usize::from(number), place))));
            }
        }
    }

    #[test]
    fn a_bitmap_is_made_only_where_there_are_segments_enough_to_pay_for_it() {
        assert_eq!(kind(&[0, 1, 2]), "direct");
        assert_eq!(kind(&[0, 1, 3]), "bitmap");
        assert_eq!(kind(&[511]), "bitmap");
        assert_eq!(kind(&[512]), "search");
        assert_eq!(kind(&[0, u16::MAX]), "search");
    }
}
