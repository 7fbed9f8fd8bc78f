//! Frames of three makers: lz4_flex's encoder, the reference implementation (as bytes), and [`Handmade`], which makes what neither would.

use super::super::Place;
use super::*;
use lz4_flex::frame::{BlockMode, BlockSize, FrameEncoder, FrameInfo};
use std::io::{self, Write};

/// xorshift: the same numbers for the same seed.
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 16).unwrap() % end
    }

    /// Runs of noise, of one byte, and of what was there up to a window before.
    fn content(&mut self, len: usize) -> Vec<u8> {
        let mut content: Vec<u8> = Vec::with_capacity(len);
        while content.len() < len {
            let run = 1 + self.below(2_000).min(len - content.len() - 1);
            match self.below(4) {
                0 => content.extend((0..run).map(|_| u8::try_from(self.below(256)).unwrap())),
                1 => content.resize(content.len() + run, u8::try_from(run % 256).unwrap()),
                _ => {
                    let start = content.len().saturating_sub(1 + self.below(70_000));
                    let end = content.len().min(start + run);
                    content.extend_from_within(start..end);
                    content.push(b'.');
                }
            }
        }
        content.truncate(len);
        content
    }

    fn noise(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| u8::try_from(self.below(256)).unwrap()).collect()
    }
}

/// All 16 combinations of flags.
fn all_options(block: BlockSize, content_len: usize) -> Vec<FrameInfo> {
    let with = |bits: u32| {
        let mode = if bits & 1 == 0 { BlockMode::Linked } else { BlockMode::Independent };
        let len = (bits & 8 != 0).then_some(u64::try_from(content_len).unwrap());
        let info = FrameInfo::new().block_size(block).block_mode(mode).content_size(len);
        info.block_checksums(bits & 2 != 0).content_checksum(bits & 4 != 0)
    };
    (0..16).map(with).collect()
}

