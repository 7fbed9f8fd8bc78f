//! Where the content goes: counted, or compressed on a thread of its own while more of it is encoded.

use crate::error::Error;
use crate::format::canonical;
use crate::storage::StorageError;
use lz4_flex::frame::FrameEncoder;
use std::io::{self, ErrorKind, Write};
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

/// Bytes that are gathered before they are compressed.
const CHUNK_LEN: usize = 256 << 10;
/// Chunks that wait for the compressor.
const CHUNK_COUNT: usize = 4;

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
#[derive(Default)]
pub(super) struct Output {
    /// What was not passed on yet.
    buffer: Vec<u8>,
    /// Bytes before the buffer.
    passed_on: u64,
    /// The compressor; `None` where the content is only measured.
    chunks: Option<SyncSender<Vec<u8>>>,
    /// The compressor has failed, and knows why.
    is_refused: bool,
}

impl Output {
    /// One that only counts.
    pub(super) fn measure() -> Self {
        Self::default()
    }

    /// Bytes so far.
    pub(super) fn len(&self) -> u64 {
        self.passed_on + self.buffer.len() as u64
    }

    /// Whether this only measures; then elements of `len` bytes count as written.
    pub(super) fn measures(&mut self, len: u64) -> bool {
        if self.chunks.is_none() {
            self.passed_on += len;
        }
        self.chunks.is_none()
    }

    #[cold]
    fn pass_on(&mut self) -> io::Result<()> {
        self.passed_on += self.buffer.len() as u64;
        match &self.chunks {
            None => self.buffer.clear(),
            Some(chunks) => {
                let chunk = std::mem::replace(&mut self.buffer, Vec::with_capacity(CHUNK_LEN + 64));
                if chunks.send(chunk).is_err() {
                    self.is_refused = true;
                    return Err(ErrorKind::BrokenPipe.into());
                }
            }
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

/// Writes the frame of what `encode` encodes, which has `content_len` bytes.
pub(super) fn compress(
    out: impl Write + Send,
    content_len: u64,
    encode: impl FnOnce(&mut Output) -> Result<(), WriteError>,
) -> Result<(), WriteError> {
    thread::scope(|scope| {
        let (chunks, waiting) = sync_channel(CHUNK_COUNT);
        let frame = FrameEncoder::with_frame_info(canonical::frame(content_len), out);
        let compressor = thread::Builder::new()
            .name("vdb-export".to_owned())
            .spawn_scoped(scope, move || compress_chunks(frame, &waiting))?;
        let mut output = Output { chunks: Some(chunks), ..Output::default() };
        let encoded = encode(&mut output).and_then(|()| finish(&mut output, content_len));
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

/// Passes on the rest.
fn finish(output: &mut Output, content_len: u64) -> Result<(), WriteError> {
    if output.len() != content_len {
        let cause = io::Error::new(ErrorKind::InvalidData, "the content has another length than was measured");
        return Err(WriteError::Io(cause));
    }
    Ok(output.pass_on()?)
}

fn compress_chunks(mut frame: FrameEncoder<impl Write>, chunks: &Receiver<Vec<u8>>) -> io::Result<()> {
    while let Ok(chunk) = chunks.recv() {
        frame.write_all(&chunk)?;
    }
    // Where the encoding failed, nobody asks for the result.
    frame.try_finish().map_err(io::Error::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn what_is_encoded_is_in_the_frame() {
        let content: Vec<u8> = (0..3_000_000u32).flat_map(|n| n.wrapping_mul(n).to_le_bytes()).collect();
        let mut file = Vec::new();
        let encode = |out: &mut Output| Ok(content.chunks(1000).try_for_each(|bytes| out.write_all(bytes))?);
        compress(&mut file, content.len() as u64, encode).unwrap();
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
        let len = content.len() as u64;
        // The disk is full, in the midst of it and at its end.
        let many = |out: &mut Output| (0..100).try_for_each(|_| write(out));
        assert_eq!(kind(compress(&mut [0u8; 100][..], 100 * len, many)), ErrorKind::WriteZero);
        assert_eq!(kind(compress(&mut [0u8; 100][..], len, write)), ErrorKind::WriteZero);
        // It came out otherwise than was measured.
        assert_eq!(kind(compress(io::sink(), len + 1, write)), ErrorKind::InvalidData);
        assert_eq!(kind(compress(io::sink(), len - 1, write)), ErrorKind::InvalidData);
        // The caller asks to stop.
        let stop = |out: &mut Output| write(out).and(Err(WriteError::Engine(Error::Cancelled)));
        assert!(matches!(compress(io::sink(), len, stop), Err(WriteError::Engine(Error::Cancelled))));
        assert!(compress(io::sink(), len, write).is_ok());
    }
}
