//! Files and directories that appear under their name only when they are whole.

use super::StorageError;
use super::disk::{MadeDirectories, create_directories};
use super::lock::{is_at, try_lock};
use std::fs::{self, File, FileType, Metadata, Permissions};
use std::io::{self, BufWriter, ErrorKind, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Component, Path, PathBuf};
use tempfile::{Builder, NamedTempFile, TempDir};

/// Bytes gathered before they are written.
const BUFFER_LEN: usize = 1 << 20;

/// How the name of a directory ends that is not whole yet.
const LOADING: &str = ".loading";

/// How the name of a file ends that is not whole yet: like nobody else's, since what is found under such a name may be removed.
const EXPORTING: &str = ".exporting";

/// Bytes that the name of a file may have.
const NAME_LEN_MAX: usize = 255;

/// Characters of a temporary name that are made up.
const RANDOM_LEN: usize = 6;

/// How often a file or directory is made again that was taken for a left-over between its making and its locking, or whose parent was:
/// once is a rare race, this often is a program that does nothing else.
const ATTEMPT_COUNT_MAX: usize = 16;

/// The folder that a path lies in.
fn parent(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// The start of a temporary name that says what it will become, as far as there is room for that.
fn prefix(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let room = NAME_LEN_MAX - ".".len() - ".".len() - RANDOM_LEN - LOADING.len().max(EXPORTING.len());
    format!(".{}.", name.get(..name.floor_char_boundary(room)).unwrap_or_default())
}

fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// The directory that a path lies in, without symbolic links and `..`. It need not be there yet, nor those above it.
pub(crate) fn resolved_parent(path: &Path) -> Option<PathBuf> {
    let absolute = std::path::absolute(path).ok()?;
    let mut resolved = PathBuf::new();
    for component in absolute.parent()?.components() {
        if component == Component::ParentDir {
            resolved.pop();
        } else {
            resolved.push(component);
            resolved = resolved.canonicalize().unwrap_or(resolved);
        }
    }
    Some(resolved)
}

/// Whether a path, or what it is a link to, lies in a directory, at any depth, as far as can be told. The path need not exist.
pub(super) fn is_inside(path: &Path, directory: &Path) -> bool {
    let linked = path.canonicalize().ok().and_then(|path| Some(path.parent()?.to_owned()));
    let places = [resolved_parent(path), linked];
    directory.canonicalize().is_ok_and(|directory| places.iter().flatten().any(|place| place.starts_with(&directory)))
}

/// A file being written beside the one that it will replace. Dropped before [`commit`](Self::commit), it leaves nothing.
///
/// It is locked as long as this lives, so that what a killed process has left is told from what another one is at.
#[derive(Debug)]
pub struct StagedFile {
    writer: BufWriter<NamedTempFile>,
    /// The file that it will replace.
    place: PathBuf,
    /// What the caller calls that.
    target: PathBuf,
}

impl StagedFile {
    /// Starts a file that will be at `target`, or be what that is a link to, after removing what killed processes have left of such a
    /// file. If one is there, the new one has its mode, and its owner and group as far as the process may give them away.
    /// Directories, pipes and devices are refused.
    pub fn create(target: &Path) -> Result<Self, StorageError> {
        let failed = |cause| StorageError::new(target, "create", cause);
        let place = replaceable(target).map_err(failed)?;
        remove_left_overs(&place, EXPORTING);
        for _ in 0..ATTEMPT_COUNT_MAX {
            if let Some(file) = locked_file(&place).map_err(failed)? {
                if let Ok(replaced) = fs::metadata(&place) {
                    take_after(&replaced, file.path()).map_err(failed)?;
                }
                let writer = BufWriter::with_capacity(BUFFER_LEN, file);
                return Ok(Self { writer, place, target: target.to_owned() });
            }
        }
        Err(failed(io::Error::other("the file is removed again and again")))
    }

    /// Makes the file durable and puts it in place of what has its name.
    pub fn commit(self) -> Result<(), StorageError> {
        let Self { writer, place, target } = self;
        let error = |operation: &'static str| {
            let target = target.clone();
            move |source: io::Error| StorageError::new(target, operation, source)
        };
        let file = writer.into_inner().map_err(|failed| error("write")(failed.into_error()))?;
        file.as_file().sync_all().map_err(error("sync"))?;
        file.persist(&place).map_err(|failed| error("replace")(failed.error))?;
        sync_directory(&parent(&place)).map_err(error("sync the folder of"))
    }
}

