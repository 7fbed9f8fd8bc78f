//! The one error type of the public face.

use crate::format::Invalid;
use crate::format::canonical::read::ImportLimits;
use crate::model::{Key, KeyError, NestedError, ValueTooLarge};
use crate::storage::StorageError;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// What a call returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Everything that can go wrong. Match on the predicates ([`is_corrupt`](Self::is_corrupt) and so on) where a kind is enough.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// Bytes on disk that cannot be what was written.
    #[non_exhaustive]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// Where in the file, in bytes from its start.
        offset: u64,
        /// The part of the file.
        section: &'static str,
        /// What is wrong there.
        reason: String,
    },
    /// A sound file with what this version of the library does not know: a newer one wrote it. Nothing was changed.
    #[non_exhaustive]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// What is not known.
        reason: String,
    },
    /// Another writer, in this process or another one, has the database open.
    #[non_exhaustive]
    Locked {
        /// The database.
        path: PathBuf,
    },
    /// There is no database at the path.
    #[non_exhaustive]
    NotFound {
        /// The path.
        path: PathBuf,
    },
    /// There is a database at the path already.
    #[non_exhaustive]
    AlreadyExists {
        /// The path.
        path: PathBuf,
    },
    /// A write through a handle that was opened read-only.
    ReadOnly,
    /// The handle was closed.
    Closed,
    /// The disk is full. What failed was undone: a commit is not made, a checkpoint or a compaction leaves everything where it was, and
    /// [`close`](crate::VectorDb::close) keeps every commit and only does not record that it was called. The handle works again once there is room.
    #[non_exhaustive]
    NoSpace {
        /// The file that could not grow.
        path: PathBuf,
    },
    /// An fsync of the log, or the replacing of the manifest, failed: whether the write is durable is unknown. The writer is poisoned:
    /// every further write fails the same way, reads go on, and opening the database again recovers what is durable.
    #[non_exhaustive]
    Poisoned {
        /// The failure that poisoned the writer.
        reason: String,
    },
    /// The system refused an operation on a file.
    #[non_exhaustive]
    Io {
        /// The file.
        path: PathBuf,
        /// What was tried.
        operation: &'static str,
        /// The system's reason.
        source: io::Error,
    },
    /// An argument that cannot be: a key of a type that keys cannot have, a value that is too large, a position past the end, an option
    /// that makes no sense, a path that leads to something other than a database. Of a batch, the reason names the record that is
    /// at fault, counted from 0.
    #[non_exhaustive]
    InvalidArgument {
        /// What is wrong with it.
        reason: String,
    },
    /// A canonical file that is not what it must be: damaged, cut short, or in contradiction with itself. Nothing was made of it.
    #[non_exhaustive]
    Rejected {
        /// The file.
        path: PathBuf,
        /// Where in the file, in words.
        place: String,
        /// What is wrong there.
        reason: String,
        /// Whether [`Import::salvage`](crate::Import::salvage) would import the rest.
        salvage: bool,
    },
    /// A canonical file that has, or declares, more than [`ImportLimits`](crate::ImportLimits) allow. Nothing was made of it.
    #[non_exhaustive]
    Limit {
        /// The file.
        path: PathBuf,
        /// Which limit: the name of a field of [`ImportLimits`](crate::ImportLimits).
        limit: &'static str,
        /// What the file has or declares, as far as it was read: where it is not declared, there may be more.
        value: u64,
        /// What the limit allows.
        allowed: u64,
    },
    /// A record and its type do not fit together; see [`to_attributes`](crate::to_attributes).
    #[non_exhaustive]
    Record {
        /// The point that was read.
        key: Option<Key>,
        /// The field, with what leads to it, as in `address.lines[2]`; empty for the record as a whole.
        field: String,
        /// What is wrong with it: as a rule what the type expected and what was found.
        reason: String,
    },
    /// All 2^32 - 1 slots are in use.
    TooManyPoints,
    /// The progress callback asked to stop. Nothing was changed.
    Cancelled,
}

impl Error {
    /// What bytes that the format does not allow mean for the file that holds them.
    pub(crate) fn corrupt(path: &Path, invalid: Invalid) -> Self {
        let (path, reason) = (path.to_owned(), invalid.reason.into_owned());
        if invalid.newer {
            return Self::Unsupported { path, reason };
        }
        Self::Corrupt { path, offset: invalid.offset, section: invalid.section, reason }
    }

