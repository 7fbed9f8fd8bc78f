//! Reading the values of a column file the direct way, where its blocks have been verified.

use super::cells::{Cells, SegmentView, Uniform, inline_value};
use super::verified::{Settled, VerifiedBytes, VerifiedHeap, VerifiedSlice};
use crate::format::column::{ENTRY_LEN, Encoding, Entry, Presence, SEGMENT_SHIFT};
use crate::format::value::{self, TAG_FLOAT, TAG_INT, TAG_TEXT};
use crate::model::ValueRef;

/// The values of a column by slot.
#[derive(Clone, Copy, Debug)]
pub(super) enum Values<'a> {
    /// There is no file.
    None,
    I64(VerifiedSlice<'a, 8>),
    U64(VerifiedSlice<'a, 8>),
    F64(VerifiedSlice<'a, 8>),
    Text(VerifiedSlice<'a, 4>, VerifiedHeap<'a>),
    Tagged(VerifiedSlice<'a, 4>, VerifiedHeap<'a>),
    Dictionary8(VerifiedSlice<'a, 1>, Dictionary<'a>),
    Dictionary16(VerifiedSlice<'a, 2>, Dictionary<'a>),
    /// Segments differ, or some slots have no value.
    Segments(Segments<'a>),
}

/// The distinct values of a column.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dictionary<'a> {
    entries: VerifiedSlice<'a, ENTRY_LEN>,
    heap: VerifiedHeap<'a>,
}

impl<'a> Dictionary<'a> {
    /// Asks for the value of a number.
    #[inline(always)]
    pub(super) fn prefetch(&self, number: usize) {
        self.entries.prefetch(number);
    }

    /// Hands over the value of a number.
    #[inline(always)]
    pub(super) fn get<const WHOLE: bool, R: Receiver<'a>>(&self, number: usize, receiver: R) -> R::Outcome {
        let Some(entry) = self.entries.at::<WHOLE>(number) else { return receiver.unknown() };
        let (head, payload) = entry.split_at(8);
        let word = |bytes: &[u8]| bytes.first_chunk().map_or(0, |word| u64::from_le_bytes(*word));
        let (head, payload) = (word(head), word(payload));
        match (head as u8, (head >> 32) as u32) {
            (TAG_TEXT, len) => {
                receive(receiver, self.heap.text_at::<WHOLE>(payload as usize, len as usize).map(ValueRef::Text))
            }
            (TAG_INT, 0) => receiver.value(ValueRef::Int(payload.cast_signed().into())),
            (TAG_FLOAT, 0) => receiver.value(ValueRef::Float(f64::from_bits(payload))),
            (tag, 0) if !WHOLE && Entry::is_inline(tag) => receive(receiver, inline_value(tag, payload).ok()),
            _ => receiver.unknown(),
        }
    }
}

/// What a read makes of a value, and of not knowing it. Each encoding calls it where it has the value, so that this is written where it is
/// wanted, and not put together from all encodings first.
pub(super) trait Receiver<'a> {
    type Outcome;

    fn value(self, value: ValueRef<'a>) -> Self::Outcome;

    /// The slot has none.
    fn absent(self) -> Self::Outcome;

    /// It takes the long way to know.
    fn unknown(self) -> Self::Outcome;
}

/// Takes a value as it is.
#[derive(Clone, Copy)]
pub(super) struct AsItIs;

impl<'a> Receiver<'a> for AsItIs {
    type Outcome = Settled<ValueRef<'a>>;

    #[inline(always)]
    fn value(self, value: ValueRef<'a>) -> Self::Outcome {
        Some(Some(value))
    }

    #[inline(always)]
    fn absent(self) -> Self::Outcome {
        Some(None)
    }

    #[inline(always)]
    fn unknown(self) -> Self::Outcome {
        None
    }
}

#[inline(always)]
fn receive<'a, R: Receiver<'a>>(receiver: R, value: Option<ValueRef<'a>>) -> R::Outcome {
    match value {
        Some(value) => receiver.value(value),
        None => receiver.unknown(),
    }
}

/// Hands over the value of a slot's cell, if it has one.
#[inline(always)]
fn receive_cell<'a, const WHOLE: bool, const N: usize, R: Receiver<'a>>(
    cells: &VerifiedSlice<'a, N>,
    slot: u32,
    receiver: R,
    value: impl FnOnce(&'a [u8; N]) -> Option<ValueRef<'a>>,
) -> R::Outcome {
    match cells.get::<WHOLE>(slot as usize) {
        Some(Some(cell)) => receive(receiver, value(cell)),
        Some(None) => receiver.absent(),
        None => receiver.unknown(),
    }
}

impl<'a> Values<'a> {
    /// Hands over the value of a slot.
    #[inline(always)]
    pub(super) fn get<const WHOLE: bool, R: Receiver<'a>>(&self, slot: u32, receiver: R) -> R::Outcome {
        match self {
            Self::F64(cells) => receive_cell::<WHOLE, _, _>(cells, slot, receiver, |cell| {
                Some(ValueRef::Float(f64::from_le_bytes(*cell)))
            }),
            Self::Text(cells, heap) => match cells.get::<WHOLE>(slot as usize) {
                Some(Some(cell)) => match heap.text::<WHOLE>(u32::from_le_bytes(*cell) as usize) {
                    Some(text) => receiver.value(ValueRef::Text(text)),
                    None => receiver.unknown(),
                },
                Some(None) => receiver.absent(),
                None => receiver.unknown(),
            },
            Self::I64(cells) => receive_cell::<WHOLE, _, _>(cells, slot, receiver, |cell| {
                Some(ValueRef::Int(i64::from_le_bytes(*cell).into()))
            }),
            Self::U64(cells) => receive_cell::<WHOLE, _, _>(cells, slot, receiver, |cell| {
                Some(ValueRef::Int(u64::from_le_bytes(*cell).into()))
            }),
            Self::Dictionary8(cells, dictionary) => match cells.get::<WHOLE>(slot as usize) {
                Some(Some(&[number])) => dictionary.get::<WHOLE, _>(number.into(), receiver),
                Some(None) => receiver.absent(),
                None => receiver.unknown(),
            },
            Self::Dictionary16(cells, dictionary) => match cells.get::<WHOLE>(slot as usize) {
                Some(Some(&cell)) => dictionary.get::<WHOLE, _>(u16::from_le_bytes(cell).into(), receiver),
                Some(None) => receiver.absent(),
                None => receiver.unknown(),
            },
            Self::Tagged(..) if WHOLE => receiver.unknown(),
            Self::Tagged(cells, heap) => receive_cell::<WHOLE, _, _>(cells, slot, receiver, |cell| {
                tagged(heap, u32::from_le_bytes(*cell) as usize)
            }),
            // Of all others the values lie where they do: this one is not so simple, and takes registers.
            Self::Segments(_) if WHOLE => receiver.unknown(),
            Self::Segments(segments) => match segments.get(slot) {
                Some(Some(value)) => receiver.value(value),
                Some(None) => receiver.absent(),
                None => receiver.unknown(),
            },
            Self::None => receiver.absent(),
        }
    }

    /// Whether cells point to what they hold, or nothing is known of that: where there is no file, patches may have values of any type.
    #[inline(always)]
    pub(super) const fn has_content(&self) -> bool {
        !matches!(self, Self::I64(_) | Self::U64(_) | Self::F64(_))
    }

    /// Asks for the cell of a slot.
    #[inline(always)]
    pub(super) fn prefetch_cell(&self, slot: u32) {
        let index = slot as usize;
        match self {
            Self::None => {}
            Self::I64(cells) | Self::U64(cells) | Self::F64(cells) => cells.prefetch(index),
            Self::Text(cells, _) | Self::Tagged(cells, _) => cells.prefetch(index),
            Self::Dictionary8(cells, _) => cells.prefetch(index),
            Self::Dictionary16(cells, _) => cells.prefetch(index),
            Self::Segments(segments) => segments.prefetch_cell(slot),
        }
    }

    /// Asks for what the cell of a slot points to.
    #[inline(always)]
    pub(super) fn prefetch_content(&self, slot: u32) {
        let index = slot as usize;
        match self {
            Self::None | Self::I64(_) | Self::U64(_) | Self::F64(_) => {}
            Self::Text(cells, heap) | Self::Tagged(cells, heap) => {
                if let Some(cell) = cells.at::<false>(index) {
                    heap.prefetch(u32::from_le_bytes(*cell) as usize);
                }
            }
            Self::Dictionary8(cells, dictionary) => {
                if let Some(&[number]) = cells.at::<false>(index) {
                    dictionary.prefetch(number.into());
                }
            }
            Self::Dictionary16(cells, dictionary) => {
                if let Some(cell) = cells.at::<false>(index) {
                    dictionary.prefetch(u16::from_le_bytes(*cell).into());
                }
            }
            Self::Segments(segments) => segments.prefetch_content(slot),
        }
    }
}

fn long_position(cell: &[u8; 8]) -> Option<usize> {
    usize::try_from(u64::from_le_bytes(*cell)).ok()
}

#[inline(always)]
fn tagged<'a>(heap: &VerifiedHeap<'a>, position: usize) -> Option<ValueRef<'a>> {
    value::decode(heap.content::<false>(position)?).ok()
}

