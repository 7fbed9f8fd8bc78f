//! The bytes of a source, to be read twice: a file, plain or compressed, or stdin.
//!
//! Compression is told by the first bytes rather than by the name. What cannot be read twice (stdin, a pipe) is copied to a
//! temporary file first, so that no source is ever held in memory.

use crate::content::{self, GZIP_MAGIC, LZ4_MAGIC, ZIP_MAGIC};
use crate::exit::{Failure, Outcome};
use crate::output::Output;
use crate::progress::{Progress, Unit};
use flate2::read::MultiGzDecoder;
use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek as _, SeekFrom, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};
use zip::ZipArchive;
use zip::result::ZipError;

/// What a zip file without entries begins with.
const ZIP_EMPTY_MAGIC: &[u8] = b"PK\x05\x06";
/// How much is read from a file at once.
const BUFFER_LEN: usize = 1 << 17;

/// A source that can be read from its beginning as often as needed.
#[derive(Debug)]
pub(crate) struct Source {
    name: String,
    file: File,
    packing: Packing,
    /// How much [`position`](Self::position) counts to.
    len: u64,
    position: Cell<u64>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Packing {
    Plain,
    Gzip,
    /// The entry of this index.
    Zip(usize),
}

/// Whether a path stands for stdin.
pub(crate) fn is_stdin(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// Refuses what cannot be read, or not to an end.
pub(crate) fn check_kind(path: &Path) -> Outcome<()> {
    if is_stdin(path) {
        return Ok(());
    }
    let name = path.display();
    let metadata = std::fs::metadata(path).map_err(|error| Failure::file(path, &error))?;
    let kind = metadata.file_type();
    // A pipe without a name is open at its other end already; a shell makes one of <(command).
    let has_name = path.canonicalize().is_ok() && !path.starts_with("/dev/fd");
    let what = match () {
        () if kind.is_dir() => {
            return Err(Failure::other(format!("{name}: this is a directory, not a file of records")));
        }
        () if kind.is_fifo() && has_name => "a named pipe",
        () if kind.is_char_device() || kind.is_block_device() => "a device",
        () if kind.is_socket() => "a socket",
        () => return Ok(()),
    };
    Err(Failure::usage(format!(
        "{name}: this is {what}, not a file; to import what comes out of it, say - and add: < {name}"
    )))
}

/// Copies what can be read only once, as stdin, to a temporary file, for those who read by name. `None` for a file of its own.
pub(crate) fn spool_for_path(path: &Path, output: &Output) -> Outcome<Option<Spooled>> {
    let at = |error: io::Error| Failure::file(path, &error);
    let file = if is_stdin(path) {
        spool("stdin", io::stdin().lock(), output)?
    } else if std::fs::metadata(path).map_err(at)?.is_file() {
        return Ok(None);
    } else {
        spool(&path.display().to_string(), File::open(path).map_err(at)?, output)?
    };
    Ok(Some(Spooled { path: PathBuf::from(format!("/dev/fd/{}", file.as_raw_fd())), _file: file }))
}

/// A temporary file that has lost its name, so that nothing can leave it behind, and has that of its descriptor.
#[derive(Debug)]
pub(crate) struct Spooled {
    path: PathBuf,
    _file: File,
}

impl Spooled {
    /// What it can be opened by while this lives.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Source {
    /// Opens a path that [`check_kind`] takes, or stdin if it is `-`.
    ///
    /// `ending` is that of the names of such files: it tells which one in an archive is meant.
    pub(crate) fn open(path: &Path, ending: &str, output: &Output) -> Outcome<Self> {
        if is_stdin(path) {
            return Self::examine("stdin".to_owned(), spool("stdin", io::stdin().lock(), output)?, ending);
        }
        let at = |error: io::Error| Failure::file(path, &error);
        let name = path.display().to_string();
        let file = File::open(path).map_err(at)?;
        let file = if file.metadata().map_err(at)?.is_file() { file } else { spool(&name, file, output)? };
        Self::examine(name, file, ending)
    }

    fn examine(name: String, file: File, ending: &str) -> Outcome<Self> {
        let at = |error: io::Error| Failure::file(Path::new(&name), &error);
        let len = file.metadata().map_err(at)?.len();
        let mut start = Vec::new();
        (&file).seek(SeekFrom::Start(0)).map_err(at)?;
        (&file).take(4).read_to_end(&mut start).map_err(at)?;
        let (packing, len) = if start.starts_with(GZIP_MAGIC) {
            (Packing::Gzip, len)
        } else if start == ZIP_MAGIC || start == ZIP_EMPTY_MAGIC {
            let (index, len) = zip_entry(&name, &file, ending)?;
            (Packing::Zip(index), len)
        } else if start == LZ4_MAGIC {
            return Err(Failure::usage(format!("{name}: this is a .db file; say --format db")));
        } else {
            (Packing::Plain, len)
        };
        Ok(Self { name, file, packing, len, position: Cell::new(0) })
    }

    /// Whether it is a canonical file of an old release, which is packed by gzip, as the start of what is packed says.
    pub(crate) fn is_canonical(&self, start: &[u8]) -> bool {
        self.packing == Packing::Gzip && content::is_packed_canonical(start)
    }

    /// What messages call the source.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// How much one pass over the source counts to, in bytes.
    pub(crate) const fn len(&self) -> u64 {
        self.len
    }

    /// How far the current pass has come.
    pub(crate) const fn position(&self) -> u64 {
        self.position.get()
    }

    /// Reads the source from its beginning.
    pub(crate) fn read<T>(&self, consume: impl FnOnce(&mut dyn Read) -> Outcome<T>) -> Outcome<T> {
        self.position.set(0);
        let at = |error: io::Error| Failure::file(Path::new(&self.name), &error);
        (&self.file).seek(SeekFrom::Start(0)).map_err(at)?;
        match self.packing {
            Packing::Plain => consume(&mut self.counted(&self.file)),
            Packing::Gzip => {
                consume(&mut MultiGzDecoder::new(BufReader::with_capacity(BUFFER_LEN, self.counted(&self.file))))
            }
            Packing::Zip(index) => {
                let mut archive = ZipArchive::new(BufReader::with_capacity(BUFFER_LEN, &self.file))
                    .map_err(|error| zip_failure(&self.name, &error))?;
                let entry = archive.by_index(index).map_err(|error| zip_failure(&self.name, &error))?;
                consume(&mut self.counted(entry))
            }
        }
    }

    fn counted<R: Read>(&self, reader: R) -> Counted<'_, R> {
        Counted { reader, position: &self.position }
    }
}

/// A reader that says how far it has come.
struct Counted<'c, R> {
    reader: R,
    position: &'c Cell<u64>,
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let len = self.reader.read(buffer)?;
        self.position.set(self.position.get() + len as u64);
        Ok(len)
    }
}

