//! Writing an immutable file: sections one after the other, checksums on the way, the header last.

use crate::error::Result;
use crate::format::block_file::{BLOCK_LEN, HEADER_LEN, Header, Identity, SECTION_ALIGNMENT, Section, section_start};
use crate::format::manifest::FileEntry;
use crate::storage::{Storage, StorageError, StorageFile};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Bytes written at once, a multiple of the block length. Large aligned writes let the kernel map the file with huge pages afterwards.
const CHUNK_LEN: usize = 2 << 20;

/// Files that wait to be made durable at once.
const UNSYNCED_MAX: usize = 128;

/// Files of this length are worth making durable while others are built.
const LARGE_LEN: u64 = 8 << 20;

/// After so many bytes of a file, what is written of it is made durable while the rest is.
const EARLY_LEN: u64 = 32 << 20;

/// Files that are whole and not durable yet. A file system makes many of them durable for little more than the price of one, as long as
/// all are written before the first is asked for.
#[derive(Default, Debug)]
pub(super) struct Unsynced {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Default, Debug)]
struct Waiting {
    files: Vec<Arc<dyn StorageFile>>,
    /// Those that [`sync_large_files`](Unsynced::sync_large_files) takes.
    large: Vec<Arc<dyn StorageFile>>,
    /// One that is not whole yet. To make it durable so far leaves less to wait for at the end.
    begun: Option<Arc<dyn StorageFile>>,
    /// No more of them come.
    is_over: bool,
    /// The first that could not be made durable.
    failure: Option<StorageError>,
}

impl Unsynced {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, file: Arc<dyn StorageFile>, file_len: u64) -> Result<()> {
        let mut waiting = self.lock();
        if file_len >= LARGE_LEN {
            waiting.large.push(file);
            self.changed.notify_one();
        } else {
            waiting.files.push(file);
        }
        let is_full = waiting.files.len() >= UNSYNCED_MAX;
        drop(waiting);
        if is_full { self.sync() } else { Ok(()) }
    }

    /// There is much to write of a file that is not whole.
    fn push_begun(&self, file: &Arc<dyn StorageFile>) {
        self.lock().begun = Some(Arc::clone(file));
        self.changed.notify_one();
    }

    /// Makes all of them durable; their names are durable only once the directory is.
    pub(super) fn sync(&self) -> Result<()> {
        let mut waiting = self.lock();
        let failure = waiting.failure.take();
        let (large, files) = (std::mem::take(&mut waiting.large), std::mem::take(&mut waiting.files));
        waiting.begun = None;
        drop(waiting);
        failure.map_or(Ok(()), Err)?;
        Ok(large.iter().chain(&files).try_for_each(|file| file.sync_data())?)
    }

    /// Makes large files durable as they come, while other threads build more of them. A failure is [`sync`](Self::sync)'s.
    pub(super) fn sync_large_files(&self) {
        let mut waiting = self.lock();
        while !waiting.is_over {
            let next = waiting.large.pop().or_else(|| waiting.begun.take());
            let Some(file) = next else {
                waiting = self.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            drop(waiting);
            let synced = file.sync_data();
            waiting = self.lock();
            if let Err(error) = synced {
                waiting.failure.get_or_insert(error);
            }
        }
    }

    /// Lets it return.
    pub(super) fn end_sync_large_files(&self) {
        self.lock().is_over = true;
        self.changed.notify_all();
    }
}

/// What a file is, apart from its contents.
pub(super) struct FileSpec<'s> {
    pub(super) storage: &'s dyn Storage,
    /// Where the file waits to be made durable.
    pub(super) unsynced: &'s Unsynced,
    pub(super) name: String,
    pub(super) magic: [u8; 8],
    pub(super) identity: Identity,
    pub(super) generation: u64,
    pub(super) dimension_id: u32,
}

/// A file being written. Dropped before [`finish`](Self::finish), it leaves a file that nothing names.
pub(super) struct BlockWriter<'s> {
    spec: FileSpec<'s>,
    file: Arc<dyn StorageFile>,
    /// Bytes not written yet, fewer than a chunk; starts at a multiple of its length.
    buffer: Vec<u8>,
    /// File offset of the buffer's start.
    buffer_offset: u64,
    checksums: Vec<u32>,
    sections: Vec<Section>,
}

