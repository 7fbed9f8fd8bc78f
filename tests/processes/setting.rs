//! What these tests need of the system: other users, directories that they may enter, mounts. Without it a test says so and ends.

use std::fs::{self, Permissions};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tempfile::TempDir;

/// A user who owns nothing: "nobody".
pub(super) const NOBODY: u32 = 65534;

/// Whether this process may become another user and mount.
pub(super) fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|metadata| metadata.uid() == 0)
}

/// Says that a test did not run, and why, past the capturing of output: `.ci/run` looks for these lines.
pub(super) fn skip(reason: &str) {
    let name = std::thread::current().name().unwrap_or("a test").to_owned();
    // `eprintln!` would write to what the harness captures.
    let mut stderr = std::io::stderr();
    writeln!(stderr, "\nSKIPPED: {name}: {reason}").unwrap();
}

/// Keeps the other tests of this program waiting.
pub(super) fn alone() -> MutexGuard<'static, ()> {
    static PROGRAM: Mutex<()> = Mutex::new(());
    // A test that failed leaves nothing behind that would matter to the next one.
    PROGRAM.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A seed that `VECTOR_SEED` sets, else another one each time.
pub(super) fn seed() -> u64 {
    let given = std::env::var("VECTOR_SEED").ok().map(|seed| seed.parse().expect("VECTOR_SEED is a number"));
    let seed = given.unwrap_or_else(|| std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos() as u64);
    println!("seed {seed} (VECTOR_SEED={seed} repeats it)");
    seed
}

/// A temporary directory that all users may enter.
pub(super) fn open_directory() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
    dir
}

/// The same, in memory where the system has a directory for that: for tests that make many files durable to no purpose.
pub(super) fn open_directory_in_memory() -> TempDir {
    let shared_memory = Path::new("/dev/shm");
    let parent = if shared_memory.is_dir() { shared_memory.to_owned() } else { std::env::temp_dir() };
    let dir = tempfile::tempdir_in(parent).unwrap();
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

/// A file as it is found.
#[derive(PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct FoundFile {
    name: String,
    mode: u32,
    /// When content or permissions last changed: seconds and nanoseconds.
    changed: (i64, i64),
    content: Vec<u8>,
}

/// Every file of a directory.
pub(super) fn inventory(path: &Path) -> Vec<FoundFile> {
    let mut files: Vec<_> = fs::read_dir(path)
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            let metadata = entry.metadata().unwrap();
            FoundFile {
                name: entry.file_name().into_string().unwrap(),
                mode: metadata.mode(),
                changed: (metadata.ctime(), metadata.ctime_nsec()),
                content: fs::read(entry.path()).unwrap(),
            }
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
