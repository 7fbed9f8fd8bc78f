//! What went wrong with which file.
//!
//! Invariant: an error always names the file (or the directory) and what was being done to it, so
//! that one line of text is enough to act on.

use std::error::Error;
use std::fmt;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// A failed file operation.
#[derive(Debug)]
pub struct StorageError {
    path: PathBuf,
    operation: &'static str,
    source: io::Error,
}

impl StorageError {
    /// An error of `operation` (a verb or a short phrase that completes "could not ...") on `path`.
    pub fn new(path: impl Into<PathBuf>, operation: &'static str, source: io::Error) -> Self {
        Self { path: path.into(), operation, source }
    }

    /// The file or directory the operation was about.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What was being done: completes "could not ...".
    pub fn operation(&self) -> &'static str {
        self.operation
    }

    /// What the operating system said.
    pub fn io_error(&self) -> &io::Error {
        &self.source
    }

    /// True when the medium, a quota or a file size limit is exhausted (`ENOSPC`, `EDQUOT`,
    /// `EFBIG`): the same operation may succeed once there is room.
    pub fn is_no_space(&self) -> bool {
        matches!(self.source.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge)
    }

    /// True when the file or directory does not exist.
    pub fn is_not_found(&self) -> bool {
        self.source.kind() == ErrorKind::NotFound
    }

    /// The path, the operation and the cause.
    pub fn into_parts(self) -> (PathBuf, &'static str, io::Error) {
        (self.path, self.operation, self.source)
    }
}

impl fmt::Display for StorageError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The cause is part of the line: without it the line says nothing one could act on.
        write!(formatter, "could not {} {}: {}", self.operation, self.path.display(), self.source)
    }
}

impl Error for StorageError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.source)
    }
}

/// A failed [`Storage::replace`](super::Storage::replace), by what is known of the file.
#[derive(Debug)]
pub enum ReplaceError {
    /// It failed before the rename was attempted: the old content is in place.
    Before(StorageError),
    /// It failed in the rename or after it: the file holds the old content or the new one, whole
    /// either way, and a crash may still decide which.
    Unknown(StorageError),
}

impl ReplaceError {
    /// The failed operation.
    pub fn storage_error(&self) -> &StorageError {
        match self {
            Self::Before(error) | Self::Unknown(error) => error,
        }
    }

    /// The failed operation, by value.
    pub fn into_storage_error(self) -> StorageError {
        match self {
            Self::Before(error) | Self::Unknown(error) => error,
        }
    }
}

impl fmt::Display for ReplaceError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Before(error) => write!(formatter, "{error} (the old content is in place)"),
            Self::Unknown(error) => {
                write!(formatter, "{error} (it is unknown which content is in place)")
            }
        }
    }
}

impl Error for ReplaceError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(self.storage_error())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENOENT: i32 = 2;
    const EIO: i32 = 5;
    const EFBIG: i32 = 27;
    const ENOSPC: i32 = 28;
    const EDQUOT: i32 = 122;

    fn of_errno(errno: i32) -> StorageError {
        StorageError::new("/d/f", "write", io::Error::from_raw_os_error(errno))
    }

    #[test]
    fn exhausted_space_is_told_from_other_failures() {
        for errno in [ENOSPC, EDQUOT, EFBIG] {
            assert!(of_errno(errno).is_no_space(), "{errno}");
            assert!(!of_errno(errno).is_not_found());
        }
        for errno in [EIO, ENOENT] {
            assert!(!of_errno(errno).is_no_space(), "{errno}");
        }
        assert!(of_errno(ENOENT).is_not_found());
    }

    #[test]
    fn message_names_file_operation_and_cause() {
        let error = of_errno(EIO);
        let text = error.to_string();
        assert!(text.starts_with("could not write /d/f: Input/output error"), "{text}");
        assert!(error.source().is_some());
        let (path, operation, source) = error.into_parts();
        assert_eq!((path.as_path(), operation), (Path::new("/d/f"), "write"));
        assert_eq!(source.raw_os_error(), Some(EIO));
    }

    #[test]
    fn replace_error_keeps_the_cause() {
        let before = ReplaceError::Before(of_errno(ENOSPC));
        assert!(before.storage_error().is_no_space());
        assert!(before.to_string().contains("old content is in place"));
        let unknown = ReplaceError::Unknown(of_errno(EIO));
        assert!(unknown.to_string().contains("unknown"));
        assert_eq!(unknown.into_storage_error().operation(), "write");
    }
}
