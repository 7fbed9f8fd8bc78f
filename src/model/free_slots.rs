//! Which slots are free, and the rule by which new keys take them: the lowest first, with free slots at the end given back.

use super::id::Slot;
use std::collections::BTreeSet;

/// The slots of a central axis, as its one writer sees them.
///
/// Slots freed before the base was written (its tombstones) are found through a function that the caller passes, so that
/// opening a database reads none of them: the base's free slots are only ever taken in ascending order, and one
/// position remembers how far that went.
#[derive(Clone, Debug)]
pub(crate) struct FreeSlots {
    /// One above the last slot in use.
    slot_count: u32,
    /// Slots freed since the base was written.
    freed: BTreeSet<u32>,
    /// The base's tombstones below this slot are taken.
    base_next: u32,
    /// The base's tombstones from here on were given back when the axis shrank.
    base_end: u32,
    /// What to restore when the changes since [`begin`](Self::begin) are taken back.
    undo: Undo,
}

#[derive(Clone, Debug, Default)]
struct Undo {
    slot_count: u32,
    base_next: u32,
    base_end: u32,
    /// Slots that entered (true) or left `freed`, in order.
    steps: Vec<(u32, bool)>,
}

impl FreeSlots {
    /// Starts from a base of `slot_count` slots.
    #[must_use]
    pub(crate) fn new(slot_count: u32) -> Self {
        Self { slot_count, freed: BTreeSet::new(), base_next: 0, base_end: slot_count, undo: Undo::default() }
    }

    /// Starts a batch of changes that [`rollback`](Self::rollback) takes back.
    pub(crate) fn begin(&mut self) {
        let Self { slot_count, base_next, base_end, .. } = *self;
        self.undo.steps.clear();
        self.undo = Undo { slot_count, base_next, base_end, steps: std::mem::take(&mut self.undo.steps) };
    }

    /// Takes back all changes since [`begin`](Self::begin).
    pub(crate) fn rollback(&mut self) {
        let Undo { slot_count, base_next, base_end, .. } = self.undo;
        (self.slot_count, self.base_next, self.base_end) = (slot_count, base_next, base_end);
        for (slot, entered) in self.undo.steps.drain(..).rev() {
            if entered {
                self.freed.remove(&slot);
            } else {
                self.freed.insert(slot);
            }
        }
    }

    fn enter(&mut self, slot: u32) {
        if self.freed.insert(slot) {
            self.undo.steps.push((slot, true));
        }
    }

    fn leave(&mut self, slot: u32) -> bool {
        let left = self.freed.remove(&slot);
        if left {
            self.undo.steps.push((slot, false));
        }
        left
    }

    /// One above the last slot in use.
    #[must_use]
    pub(crate) const fn slot_count(&self) -> u32 {
        self.slot_count
    }

    /// Takes the lowest free slot, or a new one at the end; `None` when all 2^32 - 1 slots are in use.
    /// `base_free(n)` gives the base's first tombstone at or after slot n.
    ///
    /// # Errors
    /// Those of `base_free`; nothing has changed then.
    pub(crate) fn take<E>(&mut self, base_free: impl Fn(u32) -> Result<Option<u32>, E>) -> Result<Option<Slot>, E> {
        let from_base = if self.base_next < self.base_end {
            base_free(self.base_next)?.filter(|&slot| slot < self.base_end)
        } else {
            None
        };
        // What lies before is not free: do not ask again.
        self.base_next = from_base.unwrap_or(self.base_end);
        Ok(match (self.freed.first().copied(), from_base) {
            (Some(freed), Some(base)) if base < freed => self.take_base(base),
            (None, Some(base)) => self.take_base(base),
            (Some(freed), _) => {
                self.leave(freed);
                Some(Slot(freed))
            }
            (None, None) if self.slot_count <= Slot::MAX.0 => {
                self.slot_count += 1;
                Some(Slot(self.slot_count - 1))
            }
            (None, None) => None,
        })
    }

    fn take_base(&mut self, slot: u32) -> Option<Slot> {
        self.base_next = slot + 1;
        Some(Slot(slot))
    }