    /// A nested value that was stored and does not decode: its bytes passed their checksum, so a program wrote them wrongly.
    pub(crate) fn nested(path: &Path, error: NestedError) -> Self {
        Self::corrupt(path, Invalid::with(0, "nested value", error.to_string()))
    }

    /// A directory that a new database was to be made in, and that holds something.
    pub(crate) fn not_empty(path: &Path, entry: &str) -> Self {
        let path = path.display();
        Self::invalid_argument(format!(
            "{path} is not empty (it holds {entry}); a database needs a directory of its own"
        ))
    }

    /// A new file or database that was to be made among the files of another one.
    pub(crate) fn inside_database(path: &Path, database: &Path) -> Self {
        let (path, database) = (path.display(), database.display());
        Self::invalid_argument(format!("{path} is inside of the database {database}; choose a place outside of it"))
    }

    pub(crate) fn invalid_argument(reason: impl Into<String>) -> Self {
        Self::InvalidArgument { reason: reason.into() }
    }

    /// The same once more, for another caller that it concerns.
    pub(crate) fn again(&self) -> Self {
        match self {
            Self::Corrupt { path, offset, section, reason } => {
                Self::Corrupt { path: path.clone(), offset: *offset, section, reason: reason.clone() }
            }
            Self::Unsupported { path, reason } => Self::Unsupported { path: path.clone(), reason: reason.clone() },
            Self::NoSpace { path } => Self::NoSpace { path: path.clone() },
            Self::Poisoned { reason } => Self::Poisoned { reason: reason.clone() },
            Self::Io { path, operation, source } => {
                let source = match source.raw_os_error() {
                    Some(code) => io::Error::from_raw_os_error(code),
                    None => io::Error::new(source.kind(), source.to_string()),
                };
                Self::Io { path: path.clone(), operation, source }
            }
            Self::Closed => Self::Closed,
            Self::ReadOnly => Self::ReadOnly,
            other => Self::invalid_argument(other.to_string()),
        }
    }

    /// The same, saying which record of a batch is at fault, if one is.
    pub(crate) fn in_record(self, index: u64) -> Self {
        match self {
            Self::InvalidArgument { reason } => Self::InvalidArgument { reason: format!("record {index}: {reason}") },
            other => other,
        }
    }

    /// Bytes on disk cannot be what was written.
    #[must_use]
    pub const fn is_corrupt(&self) -> bool {
        matches!(self, Self::Corrupt { .. })
    }

    /// A newer version of the library wrote the file.
    #[must_use]
    pub const fn is_unsupported(&self) -> bool {
        matches!(self, Self::Unsupported { .. })
    }

    /// Another writer has the database open.
    #[must_use]
    pub const fn is_locked(&self) -> bool {
        matches!(self, Self::Locked { .. })
    }

