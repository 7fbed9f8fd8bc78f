//! Files of others that are read from start to end, and never written.

use super::StorageError;
use std::fs::{self, File, Metadata};
use std::io::{self, BufRead, BufReader, ErrorKind, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Bytes that are read at once.
const BUFFER_LEN: usize = 256 << 10;

/// A file that is read, once or more.
#[derive(Debug)]
pub struct SourceFile {
    bytes: Bytes,
    path: PathBuf,
    len: u64,
}

#[derive(Debug)]
enum Bytes {
    File(File),
    Memory(Vec<u8>),
}

impl SourceFile {
    /// Opens a regular file.
    pub fn open(path: &Path) -> Result<Self, StorageError> {
        let failed = |source| StorageError::new(path, "open", source);
        // Opening a pipe would wait for who writes to it.
        check_regular(&fs::metadata(path).map_err(failed)?).map_err(failed)?;
        let file = File::open(path).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        check_regular(&metadata).map_err(failed)?;
        Ok(Self { bytes: Bytes::File(file), path: path.to_owned(), len: metadata.len() })
    }

    /// Bytes in memory that stand for the file `path`.
    pub fn in_memory(path: &Path, bytes: Vec<u8>) -> Self {
        Self { len: bytes.len() as u64, bytes: Bytes::Memory(bytes), path: path.to_owned() }
    }

    /// The path, for messages.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How many bytes it had when it was opened.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether it had none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Reads from the start.
    pub fn reader(&self) -> impl BufRead + '_ {
        BufReader::with_capacity(BUFFER_LEN, SourceReader { source: self, offset: 0 })
    }
}

fn check_regular(metadata: &Metadata) -> io::Result<()> {
    if metadata.is_dir() {
        return Err(ErrorKind::IsADirectory.into());
    }
    if !metadata.is_file() {
        return Err(io::Error::other("it is a pipe or a device, and has to be read more than once"));
    }
    Ok(())
}

struct SourceReader<'s> {
    source: &'s SourceFile,
    offset: u64,
}

impl Read for SourceReader<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = match &self.source.bytes {
            Bytes::File(file) => file.read_at(out, self.offset)?,
            Bytes::Memory(bytes) => {
                let start = usize::try_from(self.offset).unwrap_or(usize::MAX);
                bytes.get(start..).unwrap_or_default().read(out)?
            }
        };
        self.offset += count as u64;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;
    use std::sync::mpsc;
    use std::time::Duration;

    #[test]
    fn a_pipe_is_refused_and_not_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pipe");
        assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
        let (told, heard) = mpsc::channel();
        std::thread::spawn(move || told.send(SourceFile::open(&path).unwrap_err().to_string()));
        let error = heard.recv_timeout(Duration::from_secs(20)).unwrap();
        assert!(error.contains("a pipe or a device"), "{error}");
    }
}
