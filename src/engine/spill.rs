//! Streams of bytes that are written once and read in order, in bounded memory: what does not fit goes to a file without a name.
//!
//! All streams of a [`Spill`] share its limit and its file. While they fit, nothing is written. When they do not, all buffers are
//! written at once, one behind the other, so that thousands of streams cost no more writes than one.

use super::block_writer::BegunFile;
use crate::error::Result;
use crate::storage::{ScratchFile, Storage};
use std::io::ErrorKind;
use std::sync::Arc;

/// Bytes that are written at once where buffers are smaller.
const STAGE_LEN: usize = 256 << 10;
/// The first allocation of a buffer.
const BUFFER_LEN_MIN: usize = 256;
/// The longest chunk that a reader reads at once.
const CHUNK_LEN_MAX: usize = 64 << 10;

/// A stream of one [`Spill`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct StreamId(usize);

/// Streams that share a limit of memory.
#[derive(Debug)]
pub(super) struct Spill {
    storage: Arc<dyn Storage>,
    file: Option<Box<dyn ScratchFile>>,
    file_len: u64,
    streams: Vec<Stream>,
    /// Bytes that the buffers take.
    buffered: usize,
    limit: usize,
}

#[derive(Default, Debug)]
struct Stream {
    /// What is in the file, in order.
    extents: Vec<Extent>,
    /// Bytes that are in the file.
    written: u64,
    /// What comes after.
    buffer: Vec<u8>,
    /// Where its bytes go instead of the file that all streams share.
    begun: Option<Box<BegunFile>>,
}

#[derive(Clone, Copy, Debug)]
struct Extent {
    /// Where it starts in the stream.
    start: u64,
    /// Where it starts in the file.
    offset: u64,
}

static EMPTY: Stream = Stream { extents: Vec::new(), written: 0, buffer: Vec::new(), begun: None };

impl Spill {
    /// One whose buffers take at most `limit` bytes.
    pub(super) const fn new(storage: Arc<dyn Storage>, limit: usize) -> Self {
        Self { storage, file: None, file_len: 0, streams: Vec::new(), buffered: 0, limit }
    }

    pub(super) const fn storage(&self) -> &Arc<dyn Storage> {
        &self.storage
    }

    pub(super) const fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// A new, empty stream.
    pub(super) fn stream(&mut self) -> StreamId {
        self.streams.push(Stream::default());
        StreamId(self.streams.len() - 1)
    }

    /// A new stream that is the first section of a file. Its buffer, a chunk of that file, stays in memory.
    pub(super) fn stream_in(&mut self, begun: BegunFile) -> StreamId {
        let buffer = Vec::with_capacity(begun.chunk_len());
        self.buffered += buffer.capacity();
        self.streams.push(Stream { buffer, begun: Some(Box::new(begun)), ..Stream::default() });
        StreamId(self.streams.len() - 1)
    }

    /// The file that a stream goes to, if it has one of its own, and what of the stream is not written to it yet.
    pub(super) fn begun(&self, id: StreamId) -> Option<(&BegunFile, &[u8])> {
        let stream = self.get(id);
        stream.begun.as_deref().map(|begun| (begun, &*stream.buffer))
    }

    /// Forgets what is in a stream.
    pub(super) fn clear(&mut self, id: StreamId) {
        if let Some(stream) = self.streams.get_mut(id.0) {
            self.buffered -= stream.buffer.capacity();
            *stream = Stream::default();
        }
    }

    /// Forgets all streams. Others will take their place in the file.
    pub(super) fn empty(&mut self) {
        self.streams.clear();
        (self.buffered, self.file_len) = (0, 0);
    }

    fn get(&self, id: StreamId) -> &Stream {
        self.streams.get(id.0).unwrap_or(&EMPTY)
    }

    /// Bytes of a stream.
    pub(super) fn len(&self, id: StreamId) -> u64 {
        let stream = self.get(id);
        stream.written + stream.buffer.len() as u64
    }

    /// Appends to a stream.
    #[inline]
    pub(super) fn append(&mut self, id: StreamId, bytes: &[u8]) -> Result<()> {
        match self.streams.get_mut(id.0) {
            Some(stream) if stream.buffer.capacity() - stream.buffer.len() >= bytes.len() => {
                stream.buffer.extend_from_slice(bytes);
                Ok(())
            }
            _ => self.append_growing(id, bytes),
        }
    }

