//! gzip (RFC 1952), read as Python's `gzip` reads it: members one after another, and zeros behind each of them.
//!
//! flate2 undoes the compression of a member and compares its checksum and length. Here members are put together, anything else between
//! and behind them is refused, and what was wrong is given a place. A file of several members that is cut off between two of them is a
//! whole file to the format, as is one whose zeros are cut off.
//!
//! Memory is one block, flate2's window and the header of a member, in which names are at most 64 KiB.

use super::Refused;
use super::input::Blocks;
use flate2::bufread::GzDecoder;
use std::io::{self, BufRead, ErrorKind, Read};
use std::mem;

/// Bytes of content that are handed out at a time, at most.
const BLOCK_LEN_MAX: u64 = 64 << 10;

/// What a member starts with.
const MAGIC_START: u8 = 0x1F;

/// Reads all members of a file.
pub(crate) struct Gzip<R> {
    decoder: GzDecoder<Source<R>>,
    /// Where the member starts that is being read.
    member_at: u64,
    /// Zeros behind the last member.
    trailing: u64,
    is_ended: bool,
}

impl<R: BufRead> Gzip<R> {
    /// Reads a file from its start. What is wrong with its header is told with the first block.
    pub(crate) fn new(reader: R) -> Self {
        let source = Source { reader: Some(reader), offset: 0, has_failed: false };
        Self { decoder: GzDecoder::new(source), member_at: 0, trailing: 0, is_ended: false }
    }

    /// Goes from the end of a member to the next, or to the end of the file.
    fn next_member(&mut self) -> Result<(), Refused> {
        let source = self.decoder.get_mut();
        let end = source.offset;
        match source.skip_zeros().map_err(Refused::Io)? {
            Some(MAGIC_START) => {
                self.member_at = source.offset;
                let source = mem::replace(source, Source { reader: None, offset: 0, has_failed: false });
                self.decoder.reset(source);
            }
            Some(_) => {
                return Err(Refused::file(source.offset, "what follows the gzip data is neither gzip data nor zeros"));
            }
            None => {
                self.trailing = source.offset.saturating_sub(end);
                self.is_ended = true;
            }
        }
        Ok(())
    }

    #[cold]
    fn refused(&self, error: io::Error) -> Refused {
        let source = self.decoder.get_ref();
        if source.has_failed {
            Refused::Io(error)
        } else if error.kind() == ErrorKind::UnexpectedEof {
            Refused::file(source.offset, "the file is cut short in the middle of its gzip data")
        } else {
            Refused::file(self.member_at, format!("the gzip data that starts here is damaged: {error}"))
        }
    }
}

impl<R: BufRead> Blocks for Gzip<R> {
    fn next_block(&mut self, out: &mut Vec<u8>) -> Result<bool, Refused> {
        if self.is_ended {
            return Ok(false);
        }
        let read = self.decoder.by_ref().take(BLOCK_LEN_MAX).read_to_end(out);
        if read.map_err(|error| self.refused(error))? == 0 {
            self.next_member()?;
        }
        Ok(!self.is_ended)
    }

    fn declared_len(&self) -> Option<u64> {
        None
    }

    fn trailing(&self) -> u64 {
        self.trailing
    }
}

/// The file, how much of it was taken, and whether it was the file that failed.
struct Source<R> {
    /// None only while the decoder is handed from one member to the next.
    reader: Option<R>,
    offset: u64,
    has_failed: bool,
}

impl<R: BufRead> Source<R> {
    /// Goes to the first byte that is not zero, if there is one; it stays.
    fn skip_zeros(&mut self) -> io::Result<Option<u8>> {
        loop {
            let piece = self.fill_buf()?;
            let zeros = piece.iter().take_while(|byte| **byte == 0).count();
            let (next, is_end) = (piece.get(zeros).copied(), piece.is_empty());
            self.consume(zeros);
            if next.is_some() || is_end {
                return Ok(next);
            }
        }
    }
}

impl<R: BufRead> BufRead for Source<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let Some(reader) = &mut self.reader else { return Ok(&[]) };
        // flate2 would give up on the header of a member.
        while let Err(error) = reader.fill_buf() {
            if error.kind() != ErrorKind::Interrupted {
                self.has_failed = true;
                return Err(error);
            }
        }
        let has_failed = &mut self.has_failed;
        reader.fill_buf().inspect_err(|_| *has_failed = true)
    }

    fn consume(&mut self, len: usize) {
        if let Some(reader) = &mut self.reader {
            reader.consume(len);
        }
        self.offset = self.offset.saturating_add(len as u64);
    }
}

