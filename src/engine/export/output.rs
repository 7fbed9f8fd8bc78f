//! Where the content goes: it is compressed on a thread of its own while more of it is encoded.

use crate::error::Error;
use crate::format::canonical;
use crate::storage::StorageError;
use lz4_flex::frame::FrameEncoder;
use std::hash::Hasher;
use std::io::{self, ErrorKind, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use twox_hash::XxHash32;

/// Bytes that are gathered before they are compressed.
const CHUNK_LEN: usize = 256 << 10;
/// Chunks that wait for the compressor.
const CHUNK_COUNT: usize = 4;

/// Ends the blocks of a frame.
const END_MARK: [u8; 4] = [0; 4];

/// Why nothing usable was written.
#[derive(Debug)]
pub(super) enum WriteError {
    /// The output failed.
    Io(io::Error),
    /// The database could not be read, or the caller asked to stop.
    Engine(Error),
}

impl From<io::Error> for WriteError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<Error> for WriteError {
    fn from(error: Error) -> Self {
        Self::Engine(error)
    }
}

impl WriteError {
    /// `path` is that of the output.
    pub(super) fn into_error(self, path: &Path) -> Error {
        match self {
            Self::Io(source) => StorageError::new(path, "write", source).into(),
            Self::Engine(error) => error,
        }
    }
}

/// Takes the content.
pub(super) struct Output {
    /// What was not passed on yet.
    buffer: Vec<u8>,
    /// To the compressor.
    chunks: SyncSender<Vec<u8>>,
    /// The compressor has failed, and knows why.
    is_refused: bool,
}

impl Output {
    #[cold]
    fn pass_on(&mut self) -> io::Result<()> {
        let chunk = std::mem::replace(&mut self.buffer, Vec::with_capacity(CHUNK_LEN + 64));
        if self.chunks.send(chunk).is_err() {
            self.is_refused = true;
            return Err(ErrorKind::BrokenPipe.into());
        }
        Ok(())
    }
}

impl Write for Output {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_all(bytes).map(|()| bytes.len())
    }

    #[inline]
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= CHUNK_LEN { self.pass_on() } else { Ok(()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes the frame of what `encode` encodes, to an empty `out`.
pub(super) fn compress(
    out: impl Write + Seek + Send,
    encode: impl FnOnce(&mut Output) -> Result<(), WriteError>,
) -> Result<(), WriteError> {
    thread::scope(|scope| {
        let (chunks, waiting) = sync_channel(CHUNK_COUNT);
        let frame = FrameEncoder::with_frame_info(canonical::frame(), out);
        let compressor = thread::Builder::new()
            .name("vdb-export".to_owned())
            .spawn_scoped(scope, move || compress_chunks(frame, &waiting))?;
        let mut output = Output { buffer: Vec::new(), chunks, is_refused: false };
        let encoded = encode(&mut output).and_then(|()| Ok(output.pass_on()?));
        let is_refused = output.is_refused;
        drop(output);
        let compressed = match compressor.join() {
            Ok(compressed) => compressed,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        match encoded {
            Err(error) if !is_refused => Err(error),
            _ => Ok(compressed?),
        }
    })
}

/// Writes blocks, the end of the frame, and last the length in its header. Where the encoding failed, nobody asks for the result.
fn compress_chunks(mut frame: FrameEncoder<impl Write + Seek>, chunks: &Receiver<Vec<u8>>) -> io::Result<()> {
    let mut hasher = XxHash32::with_seed(0);
    let mut content_len = 0;
    while let Ok(chunk) = chunks.recv() {
        hasher.write(&chunk);
        content_len += chunk.len() as u64;
        frame.write_all(&chunk)?;
    }
    frame.flush()?;
    // The encoder itself would compare the content with the length that it was told at the start.
    let out = frame.get_mut();
    out.write_all(&END_MARK)?;
    out.write_all(&hasher.finish_32().to_le_bytes())?;
    out.seek(SeekFrom::Start(canonical::LENGTH_OFFSET))?;
    out.write_all(&canonical::length_fields(content_len))?;
    out.seek(SeekFrom::End(0))?;
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Cursor, Read};

    #[test]
    fn what_is_encoded_is_in_the_frame() {
        let content: Vec<u8> = (0..3_000_000u32).flat_map(|n| n.wrapping_mul(n).to_le_bytes()).collect();
        let mut file = Cursor::new(Vec::new());
        let encode = |out: &mut Output| Ok(content.chunks(1000).try_for_each(|bytes| out.write_all(bytes))?);
        compress(&mut file, encode).unwrap();
        let file = file.into_inner();
        let mut found = Vec::new();
        lz4_flex::frame::FrameDecoder::new(&file[..]).read_to_end(&mut found).unwrap();
        assert!(found == content);
    }

    #[test]
    fn the_first_thing_that_fails_is_told() {
        let content = vec![7; 2 * CHUNK_LEN];
        let write = |out: &mut Output| Ok(out.write_all(&content)?);
        let kind = |result: Result<(), WriteError>| match result {
            Err(WriteError::Io(error)) => error.kind(),
            other => panic!("{other:?}"),
        };
        // The disk is full, in the midst of it and at its end.
        let many = |out: &mut Output| (0..100).try_for_each(|_| write(out));
        assert_eq!(kind(compress(Cursor::new(&mut [0u8; 100][..]), many)), ErrorKind::WriteZero);
        assert_eq!(kind(compress(Cursor::new(&mut [0u8; 100][..]), write)), ErrorKind::WriteZero);
        // The caller asks to stop.
        let stop = |out: &mut Output| write(out).and(Err(WriteError::Engine(Error::Cancelled)));
        let memory = || Cursor::new(Vec::new());
        assert!(matches!(compress(memory(), stop), Err(WriteError::Engine(Error::Cancelled))));
        assert!(compress(memory(), write).is_ok());
    }
}