/// The one file of records in a zip archive, and its length.
fn zip_entry(name: &str, file: &File, ending: &str) -> Outcome<(usize, u64)> {
    let mut archive = ZipArchive::new(BufReader::new(file)).map_err(|error| zip_failure(name, &error))?;
    let mut files = Vec::new();
    for index in 0..archive.len() {
        let entry = archive.by_index_raw(index).map_err(|error| zip_failure(name, &error))?;
        if entry.is_file() {
            let is_meant = entry.name_raw().to_ascii_lowercase().ends_with(format!(".{ending}").as_bytes());
            files.push((index, entry.size(), is_meant));
        }
    }
    if files.len() > 1 {
        // Archivers add files of their own; a user means the records.
        files.retain(|(_, _, is_meant)| *is_meant);
    }
    match files.as_slice() {
        [(index, len, _)] => Ok((*index, *len)),
        [] => Err(Failure::other(format!("{name}: the archive holds no .{ending} file"))),
        several => Err(Failure::other(format!(
            "{name}: the archive holds {} .{ending} files; extract the one to import",
            several.len()
        ))),
    }
}

fn zip_failure(name: &str, error: &ZipError) -> Failure {
    match error {
        ZipError::Io(error) => Failure::file(Path::new(name), error),
        other => Failure::other(format!("{name}: {other}")),
    }
}

/// Why the bytes of a source could not be read.
pub(crate) fn read_failure(name: &str, error: &io::Error) -> Failure {
    if error.kind() == io::ErrorKind::UnexpectedEof {
        return Failure::other(format!("{name}: the compressed data ends too soon; is the file complete?"));
    }
    Failure::file(Path::new(name), error)
}

