//! How the program ends: the exit codes, and the one sentence on stderr that goes with a failure.

use crate::interrupt;
use crate::output::printable;
use std::fmt;
use std::io;
use std::path::Path;
use std::process::ExitCode;

/// What the exit code says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Exit {
    /// What was asked is done.
    Done = 0,
    /// A key or a value that was asked for is not there.
    NotFound = 1,
    /// The command line does not make sense.
    Usage = 2,
    /// Bytes on disk are not what was written, or a `.db` file to import is not what it must be.
    Corrupt = 3,
    /// Another process is writing to the database.
    Locked = 4,
    /// Anything else: a missing file, a rejected source, no space.
    Other = 5,
    /// Ctrl-C; the number is that of shells, 128 and that of the signal.
    Interrupted = 130,
    /// `kill`.
    Terminated = 143,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// What there is of a file or database that could not be made.
const NOTHING_LEFT: &str = "nothing was left behind";

/// Why a command did not do what was asked.
#[derive(Debug)]
pub(crate) struct Failure {
    exit: Exit,
    message: String,
    /// The reader of stdout has gone away: not worth a word.
    broken_pipe: bool,
}

/// What a command returns.
pub(crate) type Outcome<T = Exit> = Result<T, Failure>;

impl Failure {
    /// A command line that does not make sense.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self { exit: Exit::Usage, message: message.into(), broken_pipe: false }
    }

    /// Any failure without a code of its own.
    pub(crate) fn other(message: impl Into<String>) -> Self {
        Self { exit: Exit::Other, message: message.into(), broken_pipe: false }
    }

    /// Bytes on disk are not what was written.
    pub(crate) fn corrupt(message: impl Into<String>) -> Self {
        Self { exit: Exit::Corrupt, message: message.into(), broken_pipe: false }
    }

    /// A signal asked the work to stop.
    pub(crate) fn stopped(exit: Exit) -> Self {
        Self { exit, message: "interrupted".to_owned(), broken_pipe: false }.with_hint(NOTHING_LEFT)
    }

    /// A failure of the file system at a path.
    pub(crate) fn file(path: &Path, error: &io::Error) -> Self {
        Self::other(format!("{}: {}", path.display(), reason(error)))
    }

    /// A failure of the library to make something new.
    pub(crate) fn not_made(error: vector_datalib::Error) -> Self {
        match &error {
            vector_datalib::Error::NoSpace { path, .. } => {
                Self::other(format!("no space left to write {}", path.display())).with_hint(NOTHING_LEFT)
            }
            vector_datalib::Error::Io { source, .. } if source.kind() == io::ErrorKind::ReadOnlyFilesystem => {
                Self::from(error).with_hint(NOTHING_LEFT)
            }
            _ => error.into(),
        }
    }

    /// A failure of the file system to make a file.
    pub(crate) fn file_not_made(path: &Path, error: &io::Error) -> Self {
        let failure = Self::file(path, error);
        match error.kind() {
            io::ErrorKind::StorageFull
            | io::ErrorKind::QuotaExceeded
            | io::ErrorKind::FileTooLarge
            | io::ErrorKind::ReadOnlyFilesystem => failure.with_hint(NOTHING_LEFT),
            _ => failure,
        }
    }

    /// A failure to write to stdout.
    pub(crate) fn stdout(error: &io::Error) -> Self {
        Self {
            broken_pipe: error.kind() == io::ErrorKind::BrokenPipe,
            ..Self::other(format!("stdout: {}", reason(error)))
        }
    }

    /// The exit code.
    pub(crate) const fn exit(&self) -> Exit {
        if self.broken_pipe { Exit::Done } else { self.exit }
    }

    /// Whether there is nobody left to write to: the program ends without a word.
    pub(crate) const fn is_silent(&self) -> bool {
        self.broken_pipe
    }

    /// The same failure with what helps added to its sentence.
    pub(crate) fn with_hint(mut self, hint: &str) -> Self {
        self.message.push_str("; ");
        self.message.push_str(hint);
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // One sentence is one line, whatever a file name or a cell inside of it holds.
        f.write_str(&printable(&self.message))
    }
}

impl From<vector_datalib::Error> for Failure {
    fn from(error: vector_datalib::Error) -> Self {
        if error.is_cancelled() {
            return interrupt::failure();
        }
        let exit = if error.is_corrupt() || error.is_rejected() || error.is_limit() {
            Exit::Corrupt
        } else if error.is_locked() {
            Exit::Locked
        } else if error.is_invalid_argument() {
            Exit::Usage
        } else {
            Exit::Other
        };
        Self { exit, message: error.to_string(), broken_pipe: false }
    }
}

impl From<vector_datalib::NestedError> for Failure {
    fn from(error: vector_datalib::NestedError) -> Self {
        Self::corrupt(error.to_string())
    }
}

/// The reason without the "(os error 2)" that the standard library adds.
fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error") {
        Some((words, _)) => words.to_owned(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_one_line_whatever_it_quotes() {
        assert_eq!(Failure::other("a\nb\u{1b}[2J").to_string(), "a\\nb\\u{1b}[2J");
    }

    #[test]
    fn a_broken_pipe_is_silent_and_other_failures_of_stdout_are_not() {
        let gone = Failure::stdout(&io::Error::from(io::ErrorKind::BrokenPipe));
        assert!(gone.is_silent());
        assert_eq!(gone.exit(), Exit::Done);
        let full = Failure::stdout(&io::Error::from_raw_os_error(28));
        assert!(!full.is_silent());
        assert_eq!((full.exit(), full.to_string().as_str()), (Exit::Other, "stdout: No space left on device"));
    }
}
