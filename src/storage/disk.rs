//! A database directory on a disk.
//!
//! Invariants:
//!
//! - The directory is resolved once, when opened, to an absolute path without symbolic links: neither
//!   a later change of the current directory nor a redirected link leads elsewhere. Messages call it
//!   what the caller called it.
//! - [`DiskStorage::open`] and every method that reads write nothing.
//! - Only regular files (or links to them) are read, so that a FIFO or a device under one of our
//!   names is an error instead of an endless wait.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::lock::DiskLock;
use super::region::read_up_to;
use super::scratch::DiskScratch;
use super::staged::is_inside;
use super::{Region, ScratchFile, Storage, StorageError, StorageFile, StorageLock, file_path};

/// How [`Storage::map`] makes a region of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MapMode {
    /// Map it: nothing is read before it is used, and memory is the page cache's.
    #[default]
    Mmap,
    /// Read all of it to the heap: a failing medium is an error instead of a signal.
    Heap,
}

/// A database directory on a disk.
#[derive(Debug)]
pub struct DiskStorage {
    /// Where it is.
    directory: PathBuf,
    /// What it was called when it was opened.
    path: PathBuf,
    map_mode: MapMode,
}

impl DiskStorage {
    /// The existing directory at `path`. Nothing is written.
    pub fn open(path: impl AsRef<Path>, map_mode: MapMode) -> Result<Self, StorageError> {
        let path = path.as_ref();
        Self::open_at(path, path, map_mode)
    }

    /// The existing directory that a file lies in, so that messages call the file what the caller does.
    pub(crate) fn containing(file: &Path, map_mode: MapMode) -> Result<Self, StorageError> {
        match file.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => Self::open(parent, map_mode),
            _ => Self::open_at(Path::new("."), Path::new(""), map_mode),
        }
    }

    /// The existing directory at `place`, which messages call `path`.
    pub(crate) fn open_at(place: &Path, path: &Path, map_mode: MapMode) -> Result<Self, StorageError> {
        let failed = |cause| StorageError::new(path, "open the directory", cause);
        let directory = place.canonicalize().map_err(failed)?;
        if !fs::metadata(&directory).map_err(failed)?.is_dir() {
            return Err(failed(ErrorKind::NotADirectory.into()));
        }
        Ok(Self { directory, path: path.to_owned(), map_mode })
    }

    /// The directory at `path`, created durably when it is missing, as are its parents.
    pub fn create(path: impl AsRef<Path>, map_mode: MapMode) -> Result<Self, StorageError> {
        let path = path.as_ref();
        let absolute = std::path::absolute(path).map_err(|cause| StorageError::new(path, "resolve the path", cause))?;
        create_directories(&absolute)?.keep();
        Self::open(path, map_mode)
    }

    /// Where a file is, and what messages call it.
    fn locate(&self, name: &str, operation: &'static str) -> Result<(PathBuf, PathBuf), StorageError> {
        let called = file_path(&self.path, name, operation)?;
        Ok((self.directory.join(name), called))
    }

    /// Opens a file to read it, and says how long it is and what messages call it; `None` when there is none.
    fn open_read(&self, name: &str, operation: &'static str) -> Result<Option<(File, u64, PathBuf)>, StorageError> {
        let (path, called) = self.locate(name, operation)?;
        // Not to wait for the other end of a FIFO; it means nothing to a regular file.
        let opened = File::options()
            .read(true)
            .custom_flags(libc::O_NONBLOCK)
            .open(&path)
            .and_then(|file| file.metadata().and_then(regular_len).map(|len| (file, len)));
        match opened {
            Ok((file, len)) => Ok(Some((file, len, called))),
            Err(cause) if cause.kind() == ErrorKind::NotFound => Ok(None),
            Err(cause) => Err(StorageError::new(called, operation, cause)),
        }
    }
}

impl Storage for DiskStorage {
    fn path(&self) -> &Path {
        &self.path
    }

