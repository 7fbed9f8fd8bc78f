//! The files of a database.

use crate::engine::Outcome;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

/// So often it is tried again to remove a directory in which files appear.
const ATTEMPTS: u32 = 1000;

/// All files below a directory.
pub(crate) fn below(directory: &Path) -> Outcome<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut directories = vec![directory.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                directories.push(entry.path());
            } else {
                files.push(entry.path());
            }
        }
    }
    Ok(files)
}

/// Reads all files below a directory, so that they are in the page cache.
pub(crate) fn read_all(directory: &Path) -> Outcome<()> {
    let mut buffer = vec![0; 1 << 20];
    for path in below(directory)? {
        let mut file = fs::File::open(path)?;
        while file.read(&mut buffer)? > 0 {}
    }
    Ok(())
}

/// Removes a directory with all that is in it, if it is there. What an engine that is still open puts there meanwhile is removed, too.
pub(crate) fn remove(directory: &Path) -> Outcome<()> {
    for _ in 0..ATTEMPTS {
        if !directory.try_exists()? || fs::remove_dir_all(directory).is_ok() {
            return Ok(());
        }
    }
    Ok(fs::remove_dir_all(directory)?)
}

/// Copies a directory beside itself, for a process that changes what is in it. The path of the copy.
pub(crate) fn copy_beside(directory: &Path) -> Outcome<PathBuf> {
    copy_as(directory, "copy")
}

/// The same, with an extension of its own for each copy.
pub(crate) fn copy_as(directory: &Path, extension: &str) -> Outcome<PathBuf> {
    let copy = directory.with_extension(extension);
    remove(&copy)?;
    fs::create_dir_all(&copy)?;
    for path in below(directory)? {
        let target = copy.join(path.strip_prefix(directory)?);
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::copy(&path, target)?;
    }
    Ok(copy)
}

/// Has the system drop what it keeps of the files below a directory.
pub(crate) fn evict(directory: &Path) -> Outcome<()> {
    // Pages that are not written yet would stay.
    rustix::fs::sync();
    for path in below(directory)? {
        rustix::fs::fadvise(&fs::File::open(path)?, 0, None, rustix::fs::Advice::DontNeed)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;

    #[test]
    fn directories_in_which_files_appear_are_removed() {
        let directory = std::env::temp_dir().join(format!("compare-remove-{}", std::process::id()));
        remove(&directory).unwrap();
        for _ in 0..50 {
            fs::create_dir_all(&directory).unwrap();
            (0..20).for_each(|file| drop(fs::write(directory.join(format!("old-{file}")), "")));
            let is_over = AtomicBool::new(false);
            thread::scope(|scope| {
                scope.spawn(|| {
                    (0..).take_while(|_| !is_over.load(Ordering::Relaxed)).for_each(|file| {
                        let _ = fs::write(directory.join(format!("new-{}", file % 8)), "");
                    });
                });
                remove(&directory).unwrap();
                is_over.store(true, Ordering::Relaxed);
            });
            assert!(!directory.exists());
        }
    }
}
