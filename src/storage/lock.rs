//! The writer's lock: at most one writer for a directory, in this process or any other.
//!
//! It is a kernel lock (`flock`, through std's `File::try_lock`), so it ends with its holder however
//! that ends, and there is nothing to clean up. It belongs to the open file, not to the process: a
//! second attempt in the same process is refused like any other, by whatever path it came.
//!
//! Two files are locked, in this order:
//!
//! 1. the directory itself, so that removing or recreating `LOCK` while it is held admits nobody;
//! 2. `LOCK`, which is the documented lock, for programs that know only that one. It is created when
//!    missing, never deleted, and stays empty. After locking, the path is compared with what was
//!    locked: if `LOCK` was recreated in between, the lock is on a file that nobody else will find,
//!    and is taken again on the new one.
//!
//! **Forking.** Files are opened close-on-exec, so that a program started by the holder does not keep
//! the lock. A child that is forked and goes on without exec shares the descriptors, but the lock
//! is not its own ([`StorageLock::is_ours`]): it may not write, and what it drops unlocks nothing. The
//! process that took the lock releases it explicitly, not only by closing: while some other thread is
//! between fork and exec, a copy of the descriptors would keep it a moment longer.
//!
//! Network file systems are outside the model.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::{LOCK_NAME, StorageError, StorageLock};

/// How often `LOCK` may be recreated under our hands before we give up: once is a rare race, this
/// often is a program that does nothing else.
const ATTEMPT_COUNT_MAX: usize = 16;

/// A held lock; dropping it releases it.
#[derive(Debug)]
pub(super) struct DiskLock {
    lock_file: File,
    directory: File,
    /// The process that took it.
    process: u32,
}

impl StorageLock for DiskLock {
    fn is_ours(&self) -> bool {
        self.process == std::process::id()
    }
}

impl Drop for DiskLock {
    fn drop(&mut self) {
        if self.is_ours() {
            // Where this fails, closing the files, which follows, does the same.
            let _closed_anyway = self.lock_file.unlock();
            let _closed_anyway = self.directory.unlock();
        }
    }
}

impl DiskLock {
    /// Takes the lock of `directory`, or returns `None` when somebody has it. `called` is what messages call it.
    pub(super) fn acquire(directory: &Path, called: &Path) -> Result<Option<Self>, StorageError> {
        let failed = |cause| StorageError::new(called, "lock", cause);
        let opened = File::open(directory).map_err(failed)?;
        if !try_lock(&opened).map_err(failed)? {
            return Ok(None);
        }
        let lock_file = lock_path(&directory.join(LOCK_NAME), || ())
            .map_err(|cause| StorageError::new(called.join(LOCK_NAME), "lock", cause))?;
        Ok(lock_file.map(|lock_file| Self { lock_file, directory: opened, process: std::process::id() }))
    }
}

/// Locks the file that is at `path` at the time of the return.
///
/// `opened` is called between opening and locking, where a test recreates the file.
fn lock_path(path: &Path, mut opened: impl FnMut()) -> io::Result<Option<File>> {
    for _ in 0..ATTEMPT_COUNT_MAX {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        opened();
        if !try_lock(&file)? {
            return Ok(None);
        }
        if is_at(&file, path)? {
            return Ok(Some(file));
        }
    }
    Err(io::Error::other("the file is recreated again and again"))
}