    fn list(&self) -> Result<Vec<String>, StorageError> {
        let failed = |cause| StorageError::new(&self.path, "list", cause);
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.directory).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let Ok(name) = entry.file_name().into_string() else {
                continue;
            };
            match entry.file_type() {
                Ok(kind) if kind.is_file() => names.push(name),
                // Followed, like opening does; one that leads nowhere is nobody's file.
                Ok(kind) if kind.is_symlink() => {
                    if fs::metadata(entry.path()).is_ok_and(|found| found.is_file()) {
                        names.push(name);
                    }
                }
                Ok(_) => {}
                // Removed since it was listed.
                Err(cause) if cause.kind() == ErrorKind::NotFound => {}
                Err(cause) => return Err(StorageError::new(self.path.join(name), "list", cause)),
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    fn create(&self, name: &str) -> Result<Box<dyn StorageFile>, StorageError> {
        let (path, called) = self.locate(name, "create")?;
        match OpenOptions::new().read(true).write(true).create_new(true).open(path) {
            Ok(file) => Ok(Box::new(DiskFile { file, path: called })),
            Err(cause) => Err(StorageError::new(called, "create", cause)),
        }
    }

    fn open_write(&self, name: &str) -> Result<Box<dyn StorageFile>, StorageError> {
        let (path, called) = self.locate(name, "open to write")?;
        let opened = fs::metadata(&path).and_then(|metadata| {
            if metadata.is_file() { OpenOptions::new().read(true).write(true).open(&path) } else { Err(not_regular()) }
        });
        match opened {
            Ok(file) => Ok(Box::new(DiskFile { file, path: called })),
            Err(cause) => Err(StorageError::new(called, "open to write", cause)),
        }
    }

    fn read(&self, name: &str) -> Result<Option<Vec<u8>>, StorageError> {
        self.read_range(name, 0, u64::MAX)
    }

    fn read_range(&self, name: &str, offset: u64, len: u64) -> Result<Option<Vec<u8>>, StorageError> {
        let Some((file, file_len, path)) = self.open_read(name, "read")? else {
            return Ok(None);
        };
        match read_part(&file, file_len, offset, len) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(cause) => Err(StorageError::new(path, "read", cause)),
        }
    }

    fn scratch(&self) -> Result<Box<dyn ScratchFile>, StorageError> {
        Ok(Box::new(DiskScratch::create(&self.directory, &self.path)?))
    }

    fn len(&self, name: &str) -> Result<Option<u64>, StorageError> {
        let (path, called) = self.locate(name, "read")?;
        match fs::metadata(path).and_then(regular_len) {
            Ok(len) => Ok(Some(len)),
            Err(cause) if cause.kind() == ErrorKind::NotFound => Ok(None),
            Err(cause) => Err(StorageError::new(called, "read", cause)),
        }
    }

    fn map(&self, name: &str) -> Result<Option<Region>, StorageError> {
        let Some((file, len, path)) = self.open_read(name, "map")? else {
            return Ok(None);
        };
        let mapped = match self.map_mode {
            MapMode::Mmap => Region::map(&file, len),
            MapMode::Heap => Region::read(&file, len),
        };
        match mapped {
            Ok(region) => Ok(Some(region)),
            Err(cause) => Err(StorageError::new(path, "map", cause)),
        }
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), StorageError> {
        let (from, called) = self.locate(from, "rename")?;
        let (to, _) = self.locate(to, "rename")?;
        fs::rename(from, to).map_err(|cause| StorageError::new(called, "rename", cause))
    }

    fn remove(&self, name: &str) -> Result<(), StorageError> {
        let (path, called) = self.locate(name, "remove")?;
        match fs::remove_file(path) {
            Err(cause) if cause.kind() != ErrorKind::NotFound => Err(StorageError::new(called, "remove", cause)),
            _ => Ok(()),
        }
    }

    fn sync_directory(&self) -> Result<(), StorageError> {
        sync(&self.directory).map_err(|cause| StorageError::new(&self.path, "sync the directory", cause))
    }