    /// Appends a byte and others behind it.
    #[inline]
    pub(super) fn append_both(&mut self, id: StreamId, first: u8, bytes: &[u8]) -> Result<()> {
        match self.streams.get_mut(id.0) {
            Some(stream) if stream.buffer.capacity() - stream.buffer.len() > bytes.len() => {
                stream.buffer.push(first);
                stream.buffer.extend_from_slice(bytes);
                Ok(())
            }
            _ => {
                self.append_growing(id, &[first])?;
                self.append(id, bytes)
            }
        }
    }

    /// Appends to a stream that has a file of its own.
    fn append_begun(&mut self, id: StreamId, mut bytes: &[u8]) -> Result<()> {
        let Some(Stream { begun: Some(begun), written, buffer, .. }) = self.streams.get_mut(id.0) else {
            return Ok(());
        };
        while !bytes.is_empty() {
            let chunk_len = begun.chunk_len();
            let room = chunk_len.saturating_sub(buffer.len());
            let (now, later) = bytes.split_at(bytes.len().min(room));
            self.buffered -= buffer.capacity();
            buffer.reserve_exact(room);
            self.buffered += buffer.capacity();
            buffer.extend_from_slice(now);
            bytes = later;
            if let Some(chunk) = buffer.get(..chunk_len) {
                begun.write_chunk(chunk)?;
                *written += chunk_len as u64;
                buffer.drain(..chunk_len);
            }
        }
        Ok(())
    }

    #[cold]
    fn append_growing(&mut self, id: StreamId, bytes: &[u8]) -> Result<()> {
        if self.get(id).begun.is_some() {
            return self.append_begun(id, bytes);
        }
        let buffer = &self.get(id).buffer;
        let wanted = (buffer.len() + bytes.len()).max(buffer.capacity() * 2).max(BUFFER_LEN_MIN);
        // While a buffer grows, its old and its new bytes are both there.
        if self.buffered + wanted > self.limit {
            self.flush()?;
            if bytes.len() >= STAGE_LEN {
                return self.write_through(id, bytes);
            }
            if self.get(id).buffer.capacity() < bytes.len() && self.buffered + wanted > self.limit {
                self.drop_buffers();
            }
        }
        if let Some(stream) = self.streams.get_mut(id.0) {
            if stream.buffer.capacity() - stream.buffer.len() < bytes.len() {
                self.buffered -= stream.buffer.capacity();
                let least = (stream.buffer.len() + bytes.len()).max(stream.buffer.capacity() * 2).max(BUFFER_LEN_MIN);
                stream.buffer.reserve_exact(least - stream.buffer.len());
                self.buffered += stream.buffer.capacity();
            }
            stream.buffer.extend_from_slice(bytes);
        }
        Ok(())
    }

    /// Gives the memory of all buffers back, which are empty.
    fn drop_buffers(&mut self) {
        for stream in self.streams.iter_mut().filter(|stream| stream.begun.is_none()) {
            self.buffered -= stream.buffer.capacity();
            stream.buffer = Vec::new();
        }
    }

    /// Appends to a stream whose buffer is empty, in the file that is there: long contents are not in memory twice.
    fn write_through(&mut self, id: StreamId, bytes: &[u8]) -> Result<()> {
        if let (Some(file), Some(stream)) = (&mut self.file, self.streams.get_mut(id.0)) {
            file.write_at(self.file_len, bytes)?;
            stream.extents.push(Extent { start: stream.written, offset: self.file_len });
            stream.written += bytes.len() as u64;
            self.file_len += bytes.len() as u64;
        }
        Ok(())
    }