impl<R: BufRead> Read for Source<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let len = self.fill_buf()?.read(buffer)?;
        self.consume(len);
        Ok(len)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Place;
    use super::*;
    use flate2::write::GzEncoder;
    use flate2::{Compression, GzBuilder};
    use std::io::Write;

    fn member(content: &[u8], level: u32) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::new(level));
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    /// Text and noise, the same for the same seed.
    fn content(seed: u64, len: usize) -> Vec<u8> {
        let mut random = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        let mut next = || {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random >> 16
        };
        let mut content = Vec::new();
        while content.len() < len {
            match next() % 3 {
                0 => content.extend(next().to_le_bytes()),
                _ => content.extend(format!("\"city\": {}, ", next() % 10).bytes()),
            }
        }
        content.truncate(len);
        content
    }

    /// Content, and bytes behind it.
    fn read_from(reader: impl BufRead) -> Result<(Vec<u8>, u64), Refused> {
        let mut gzip = Gzip::new(reader);
        let (mut content, mut start) = (Vec::new(), 0);
        while gzip.next_block(&mut content)? {
            assert!(content.len() - start <= 1 << 16, "a block is too long");
            start = content.len();
        }
        assert_eq!(content.len(), start, "the end brings nothing");
        assert!(!gzip.next_block(&mut content)?, "it stays at the end");
        assert_eq!(gzip.declared_len(), None);
        Ok((content, gzip.trailing()))
    }

    fn read(file: &[u8]) -> Result<(Vec<u8>, u64), Refused> {
        read_from(file)
    }

    #[track_caller]
    fn assert_refused(file: &[u8], at: usize, why: &str) {
        match read(file) {
            Err(Refused::Malformed { place: Place::File(offset), reason }) => {
                assert!(reason.contains(why), "{reason}");
                assert_eq!(offset, u64::try_from(at).unwrap(), "{reason}");
            }
            Err(other) => panic!("refused otherwise: {other:?}"),
            Ok((content, _)) => panic!("it gives {} bytes", content.len()),
        }
    }

    #[test]
    fn members_of_all_levels_and_lengths_are_read() {
        for (seed, len) in [0, 1, 100, 65_535, 65_536, 65_537, 300_000].into_iter().enumerate() {
            let content = content(seed as u64, len);
            for level in [0, 1, 6, 9] {
                let file = member(&content, level);
                let mut gzip = Gzip::new(file.as_slice());
                let mut out = Vec::new();
                while gzip.next_block(&mut out).unwrap() {}
                assert!(out == content, "seed {seed}, {len} bytes, level {level}");
                assert_eq!(gzip.decoder.get_ref().offset, u64::try_from(file.len()).unwrap());
            }
        }
    }

    #[test]
    fn what_python_writes_is_read() {
        let file: Vec<u8> = "1f 8b 08 00 00 00 00 00 02 03 4b 4c 4a 4e c4 8d f4 00 08 e0 23 94 1f 00 00 00"
            .split(' ')
            .map(|byte| u8::from_str_radix(byte, 16).unwrap())
            .collect();
        assert_eq!(read(&file).unwrap(), (b"abcabcabcabcabcabcabcabcabcabc.".to_vec(), 0));
    }

    #[test]
    fn all_fields_of_a_header_are_read_over() {
        let builder = GzBuilder::new().filename("people.db").comment("of 2023").extra(vec![7; 300]).mtime(1);
        let mut encoder = builder.write(Vec::new(), Compression::default());
        encoder.write_all(b"hello").unwrap();
        let file = encoder.finish().unwrap();
        assert_eq!(read(&file).unwrap(), (b"hello".to_vec(), 0));
        for len in 0..file.len() {
            assert_refused(&file[..len], len, "cut short");
        }
    }

    #[test]
    fn members_follow_one_another_with_zeros_between_and_behind_them() {
        let (first, second) = (content(1, 100_000), content(2, 50));
        let none = member(b"", 6);
        let file = [&member(&first, 6), &none, [0; 5].as_slice(), &member(&second, 1), &none].concat();
        let both = [first, second].concat();
        assert_eq!(read(&file).unwrap(), (both.clone(), 0));
        for zeros in [1, 511, 70_000] {
            let padded = [file.as_slice(), &vec![0; zeros]].concat();
            assert_eq!(read(&padded).unwrap(), (both.clone(), u64::try_from(zeros).unwrap()));
        }
    }

    #[test]
    fn other_bytes_behind_a_member_are_refused_where_they_start() {
        let file = member(b"hello", 6);
        assert_refused(&[&file, b"!".as_slice()].concat(), file.len(), "neither gzip data nor zeros");
        assert_refused(&[&file, b"\0\0!\0".as_slice()].concat(), file.len() + 2, "neither gzip data nor zeros");
        assert_refused(&[&file, b"\0\x1F1234567890".as_slice()].concat(), file.len() + 1, "invalid gzip header");
        assert_refused(&[&file, b"\x1F\x8B".as_slice()].concat(), file.len() + 2, "cut short");
        assert_refused(b"{\"metadata\": {}}", 0, "invalid gzip header");
    }

    #[test]
    fn a_member_cut_anywhere_is_refused_where_the_file_ends() {
        for (level, len) in [(0, 300), (1, 3_000), (9, 3_000)] {
            let file = member(&content(3, len), level);
            for len in 0..file.len() {
                assert_refused(&file[..len], len, "cut short");
            }
            let two = [file.as_slice(), &file].concat();
            for len in (file.len() + 1..two.len()).step_by(7) {
                assert_refused(&two[..len], len, "cut short");
            }
        }
    }

    #[test]
    fn a_flipped_bit_gives_no_other_content() {
        for (level, len) in [(0, 200), (6, 2_000), (9, 20)] {
            let content = content(4, len);
            let file = member(&content, level);
            let mut refused = 0;
            for bit in 0..file.len() * 8 {
                let mut flipped = file.clone();
                flipped[bit / 8] ^= 1 << (bit % 8);
                match read(&flipped) {
                    Ok((other, _)) => assert!(other == content, "level {level}, bit {bit}"),
                    Err(_) => refused += 1,
                }
            }
            // Time, level and system, in the header, are not the content's.
            assert!(refused + 64 > file.len() * 8, "level {level}: {refused} of {}", file.len() * 8);
        }
    }

    #[test]
    fn damage_is_told_with_the_start_of_its_member() {
        let (first, second) = (member(b"hello", 6), member(&content(5, 1_000), 6));
        let mut file = [first.as_slice(), &second].concat();
        let len = file.len();
        file[len - 8] ^= 1;
        assert_refused(&file, first.len(), "does not have a matching checksum");
        file[len - 8] ^= 1;
        file[len - 4] ^= 1;
        assert_refused(&file, first.len(), "does not have a matching checksum");
        // A block of the reserved kind.
        file[first.len() + 10] |= 6;
        assert_refused(&file, first.len(), "corrupt deflate stream");
    }

    #[test]
    fn a_bomb_comes_in_blocks() {
        let file = member(&vec![0; 8 << 20], 9);
        let mut gzip = Gzip::new(file.as_slice());
        let (mut out, mut blocks) = (Vec::new(), 0);
        while gzip.next_block(&mut out).unwrap() {
            assert!(out.len() <= 1 << 16 && out.capacity() <= 1 << 17);
            out.clear();
            blocks += 1;
        }
        assert!(blocks >= 128, "{blocks}");
    }

    /// Gives a byte at a time and is interrupted before each; fails at the end, if it is to.
    struct Dripping<'a> {
        bytes: &'a [u8],
        is_interrupted: bool,
        fails: bool,
    }

    impl BufRead for Dripping<'_> {
        fn fill_buf(&mut self) -> io::Result<&[u8]> {
            if mem::take(&mut self.is_interrupted) {
                return Err(ErrorKind::Interrupted.into());
            }
            if self.fails && self.bytes.is_empty() {
                return Err(io::Error::new(ErrorKind::UnexpectedEof, "the disk is gone"));
            }
            Ok(&self.bytes[..self.bytes.len().min(1)])
        }

        fn consume(&mut self, len: usize) {
            self.bytes = &self.bytes[len..];
            self.is_interrupted = len > 0;
        }
    }

    impl Read for Dripping<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let len = self.fill_buf()?.read(buffer)?;
            self.consume(len);
            Ok(len)
        }
    }

    #[test]
    fn a_reader_may_give_a_byte_at_a_time_and_be_interrupted() {
        let content = content(6, 5_000);
        let file = [member(&content, 6), vec![0; 3], member(b"end", 6), vec![0; 4]].concat();
        let reader = Dripping { bytes: &file, is_interrupted: true, fails: false };
        assert_eq!(read_from(reader).unwrap(), ([content.as_slice(), b"end"].concat(), 4));
    }

    #[test]
    fn a_file_that_cannot_be_read_is_not_called_cut_short() {
        let file = [member(b"hello", 6), vec![0]].concat();
        for len in 0..=file.len() {
            match read_from(Dripping { bytes: &file[..len], is_interrupted: false, fails: true }) {
                Err(Refused::Io(error)) => assert_eq!(error.to_string(), "the disk is gone"),
                other => panic!("{len} bytes: {other:?}"),
            }
        }
    }
}