impl<'s> BlockWriter<'s> {
    /// Creates the file. One of the same name, left over from a crash, is replaced.
    pub(super) fn create(spec: FileSpec<'s>) -> Result<Self> {
        spec.storage.remove(&spec.name)?;
        let file = spec.storage.create(&spec.name)?.into();
        let mut buffer = Vec::with_capacity(CHUNK_LEN);
        buffer.resize(HEADER_LEN as usize, 0);
        Ok(Self { spec, file, buffer, buffer_offset: 0, checksums: Vec::new(), sections: Vec::new() })
    }

    /// Goes on with a file that was begun, in its section of a kind; `rest` is what was not written to it yet.
    pub(super) fn resume(spec: FileSpec<'s>, begun: &BegunFile, rest: &[u8], kind: u32) -> Self {
        debug_assert_eq!(spec.identity, begun.identity);
        let mut buffer = Vec::with_capacity(CHUNK_LEN);
        let buffer_offset = begun.end - begun.end % CHUNK_LEN as u64;
        // Of the first chunk, the header.
        buffer.resize((begun.end - buffer_offset) as usize, 0);
        buffer.extend_from_slice(rest);
        let sections = vec![Section { kind, offset: HEADER_LEN, len: 0 }];
        Self {
            spec,
            file: Arc::clone(&begun.file),
            buffer,
            buffer_offset,
            checksums: begun.checksums.clone(),
            sections,
        }
    }

    /// Where the next byte goes.
    pub(super) fn position(&self) -> u64 {
        self.buffer_offset + self.buffer.len() as u64
    }

    /// Starts a section and returns its offset.
    pub(super) fn begin_section(&mut self, kind: u32) -> Result<u64> {
        self.pad_to(section_start(self.position()))?;
        let offset = self.position();
        self.sections.push(Section { kind, offset, len: 0 });
        Ok(offset)
    }