    /// Writes all buffers to the file. Those that were half full, which are likely to be filled again, keep their memory.
    pub(super) fn flush(&mut self) -> Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            None => self.file.insert(self.storage.scratch()?),
        };
        let mut stage = Vec::new();
        for stream in self.streams.iter_mut().filter(|stream| !stream.buffer.is_empty() && stream.begun.is_none()) {
            let mut buffer = std::mem::take(&mut stream.buffer);
            let offset = self.file_len + stage.len() as u64;
            if buffer.len() >= STAGE_LEN || stage.len() + buffer.len() > STAGE_LEN {
                file.write_at(self.file_len, &stage)?;
                self.file_len = offset;
                stage.clear();
            }
            if buffer.len() >= STAGE_LEN {
                file.write_at(self.file_len, &buffer)?;
                self.file_len += buffer.len() as u64;
            } else {
                stage.extend_from_slice(&buffer);
            }
            stream.extents.push(Extent { start: stream.written, offset });
            stream.written += buffer.len() as u64;
            if buffer.len() >= buffer.capacity() / 2 {
                buffer.clear();
                stream.buffer = buffer;
            }
        }
        file.write_at(self.file_len, &stage)?;
        self.file_len += stage.len() as u64;
        self.buffered = self.streams.iter().map(|stream| stream.buffer.capacity()).sum();
        Ok(())
    }

    /// Fills `out` from a place in a stream on.
    pub(super) fn read_at(&self, id: StreamId, mut start: u64, mut out: &mut [u8]) -> Result<()> {
        let stream = self.get(id);
        while !out.is_empty() {
            if start >= stream.written {
                let buffered = stream.buffer.get((start - stream.written) as usize..).unwrap_or_default();
                return match buffered.get(..out.len()) {
                    Some(bytes) => {
                        out.copy_from_slice(bytes);
                        Ok(())
                    }
                    None => Err(self.end_of_stream()),
                };
            }
            if let Some(begun) = &stream.begun {
                let len = (out.len() as u64).min(stream.written - start) as usize;
                let (now, later) = out.split_at_mut(len);
                begun.read_at(start, now)?;
                start += len as u64;
                out = later;
                continue;
            }
            let index = stream.extents.partition_point(|extent| extent.start <= start);
            let end = stream.extents.get(index).map_or(stream.written, |next| next.start);
            let Some(extent) = index.checked_sub(1).and_then(|index| stream.extents.get(index)) else {
                return Err(self.end_of_stream());
            };
            let len = (out.len() as u64).min(end - start) as usize;
            let (now, later) = out.split_at_mut(len);
            if let Some(file) = &self.file {
                file.read_at(extent.offset + (start - extent.start), now)?;
            }
            start += len as u64;
            out = later;
        }
        Ok(())
    }

    /// Whether the bytes at a place in a stream are `expected`.
    pub(super) fn matches(&self, id: StreamId, start: u64, expected: &[u8]) -> Result<bool> {
        let stream = self.get(id);
        if let Some(at) = start.checked_sub(stream.written) {
            let at = at as usize;
            return Ok(stream.buffer.get(at..at + expected.len()) == Some(expected));
        }
        let mut found = [0u8; 1024];
        for (index, expected) in expected.chunks(found.len()).enumerate() {
            let at = start + (index * found.len()) as u64;
            let part = found.get_mut(..expected.len()).unwrap_or_default();
            self.read_at(id, at, part)?;
            if part != expected {
                return Ok(false);
            }
        }
        Ok(true)
    }

    #[cold]
    pub(super) fn end_of_stream(&self) -> crate::error::Error {
        let cause = ErrorKind::UnexpectedEof.into();
        crate::storage::StorageError::new(self.storage.path(), "read a temporary file in", cause).into()
    }

    /// Bytes that a reader reads at once, so that many readers at a time stay within the limit.
    fn chunk_len(&self) -> usize {
        (self.limit / 1024).clamp(512, CHUNK_LEN_MAX)
    }
}

/// Reads a stream from its start. What is appended meanwhile is read too.
#[derive(Debug)]
pub(super) struct StreamReader {
    id: StreamId,
    /// Where the stream goes on behind the buffer.
    next: u64,
    buffer: Vec<u8>,
    at: usize,
    chunk_len_max: usize,
}

impl StreamReader {
    pub(super) const fn new(id: StreamId) -> Self {
        Self::with_chunk_len(id, CHUNK_LEN_MAX)
    }

    /// One that reads at most so many bytes at once, unless more are asked for.
    pub(super) const fn with_chunk_len(id: StreamId, chunk_len_max: usize) -> Self {
        Self { id, next: 0, buffer: Vec::new(), at: 0, chunk_len_max }
    }

    /// Starts again.
    pub(super) fn rewind(&mut self) {
        *self = Self::with_chunk_len(self.id, self.chunk_len_max);
    }

    /// The next `len` bytes; `None` where the stream ends before.
    #[inline]
    pub(super) fn take(&mut self, spill: &Spill, len: usize) -> Result<Option<&[u8]>> {
        if self.buffer.len() - self.at < len && !self.fill(spill, len)? {
            return Ok(None);
        }
        let start = self.at;
        self.at += len;
        Ok(self.buffer.get(start..start + len))
    }

