//! Heaps of text and of tagged values (chapter `format-spec/column.md`, "Heaps").
//!
//! A text heap is UTF-8 as a whole, so that one check a block, made when the block is first used, stands for all reads of it:
//! [`check_text_block`] and [`text`] together are what makes [`text`] sound.

use super::Invalid;
use super::block_file::BLOCK_LEN;

/// Entries start at multiples of this, and cells count in it.
pub(crate) const ENTRY_ALIGNMENT: u64 = 2;
/// The longest prefix.
const PREFIX_LEN_MAX: usize = 6;
/// Lengths below are their own prefix.
const SHORT_LEN_END: u8 = 0x7C;

/// Writes the prefix of an entry of `len` bytes.
pub(crate) fn encode_prefix(len: usize, out: &mut Vec<u8>) {
    let len = len as u64;
    if len < u64::from(SHORT_LEN_END) {
        out.push(len.to_le_bytes().first().copied().unwrap_or_default());
        return;
    }
    let digits = prefix_digits(len);
    out.push(SHORT_LEN_END.saturating_add(u8::try_from(digits.saturating_sub(2)).unwrap_or(3)));
    let mut rest = len;
    for _ in 0..digits {
        out.push((rest & 0x7F).to_le_bytes().first().copied().unwrap_or_default());
        rest >>= 7;
    }
}

/// Bytes behind the first that a length of 124 or more takes.
const fn prefix_digits(len: u64) -> usize {
    match len {
        0..0x4000 => 2,
        0x4000..0x20_0000 => 3,
        0x20_0000..0x1000_0000 => 4,
        _ => 5,
    }
}

/// Bytes of the prefix of an entry of `len` bytes.
pub(crate) const fn prefix_len(len: usize) -> usize {
    if len < SHORT_LEN_END as usize { 1 } else { prefix_digits(len as u64).saturating_add(1) }
}

/// The length of the content behind a prefix of one byte; `None` for any other prefix.
#[inline]
pub(crate) const fn short_len(prefix: u8) -> Option<usize> {
    if prefix < SHORT_LEN_END { Some(prefix as usize) } else { None }
}

/// Reads a prefix: its own length, and that of the content.
#[inline]
pub(crate) fn decode_prefix(bytes: &[u8]) -> Result<(usize, usize), Invalid> {
    let Some((&first, rest)) = bytes.split_first() else {
        return Err(Invalid::new(0, "heap", "an entry past the end"));
    };
    if first < SHORT_LEN_END { Ok((1, usize::from(first))) } else { decode_long_prefix(first, rest) }
}

#[cold]
fn decode_long_prefix(first: u8, rest: &[u8]) -> Result<(usize, usize), Invalid> {
    let invalid = Invalid::new(0, "heap", "a length prefix that is not valid");
    if first > 0x7F {
        return Err(invalid);
    }
    let digits = usize::from(first.saturating_sub(SHORT_LEN_END)).saturating_add(2);
    let mut len = 0u64;
    for &digit in rest.get(..digits).ok_or(invalid.clone())?.iter().rev() {
        if digit > 0x7F {
            return Err(invalid);
        }
        len = (len << 7) | u64::from(digit);
    }
    let shortest = len >= u64::from(SHORT_LEN_END) && prefix_digits(len) == digits;
    match usize::try_from(len) {
        Ok(len) if shortest => Ok((digits.saturating_add(1), len)),
        _ => Err(invalid),
    }
}

/// Where an entry of `len` content bytes goes in a file whose heap has grown to the file offset `end`.
pub(crate) fn place(end: u64, len: usize) -> u64 {
    let start = super::bytes::align_up(end, ENTRY_ALIGNMENT);
    let total = (prefix_len(len) as u64).saturating_add(len as u64);
    let crosses = start.checked_rem(BLOCK_LEN).unwrap_or_default().saturating_add(total) > BLOCK_LEN;
    if crosses { super::bytes::align_up(start, BLOCK_LEN) } else { start }
}

/// The most bytes a reader looks at to learn an entry's length.
pub(crate) const fn prefix_window(available: u64) -> u64 {
    if available < PREFIX_LEN_MAX as u64 { available } else { PREFIX_LEN_MAX as u64 }
}