fn encoded(content: &[u8], info: FrameInfo) -> Vec<u8> {
    let mut encoder = FrameEncoder::with_frame_info(info, Vec::new());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

/// A frame of any flags and blocks, right or wrong.
struct Handmade {
    bytes: Vec<u8>,
    has_block_checksums: bool,
}

impl Handmade {
    /// With block checksums as `flags` say. What comes between descriptor and checksum is `fields`.
    fn new(flags: u8, block_descriptor: u8, fields: &[u8]) -> Self {
        let mut bytes = MAGIC.to_le_bytes().to_vec();
        bytes.extend([flags, block_descriptor]);
        bytes.extend(fields);
        bytes.push(XxHash32::oneshot(0, &bytes[4..]).to_le_bytes()[1]);
        Self { bytes, has_block_checksums: flags & FLAG_BLOCK_CHECKSUMS != 0 }
    }

    fn block(mut self, flag: u32, data: &[u8]) -> Self {
        self.bytes.extend((u32::try_from(data.len()).unwrap() | flag).to_le_bytes());
        self.bytes.extend(data);
        if self.has_block_checksums {
            self.bytes.extend(XxHash32::oneshot(0, data).to_le_bytes());
        }
        self
    }

    fn stored(self, data: &[u8]) -> Self {
        self.block(BLOCK_STORED, data)
    }

    fn compressed(self, data: &[u8]) -> Self {
        self.block(0, data)
    }

    fn end(mut self) -> Vec<u8> {
        self.bytes.extend([0; 4]);
        self.bytes
    }
}

/// A compressed block: four times `x`, then `repeat` bytes from `distance` before, at least 19 of them, then nothing.
fn match_block(distance: u16, repeat: usize) -> Vec<u8> {
    let mut block = vec![0x4F];
    block.extend(b"xxxx");
    block.extend(distance.to_le_bytes());
    let more = repeat - 19;
    block.resize(block.len() + more / 255, 255);
    block.push(u8::try_from(more % 255).unwrap());
    block.push(0);
    block
}

struct Whole {
    content: Vec<u8>,
    trailing: u64,
    declared_len: Option<u64>,
}

fn read_from(reader: impl Read, file_len: usize) -> Result<Whole, Refused> {
    let file_len = u64::try_from(file_len).unwrap();
    let mut frame = LzFrame::new(reader, &ImportLimits::default(), file_len)?;
    let (mut content, mut start) = (Vec::new(), 0);
    while frame.next_block(&mut content)? {
        assert!(content.len() - start <= frame.header.block_len_max, "a block is too long");
        start = content.len();
    }
    assert_eq!(content.len(), start, "the end brings nothing");
    assert!(!frame.next_block(&mut content)?, "it stays at the end");
    assert_eq!(frame.source.offset, file_len);
    Ok(Whole { content, trailing: frame.trailing(), declared_len: frame.declared_len() })
}

fn read(file: &[u8]) -> Result<Whole, Refused> {
    read_from(file, file.len())
}

/// Where and why `file` is refused.
#[track_caller]
fn refusal(file: &[u8]) -> (u64, String) {
    match read(file) {
        Err(Refused::Malformed { place: Place::File(offset), reason }) => (offset, reason.into_owned()),
        Err(other) => panic!("refused otherwise: {other:?}"),
        Ok(whole) => panic!("it gives {} bytes", whole.content.len()),
    }
}

#[track_caller]
fn assert_refused(file: &[u8], at: usize, why: &str) {
    let (offset, reason) = refusal(file);
    assert!(reason.contains(why), "{reason}");
    assert_eq!(offset, u64::try_from(at).unwrap(), "{reason}");
}

fn hex(digits: &str) -> Vec<u8> {
    digits.split_whitespace().map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect()
}

#[test]
fn frames_of_all_options_and_lengths_around_blocks_are_read() {
    const KIB: usize = 1024;
    let lengths: [(BlockSize, &[usize]); 4] = [
        (BlockSize::Max64KB, &[0, 1, 12, 13, 65_535, 65_536, 65_537, 131_072, 200_001]),
        (BlockSize::Max256KB, &[256 * KIB - 1, 256 * KIB, 600 * KIB]),
        (BlockSize::Max1MB, &[KIB * KIB, KIB * KIB + 1]),
        (BlockSize::Max4MB, &[4 * KIB * KIB + 1]),
    ];
    for (seed, (block, len)) in lengths.iter().flat_map(|(block, all)| all.iter().map(|len| (*block, *len))).enumerate()
    {
        let content = Random::new(seed as u64).content(len);
        for info in all_options(block, len) {
            let file = encoded(&content, info.clone());
            let whole = read(&file).unwrap_or_else(|why| panic!("seed {seed}, {len} bytes, {info:?}: {why:?}"));
            assert!(whole.content == content, "seed {seed}, {len} bytes, {info:?}");
            assert_eq!((whole.trailing, whole.declared_len), (0, info.content_size.filter(|len| *len > 0)));
        }
    }
}

#[test]
fn blocks_that_do_not_compress_are_read() {
    for seed in 0..4 {
        let content = Random::new(seed).noise(150_000);
        for info in all_options(BlockSize::Max64KB, content.len()) {
            let file = encoded(&content, info.clone());
            assert!(file.len() > content.len(), "they are stored");
            assert!(read(&file).unwrap().content == content, "seed {seed}, {info:?}");
        }
    }
}

#[test]
fn frames_of_the_reference_implementation_are_read() {
    const TEXT: &[u8] = b"abcabcabcabcabcabcabcabcabcabc.";
    // Independent blocks, content size and checksum.
    let file = hex(
        "04 22 4d 18 6c 40 1f 00 00 00 00 00 00 00 22 0d 00 00 00 3f 61 62 63 03 00 04 50 63 61 62 63 2e 00 00 00 00
         8e c5 5f b0",
    );
    let whole = read(&file).unwrap();
    assert_eq!((whole.content.as_slice(), whole.declared_len), (TEXT, Some(31)));

    // Three linked blocks of at most 256 KiB, each with its checksum, the last one stored, and the checksum of the content.
    let file = hex(
        "04 22 4d 18 54 50 c0 0d 00 00 00 3f 61 62 63 03 00 04 50 63 61 62 63 2e 52 24 5f 31 0a 00 00 00 0f 1f 00 07
         50 63 61 62 63 2e 66 05 9e 4f 03 00 00 80 78 79 7a d3 2f 93 f1 00 00 00 00 c3 1b b1 11",
    );
    let whole = read(&file).unwrap();
    assert_eq!((whole.content, whole.declared_len), ([TEXT, TEXT, b"xyz"].concat(), None));

    // No checksums, no content size.
    let file = hex("04 22 4d 18 60 40 82 0c 00 00 80 48 65 6c 6c 6f 2c 20 77 6f 72 6c 64 00 00 00 00");
    assert_eq!(read(&file).unwrap().content, b"Hello, world");
}

#[test]
fn a_frame_cut_anywhere_is_refused_where_the_file_ends() {
    let content = [Random::new(1).noise(40), vec![b'a'; 150_000], Random::new(2).noise(30)].concat();
    for info in all_options(BlockSize::Max64KB, content.len()) {
        let file = encoded(&content, info.clone());
        assert!(read(&file).is_ok());
        for len in 0..file.len() {
            let (offset, reason) = refusal(&file[..len]);
            assert!(reason.contains("cut short"), "{info:?}, {len} bytes: {reason}");
            assert_eq!(offset, u64::try_from(len).unwrap(), "{info:?}");
        }
    }
}

#[test]
fn a_flipped_bit_gives_no_other_content_where_there_are_checksums() {
    let content = [Random::new(3).noise(50), vec![b'a'; 70_000], Random::new(4).noise(50)].concat();
    for info in all_options(BlockSize::Max64KB, content.len()).into_iter().filter(|info| info.content_checksum) {
        let file = encoded(&content, info.clone());
        let mut refused = 0;
        for bit in 0..file.len() * 8 {
            let mut flipped = file.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            match read(&flipped) {
                Ok(whole) => assert!(whole.content == content, "{info:?}, bit {bit}"),
                Err(_) => refused += 1,
            }
        }
        // Without block checksums, some matches can be elsewhere in the run and the content the same.
        if info.block_checksums {
            // The header's checksum has 8 bits, and so misses one of 256 changes.
            assert!(refused + 4 > file.len() * 8, "{info:?}: {refused} of {}", file.len() * 8);
        }
    }
}

#[test]
fn changed_bytes_of_frames_without_checksums_do_no_harm() {
    for seed in 0..2_000 {
        let mut random = Random::new(seed);
        let content = random.content(3_000);
        let mode = if seed % 2 == 0 { BlockMode::Linked } else { BlockMode::Independent };
        let mut file = encoded(&content, FrameInfo::new().block_mode(mode));
        for _ in 0..=random.below(3) {
            let at = 7 + random.below(file.len() - 7);
            file[at] = u8::try_from(random.below(256)).unwrap();
        }
        // Anything but a panic.
        drop(read(&file));
    }
}

#[test]
fn blocks_may_be_empty_and_of_any_length() {
    for flags in [0x60, 0x40, 0x70, 0x50] {
        let frame = Handmade::new(flags, 0x40, &[]).stored(b"").compressed(&[0]).stored(b"ab");
        let file = frame.compressed(&[0]).compressed(&match_block(1, 20)).stored(b"").end();
        assert_eq!(read(&file).unwrap().content, [b"ab".as_slice(), &[b'x'; 24]].concat());
    }
    assert!(read(&Handmade::new(0x60, 0x40, &[]).end()).unwrap().content.is_empty());
}

#[test]
fn linked_blocks_repeat_what_is_up_to_a_window_before_and_independent_blocks_do_not() {
    let before = Random::new(5).noise(65_531);
    // 65,535 bytes before the first that is repeated: the first of all.
    let blocks = |flags: u8| {
        Handmade::new(flags, 0x40, &[])
            .stored(&before[..100])
            .stored(&before[100..])
            .compressed(&match_block(65_535, 300))
    };
    let expected = [&before, b"xxxx".as_slice(), &before[..300]].concat();
    assert!(read(&blocks(0x40).end()).unwrap().content == expected);

    let independent = blocks(0x60).end();
    assert_refused(&independent, 7 + 4 + 100 + 4 + 65_431, "cannot be decompressed");

    // One byte less is no reach: nothing is before the start of the content.
    let frame = Handmade::new(0x40, 0x40, &[]).stored(&before[1..]).compressed(&match_block(65_535, 300));
    assert_refused(&frame.end(), 7 + 4 + 65_530, "cannot be decompressed");
}

#[test]
fn linked_blocks_of_one_byte_make_a_window_too() {
    // About where two windows are gathered, and beyond.
    for len in [65_531, 131_071, 131_072, 131_073, 200_000] {
        let content = Random::new(6).noise(len);
        let mut frame = Handmade::new(0x40, 0x70, &[]);
        for byte in &content {
            frame = frame.stored(&[*byte]);
        }
        let whole = read(&frame.compressed(&match_block(65_535, 1_000)).end()).unwrap();
        let from = len + 4 - 65_535;
        assert!(whole.content == [&content, b"xxxx".as_slice(), &content[from..from + 1_000]].concat(), "{len} bytes");
    }
}

#[test]
fn short_blocks_take_no_more_room_than_they_can_use() {
    let mut frame = Handmade::new(0x40, 0x70, &[]);
    for _ in 0..100 {
        frame = frame.compressed(&match_block(1, 300));
    }
    let file = frame.end();
    let mut frame = LzFrame::new(file.as_slice(), &ImportLimits::default(), 0).unwrap();
    let mut out = Vec::new();
    while frame.next_block(&mut out).unwrap() {}
    assert_eq!(out.len(), 100 * 304);
    assert!(out.capacity() < 1 << 17, "{} bytes", out.capacity());
}

#[test]
fn a_block_may_be_as_long_as_the_header_says_and_no_longer() {
    for (descriptor, max) in [(0x40, 1 << 16), (0x50, 1 << 18), (0x60, 1 << 20), (0x70, 1 << 22)] {
        let frame = || Handmade::new(0x60, descriptor, &[]).stored(b"abc");
        let file = frame().compressed(&match_block(1, max - 4)).stored(&vec![7; max]).end();
        assert_eq!(read(&file).unwrap().content.len(), 3 + 2 * max);

        let longer = format!("has more than the {max} bytes");
        assert_refused(&frame().compressed(&match_block(1, max - 3)).end(), 14, &longer);
        let declares = format!("takes {} bytes, more than the {max}", max + 1);
        assert_refused(&frame().stored(&vec![7; max + 1]).end(), 14, &declares);
        assert_refused(&frame().compressed(&vec![0; max + 1]).end(), 14, &declares);
    }
    let most = Handmade::new(0x60, 0x70, &[]).block(BLOCK_STORED - 1, &[]);
    assert_refused(&most.bytes, 7, "takes 2147483647 bytes");
}

#[test]
fn checksums_are_compared() {
    let file = Handmade::new(0x70, 0x40, &[]).stored(b"abc").compressed(&match_block(1, 19)).end();
    for (checksum_at, block_at) in [(14, 7), (31, 18)] {
        assert!(read(&file).is_ok());
        let mut wrong = file.clone();
        wrong[checksum_at] ^= 1;
        assert_refused(&wrong, block_at, "a block of the LZ4 frame does not match its checksum");
    }
    let mut content = Handmade::new(0x64, 0x40, &[]).stored(b"abc").end();
    content.extend(XxHash32::oneshot(0, b"abc").to_le_bytes());
    assert_eq!(read(&content).unwrap().content, b"abc");
    *content.last_mut().unwrap() ^= 1;
    assert_refused(&content, 18, "the content of the LZ4 frame does not match its checksum");

    let mut header = Handmade::new(0x60, 0x40, &[]).end();
    header[6] ^= 1;
    assert_refused(&header, 4, "the header of the LZ4 frame does not match its checksum");
}

#[test]
fn a_declared_length_must_be_that_of_the_content() {
    let file = |declared: u64| Handmade::new(0x68, 0x40, &declared.to_le_bytes()).stored(b"abc").stored(b"de").end();
    let whole = read(&file(5)).unwrap();
    assert_eq!((whole.content.as_slice(), whole.declared_len), (b"abcde".as_slice(), Some(5)));
    assert_refused(&file(4), 22, "longer than the 4 bytes");
    assert_refused(&file(2), 15, "longer than the 2 bytes");
    assert_refused(&file(6), 28, "ends after 5 of the 6 bytes");
    // As to the reference implementation, 0 is no length.
    let whole = read(&file(0)).unwrap();
    assert_eq!((whole.content.as_slice(), whole.declared_len), (b"abcde".as_slice(), None));
}

#[test]
fn a_declared_length_beyond_the_limits_is_refused_before_any_block() {
    let header = |declared: u64| Handmade::new(0x68, 0x40, &declared.to_le_bytes()).bytes;
    let refused =
        |declared: u64, limits: &ImportLimits| match LzFrame::new(header(declared).as_slice(), limits, 1 << 20) {
            Err(Refused::Limit { limit, value, allowed }) => Some((limit, value, allowed)),
            Err(other) => panic!("{other:?}"),
            Ok(_) => None,
        };
    let mut limits = ImportLimits::default();
    assert_eq!(refused(u64::MAX, &limits), Some(("inflated_len", u64::MAX, 1 << 44)));
    assert_eq!(refused(100 << 20, &limits), None);
    assert_eq!(refused(101 << 20, &limits), Some(("inflated_ratio", 101, 100)));
    limits.inflated_len = 1000;
    assert_eq!(refused(1000, &limits), None);
    assert_eq!(refused(1001, &limits), Some(("inflated_len", 1001, 1000)));
}

#[test]
fn what_the_format_reserves_or_this_reader_lacks_is_named() {
    let cases: [(u8, u8, &[u8], usize, &str); 9] = [
        (0x20, 0x40, &[], 4, "version"),
        (0xA0, 0x40, &[], 4, "version"),
        (0xE0, 0x40, &[], 4, "version"),
        (0x62, 0x40, &[], 4, "reserved flag"),
        (0x60, 0xC0, &[], 5, "reserved bit"),
        (0x60, 0x41, &[], 5, "reserved bit"),
        (0x60, 0x30, &[], 5, "no known longest block"),
        (0x61, 0x40, &[1, 2, 3, 4], 6, "dictionary"),
        (0x69, 0x40, &[1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], 14, "dictionary"),
    ];
    for (flags, descriptor, fields, at, why) in cases {
        assert_refused(&Handmade::new(flags, descriptor, fields).stored(b"a").end(), at, why);
    }
}

#[test]
fn other_magics_are_named() {
    let rest = &[0; 20][..];
    assert_refused(&[&[0x50, 0x2A, 0x4D, 0x18], rest].concat(), 0, "starts with a skippable LZ4 frame");
    assert_refused(&[&[0x5F, 0x2A, 0x4D, 0x18], rest].concat(), 0, "starts with a skippable LZ4 frame");
    assert_refused(&[&[0x60, 0x2A, 0x4D, 0x18], rest].concat(), 0, "does not start with an LZ4 frame");
    assert_refused(&[&[0x02, 0x21, 0x4C, 0x18], rest].concat(), 0, "legacy format");
    assert_refused(rest, 0, "does not start with an LZ4 frame");
}

#[test]
fn what_follows_the_frame_is_counted() {
    for info in all_options(BlockSize::Max64KB, 5) {
        for len in [1, 4, 8_192, 30_001] {
            let file = [encoded(b"hello", info.clone()), Random::new(7).noise(len)].concat();
            let whole = read(&file).unwrap();
            assert_eq!((whole.content.as_slice(), whole.trailing), (b"hello".as_slice(), u64::try_from(len).unwrap()));
        }
    }
}

/// Gives a byte at a time, and is interrupted before each.
struct Dripping<'a> {
    bytes: &'a [u8],
    is_interrupted: bool,
}