impl Write for StagedFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.writer.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

impl Seek for StagedFile {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.writer.seek(to)
    }
}

/// A directory being filled beside the one that it will become. Dropped before [`commit`](Self::commit), it leaves nothing.
///
/// It is locked as long as this lives, so that what a killed process has left is told from what another one is at.
#[derive(Debug)]
pub struct StagedDirectory {
    // Dropped in this order: removed while it is locked, and before those above it.
    directory: TempDir,
    lock: File,
    above: MadeDirectories,
    target: PathBuf,
}

impl StagedDirectory {
    /// Starts a directory that will be at `target`, making the folders above it. If an empty one is there, the new one has its
    /// mode, and its owner and group as far as the process may give them away.
    pub fn create(target: &Path) -> Result<Self, StorageError> {
        let failed = |cause| StorageError::new(target, "create", cause);
        let parent = std::path::absolute(parent(target)).map_err(failed)?;
        let mut failure = failed(io::Error::other("the directory is removed again and again"));
        for _ in 0..ATTEMPT_COUNT_MAX {
            let above = match create_directories(&parent) {
                Ok(above) => above,
                // Another one, which made the folders above, may be removing them.
                Err(error) if matches!(error.io_error().kind(), ErrorKind::NotFound | ErrorKind::AlreadyExists) => {
                    failure = error;
                    continue;
                }
                Err(error) => return Err(error),
            };
            match locked_directory(&parent, target) {
                Ok(Some((directory, lock))) => {
                    if let Ok(replaced) = fs::metadata(target) {
                        take_after(&replaced, directory.path()).map_err(failed)?;
                    }
                    return Ok(Self { directory, lock, above, target: target.to_owned() });
                }
                Ok(None) => {}
                // Whoever made the folders above has removed them since.
                Err(cause) if cause.kind() == ErrorKind::NotFound => {}
                Err(cause) => return Err(failed(cause)),
            }
        }
        Err(failure)
    }

    /// Where the directory is until it is whole.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Puts the directory, whose contents are durable, in place. Fails if something other than an empty directory is there.
    pub fn commit(self) -> Result<(), StorageError> {
        let Self { mut directory, lock, above, target } = self;
        if let Err(source) = fs::rename(directory.path(), &target) {
            drop(directory);
            drop(above);
            return Err(StorageError::new(target, "create", source));
        }
        directory.disable_cleanup(true);
        above.keep();
        // What is there now is not ours any more. Closing the file does the same, unless a child between fork and exec has a copy.
        let _closed_anyway = lock.unlock();
        sync_directory(&parent(&target)).map_err(|source| StorageError::new(target, "sync the folder of", source))
    }

    /// Removes the directories that were to become `target` and whose process was killed.
    pub fn remove_left_overs(target: &Path) {
        remove_left_overs(target, LOADING);
    }
}

/// Removes the files or directories beside `target` with a temporary name of this ending that no process is at. As far as it can: none
/// of them is in the way of anything but space.
fn remove_left_overs(target: &Path, ending: &str) {
    let Ok(entries) = parent(target).read_dir() else { return };
    let prefix = prefix(target);
    let is_ours = |name: &str| {
        let random = name.strip_prefix(&prefix).and_then(|rest| rest.strip_suffix(ending));
        random.is_some_and(|random| random.len() == RANDOM_LEN && random.bytes().all(|b| b.is_ascii_alphanumeric()))
    };
    for entry in entries.flatten() {
        let is_meant = |kind: FileType| if ending == LOADING { kind.is_dir() } else { kind.is_file() };
        if entry.file_type().is_ok_and(is_meant) && is_ours(&entry.file_name().to_string_lossy()) {
            let _only_space = remove_if_abandoned(&entry.path());
        }
    }
}