    /// Reads until the buffer has `len` bytes. False where the stream ends before.
    #[cold]
    fn fill(&mut self, spill: &Spill, len: usize) -> Result<bool> {
        self.buffer.drain(..self.at);
        self.at = 0;
        let rest = spill.len(self.id) - self.next;
        let missing = len - self.buffer.len();
        if rest < missing as u64 {
            return Ok(false);
        }
        let chunk = (missing.max(spill.chunk_len().min(self.chunk_len_max)) as u64).min(rest) as usize;
        let old = self.buffer.len();
        // A long value once does not make a long buffer for ever.
        if self.buffer.capacity() > 4 * (old + chunk) {
            self.buffer.shrink_to(old + chunk);
        }
        self.buffer.reserve_exact(chunk);
        self.buffer.resize(old + chunk, 0);
        spill.read_at(self.id, self.next, self.buffer.get_mut(old..).unwrap_or_default())?;
        self.next += chunk as u64;
        Ok(true)
    }

    /// The next bytes, if they are in the buffer.
    #[inline]
    pub(super) fn peek<const N: usize>(&self) -> Option<&[u8; N]> {
        self.buffer.get(self.at..).and_then(|bytes| bytes.first_chunk())
    }

    /// Bytes that are in the buffer.
    #[inline]
    pub(super) const fn buffered(&self) -> usize {
        self.buffer.len() - self.at
    }

    /// Passes over some bytes.
    pub(super) fn skip(&mut self, len: u64) {
        let buffered = (self.buffer.len() - self.at) as u64;
        if len <= buffered {
            self.at += len as usize;
        } else {
            self.next += len - buffered;
            self.buffer.clear();
            self.at = 0;
        }
    }

    #[inline]
    pub(super) fn u32(&mut self, spill: &Spill) -> Result<Option<u32>> {
        Ok(self.take(spill, 4)?.and_then(|bytes| bytes.first_chunk()).map(|&bytes| u32::from_le_bytes(bytes)))
    }

    #[inline]
    pub(super) fn u64(&mut self, spill: &Spill) -> Result<Option<u64>> {
        Ok(self.take(spill, 8)?.and_then(|bytes| bytes.first_chunk()).map(|&bytes| u64::from_le_bytes(bytes)))
    }

    /// A number of [`encode_number`].
    #[inline]
    pub(super) fn number(&mut self, spill: &Spill) -> Result<Option<u64>> {
        let (mut number, mut shift) = (0, 0);
        loop {
            let Some(&byte) = self.take(spill, 1)?.and_then(|bytes| bytes.first()) else { return Ok(None) };
            number |= u64::from(byte & 0x7F) << shift;
            if byte < 0x80 {
                return Ok(Some(number));
            }
            shift += 7;
        }
    }

    /// Bytes behind their length.
    #[inline]
    pub(super) fn content(&mut self, spill: &Spill) -> Result<Option<&[u8]>> {
        // Nearly all are short and in the buffer as a whole.
        if let Some(&[len @ 0..0x80]) = self.peek() {
            let len = usize::from(len) + 1;
            if len <= self.buffered() {
                return Ok(self.take(spill, len)?.and_then(|bytes| bytes.get(1..)));
            }
        }
        match self.number(spill)? {
            Some(len) => self.take(spill, len as usize),
            None => Ok(None),
        }
    }
}