/// Checks one block of a text heap (the part of a checksum block that the heap covers). What a long entry leaves cut at
/// either end is left out: at most three continuation bytes at the start, an unfinished character at the end.
pub(crate) fn check_text_block(bytes: &[u8]) -> Result<(), Invalid> {
    let cut = bytes.iter().take(3).take_while(|&&byte| is_continuation(byte)).count();
    let whole = bytes.get(cut..).unwrap_or_default();
    match std::str::from_utf8(whole) {
        Ok(_) => Ok(()),
        // No error length: the end of the input cuts a character that is right so far.
        Err(error) if error.error_len().is_none() => Ok(()),
        Err(error) => {
            Err(Invalid::new(error.valid_up_to().saturating_add(cut) as u64, "text heap", "text that is not UTF-8"))
        }
    }
}

const fn is_continuation(byte: u8) -> bool {
    byte & 0xC0 == 0x80
}

/// The text of an entry, all of whose blocks have passed [`check_text_block`].
///
/// `file_offset` is where `content` starts in the file, and `follows` the byte behind it, `None` at the end of the heap.
/// Checks, in time that does not depend on the length but for one step a block boundary, that no character is cut.
#[inline(always)]
pub(crate) fn text(content: &[u8], follows: Option<u8>, file_offset: u64) -> Result<&str, Invalid> {
    let Some(&first) = content.first() else { return Ok("") };
    let end = file_offset.saturating_add(content.len() as u64);
    let at_boundary = end.is_multiple_of(BLOCK_LEN);
    let ends_inside = !at_boundary && follows.is_some_and(is_continuation);
    if is_continuation(first) || ends_inside {
        return Err(cut_character());
    }
    if file_offset / BLOCK_LEN != end / BLOCK_LEN || follows.is_none() {
        check_boundaries(content, file_offset)?;
    }
    debug_assert!(std::str::from_utf8(content).is_ok(), "the checks of a heap let bad text through");
    // SAFETY: Each block's part of the heap has passed `check_text_block`, so it is (a) up to three continuation bytes,
    // (b) whole valid characters, (c) maybe the beginning of one more. `content` does not start inside (a), for its first byte
    // is no continuation byte, so it starts at a character of (b) or at (c). Where it ends within a block, the byte that
    // follows is no continuation byte, so it ends at the end of a character of (b): within (c) and directly after a
    // lead byte of (b) a continuation byte follows, and the end of a block or of the heap is the case below.
    // Where it touches or crosses the end of a block, or ends with the heap, `check_boundaries` has shown that the bytes
    // around that place, from the last lead byte before it to the next lead byte after it, are whole valid characters.
    Ok(unsafe { std::str::from_utf8_unchecked(content) })
}

/// The text that all but the last of these bytes are, of one block that has passed [`check_text_block`]; `None` where that cuts characters.
///
/// `content` lies in the heap's part of that block with all of its bytes.
#[inline(always)]
pub(crate) fn text_within(content: &[u8]) -> Option<&str> {
    let (&follows, text) = content.split_last()?;
    let first = text.first().copied().unwrap_or(follows);
    if is_continuation(first) || is_continuation(follows) {
        return None;
    }
    debug_assert!(std::str::from_utf8(text).is_ok(), "the checks of a heap let bad text through");
    // SAFETY: The block's part of the heap has passed `check_text_block`, so it is (a) up to three continuation bytes, (b) whole valid
    // characters, (c) maybe the beginning of one more. `text` and the byte behind it are bytes of that part. `text` starts with no
    // continuation byte, so not inside of (a) or of a character of (b) or (c), which has only continuation bytes behind its first. Nor
    // does the byte behind it continue a character. So `text` ends where a character ends, and this one is of (b): of (c) nothing but
    // continuation bytes follows until the block's part ends, which is behind that byte.
    Some(unsafe { std::str::from_utf8_unchecked(text) })
}

fn cut_character() -> Invalid {
    Invalid::new(0, "text heap", "an entry that cuts a character")
}

/// Checks the characters at each block boundary that `content` touches, and at its end.
#[cold]
fn check_boundaries(content: &[u8], file_offset: u64) -> Result<(), Invalid> {
    let len = content.len() as u64;
    let to_boundary = BLOCK_LEN.saturating_sub(file_offset.checked_rem(BLOCK_LEN).unwrap_or_default());
    let mut position = to_boundary;
    while position < len {
        check_boundary(content, usize::try_from(position).unwrap_or(usize::MAX))?;
        position = position.saturating_add(BLOCK_LEN);
    }
    check_boundary(content, content.len())
}

