//! The order of dimensions that records agree on.
//!
//! Each record names some dimensions, in its order. An export names them in the order of the database, leaving out those that a
//! point does not have; read back, all lines together tell that order again, though the first use of each may not.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, HashMap, HashSet};

/// The names seen so far, and which came right behind which. Memory: O(names²) at worst, whatever the number of records.
#[derive(Debug, Default)]
pub(crate) struct DimensionOrder {
    /// By first use.
    names: Vec<String>,
    numbers: HashMap<String, usize>,
    follows: HashSet<(usize, usize)>,
}

impl DimensionOrder {
    /// Takes the names of a record into account.
    pub(crate) fn observe<'n>(&mut self, names: impl IntoIterator<Item = &'n str>) {
        let mut last = None;
        for name in names {
            let number = match self.numbers.get(name) {
                Some(&number) => number,
                None => {
                    let number = self.names.len();
                    self.names.push(name.to_owned());
                    self.numbers.insert(name.to_owned(), number);
                    number
                }
            };
            if let Some(last) = last {
                self.follows.insert((last, number));
            }
            last = Some(number);
        }
    }

    /// All names, in an order that is each record's, and where it may be that of first use. Where records contradict each
    /// other, the earlier use decides.
    pub(crate) fn into_names(self) -> Vec<String> {
        let mut followers: Vec<Vec<usize>> = vec![Vec::new(); self.names.len()];
        let mut waits_for = vec![0usize; self.names.len()];
        for (before, after) in self.follows {
            followers[before].push(after);
            waits_for[after] += 1;
        }
        let mut waiting: BTreeSet<usize> = (0..self.names.len()).collect();
        let mut ready: BinaryHeap<Reverse<usize>> =
            waiting.iter().copied().filter(|&number| waits_for[number] == 0).map(Reverse).collect();
        let mut order = Vec::with_capacity(self.names.len());
        while let Some(&first) = waiting.first() {
            let number = ready.pop().map_or(first, |Reverse(number)| number);
            if !waiting.remove(&number) {
                continue;
            }
            order.push(number);
            for &after in &followers[number] {
                waits_for[after] -= 1;
                if waits_for[after] == 0 {
                    ready.push(Reverse(after));
                }
            }
        }
        let mut names = self.names;
        order.into_iter().map(|number| std::mem::take(&mut names[number])).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(records: &[&str]) -> String {
        let mut order = DimensionOrder::default();
        for record in records {
            order.observe(record.split_terminator(' '));
        }
        order.into_names().join(" ")
    }

    #[test]
    fn the_order_is_each_records_and_else_that_of_first_use() {
        assert_eq!(order(&["a b c"]), "a b c");
        assert_eq!(order(&["b", "", "a b"]), "a b");
        assert_eq!(order(&["a c", "b c", "a b"]), "a b c");
        assert_eq!(order(&["z", "y", "x"]), "z y x");
        assert_eq!(order(&["d", "c d", "b c", "a b"]), "a b c d");
    }

    #[test]
    fn where_records_contradict_each_other_every_name_is_there_once() {
        assert_eq!(order(&["a b", "b a"]), "a b");
        assert_eq!(order(&["a b c", "c a d"]), "a b c d");
        assert_eq!(order(&["x a b", "b a y"]), "x a b y");
    }

    #[test]
    fn subsequences_of_any_order_are_put_back_into_one_that_has_them_all() {
        let mut state = 0x9e37_79b9_7f4a_7c15u64;
        for _ in 0..200 {
            let mut order = DimensionOrder::default();
            let mut records: Vec<Vec<String>> = Vec::new();
            for _ in 0..20 {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                records.push(
                    (0..12).filter(|bit| state >> bit & 1 == 1).map(|bit| format!("n{}", bit * 7 % 12)).collect(),
                );
            }
            records.iter().for_each(|record| order.observe(record.iter().map(String::as_str)));
            let names = order.into_names();
            for record in records {
                assert!(
                    record.iter().map(|name| names.iter().position(|other| other == name)).is_sorted(),
                    "{record:?} {names:?}"
                );
            }
        }
    }
}