    fn lock(&self) -> Result<Option<Box<dyn StorageLock>>, StorageError> {
        let lock = DiskLock::acquire(&self.directory, &self.path)?;
        Ok(lock.map(|lock| Box::new(lock) as Box<dyn StorageLock>))
    }

    fn encloses(&self, path: &Path) -> bool {
        is_inside(path, &self.directory)
    }
}

/// A file open for writing.
#[derive(Debug)]
struct DiskFile {
    file: File,
    // What messages call it: its name when it was opened, whatever it was renamed to since.
    path: PathBuf,
}

impl DiskFile {
    fn failed(&self, operation: &'static str) -> impl FnOnce(io::Error) -> StorageError {
        move |cause| StorageError::new(&self.path, operation, cause)
    }
}

impl StorageFile for DiskFile {
    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), StorageError> {
        // Goes on after short and interrupted writes.
        self.file.write_all_at(bytes, offset).map_err(self.failed("write"))
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), StorageError> {
        self.file.read_exact_at(buffer, offset).map_err(self.failed("read"))
    }

    fn set_len(&self, len: u64) -> Result<(), StorageError> {
        self.file.set_len(len).map_err(self.failed("set the length of"))
    }

    fn sync_data(&self) -> Result<(), StorageError> {
        self.file.sync_data().map_err(self.failed("sync"))
    }

    fn len(&self) -> Result<u64, StorageError> {
        let metadata = self.file.metadata().map_err(self.failed("get the length of"))?;
        Ok(metadata.len())
    }
}

fn not_regular() -> io::Error {
    io::Error::new(ErrorKind::InvalidInput, "not a regular file")
}

/// The length of a regular file.
fn regular_len(metadata: fs::Metadata) -> io::Result<u64> {
    if metadata.is_file() { Ok(metadata.len()) } else { Err(not_regular()) }
}

/// Up to `len` bytes from `offset` on, of a file that had `file_len` bytes when it was opened. What was added since is not read.
fn read_part(file: &File, file_len: u64, offset: u64, len: u64) -> io::Result<Vec<u8>> {
    // Offsets that no file can have are beyond the end, too, but reading there would fail.
    let Some(rest) = file_len.checked_sub(offset).filter(|&rest| rest > 0) else { return Ok(Vec::new()) };
    let len = usize::try_from(rest.min(len)).map_err(|_| io::Error::from(ErrorKind::FileTooLarge))?;
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(len)?;
    bytes.resize(len, 0);
    let filled_len = read_up_to(file, offset, &mut bytes)?;
    bytes.truncate(filled_len);
    Ok(bytes)
}

/// Makes the names in the directory at `path` durable.
fn sync_directory(path: &Path) -> Result<(), StorageError> {
    sync(path).map_err(|cause| StorageError::new(path, "sync the directory", cause))
}