    /// Takes a slot that a log says was taken; false if it is not free. `base_is_free(n)` tells whether slot n of the base
    /// is a tombstone.
    ///
    /// # Errors
    /// Those of `base_is_free`; nothing has changed then.
    pub(crate) fn take_at<E>(&mut self, slot: Slot, base_is_free: impl Fn(u32) -> Result<bool, E>) -> Result<bool, E> {
        if slot.0 == self.slot_count && slot <= Slot::MAX {
            self.slot_count += 1;
            return Ok(true);
        }
        if self.leave(slot.0) {
            return Ok(true);
        }
        let untaken = slot.0 >= self.base_next && slot.0 < self.base_end;
        if untaken && base_is_free(slot.0)? {
            self.base_next = slot.0 + 1;
            return Ok(true);
        }
        Ok(false)
    }

    /// Frees a slot, then gives back free slots at the end. `base_is_free(n)` tells whether slot n of the base is a
    /// tombstone.
    ///
    /// # Errors
    /// Those of `base_is_free`; the slot is freed all the same, and the end is given back at a later call.
    pub(crate) fn free<E>(&mut self, slot: Slot, base_is_free: impl Fn(u32) -> Result<bool, E>) -> Result<(), E> {
        self.enter(slot.0);
        while let Some(last) = self.slot_count.checked_sub(1) {
            if !self.leave(last) {
                let untaken = last >= self.base_next && last < self.base_end;
                if !(untaken && base_is_free(last)?) {
                    break;
                }
            }
            self.slot_count = last;
            self.base_end = self.base_end.min(last);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;

    /// Looking for a tombstone may cost what lies before it: what was seen not to be free is not looked at again.
    #[test]
    fn the_base_is_asked_from_where_it_ended() {
        let mut free = FreeSlots::new(100);
        let asked = std::cell::RefCell::new(Vec::new());
        let base_free = |from: u32| {
            asked.borrow_mut().push(from);
            Ok::<_, Infallible>((from <= 90).then_some(90))
        };
        for _ in 0..3 {
            free.free(Slot(7), |_| Ok::<_, Infallible>(false)).unwrap();
            assert_eq!(free.take(base_free), Ok(Some(Slot(7))));
        }
        assert_eq!(free.take(base_free), Ok(Some(Slot(90))));
        assert_eq!(free.take(base_free), Ok(Some(Slot(100))));
        assert_eq!(*asked.borrow(), [0, 90, 90, 90, 91]);
    }

    /// Whatever a base's tombstones, slots come and go as in a plain list of optional keys.
    #[test]
    fn behaves_as_a_plain_list() {
        for seed in 0..200u64 {
            let mut random = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
            let mut next = move |below: u64| {
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                random % below
            };
            let mut base: Vec<bool> = (0..next(40)).map(|_| next(2) == 0).collect();
            while base.last() == Some(&false) {
                base.pop();
            }
            let mut list = base.clone();
            let mut free = FreeSlots::new(base.len() as u32);
            for step in 0..300 {
                if next(5) < 2 {
                    let slot = free
                        .take(|from| Ok::<_, Infallible>((from..base.len() as u32).find(|&s| !base[s as usize])))
                        .unwrap()
                        .unwrap();
                    let expected = list.iter().position(|used| !used).unwrap_or(list.len());
                    assert_eq!(slot.index(), expected, "seed {seed} step {step}");
                    if expected == list.len() {
                        list.push(true);
                    } else {
                        list[expected] = true;
                    }
                } else if let Some(slot) =
                    (0..list.len()).map(|_| next(list.len() as u64) as usize).find(|&slot| list[slot])
                {
                    list[slot] = false;
                    while list.last() == Some(&false) {
                        list.pop();
                    }
                    free.free(Slot(slot as u32), |s| Ok::<_, Infallible>(!base[s as usize])).unwrap();
                }
                if next(4) == 0 {
                    // What is taken back leaves no trace.
                    let before = format!("{:?}", (free.slot_count, &free.freed, free.base_next, free.base_end));
                    free.begin();
                    for _ in 0..next(6) {
                        let slot = next(list.len() as u64 + 1) as usize;
                        if next(2) == 0 || !list.get(slot).copied().unwrap_or(false) {
                            free.take(|from| {
                                Ok::<_, Infallible>((from..base.len() as u32).find(|&s| !base[s as usize]))
                            })
                            .unwrap();
                        } else {
                            free.free(Slot(slot as u32), |s| Ok::<_, Infallible>(!base[s as usize])).unwrap();
                        }
                    }
                    free.rollback();
                    assert_eq!(format!("{:?}", (free.slot_count, &free.freed, free.base_next, free.base_end)), before);
                }
                assert_eq!(free.slot_count() as usize, list.len(), "seed {seed} step {step}");
            }
        }
    }
}