    /// There is no such database.
    #[must_use]
    pub const fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound { .. })
    }

    /// A database is at the path already.
    #[must_use]
    pub const fn is_already_exists(&self) -> bool {
        matches!(self, Self::AlreadyExists { .. })
    }

    /// The disk is full.
    #[must_use]
    pub const fn is_no_space(&self) -> bool {
        matches!(self, Self::NoSpace { .. })
    }

    /// The handle is read-only.
    #[must_use]
    pub const fn is_read_only(&self) -> bool {
        matches!(self, Self::ReadOnly)
    }

    /// The handle was closed.
    #[must_use]
    pub const fn is_closed(&self) -> bool {
        matches!(self, Self::Closed)
    }

    /// A failed fsync has made the writer stop.
    #[must_use]
    pub const fn is_poisoned(&self) -> bool {
        matches!(self, Self::Poisoned { .. })
    }

    /// An argument cannot be.
    #[must_use]
    pub const fn is_invalid_argument(&self) -> bool {
        matches!(self, Self::InvalidArgument { .. })
    }

    /// A canonical file is not what it must be.
    #[must_use]
    pub const fn is_rejected(&self) -> bool {
        matches!(self, Self::Rejected { .. })
    }

    /// A canonical file has more than the limits allow.
    #[must_use]
    pub const fn is_limit(&self) -> bool {
        matches!(self, Self::Limit { .. })
    }

    /// A record and its type do not fit together.
    #[must_use]
    pub const fn is_record(&self) -> bool {
        matches!(self, Self::Record { .. })
    }

    /// All slots are in use.
    #[must_use]
    pub const fn is_too_many_points(&self) -> bool {
        matches!(self, Self::TooManyPoints)
    }

    /// The system refused an operation on a file.
    #[must_use]
    pub const fn is_io(&self) -> bool {
        matches!(self, Self::Io { .. })
    }

    /// The progress callback asked to stop.
    #[must_use]
    pub const fn is_cancelled(&self) -> bool {
        matches!(self, Self::Cancelled)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Corrupt { path, reason, .. } if path.as_os_str().is_empty() => f.write_str(reason),
            Self::Corrupt { path, offset, section, reason } => {
                write!(f, "{} is corrupt at byte {offset} ({section}): {reason}", path.display())
            }
            Self::Unsupported { path, reason } => {
                write!(f, "{} needs a newer version of this program: {reason}", path.display())
            }
            Self::Locked { path } => write!(f, "{} is open for writing elsewhere", path.display()),
            Self::NotFound { path } => write!(f, "there is no database at {}", path.display()),
            Self::AlreadyExists { path } => write!(f, "{} exists already", path.display()),
            Self::ReadOnly => f.write_str("the database was opened read-only"),
            Self::Closed => f.write_str("the database was closed"),
            Self::NoSpace { path } => {
                write!(f, "no space left to write {}; nothing that was acknowledged is lost", path.display())
            }
            Self::Poisoned { reason } => {
                write!(f, "it is unknown whether writes are durable, open the database again: {reason}")
            }
            Self::Io { path, operation, source } => write!(f, "could not {operation} {}: {source}", path.display()),
            Self::InvalidArgument { reason } => f.write_str(reason),
            Self::Rejected { path, place, reason, .. } => write!(f, "{} {place}: {reason}", path.display()),
            Self::Limit { path, limit, value, allowed } => {
                write!(f, "{} {}", path.display(), ImportLimits::exceeded(limit, *value, *allowed))
            }
            Self::Record { key, field, reason } => {
                if let Some(key) = key {
                    write!(f, "point {key}: ")?;
                }
                if !field.is_empty() {
                    write!(f, "field `{field}`: ")?;
                }
                f.write_str(reason)
            }
            Self::TooManyPoints => f.write_str("all 4,294,967,295 slots are in use"),
            Self::Cancelled => f.write_str("cancelled"),
        }
    }
}

impl std::error::Error for Error {
    /// The message has the system's reason, so the chain goes on behind that one: nothing is said twice.
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } => source.source(),
            _ => None,
        }
    }
}

impl From<StorageError> for Error {
    fn from(error: StorageError) -> Self {
        let no_space = error.is_no_space();
        let (path, operation, source) = error.into_parts();
        if no_space { Self::NoSpace { path } } else { Self::Io { path, operation, source } }
    }
}

impl From<NestedError> for Error {
    /// A nested value that was read and does not decode. Which file it came from is no longer known.
    fn from(error: NestedError) -> Self {
        Self::nested(Path::new(""), error)
    }
}

impl From<KeyError> for Error {
    fn from(error: KeyError) -> Self {
        Self::InvalidArgument { reason: error.to_string() }
    }
}

impl From<ValueTooLarge> for Error {
    fn from(error: ValueTooLarge) -> Self {
        Self::InvalidArgument { reason: error.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::error::Error as _;

    #[test]
    fn a_chain_of_messages_says_nothing_twice() {
        #[derive(Debug)]
        struct Wrapped(io::Error);
        impl fmt::Display for Wrapped {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the remote side")
            }
        }
        impl std::error::Error for Wrapped {
            fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
                Some(&self.0)
            }
        }
        let failed = |source| Error::from(StorageError::new("/d/f", "read", source));
        let plain = failed(io::Error::from_raw_os_error(5));
        assert!(plain.to_string().starts_with("could not read /d/f: Input/output error"), "{plain}");
        assert!(plain.source().is_none());

        let wrapped = failed(io::Error::other(Wrapped(io::Error::other("reset"))));
        let mut chain = vec![wrapped.to_string()];
        let mut next = wrapped.source();
        while let Some(error) = next {
            chain.push(error.to_string());
            next = error.source();
        }
        assert_eq!(chain, ["could not read /d/f: the remote side", "reset"]);
    }

    #[test]
    fn only_an_error_about_a_record_names_it() {
        let error = Error::from(ValueTooLarge).in_record(7);
        assert!(error.is_invalid_argument() && error.to_string().starts_with("record 7: a value has"), "{error}");
        assert_eq!(Error::TooManyPoints.in_record(7).to_string(), Error::TooManyPoints.to_string());
    }
}