fn sync(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

/// Directories that were made on the way to something else, from the top down. Those that are empty when this is dropped are
/// removed, unless they are [kept](Self::keep).
#[derive(Debug, Default)]
pub(super) struct MadeDirectories(Vec<PathBuf>);

impl MadeDirectories {
    /// Leaves them where they are.
    pub(super) fn keep(mut self) {
        self.0.clear();
    }
}

impl Drop for MadeDirectories {
    fn drop(&mut self) {
        for directory in self.0.iter().rev() {
            // One that is in use by now stays, as do those above it.
            if fs::remove_dir(directory).is_err() {
                break;
            }
        }
    }
}

/// Creates the directory at the absolute `path` and those above it that are missing, from the top
/// down, each made durable before the next.
pub(super) fn create_directories(path: &Path) -> Result<MadeDirectories, StorageError> {
    let mut made = MadeDirectories::default();
    let mut missing = Vec::new();
    let mut existing = None;
    for ancestor in path.ancestors() {
        match fs::metadata(ancestor) {
            Ok(_) => {
                existing = Some(ancestor);
                break;
            }
            Err(cause) if cause.kind() == ErrorKind::NotFound => missing.push(ancestor),
            Err(cause) => return Err(StorageError::new(ancestor, "look up", cause)),
        }
    }
    // The lowest directory that exists may be the work of an attempt that was killed before it could
    // sync. Where we may not, somebody else made it.
    if let Some(parent) = existing.and_then(Path::parent)
        && let Err(error) = sync_directory(parent)
        && !matches!(error.io_error().kind(), ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem)
    {
        return Err(error);
    }
    for directory in missing.into_iter().rev() {
        match fs::create_dir(directory) {
            Ok(()) => made.0.push(directory.to_owned()),
            // Somebody else was quicker, which is as good; but they may not have synced yet.
            Err(cause) if cause.kind() == ErrorKind::AlreadyExists && directory.is_dir() => {}
            Err(cause) => {
                return Err(StorageError::new(directory, "create the directory", cause));
            }
        }
        if let Some(parent) = directory.parent() {
            sync_directory(parent)?;
        }
    }
    Ok(made)
}

#[cfg(test)]
mod tests {
    use super::super::ReplaceError;
    use super::*;
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::os::unix::net::UnixListener;
    use tempfile::{TempDir, tempdir};

    fn storage() -> (TempDir, DiskStorage) {
        let directory = tempdir().unwrap();
        let storage = DiskStorage::open(directory.path(), MapMode::Mmap).unwrap();
        (directory, storage)
    }

    #[test]
    fn open_needs_an_existing_directory_and_writes_nothing() {
        let parent = tempdir().unwrap();
        let path = parent.path().join("a.vdb");
        assert!(DiskStorage::open(&path, MapMode::Mmap).unwrap_err().is_not_found());
        assert!(!path.exists());

        fs::write(&path, b"a file").unwrap();
        let error = DiskStorage::open(&path, MapMode::Mmap).unwrap_err();
        assert_eq!(error.io_error().kind(), ErrorKind::NotADirectory);
        assert_eq!(error.path(), path);
        assert!(DiskStorage::create(&path, MapMode::Mmap).is_err());

        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        let storage = DiskStorage::open(&path, MapMode::Mmap).unwrap();
        assert!(storage.list().unwrap().is_empty());
        assert!(storage.map("MANIFEST").unwrap().is_none());
        assert_eq!(fs::read_dir(&path).unwrap().count(), 0);
    }

    #[test]
    fn create_makes_missing_parents_and_accepts_what_is_there() {
        let parent = tempdir().unwrap();
        let path = parent.path().join("x/y/../z/a.vdb");
        let storage = DiskStorage::create(&path, MapMode::Heap).unwrap();
        drop(storage.create("f").unwrap());
        assert!(parent.path().join("x/z/a.vdb/f").is_file());

        let again = DiskStorage::create(&path, MapMode::Heap).unwrap();
        assert_eq!(again.list().unwrap(), ["f"]);

        let dangling = parent.path().join("dangling");
        symlink("nowhere", &dangling).unwrap();
        assert!(DiskStorage::create(&dangling, MapMode::Heap).is_err());
        let through_file = parent.path().join("x/z/a.vdb/f/b.vdb");
        assert!(DiskStorage::create(through_file, MapMode::Heap).is_err());
    }

    #[test]
    fn messages_call_the_directory_what_the_caller_did() {
        let (directory, _) = storage();
        let name = directory.path().file_name().unwrap();
        let called = directory.path().join("..").join(name);
        let storage = DiskStorage::open(&called, MapMode::Mmap).unwrap();
        assert_eq!(storage.path(), called);
        assert_eq!(storage.open_write("f").unwrap_err().path(), called.join("f"));
        assert_eq!(storage.create("a/b").unwrap_err().path(), called.join("a/b"));
        assert_eq!(DiskStorage::create(".", MapMode::Mmap).unwrap().path(), Path::new("."));
    }

    #[test]
    fn the_directory_is_pinned_to_what_a_link_led_to() {
        let parent = tempdir().unwrap();
        let link = parent.path().join("current");
        for name in ["one", "two"] {
            fs::create_dir(parent.path().join(name)).unwrap();
        }
        symlink("one", &link).unwrap();
        let storage = DiskStorage::open(&link, MapMode::Mmap).unwrap();
        fs::remove_file(&link).unwrap();
        symlink("two", &link).unwrap();
        drop(storage.create("f").unwrap());
        assert!(parent.path().join("one/f").exists());
        assert!(!parent.path().join("two/f").exists());
    }

    #[test]
    fn list_has_regular_files_with_text_for_names_only() {
        let (directory, storage) = storage();
        let inside = |name: &str| directory.path().join(name);
        fs::write(inside("file"), b"").unwrap();
        fs::create_dir(inside("subdirectory")).unwrap();
        symlink("file", inside("link")).unwrap();
        symlink("nowhere", inside("dangling")).unwrap();
        symlink("loop", inside("loop")).unwrap();
        let _socket = UnixListener::bind(inside("socket")).unwrap();
        let not_text = directory.path().join(OsStr::from_bytes(b"\xff"));
        fs::write(not_text, b"").unwrap();
        assert_eq!(storage.list().unwrap(), ["file", "link"]);
    }

    #[test]
    fn only_regular_files_are_opened() {
        let (directory, storage) = storage();
        fs::create_dir(directory.path().join("d")).unwrap();
        symlink("/dev/zero", directory.path().join("z")).unwrap();
        for name in ["d", "z"] {
            let errors = [
                storage.read(name).map(drop).unwrap_err(),
                storage.map(name).map(drop).unwrap_err(),
                storage.open_write(name).map(drop).unwrap_err(),
            ];
            for error in errors {
                assert!(error.to_string().contains("not a regular file"), "{error}");
            }
        }
        assert!(storage.remove("d").is_err());
    }

    #[test]
    fn map_mode_decides_the_kind_of_region() {
        let (directory, mapping) = storage();
        let reading = DiskStorage::open(directory.path(), MapMode::Heap).unwrap();
        mapping.create("f").unwrap().write_at(0, b"bytes").unwrap();
        assert!(mapping.map("f").unwrap().unwrap().is_mapped());
        assert!(!reading.map("f").unwrap().unwrap().is_mapped());
        assert_eq!(MapMode::default(), MapMode::Mmap);
    }

    #[test]
    fn mapping_survives_unlink_and_the_directory() {
        let (directory, storage) = storage();
        let bytes = vec![42; 1 << 20];
        storage.create("f").unwrap().write_at(0, &bytes).unwrap();
        let region = storage.map("f").unwrap().unwrap();
        storage.remove("f").unwrap();
        directory.close().unwrap();
        assert!(region.as_bytes() == bytes);
        assert!(storage.sync_directory().unwrap_err().is_not_found());
    }

    #[test]
    fn reading_works_without_write_permission() {
        let (directory, storage) = storage();
        storage.create("f").unwrap().write_at(0, b"bytes").unwrap();
        let set_mode = |path: &Path, mode| {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        };
        set_mode(&directory.path().join("f"), 0o400);
        set_mode(directory.path(), 0o500);
        let reader = DiskStorage::open(directory.path(), MapMode::Mmap).unwrap();
        assert_eq!(reader.list().unwrap(), ["f"]);
        assert_eq!(reader.read("f").unwrap().unwrap(), b"bytes");
        assert_eq!(reader.read_range("f", 3, u64::MAX).unwrap().unwrap(), b"es");
        assert_eq!(&*reader.map("f").unwrap().unwrap(), b"bytes");
        set_mode(directory.path(), 0o700);
    }

    #[test]
    fn replace_leaves_the_old_content_when_the_temporary_file_cannot_be_created() {
        let (directory, storage) = storage();
        storage.replace("M", "M.new", b"old").unwrap();
        // A directory of that name can be neither removed as a file nor created as one.
        fs::create_dir(directory.path().join("M.new")).unwrap();
        let error = storage.replace("M", "M.new", b"new").unwrap_err();
        assert!(matches!(error, ReplaceError::Before(_)));
        assert_eq!(storage.read("M").unwrap().unwrap(), b"old");
    }
}
