//! What these tests need of the system: other users, directories that they may enter, mounts. Without it a test says so and ends.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// A user who owns nothing: "nobody".
pub(super) const NOBODY: u32 = 65534;

/// Whether this process may become another user and mount.
pub(super) fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|metadata| metadata.uid() == 0)
}

/// A temporary directory that all users may enter.
pub(super) fn open_directory() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
    dir
}

/// A mount that ends with the value.
#[derive(Debug)]
pub(super) struct Mount {
    at: PathBuf,
}

impl Mount {
    /// Runs `mount` with these arguments and the directory `at`, which is created. `None` where that is not allowed.
    pub(super) fn new(arguments: &[&str], at: &Path) -> Option<Self> {
        fs::create_dir_all(at).unwrap();
        let output = Command::new("mount").args(arguments).arg(at).output().ok()?;
        output.status.success().then(|| Self { at: at.to_owned() })
    }

    /// Mounts again with other options.
    pub(super) fn remount(&self, options: &str) -> bool {
        let output = Command::new("mount").args(["-o", options]).arg(&self.at).output();
        output.is_ok_and(|output| output.status.success())
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // Lazily, so that files which a failed test still has open do not keep it.
        let _gone_with_the_machine = Command::new("umount").arg("-l").arg(&self.at).status();
    }
}

/// Every file of a directory: name, permissions, length, time of the last change, content.
pub(super) fn inventory(path: &Path) -> Vec<(String, u32, u64, (i64, i64), Vec<u8>)> {
    let mut files: Vec<_> = fs::read_dir(path)
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            let metadata = entry.metadata().unwrap();
            let changed = (metadata.ctime(), metadata.ctime_nsec());
            let name = entry.file_name().into_string().unwrap();
            (name, metadata.mode(), metadata.len(), changed, fs::read(entry.path()).unwrap())
        })
        .collect();
    files.sort();
    files
}

/// Copies the files of a database as they are, which is what a crash of its writer would leave.
pub(super) fn copy_as_after_a_crash(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}