/// The file that is replaced when a new one comes to be at `target`.
fn replaceable(target: &Path) -> io::Result<PathBuf> {
    match fs::metadata(target) {
        Ok(found) if found.is_dir() => Err(ErrorKind::IsADirectory.into()),
        Ok(found) if !found.is_file() => {
            Err(io::Error::other("a pipe or a device is there, and only files are replaced"))
        }
        Ok(_) => target.canonicalize(),
        Err(_) => Ok(target.to_owned()),
    }
}

/// A new file beside `target`, locked; `None` where it was taken for a left-over before it was locked.
fn locked_file(target: &Path) -> io::Result<Option<NamedTempFile>> {
    let file = Builder::new()
        .prefix(&prefix(target))
        .suffix(EXPORTING)
        .rand_bytes(RANDOM_LEN)
        // Made here for the permissions that files have, and because tempfile would add its name to the error.
        .make_in(parent(target), |path| File::options().read(true).write(true).create_new(true).open(path))?;
    // Where files cannot be locked, nobody finds this one abandoned.
    let is_ours = try_lock(file.as_file()).unwrap_or(true) && is_at(file.as_file(), file.path())?;
    Ok(is_ours.then_some(file))
}

/// A new directory beside `target`, and its lock; `None` where it was taken for a left-over before it was locked.
fn locked_directory(parent: &Path, target: &Path) -> io::Result<Option<(TempDir, File)>> {
    let directory = Builder::new()
        .prefix(&prefix(target))
        .suffix(LOADING)
        .rand_bytes(RANDOM_LEN)
        .permissions(Permissions::from_mode(0o777))
        .tempdir_in(parent)
        .map_err(without_path)?;
    let lock = match File::open(directory.path()) {
        Ok(lock) => lock,
        Err(cause) if cause.kind() == ErrorKind::NotFound => return Ok(None),
        Err(cause) => return Err(cause),
    };
    let is_ours = try_lock(&lock)? && is_at(&lock, directory.path())?;
    Ok(is_ours.then_some((directory, lock)))
}

/// An error of tempfile without the name that it made up, where the kind says as much as the rest.
fn without_path(error: io::Error) -> io::Error {
    match error.kind() {
        kind @ (ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem | ErrorKind::StorageFull) => kind.into(),
        _ => error,
    }
}

/// Gives a file or directory the mode, and as far as we may the owner and the group, of the one that it will replace.
fn take_after(replaced: &Metadata, path: &Path) -> io::Result<()> {
    // First, because a group that we do not belong to would lose its set-group-ID bit.
    fs::set_permissions(path, replaced.permissions())?;
    let made = fs::metadata(path)?;
    if (made.uid(), made.gid()) != (replaced.uid(), replaced.gid()) {
        let group = Some(replaced.gid());
        let _as_far_as_we_may = chown(path, Some(replaced.uid()), group).or_else(|_| chown(path, None, group));
    }
    Ok(())
}

