//! Where an export goes: a file that appears when it is complete, or something that is not a file of its own (stdout, a pipe, a device).

use crate::exit::{Failure, Outcome};
use crate::interrupt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use vector_datalib::internals::{StagedFile, StorageError};

/// What is handed to the kernel at once.
const BUFFER_LEN: usize = 1 << 18;

/// Takes text and puts it where it belongs.
#[derive(Debug)]
pub(crate) struct Sink {
    writer: Writer,
    name: PathBuf,
    len: u64,
}

#[derive(Debug)]
enum Writer {
    Stdout(BufWriter<io::Stdout>),
    /// A pipe or a device, written to directly.
    Special(BufWriter<File>),
    /// A file that has its name at the end.
    Replacement(StagedFile),
}

/// Whether this names stdout.
pub(crate) fn is_stdout(out: &Path) -> bool {
    out.as_os_str() == "-"
}

/// The reason alone: the path in the error need not be the one that the user knows.
fn cause(error: StorageError) -> io::Error {
    let (_, _, cause) = error.into_parts();
    cause.raw_os_error().map_or(cause, io::Error::from_raw_os_error)
}

impl Sink {
    /// Starts writing to a path, or to stdout if it is `-`.
    pub(crate) fn create(out: &Path) -> Outcome<Self> {
        let at = |error: io::Error| Failure::file(out, &error);
        let writer = if is_stdout(out) {
            Writer::Stdout(BufWriter::with_capacity(BUFFER_LEN, io::stdout()))
        } else {
            match fs::metadata(out) {
                Ok(metadata) if metadata.is_dir() => {
                    return Err(Failure::other(format!("{}: this is a directory", out.display())));
                }
                Ok(metadata) if !metadata.is_file() => {
                    let file = OpenOptions::new().write(true).open(out).map_err(at)?;
                    Writer::Special(BufWriter::with_capacity(BUFFER_LEN, file))
                }
                _ => Self::replacement(out).map_err(|error| Failure::file_not_made(out, &error))?,
            }
        };
        Ok(Self { writer, name: out.to_owned(), len: 0 })
    }

    fn replacement(target: &Path) -> io::Result<Writer> {
        // A signal would leave a part of the file.
        interrupt::listen();
        StagedFile::create(target).map(Writer::Replacement).map_err(cause)
    }

    /// Writes text.
    pub(crate) fn write(&mut self, text: &str) -> Outcome<()> {
        let bytes = text.as_bytes();
        self.len += bytes.len() as u64;
        let written = match &mut self.writer {
            Writer::Stdout(writer) => writer.write_all(bytes),
            Writer::Special(writer) => writer.write_all(bytes),
            Writer::Replacement(file) => file.write_all(bytes),
        };
        written.map_err(|error| self.failure(&error))
    }

    fn failure(&self, error: &io::Error) -> Failure {
        match (&self.writer, error.kind()) {
            (Writer::Stdout(_), _) | (Writer::Special(_), io::ErrorKind::BrokenPipe) => Failure::stdout(error),
            (Writer::Special(_), _) => Failure::file(&self.name, error),
            (Writer::Replacement(_), _) => Failure::file_not_made(&self.name, error),
        }
    }

    /// Ends the writing: what was written is complete, on disk, and under its name. Returns its length in bytes.
    pub(crate) fn finish(mut self) -> Outcome<u64> {
        let flushed = match &mut self.writer {
            Writer::Stdout(writer) => writer.flush(),
            Writer::Special(writer) => writer.flush(),
            Writer::Replacement(file) => file.flush(),
        };
        flushed.map_err(|error| self.failure(&error))?;
        if let Writer::Replacement(file) = self.writer {
            file.commit().map_err(|error| Failure::file_not_made(&self.name, &cause(error)))?;
        }
        Ok(self.len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_appears_when_it_is_complete_and_a_link_stays_a_link() {
        let dir = tempfile::tempdir().unwrap();
        let (file, link) = (dir.path().join("file"), dir.path().join("link"));
        fs::write(&file, "old").unwrap();
        std::os::unix::fs::symlink("file", &link).unwrap();

        let mut abandoned = Sink::create(&link).unwrap();
        abandoned.write("half").unwrap();
        drop(abandoned);
        assert_eq!(fs::read_to_string(&file).unwrap(), "old");

        let mut sink = Sink::create(&link).unwrap();
        sink.write("new").unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "old");
        assert_eq!(sink.finish().unwrap(), 3);
        assert_eq!(fs::read_to_string(&file).unwrap(), "new");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_path_that_cannot_be_written_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let missing = dir.path().join("no/such/file");
        assert_eq!(
            Sink::create(&missing).unwrap_err().to_string(),
            format!("{}: No such file or directory", missing.display())
        );
        assert!(Sink::create(dir.path()).unwrap_err().to_string().ends_with(": this is a directory"));
    }
}