    /// Appends to the section that was started last.
    #[inline]
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        if bytes.len() < CHUNK_LEN - self.buffer.len() {
            self.buffer.extend_from_slice(bytes);
            return Ok(());
        }
        self.write_chunks(bytes)
    }

    fn write_chunks(&mut self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(CHUNK_LEN - self.buffer.len()));
            self.buffer.extend_from_slice(now);
            bytes = later;
            if self.buffer.len() == CHUNK_LEN {
                self.write_chunk()?;
            }
        }
        Ok(())
    }

    /// Where the next byte goes, and the buffer for it and those after it, if it takes all up to a file offset.
    #[inline]
    pub(super) fn room_up_to(&mut self, end: u64) -> Option<(u64, &mut Vec<u8>)> {
        let position = self.position();
        (end < self.buffer_offset + CHUNK_LEN as u64).then_some((position, &mut self.buffer))
    }

    /// Appends zeros up to a file offset.
    pub(super) fn pad_to(&mut self, offset: u64) -> Result<()> {
        const ZEROS: [u8; 4096] = [0; 4096];
        while self.position() < offset {
            let len = (offset - self.position()).min(ZEROS.len() as u64) as usize;
            self.write(ZEROS.get(..len).unwrap_or_default())?;
        }
        Ok(())
    }

    /// Ends the section that was started last, leaving it out if it is empty.
    pub(super) fn end_section(&mut self) {
        let position = self.position();
        if let Some(section) = self.sections.last_mut() {
            section.len = position - section.offset;
            if section.len == 0 {
                self.sections.pop();
            }
        }
    }

    /// A whole section.
    pub(super) fn section(&mut self, kind: u32, bytes: &[u8]) -> Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.begin_section(kind)?;
        self.write(bytes)?;
        self.end_section();
        Ok(())
    }

    /// Writes the buffer, which is full.
    fn write_chunk(&mut self) -> Result<()> {
        self.checksum_blocks();
        self.file.write_at(self.buffer_offset, &self.buffer)?;
        self.buffer_offset += self.buffer.len() as u64;
        self.buffer.clear();
        if self.buffer_offset.is_multiple_of(EARLY_LEN) {
            self.spec.unsynced.push_begun(&self.file);
        }
        Ok(())
    }

    /// Appends the checksums of the blocks in the buffer.
    fn checksum_blocks(&mut self) {
        // The header is not part of block 0: it has a checksum of its own.
        let skip = if self.buffer_offset == 0 { HEADER_LEN as usize } else { 0 };
        checksum_blocks(self.spec.identity, self.buffer.get(skip..).unwrap_or_default(), &mut self.checksums);
    }

    /// Completes the file. It is durable once those that wait are.
    pub(super) fn finish(mut self, slot_count: u64, value_count: u64) -> Result<FileEntry> {
        self.pad_to(self.position().next_multiple_of(SECTION_ALIGNMENT))?;
        let table_offset = self.position();
        self.checksum_blocks();
        let table: Vec<u8> = self.checksums.iter().flat_map(|checksum| checksum.to_le_bytes()).collect();
        self.buffer.extend_from_slice(&table);
        self.file.write_at(self.buffer_offset, &self.buffer)?;
        let header = Header {
            magic: self.spec.magic,
            identity: self.spec.identity,
            generation: self.spec.generation,
            dimension_id: self.spec.dimension_id,
            slot_count,
            value_count,
            file_len: table_offset + table.len() as u64,
            table_offset,
            table_checksum: self.spec.identity.table_checksum(&table),
            sections: self.sections,
        };
        let (bytes, header_checksum) = header.encode();
        self.file.write_at(0, &bytes)?;
        self.spec.unsynced.push(self.file, header.file_len)?;
        Ok(FileEntry {
            file_id: self.spec.identity.file_id,
            generation: self.spec.generation,
            file_len: header.file_len,
            header_checksum,
        })
    }
}

/// Appends the checksums of the blocks that bytes are cut into. The first block of a file is shorter by the header.
fn checksum_blocks(identity: Identity, bytes: &[u8], checksums: &mut Vec<u32>) {
    let mut others = bytes;
    if checksums.is_empty() {
        let first;
        (first, others) = bytes.split_at(bytes.len().min((BLOCK_LEN - HEADER_LEN) as usize));
        checksums.push(identity.block_checksum(0, first));
    }
    for block in others.chunks(BLOCK_LEN as usize) {
        checksums.push(identity.block_checksum(checksums.len() as u64, block));
    }
}

/// A file whose first section is written before it is known what else it will have; a [`BlockWriter`] goes on with it.
#[derive(Debug)]
pub(super) struct BegunFile {
    file: Arc<dyn StorageFile>,
    identity: Identity,
    checksums: Vec<u32>,
    /// File offset behind what is written.
    end: u64,
}

impl BegunFile {
    /// Creates the file. One of the same name, left over from a crash, is replaced.
    pub(super) fn create(storage: &dyn Storage, name: &str, identity: Identity) -> Result<Self> {
        storage.remove(name)?;
        Ok(Self { file: storage.create(name)?.into(), identity, checksums: Vec::new(), end: HEADER_LEN })
    }

    /// Bytes that are to be written at once, next time.
    pub(super) const fn chunk_len(&self) -> usize {
        CHUNK_LEN - self.end as usize % CHUNK_LEN
    }

    /// Appends a chunk.
    pub(super) fn write_chunk(&mut self, chunk: &[u8]) -> Result<()> {
        debug_assert_eq!(chunk.len(), self.chunk_len());
        checksum_blocks(self.identity, chunk, &mut self.checksums);
        self.file.write_at(self.end, chunk)?;
        self.end += chunk.len() as u64;
        Ok(())
    }

    /// Fills `out` from a place in the section on, which was written.
    pub(super) fn read_at(&self, start: u64, out: &mut [u8]) -> Result<()> {
        Ok(self.file.read_at(HEADER_LEN + start, out)?)
    }
}