/// Checks that the bytes from the last lead byte before `position` to the first one at or after it are whole characters.
fn check_boundary(content: &[u8], position: usize) -> Result<(), Invalid> {
    let (before, after) = content.split_at_checked(position).ok_or_else(cut_character)?;
    let back = before.iter().rev().take(4).position(|&byte| !is_continuation(byte)).ok_or_else(cut_character)?;
    let ahead = after.iter().take_while(|&&byte| is_continuation(byte)).take(4).count();
    let start = position.saturating_sub(back.saturating_add(1));
    let window = content.get(start..position.saturating_add(ahead)).ok_or_else(cut_character)?;
    std::str::from_utf8(window).map(|_| ()).map_err(|_| cut_character())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_have_one_form_and_stay_below_0x80() {
        for len in [0, 1, 123, 124, 0x3FFF, 0x4000, 0x1F_FFFF, 0x20_0000, 0xFFF_FFFF, 0x1000_0000, 1 << 30] {
            let mut bytes = Vec::new();
            encode_prefix(len, &mut bytes);
            assert!(bytes.iter().all(|&byte| byte < 0x80));
            assert_eq!(bytes.len(), prefix_len(len));
            assert_eq!(decode_prefix(&bytes).unwrap(), (bytes.len(), len));
            for cut in 0..bytes.len() {
                assert!(decode_prefix(&bytes[..cut]).is_err());
            }
        }
        for bad in [&[0x80][..], &[0xFF], &[0x7C, 5, 0], &[0x7D, 0, 1, 0], &[0x7C, 0x80, 1]] {
            assert!(decode_prefix(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn entries_stay_within_a_block_unless_they_are_longer() {
        assert_eq!(place(512, 10), 512);
        assert_eq!(place(513, 10), 514);
        assert_eq!(place(65_528, 7), 65_528);
        assert_eq!(place(65_528, 8), 65_536);
        assert_eq!(place(600, 70_000), 65_536);
    }

    /// Whatever bytes a block holds, what `text` returns is UTF-8, and sound text is never refused.
    #[test]
    fn text_is_always_utf8() {
        let pieces: [&[u8]; 9] =
            [b"a", b"bc", "é".as_bytes(), "€".as_bytes(), "😀".as_bytes(), &[0x80], &[0xE2], &[0xF0, 0x9F], &[0xFF]];
        let mut state = 0x1234_5678_9ABC_DEF1u64;
        let mut next = |below: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state % below as u64) as usize
        };
        let (mut accepted, mut refused) = (0, 0);
        for _ in 0..20_000 {
            // The end of one block and the start of the next, of which mostly sound text.
            let mut bytes = Vec::new();
            let sound = next(2) == 0;
            while bytes.len() < 24 {
                bytes.extend_from_slice(pieces[next(if sound { 5 } else { 9 })]);
            }
            let boundary = next(bytes.len() + 1);
            let (left, right) = bytes.split_at(boundary);
            let blocks_pass = check_text_block(left).is_ok() && check_text_block(right).is_ok();
            let base = BLOCK_LEN - boundary as u64;
            let start = next(bytes.len());
            let end = start + next(bytes.len() - start + 1);
            let content = &bytes[start..end];
            let truth = std::str::from_utf8(content).is_ok();
            if !blocks_pass {
                continue;
            }
            if end < bytes.len() && (end < boundary || start >= boundary) {
                let within = text_within(&bytes[start..=end]);
                assert!(within.is_none_or(|text| text.as_bytes() == content && truth));
                let is_whole = truth && !is_continuation(bytes[end]);
                assert!(within.is_some() || !(sound && is_whole), "{content:?} of {bytes:?}");
            }
            match text(content, bytes.get(end).copied(), base + start as u64) {
                Ok(text) => {
                    assert!(std::str::from_utf8(text.as_bytes()).is_ok());
                    accepted += 1;
                }
                Err(_) => refused += 1,
            }
            if sound && truth {
                let whole = bytes.get(end).is_none_or(|&byte| !is_continuation(byte));
                assert!(!whole || text(content, bytes.get(end).copied(), base + start as u64).is_ok());
            }
        }
        assert!(accepted > 1000 && refused > 1000, "{accepted} accepted, {refused} refused");
    }
}