/// Removes a file or directory that nobody has locked.
fn remove_if_abandoned(path: &Path) -> io::Result<()> {
    let lock = File::open(path)?;
    // Between the two it may have become what it was to be.
    if !(try_lock(&lock)? && is_at(&lock, path)?) {
        return Ok(());
    }
    if lock.metadata()?.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_appears_whole_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("a.db");
        std::fs::write(&target, "old").unwrap();
        let mut staged = StagedFile::create(&target).unwrap();
        staged.write_all(b"new").unwrap();
        drop(staged);
        assert_eq!(std::fs::read(&target).unwrap(), b"old");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
        let mut staged = StagedFile::create(&target).unwrap();
        staged.write_all(b"new").unwrap();
        staged.commit().unwrap();
        assert_eq!(std::fs::read(&target).unwrap(), b"new");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn only_a_file_is_replaced_and_a_link_leads_to_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        std::fs::create_dir(path("folder")).unwrap();
        assert!(std::process::Command::new("mkfifo").arg(path("pipe")).status().unwrap().success());
        std::os::unix::fs::symlink("pipe", path("link")).unwrap();
        for name in ["folder", "pipe", "link"] {
            let error = StagedFile::create(&path(name)).unwrap_err().to_string();
            assert!(error.starts_with(&format!("could not create {}: ", path(name).display())), "{error}");
        }
        std::fs::create_dir(path("a")).unwrap();
        std::fs::write(path("a/file"), "old").unwrap();
        std::os::unix::fs::symlink("a/file", path("to a file")).unwrap();
        let mut staged = StagedFile::create(&path("to a file")).unwrap();
        staged.write_all(b"new").unwrap();
        staged.commit().unwrap();
        assert_eq!(std::fs::read(path("a/file")).unwrap(), b"new");
        assert!(path("to a file").is_symlink());
        assert_eq!((names(&path("a")), names(dir.path()).len()), (vec!["file".to_owned()], 5));
        let error = StagedFile::create(&path("no/x")).unwrap_err().to_string();
        assert!(!error.contains(".exporting"), "{error}");
    }

    #[test]
    fn a_name_may_be_as_long_as_names_are() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["x".repeat(255), "é".repeat(127)] {
            let target = dir.path().join(&name);
            StagedFile::create(&target).unwrap().commit().unwrap();
            assert_eq!(names(dir.path()), [&*name]);
            fs::remove_file(&target).unwrap();
            StagedDirectory::create(&target).unwrap().commit().unwrap();
            assert_eq!(names(dir.path()), [&*name]);
            let temporary = format!("{}abcdef{EXPORTING}", prefix(&target));
            std::fs::write(dir.path().join(&temporary), "x").unwrap();
            remove_left_overs(&target, EXPORTING);
            assert_eq!(names(dir.path()), [&*name]);
            fs::remove_dir(&target).unwrap();
        }
    }

    /// Whoever could not read the old file cannot read the new one.
    #[test]
    fn a_file_that_replaces_one_has_its_mode() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("a");
        std::fs::write(&target, "old").unwrap();
        for mode in [0o600, 0o640, 0o444] {
            fs::set_permissions(&target, Permissions::from_mode(mode)).unwrap();
            let mut staged = StagedFile::create(&target).unwrap();
            staged.write_all(b"new").unwrap();
            staged.commit().unwrap();
            assert_eq!(fs::metadata(&target).unwrap().mode() & 0o7777, mode);
        }
    }

    #[test]
    fn a_directory_appears_whole_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("deep/er/a.vdb");
        let staged = StagedDirectory::create(&target).unwrap();
        std::fs::write(staged.path().join("x"), "x").unwrap();
        drop(staged);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "the folders above are gone too");
        let staged = StagedDirectory::create(&target).unwrap();
        std::fs::write(staged.path().join("x"), "x").unwrap();
        staged.commit().unwrap();
        assert!(target.join("x").exists());
        let second = StagedDirectory::create(&target).unwrap();
        assert!(second.commit().is_err(), "a directory that is not empty is not replaced");
        assert_eq!(std::fs::read_dir(target.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn a_directory_has_the_mode_of_the_empty_one_that_it_replaces() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("a");
        for mode in [0o700, 0o2775, 0o1777] {
            std::fs::create_dir(&target).unwrap();
            std::fs::set_permissions(&target, Permissions::from_mode(mode)).unwrap();
            let staged = StagedDirectory::create(&target).unwrap();
            std::fs::write(staged.path().join("x"), "x").unwrap();
            staged.commit().unwrap();
            assert_eq!(std::fs::metadata(&target).unwrap().mode() & 0o7777, mode);
            std::fs::remove_dir_all(&target).unwrap();
        }
    }

    fn names(dir: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(dir).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn only_files_that_killed_processes_have_left_of_the_target_are_removed() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("a");
        let alive = StagedFile::create(&target).unwrap();
        let alive_name = alive.writer.get_ref().path().file_name().unwrap().to_str().unwrap().to_owned();
        let kept = [".a.b.abcdef.exporting", ".a.abcde.exporting", ".a.abcdef.tmp", ".b.abcdef.exporting"];
        for name in kept.iter().chain(&[".a.abcdef.exporting", ".a.ghijkl.exporting"]) {
            std::fs::write(dir.path().join(name), "half").unwrap();
        }
        std::fs::create_dir(dir.path().join(".a.zzzzzz.exporting")).unwrap();
        let second = StagedFile::create(&target).unwrap();
        let second_name = second.writer.get_ref().path().file_name().unwrap().to_str().unwrap().to_owned();
        let mut expected = kept.map(str::to_owned).to_vec();
        expected.extend([".a.zzzzzz.exporting".to_owned(), alive_name, second_name]);
        expected.sort();
        assert_eq!(names(dir.path()), expected);
        alive.commit().unwrap();
        second.commit().unwrap();
        assert!(target.exists());
    }

    /// Makers and removers of the same name at the same time: nobody loses a file that they were given.
    #[test]
    fn a_file_that_is_in_use_is_never_removed() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("a");
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        let mut staged = StagedFile::create(&target).unwrap();
                        staged.write_all(b"x").unwrap();
                        remove_left_overs(&target, EXPORTING);
                        staged.commit().unwrap();
                    }
                });
            }
        });
        assert_eq!((names(dir.path()), std::fs::read(&target).unwrap()), (vec!["a".to_owned()], b"x".to_vec()));
    }

    #[test]
    fn only_left_overs_of_the_target_that_nobody_has_locked_are_removed() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("a");
        let alive = StagedDirectory::create(&target).unwrap();
        for other in [".a.abcdef.loading", ".a.ghijkl.loading"] {
            std::fs::create_dir(dir.path().join(other)).unwrap();
            std::fs::write(dir.path().join(other).join("x"), "x").unwrap();
        }
        let kept = [".a.b.abcdef.loading", ".a.abcde.loading", ".a.abcdef", ".b.abcdef.loading"];
        kept.iter().for_each(|name| std::fs::create_dir(dir.path().join(name)).unwrap());
        std::fs::write(dir.path().join(".a.zzzzzz.loading"), "a file").unwrap();
        StagedDirectory::remove_left_overs(&target);
        assert!(alive.path().exists());
        let mut expected = kept.map(str::to_owned).to_vec();
        expected.push(".a.zzzzzz.loading".to_owned());
        expected.push(alive.path().file_name().unwrap().to_str().unwrap().to_owned());
        expected.sort();
        assert_eq!(names(dir.path()), expected);
        alive.commit().unwrap();
        StagedDirectory::remove_left_overs(&target);
        assert!(target.exists());
    }

    /// Makers and removers of the same name at the same time: nobody loses a directory that they were given.
    #[test]
    fn a_directory_that_is_in_use_is_never_removed() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("deep/a");
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        StagedDirectory::remove_left_overs(&target);
                        let staged = StagedDirectory::create(&target).unwrap();
                        std::fs::write(staged.path().join("x"), "x").unwrap();
                        StagedDirectory::remove_left_overs(&target);
                        assert!(staged.path().join("x").exists());
                    }
                });
            }
        });
        // The folder above stays where its maker was done before another user of it.
        assert!(!target.parent().unwrap().exists() || names(target.parent().unwrap()).is_empty());
    }

    #[test]
    fn a_path_is_inside_at_any_depth_and_through_links() {
        let dir = tempfile::tempdir().unwrap();
        let inside = dir.path().join("a");
        std::fs::create_dir_all(inside.join("sub")).unwrap();
        std::fs::write(inside.join("file"), "x").unwrap();
        std::os::unix::fs::symlink(inside.join("file"), dir.path().join("link")).unwrap();
        for path in ["a/x", "a/sub/x", "a/no/such/x", "a/sub/../x", "no/../a/x", "a/no/../x", "link"] {
            assert!(is_inside(&dir.path().join(path), &inside), "{path}");
        }
        for path in ["a", "x", "a/../x", "no/x", "ab", "a/no/../../x"] {
            assert!(!is_inside(&dir.path().join(path), &inside), "{path}");
        }
    }
}