/// Copies what can be read only once to a temporary file without a name.
fn spool(name: &str, reader: impl Read, output: &Output) -> Outcome<File> {
    let mut file = tempfile::tempfile().map_err(|error| spool_failure(&error))?;
    copy(name, reader, &mut file, output)?;
    Ok(file)
}

fn spool_failure(error: &io::Error) -> Failure {
    Failure::file(&std::env::temp_dir(), error).with_hint("set TMPDIR to a directory with more room")
}

/// Copies all there is to a temporary file.
fn copy(name: &str, mut reader: impl Read, file: &mut File, output: &Output) -> Outcome<()> {
    let mut progress = Progress::new(output, "reading", Unit::Bytes, None);
    let mut buffer = vec![0; BUFFER_LEN];
    let mut total = 0;
    loop {
        let len = match reader.read(&mut buffer) {
            Ok(0) => break,
            Ok(len) => len,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(Failure::file(Path::new(name), &error)),
        };
        file.write_all(&buffer[..len]).map_err(|error| spool_failure(&error))?;
        total += len as u64;
        progress.set(total)?;
    }
    progress.finish();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    const CSV: &str = "a,b\n1,2\n";

    fn content(bytes: &[u8]) -> Outcome<String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        let source = Source::open(file.path(), "csv", &Output::new(true, true))?;
        let read = || {
            source.read(|reader| {
                let mut text = String::new();
                reader.read_to_string(&mut text).map_err(|error| Failure::file(Path::new("x"), &error))?;
                Ok(text)
            })
        };
        let first = read()?;
        assert_eq!(source.position(), source.len());
        assert_eq!(read()?, first);
        Ok(first)
    }

    fn gzip(text: &str) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    fn zip(files: &[(&str, &str)]) -> Vec<u8> {
        let mut writer = ZipWriter::new(io::Cursor::new(Vec::new()));
        for (name, text) in files {
            if name.ends_with('/') {
                writer.add_directory(*name, SimpleFileOptions::default()).unwrap();
            } else {
                writer.start_file(*name, SimpleFileOptions::default()).unwrap();
                writer.write_all(text.as_bytes()).unwrap();
            }
        }
        writer.finish().unwrap().into_inner()
    }

    #[test]
    fn every_packing_is_told_by_its_first_bytes() {
        assert_eq!(content(CSV.as_bytes()).unwrap(), CSV);
        assert_eq!(content(&gzip(CSV)).unwrap(), CSV);
        assert_eq!(content(&[gzip("a,b\n"), gzip("1,2\n")].concat()).unwrap(), CSV);
        assert_eq!(content(&zip(&[("data.txt", CSV)])).unwrap(), CSV);
        assert_eq!(content(&zip(&[("README", "x"), ("dir/", ""), ("dir/data.CSV", CSV)])).unwrap(), CSV);
        assert_eq!(content(b"").unwrap(), "");
        assert_eq!(content(b"P").unwrap(), "P");
    }

    #[test]
    fn an_archive_without_one_csv_file_is_refused() {
        let message = |files: &[(&str, &str)]| content(&zip(files)).unwrap_err().to_string();
        assert!(message(&[]).ends_with(": the archive holds no .csv file"));
        assert!(message(&[("a", ""), ("b", "")]).ends_with(": the archive holds no .csv file"));
        assert!(
            message(&[("a.csv", ""), ("b.csv", "")])
                .ends_with(": the archive holds 2 .csv files; extract the one to import")
        );
    }

    #[test]
    fn damaged_archives_are_refused() {
        let whole = gzip(&CSV.repeat(1000));
        assert!(content(&whole[..whole.len() - 1]).is_err());
        let mut flipped = whole;
        let middle = flipped.len() / 2;
        flipped[middle] ^= 1;
        assert!(content(&flipped).is_err());
        let mut flipped = zip(&[("a.csv", &CSV.repeat(1000))]);
        flipped[45] ^= 1;
        assert!(content(&flipped).is_err());
        assert!(content(b"PK\x03\x04 and then nothing of the kind").is_err());
    }
}