/// A column of which each segment says where its cells are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Segments<'a> {
    segments: &'a [SegmentView],
    bytes: VerifiedBytes<'a>,
    dictionary: Dictionary<'a>,
    /// The heap of tagged values.
    heap: VerifiedHeap<'a>,
}

impl<'a> Segments<'a> {
    /// The value of a slot.
    #[inline]
    fn get(&self, slot: u32) -> Settled<ValueRef<'a>> {
        match self.cell(slot)? {
            Some((encoding, at)) => self.value(encoding, at).map(Some),
            None => Some(None),
        }
    }

    /// Where a slot's cell is, and its encoding.
    #[inline]
    fn cell(&self, slot: u32) -> Settled<(Encoding, usize)> {
        let Some(segment) = self.segments.get((slot >> SEGMENT_SHIFT) as usize) else { return Some(None) };
        let offset = slot & ((1 << SEGMENT_SHIFT) - 1);
        let index = match segment.presence {
            _ if offset >= segment.slot_count => return Some(None),
            Presence::None => return Some(None),
            Presence::All => offset,
            Presence::Bitmap => {
                let at = segment.presence_offset as usize + (offset >> 6) as usize * 16;
                let [bits, rank] = self.bytes.word_pair(at)?;
                let bit = 1u64 << (offset & 63);
                if bits & bit == 0 {
                    return Some(None);
                }
                u32::try_from(rank).ok()?.checked_add((bits & (bit - 1)).count_ones())?
            }
            Presence::Sorted => return None,
        };
        if index >= segment.present_count {
            return None;
        }
        let at = segment.cells + u64::from(index) * segment.encoding.width();
        Some(Some((segment.encoding, at as usize)))
    }

    /// The value of a cell.
    #[inline]
    fn value(&self, encoding: Encoding, at: usize) -> Option<ValueRef<'a>> {
        let (bytes, dictionary) = (self.bytes, &self.dictionary);
        match encoding {
            Encoding::PlainF64 => Some(ValueRef::Float(f64::from_le_bytes(*bytes.array(at)?))),
            Encoding::PlainI64 => Some(ValueRef::Int(i64::from_le_bytes(*bytes.array(at)?).into())),
            Encoding::PlainU64 => Some(ValueRef::Int(u64::from_le_bytes(*bytes.array(at)?).into())),
            Encoding::Text32 => {
                dictionary.heap.text::<false>(u32::from_le_bytes(*bytes.array(at)?) as usize).map(ValueRef::Text)
            }
            Encoding::Value32 => tagged(&self.heap, u32::from_le_bytes(*bytes.array(at)?) as usize),
            Encoding::Constant => dictionary.get::<false, _>(0, AsItIs)?,
            Encoding::Dictionary8 => {
                let [number] = *bytes.array(at)?;
                dictionary.get::<false, _>(number.into(), AsItIs)?
            }
            Encoding::Dictionary16 => {
                dictionary.get::<false, _>(u16::from_le_bytes(*bytes.array(at)?).into(), AsItIs)?
            }
            Encoding::Text64 => dictionary.heap.text::<false>(long_position(bytes.array(at)?)?).map(ValueRef::Text),
            Encoding::Value64 => tagged(&self.heap, long_position(bytes.array(at)?)?),
        }
    }

    fn prefetch_cell(&self, slot: u32) {
        if let Some(Some((_, at))) = self.cell(slot) {
            self.bytes.prefetch(at);
        }
    }

    fn prefetch_content(&self, slot: u32) {
        if let Some(Some((encoding, at))) = self.cell(slot) {
            self.prefetch_of(encoding, at);
        }
    }

    /// Asks for what a cell points to.
    fn prefetch_of(&self, encoding: Encoding, at: usize) -> Option<()> {
        match encoding {
            Encoding::Text32 => self.dictionary.heap.prefetch(u32::from_le_bytes(*self.bytes.array(at)?) as usize),
            Encoding::Value32 => self.heap.prefetch(u32::from_le_bytes(*self.bytes.array(at)?) as usize),
            Encoding::Dictionary8 => {
                let [number] = *self.bytes.array(at)?;
                self.dictionary.prefetch(number.into());
            }
            Encoding::Dictionary16 => {
                self.dictionary.prefetch(u16::from_le_bytes(*self.bytes.array(at)?).into());
            }
            Encoding::Text64 => self.dictionary.heap.prefetch(long_position(self.bytes.array(at)?)?),
            Encoding::Value64 => self.heap.prefetch(long_position(self.bytes.array(at)?)?),
            Encoding::PlainI64 | Encoding::PlainU64 | Encoding::PlainF64 | Encoding::Constant => {}
        }
        Some(())
    }
}

