//! The files of a database.

use crate::engine::Outcome;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

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

/// Removes a directory with all that is in it, if it is there.
pub(crate) fn remove(directory: &Path) -> Outcome<()> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

/// Copies a directory beside itself, for a process that changes what is in it. The path of the copy.
pub(crate) fn copy_beside(directory: &Path) -> Outcome<PathBuf> {
    let copy = directory.with_extension("copy");
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
