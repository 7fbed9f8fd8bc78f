//! A canonical file becomes a database.

use crate::db::VectorDb;
use crate::engine::{self, ImportOptions, ImportReport};
use crate::error::Result;
use crate::format::canonical::read::ImportLimits;
use crate::new_database::NewDatabase;
use crate::options::{MEMORY_BUDGET, check_memory_budget};
use crate::progress::{self, ProgressFn};
use crate::storage::{SourceFile, Storage};
use std::path::Path;
use std::sync::Arc;

/// Imports a `.db` file of the Python package `vector_datalib`, of any release, or one that [`export`](crate::VectorDb::export) wrote.
///
/// Which release wrote the file is told by its first bytes: LZ4(MessagePack) since 1.4, gzip(MessagePack) and gzip(JSON) before; the
/// latter two need the feature `legacy-import`. Coordinates, the order of dimensions, and every key and value stay as they are, null
/// values and free places too. `created_at`, `version` and `last_modified` are kept ([`Stats::metadata`](crate::Stats::metadata)),
/// the last until the next commit.
///
/// Nothing is taken on trust. What follows from the rest of the file (reference counts, free slots, next ids, totals) is compared, made
/// anew, and counted as a [repair](ImportReport::repairs). What contradicts itself is refused with the place: a key at two coordinates,
/// a coordinate map that disagrees with the points, a value id without a value, a wrong type, anything cut short. Keys are the same if their
/// types and bits are. Bytes behind the LZ4 frame are passed over, as the original does, and counted.
///
/// Memory is bounded by [`memory_budget`](Self::memory_budget), however many keys, values and cells there are. Beside it there are some 16 MB of
/// buffers, four times the longest value, two or three bits for each slot, and for each dimension twice its name and a few hundred bytes. What
/// does not fit is put aside in temporary files without a name, of up to a few times the content's size. Time follows the content, too: a
/// long value that many points share costs its length once.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let (file, path) = (dir.path().join("people.db"), dir.path().join("people.vdb"));
/// use vector_datalib::{Import, VectorDb, attrs};
/// # let other = VectorDb::create(dir.path().join("other.vdb"))?;
/// # other.upsert(101, attrs! { "name" => "Alice" })?;
/// # other.export(&file)?;
/// let report = Import::new().memory_budget(64 << 20).run(&file, &path)?;
/// assert_eq!(report.points, 1);
/// assert!(report.repairs.is_empty());
/// assert_eq!(VectorDb::open(&path)?.lookup(101, "name")?, Some("Alice".into()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "an import does nothing until it is run"]
pub struct Import {
    options: ImportOptions,
}

impl Default for Import {
    fn default() -> Self {
        Self::new()
    }
}

impl Import {
    /// An import with a budget of 256 MiB, the [default limits](ImportLimits), and no salvage.
    pub fn new() -> Self {
        let limits = ImportLimits::default();
        Self { options: ImportOptions { memory_budget: MEMORY_BUDGET, limits, salvage: false } }
    }

    /// The memory that importing may take, in bytes; the default is 256 MiB. It must not be 0.
    pub fn memory_budget(mut self, bytes: usize) -> Self {
        self.options.memory_budget = bytes;
        self
    }

    /// What the file may have and declare; see [`ImportLimits`] for the defaults.
    pub fn limits(mut self, limits: ImportLimits) -> Self {
        self.options.limits = limits;
        self
    }

    /// Whether to import what can be saved of a file that the original has torn: it packs its tables one after the other while they
    /// go on changing, so a save beside writes may have value ids without values, and keys without coordinates. It also takes what no database
    /// here can hold: a key of null, the same NaN as the key of several points, anything as the name of a dimension. The default is to refuse.
    ///
    /// A salvage leaves out cells whose id has no value; takes `vector_points` for the truth where `coordinate_map` disagrees; of a key at two
    /// coordinates keeps the later one, with its values only; and leaves out a point whose key is null, and dimensions whose name is no
    /// text, with their values. What was lost is counted and named in the report. Files that are cut short or damaged stay refused.
    pub fn salvage(mut self, salvage: bool) -> Self {
        self.options.salvage = salvage;
        self
    }

    /// Imports the file `source` into a new database at `target`. The source is only read; a failure leaves nothing at the target. An
    /// empty directory may be there; see [`BulkLoader::create`](crate::BulkLoader::create).
    ///
    /// # Durability
    /// When this returns, the database and its name survive a loss of power.
    ///
    /// # Errors
    /// - [`Error::Rejected`](crate::Error::Rejected): the file is not what it must be.
    /// - [`Error::Limit`](crate::Error::Limit): it has more than the limits allow.
    /// - [`Error::AlreadyExists`](crate::Error::AlreadyExists): a database is at the target.
    /// - [`Error::InvalidArgument`](crate::Error::InvalidArgument): something else is there, or a directory that cannot be replaced; the target lies inside of a
    ///   database; the budget is 0.
    /// - [`Error::NoSpace`](crate::Error::NoSpace), [`Error::Io`](crate::Error::Io): the system refused, or the source is not there or no regular file.
    pub fn run(&self, source: impl AsRef<Path>, target: impl AsRef<Path>) -> Result<ImportReport> {
        self.run_with(source, target, &mut progress::ignore)
    }

    /// [`run`](Self::run), telling how far it is: first, as `"reading"`, in bytes of the file's uncompressed content, whose sum is known of LZ4 files
    /// that say so; then, as `"writing columns"`, in cells. Between these, where `coordinate_map` disagrees with the points, the content is read again
    /// as `"comparing keys"`, once or more. It is called for each block of the content and every few thousand values, then
    /// each few milliseconds, but for single long values, so that it can stop the import of a small file that holds much, too.
    ///
    /// # Errors
    /// Those of [`run`](Self::run), and [`Error::Cancelled`](crate::Error::Cancelled) when `progress` asks to stop.
    pub fn run_with(
        &self,
        source: impl AsRef<Path>,
        target: impl AsRef<Path>,
        progress: &mut ProgressFn<'_>,
    ) -> Result<ImportReport> {
        check_memory_budget(self.options.memory_budget)?;
        let source = SourceFile::open(source.as_ref())?;
        let (new, storage) = NewDatabase::create(target.as_ref())?;
        let report = engine::import(&source, storage, self.options, progress)?;
        new.commit()?;
        Ok(report)
    }

    /// Imports bytes in memory into a storage: for tests and fuzzing.
    ///
    /// # Errors
    /// Those of [`run`](Self::run).
    #[doc(hidden)]
    pub fn run_in(&self, source: &SourceFile, storage: Arc<dyn Storage>) -> Result<ImportReport> {
        check_memory_budget(self.options.memory_budget)?;
        engine::import(source, storage, self.options, &mut progress::ignore)
    }
}

impl VectorDb {
    /// Imports a `.db` file into a new database at `target`, with the defaults of [`Import`].
    ///
    /// # Durability
    /// When this returns, the database and its name survive a loss of power.
    ///
    /// # Errors
    /// Those of [`Import::run`].
    pub fn import(source: impl AsRef<Path>, target: impl AsRef<Path>) -> Result<ImportReport> {
        Import::new().run(source, target)
    }
}