impl Cells {
    /// The values, ready for reads; `None` where a section is not in the file as it should be.
    #[inline(always)]
    pub(super) fn values<'a>(&'a self, bytes: VerifiedBytes<'a>) -> Option<Values<'a>> {
        let text = bytes.heap(self.text_heap)?;
        let dictionary = || {
            let start = usize::try_from(self.dictionary.offset).ok()?;
            let count = usize::try_from(self.dictionary.len).ok()? / ENTRY_LEN;
            Some(Dictionary { entries: bytes.slice(start, count)?, heap: text })
        };
        let segments = || {
            let segments = Segments {
                segments: &self.segments,
                bytes,
                dictionary: dictionary()?,
                heap: bytes.heap(self.value_heap)?,
            };
            Some(Values::Segments(segments))
        };
        let Some(Uniform { encoding, slot_count, cells }) = self.uniform else { return segments() };
        let count = slot_count as usize;
        Some(match encoding {
            Encoding::PlainI64 => Values::I64(bytes.slice(cells, count)?),
            Encoding::PlainU64 => Values::U64(bytes.slice(cells, count)?),
            Encoding::PlainF64 => Values::F64(bytes.slice(cells, count)?),
            Encoding::Text32 => Values::Text(bytes.slice(cells, count)?, text),
            Encoding::Value32 => Values::Tagged(bytes.slice(cells, count)?, bytes.heap(self.value_heap)?),
            Encoding::Dictionary8 => Values::Dictionary8(bytes.slice(cells, count)?, dictionary()?),
            Encoding::Dictionary16 => Values::Dictionary16(bytes.slice(cells, count)?, dictionary()?),
            Encoding::Constant | Encoding::Text64 | Encoding::Value64 => return segments(),
        })
    }
}