impl Read for Dripping<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.is_interrupted = !self.is_interrupted;
        if self.is_interrupted {
            return Err(ErrorKind::Interrupted.into());
        }
        let len = buffer.len().min(1);
        self.bytes.read(&mut buffer[..len])
    }
}

#[test]
fn a_reader_may_give_a_byte_at_a_time_and_be_interrupted() {
    let content = Random::new(8).content(140_000);
    for info in all_options(BlockSize::Max64KB, content.len()) {
        let file = [encoded(&content, info), b"more".to_vec()].concat();
        let whole = read_from(Dripping { bytes: &file, is_interrupted: false }, file.len()).unwrap();
        assert!(whole.content == content);
        assert_eq!(whole.trailing, 4);
    }
}

/// Fails at the end of its bytes.
struct Failing<'a>(&'a [u8]);

impl Read for Failing<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.0.read(buffer) {
            Ok(0) => Err(io::Error::other("the disk is gone")),
            other => other,
        }
    }
}

#[test]
fn a_file_that_cannot_be_read_is_not_called_cut_short() {
    let file = encoded(&[1; 100], FrameInfo::new().content_checksum(true));
    for len in 0..=file.len() {
        match read_from(Failing(&file[..len]), file.len()) {
            Err(Refused::Io(error)) => assert_eq!(error.to_string(), "the disk is gone"),
            Err(other) => panic!("{len} bytes: {other:?}"),
            Ok(_) => panic!("{len} bytes"),
        }
    }
}
