//! Bytes put aside while something is built: files without a name, which vanish with their handle.

use super::StorageError;
use std::fmt::Debug;
use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// A file without a name. Nothing of it is left once it is dropped, or after a crash.
pub trait ScratchFile: Send + Sync + Debug {
    /// Writes all of `bytes` at `offset`, growing the file with zeros when it ends before.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), StorageError>;

    /// Fills `buffer` with the bytes from `offset` on, which must be there.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), StorageError>;
}

/// Whether a name is that of a scratch file: where a file system cannot make files without a name, they have one from when they are
/// made until they are unlinked, at once, unless the power goes in between.
pub(crate) fn is_scratch_name(name: &str) -> bool {
    name.strip_prefix(".tmp")
        .is_some_and(|rest| rest.len() == 6 && rest.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

/// A scratch file on the disk that a directory is on.
#[derive(Debug)]
pub(super) struct DiskScratch {
    file: File,
    /// What messages call the directory.
    called: PathBuf,
}

impl DiskScratch {
    pub(super) fn create(directory: &Path, called: &Path) -> Result<Self, StorageError> {
        // Without a name (O_TMPFILE), or else with one of `is_scratch_name` that is unlinked at once.
        let file = tempfile::tempfile_in(directory)
            .map_err(|cause| StorageError::new(called, "create a temporary file in", cause))?;
        Ok(Self { file, called: called.to_owned() })
    }
}

impl ScratchFile for DiskScratch {
    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), StorageError> {
        let failed = |cause| StorageError::new(&self.called, "write a temporary file in", cause);
        self.file.write_all_at(bytes, offset).map_err(failed)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), StorageError> {
        let failed = |cause| StorageError::new(&self.called, "read a temporary file in", cause);
        self.file.read_exact_at(buffer, offset).map_err(failed)
    }
}

/// A scratch file in memory, for storages that are no directory on a disk.
#[derive(Debug, Default)]
pub struct MemoryScratch {
    bytes: Mutex<Vec<u8>>,
}

impl ScratchFile for MemoryScratch {
    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), StorageError> {
        let mut content = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        let start = offset as usize;
        let end = start + bytes.len();
        if content.len() < end {
            content.resize(end, 0);
        }
        if let Some(range) = content.get_mut(start..end) {
            range.copy_from_slice(bytes);
        }
        Ok(())
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), StorageError> {
        let content = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        let start = offset as usize;
        match content.get(start..start + buffer.len()) {
            Some(range) => buffer.copy_from_slice(range),
            None => {
                let cause = ErrorKind::UnexpectedEof.into();
                return Err(StorageError::new(Path::new("memory:"), "read a temporary file in", cause));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// These are the names of the package that makes the files where the file system cannot do without.
    #[test]
    fn the_names_that_scratch_files_may_have_are_known() {
        let directory = tempfile::tempdir().unwrap();
        for _ in 0..100 {
            let named = tempfile::NamedTempFile::new_in(directory.path()).unwrap();
            let name = named.path().file_name().unwrap().to_str().unwrap();
            assert!(is_scratch_name(name), "{name}");
        }
        for other in [".tmp", ".tmpABCDE", ".tmpABCDEFG", ".tmpABC.EF", "tmpABCDEF", "MANIFEST.tmp", "patch-2"] {
            assert!(!is_scratch_name(other), "{other}");
        }
    }
}