/// Whether `file` is what `path` leads to now.
pub(super) fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let ours = file.metadata()?;
    match fs::metadata(path) {
        Ok(found) => Ok(found.dev() == ours.dev() && found.ino() == ours.ino()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Locks `file` if nobody has it locked.
pub(super) fn try_lock(file: &File) -> io::Result<bool> {
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(true),
            Err(TryLockError::WouldBlock) => return Ok(false),
            Err(TryLockError::Error(error)) if error.kind() == ErrorKind::Interrupted => {}
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;
    use std::sync::Barrier;
    use std::thread;
    use tempfile::tempdir;

    fn acquire(directory: &Path) -> Option<DiskLock> {
        DiskLock::acquire(directory, directory).unwrap()
    }

    #[test]
    fn second_lock_in_the_same_process_is_refused() {
        let directory = tempdir().unwrap();
        let held = acquire(directory.path());
        assert!(held.is_some());
        assert!(acquire(directory.path()).is_none());
        drop(held);
        assert!(acquire(directory.path()).is_some());
    }

    #[test]
    fn other_paths_to_the_directory_conflict() {
        let parent = tempdir().unwrap();
        let directory = parent.path().join("a.vdb");
        fs::create_dir(&directory).unwrap();
        let link = parent.path().join("link");
        symlink(&directory, &link).unwrap();
        let held = acquire(&link);
        assert!(held.is_some());
        assert!(acquire(&directory).is_none());
        assert!(acquire(&parent.path().join("link/../a.vdb/.")).is_none());
        drop(held);
        assert!(acquire(&directory).is_some());
    }

    #[test]
    fn renaming_the_directory_keeps_it_locked() {
        let parent = tempdir().unwrap();
        let (from, to) = (parent.path().join("a"), parent.path().join("b"));
        fs::create_dir(&from).unwrap();
        let held = acquire(&from);
        fs::rename(&from, &to).unwrap();
        assert!(acquire(&to).is_none());
        drop(held);
    }

    /// A lock on the file alone would be lost here: the newcomer locks the new file, finds it at its
    /// path, and there are two writers.
    #[test]
    fn deleting_or_recreating_the_file_admits_nobody() {
        let directory = tempdir().unwrap();
        let path = directory.path().join(LOCK_NAME);
        let held = acquire(directory.path());
        fs::remove_file(&path).unwrap();
        assert!(acquire(directory.path()).is_none());
        File::create_new(&path).unwrap();
        assert!(acquire(directory.path()).is_none());
        drop(held);
        assert!(acquire(directory.path()).is_some());
    }

    #[test]
    fn a_program_that_knows_only_the_file_is_honoured() {
        let directory = tempdir().unwrap();
        let path = directory.path().join(LOCK_NAME);
        let other = File::create_new(&path).unwrap();
        assert!(try_lock(&other).unwrap());
        assert!(acquire(directory.path()).is_none());

        // A lock on a file that is no longer there is nobody's.
        fs::remove_file(&path).unwrap();
        let held = acquire(directory.path());
        assert!(held.is_some());
        let reopened = File::open(&path).unwrap();
        assert!(!try_lock(&reopened).unwrap());
    }

    #[test]
    fn a_recreated_file_is_told_from_the_locked_one() {
        let directory = tempdir().unwrap();
        let path = directory.path().join(LOCK_NAME);
        let file = File::create_new(&path).unwrap();
        assert!(is_at(&file, &path).unwrap());
        fs::remove_file(&path).unwrap();
        assert!(!is_at(&file, &path).unwrap());
        let _new = File::create_new(&path).unwrap();
        assert!(!is_at(&file, &path).unwrap());
    }

    #[test]
    fn a_file_recreated_before_it_was_locked_is_locked_again() {
        let directory = tempdir().unwrap();
        let path = directory.path().join(LOCK_NAME);
        let mut recreation_count = 0;
        let held = lock_path(&path, || {
            if recreation_count < 2 {
                recreation_count += 1;
                fs::remove_file(&path).unwrap();
                File::create_new(&path).unwrap();
            }
        });
        let held = held.unwrap().unwrap();
        assert!(is_at(&held, &path).unwrap());

        drop(held);
        let endless = lock_path(&path, || fs::remove_file(&path).unwrap());
        assert!(endless.is_err());
    }

    #[test]
    fn the_content_of_the_file_is_left_alone() {
        let directory = tempdir().unwrap();
        let path = directory.path().join(LOCK_NAME);
        fs::write(&path, b"somebody's note").unwrap();
        drop(acquire(directory.path()));
        assert_eq!(fs::read(&path).unwrap(), b"somebody's note");
    }

    #[test]
    fn one_of_many_threads_wins() {
        const THREAD_COUNT: usize = 8;
        let directory = tempdir().unwrap();
        let start = Barrier::new(THREAD_COUNT);
        let winners: Vec<DiskLock> = thread::scope(|scope| {
            let attempts: Vec<_> = (0..THREAD_COUNT)
                .map(|_| {
                    scope.spawn(|| {
                        start.wait();
                        acquire(directory.path())
                    })
                })
                .collect();
            attempts.into_iter().filter_map(|attempt| attempt.join().unwrap()).collect()
        });
        assert_eq!(winners.len(), 1);
    }

    #[test]
    fn a_missing_directory_is_an_error() {
        let parent = tempdir().unwrap();
        let error = DiskLock::acquire(&parent.path().join("none"), Path::new("called")).unwrap_err();
        assert!(error.is_not_found());
    }
}