/// Appends a number in as few bytes as it needs.
#[inline]
pub(super) fn encode_number(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::block_writer::{BlockWriter, FileSpec, Unsynced};
    use crate::format::block_file::{COLUMN_MAGIC, Identity};
    use crate::format::column::{SECTION_CELLS, SECTION_COLUMN};
    use crate::storage::MemoryStorage;

    /// Cells that reach to the end of a file's first chunk.
    const CHUNK_CELLS: usize = ((2 << 20) - 512) / 8;

    #[test]
    fn streams_are_read_as_written_whatever_the_limit() {
        for limit in [0, 300, 1000, 10_000, 1 << 24] {
            let mut spill = Spill::new(Arc::new(MemoryStorage::new()), limit);
            let ids: Vec<StreamId> = (0..5).map(|_| spill.stream()).collect();
            for n in 0..2000u64 {
                let id = ids[(n * n % 5) as usize];
                let mut bytes = Vec::new();
                encode_number(n << (n % 50), &mut bytes);
                bytes.resize(bytes.len() + (n % 700) as usize, n as u8);
                spill.append(id, &bytes).unwrap();
            }
            assert_eq!(spill.file.is_some(), limit < 1 << 24, "{limit}");
            let mut readers: Vec<StreamReader> = ids.iter().map(|&id| StreamReader::new(id)).collect();
            for n in 0..2000u64 {
                let reader = &mut readers[(n * n % 5) as usize];
                assert_eq!(reader.number(&spill).unwrap(), Some(n << (n % 50)));
                if n % 3 == 0 {
                    reader.skip(n % 700);
                } else {
                    let bytes = reader.take(&spill, (n % 700) as usize).unwrap().unwrap();
                    assert!(bytes.iter().all(|&byte| byte == n as u8));
                }
            }
            assert!(readers.iter_mut().all(|reader| reader.take(&spill, 1).unwrap().is_none()));
        }
    }

    #[test]
    fn what_is_longer_than_the_limit_is_not_kept_in_memory() {
        let mut spill = Spill::new(Arc::new(MemoryStorage::new()), 1000);
        let ids = [spill.stream(), spill.stream()];
        let long = |n: u8| vec![n; STAGE_LEN + usize::from(n)];
        for n in 0..8 {
            let id = ids[usize::from(n % 2)];
            spill.append(id, &[n]).unwrap();
            spill.append(id, &long(n)).unwrap();
            assert!(spill.buffered <= 1000, "{}", spill.buffered);
        }
        let mut readers = ids.map(StreamReader::new);
        for n in 0..8 {
            let reader = &mut readers[usize::from(n % 2)];
            assert_eq!(reader.take(&spill, 1).unwrap(), Some(&[n][..]));
            assert!(reader.take(&spill, STAGE_LEN + usize::from(n)).unwrap() == Some(&*long(n)));
        }
        assert!(readers.iter_mut().all(|reader| reader.take(&spill, 1).unwrap().is_none()));
    }

    #[test]
    fn buffers_stay_within_the_limit() {
        let mut spill = Spill::new(Arc::new(MemoryStorage::new()), 10_000);
        let ids: Vec<StreamId> = (0..20).map(|_| spill.stream()).collect();
        for n in 0..10_000usize {
            spill.append(ids[n % 20], &[1; 17]).unwrap();
            let capacity: usize = spill.streams.iter().map(|stream| stream.buffer.capacity()).sum();
            assert_eq!(capacity, spill.buffered);
            assert!(capacity <= 10_000, "{capacity}");
        }
        spill.clear(ids[3]);
        assert_eq!(spill.len(ids[3]), 0);
    }

    /// The tail of a file that was begun, and what its writer adds, must be the same as if it were written at once.
    #[test]
    fn a_stream_in_a_file_is_the_first_section_of_it() {
        for count in [1, 1000, CHUNK_CELLS - 1, CHUNK_CELLS, 3 * CHUNK_CELLS + 77] {
            let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::new());
            let identity = Identity { database_id: [7; 16], file_id: 3 };
            let mut spill = Spill::new(Arc::clone(&storage), 3 << 20);
            let id = spill.stream_in(BegunFile::create(&*storage, "a", identity).unwrap());
            let other = spill.stream();
            let mut bytes = Vec::new();
            for cell in 0..count as u64 {
                bytes.extend(cell.to_le_bytes());
                spill.append(id, &cell.to_le_bytes()).unwrap();
                spill.append(other, &cell.to_be_bytes()).unwrap();
            }
            let mut reader = StreamReader::new(id);
            assert!(reader.take(&spill, bytes.len()).unwrap() == Some(&*bytes));
            assert!(reader.take(&spill, 1).unwrap().is_none());
            assert!(spill.buffered <= 3 << 20 && spill.len(other) == bytes.len() as u64);

            let unsynced = Unsynced::default();
            let spec = |name: &str| FileSpec {
                storage: &*storage,
                unsynced: &unsynced,
                name: name.to_owned(),
                magic: COLUMN_MAGIC,
                identity,
                generation: 1,
                dimension_id: 0,
            };
            let finish = |mut writer: BlockWriter<'_>| {
                writer.end_section();
                writer.section(SECTION_COLUMN, &[5; 100_000]).unwrap();
                writer.finish(1, 1).unwrap()
            };
            let (begun, rest) = spill.begun(id).unwrap();
            let resumed = finish(BlockWriter::resume(spec("a"), begun, rest, SECTION_CELLS));
            let mut whole = BlockWriter::create(spec("b")).unwrap();
            whole.begin_section(SECTION_CELLS).unwrap();
            whole.write(&bytes).unwrap();
            assert_eq!(finish(whole), resumed);
            let file = |name| storage.read(name).unwrap().unwrap();
            assert!(file("a") == file("b"), "{count} cells");
        }
    }
}
