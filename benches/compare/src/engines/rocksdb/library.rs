//! The C interface of RocksDB, from the shared library, which is loaded when the program runs: so the program builds without it.

use crate::engine::{Outcome, Unsupported};
use libloading::Library;
use std::ffi::{CStr, CString, c_char, c_int, c_uchar, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr;
use std::sync::OnceLock;

/// Debian's package librocksdb7.8 has it.
const NAME: &str = "librocksdb.so.7.8";

/// An object of the library.
type Object = *mut c_void;

macro_rules! functions {
    ($($name:ident = $symbol:literal ($($argument:ty),*) $(-> $result:ty)?;)*) => {
        /// The functions that are used, by their names without `rocksdb_`.
        struct Functions {
            $($name: unsafe extern "C" fn($($argument),*) $(-> $result)?,)*
        }

        impl Functions {
            fn load(library: &'static Library) -> Result<Self, libloading::Error> {
                Ok(Self {
                    // SAFETY: the signatures are those of rocksdb/c.h, release 7.8, which NAME names.
                    $($name: unsafe { *library.get($symbol)? },)*
                })
            }
        }
    };
}

functions! {
    cache_size_for_point_lookups = b"rocksdb_options_optimize_for_point_lookup\0" (Object, u64);
    close = b"rocksdb_close\0" (Object);
    create_iterator = b"rocksdb_create_iterator\0" (Object, Object) -> Object;
    create_snapshot = b"rocksdb_create_snapshot\0" (Object) -> *const c_void;
    envoptions_create = b"rocksdb_envoptions_create\0" () -> Object;
    free = b"rocksdb_free\0" (Object);
    get_pinned = b"rocksdb_get_pinned\0" (Object, Object, *const u8, usize, *mut *mut c_char) -> Object;
    increase_parallelism = b"rocksdb_options_increase_parallelism\0" (Object, c_int);
    ingest = b"rocksdb_ingest_external_file\0" (Object, *const *const c_char, usize, Object, *mut *mut c_char);
    ingestoptions_create = b"rocksdb_ingestexternalfileoptions_create\0" () -> Object;
    ingestoptions_move_files = b"rocksdb_ingestexternalfileoptions_set_move_files\0" (Object, c_uchar);
    iter_destroy = b"rocksdb_iter_destroy\0" (Object);
    iter_get_error = b"rocksdb_iter_get_error\0" (Object, *mut *mut c_char);
    iter_next = b"rocksdb_iter_next\0" (Object);
    iter_seek_to_first = b"rocksdb_iter_seek_to_first\0" (Object);
    iter_valid = b"rocksdb_iter_valid\0" (Object) -> c_uchar;
    iter_value = b"rocksdb_iter_value\0" (Object, *mut usize) -> *const u8;
    open = b"rocksdb_open\0" (Object, *const c_char, *mut *mut c_char) -> Object;
    options_compression = b"rocksdb_options_set_compression\0" (Object, c_int);
    options_create = b"rocksdb_options_create\0" () -> Object;
    options_create_if_missing = b"rocksdb_options_set_create_if_missing\0" (Object, c_uchar);
    pinned_destroy = b"rocksdb_pinnableslice_destroy\0" (Object);
    pinned_value = b"rocksdb_pinnableslice_value\0" (Object, *mut usize) -> *const u8;
    readoptions_create = b"rocksdb_readoptions_create\0" () -> Object;
    readoptions_snapshot = b"rocksdb_readoptions_set_snapshot\0" (Object, *const c_void);
    sst_create = b"rocksdb_sstfilewriter_create\0" (Object, Object) -> Object;
    sst_destroy = b"rocksdb_sstfilewriter_destroy\0" (Object);
    sst_finish = b"rocksdb_sstfilewriter_finish\0" (Object, *mut *mut c_char);
    sst_open = b"rocksdb_sstfilewriter_open\0" (Object, *const c_char, *mut *mut c_char);
    sst_put = b"rocksdb_sstfilewriter_put\0" (Object, *const u8, usize, *const u8, usize, *mut *mut c_char);
    write = b"rocksdb_write\0" (Object, Object, Object, *mut *mut c_char);
    writebatch_create = b"rocksdb_writebatch_create\0" () -> Object;
    writebatch_destroy = b"rocksdb_writebatch_destroy\0" (Object);
    writebatch_put = b"rocksdb_writebatch_put\0" (Object, *const u8, usize, *const u8, usize);
    writeoptions_create = b"rocksdb_writeoptions_create\0" () -> Object;
    writeoptions_sync = b"rocksdb_writeoptions_set_sync\0" (Object, c_uchar);
}

/// The functions, or why there are none.
fn functions() -> Outcome<&'static Functions> {
    static FUNCTIONS: OnceLock<Option<Functions>> = OnceLock::new();
    let loaded = FUNCTIONS.get_or_init(|| {
        // SAFETY: what the library runs when it is loaded are the initializers of a C++ library.
        let library = unsafe { Library::new(NAME) }.ok()?;
        Functions::load(Box::leak(Box::new(library))).ok()
    });
    loaded.as_ref().ok_or_else(|| Unsupported("librocksdb.so.7.8 is not installed (Debian's librocksdb7.8)").into())
}

/// An error unless the library is there.
pub(crate) fn check() -> Outcome<()> {
    functions().map(drop)
}

/// Calls a function of the library that tells errors through its last argument.
fn fallible<T>(functions: &Functions, call: impl FnOnce(*mut *mut c_char) -> T) -> Outcome<T> {
    let mut error = ptr::null_mut();
    let result = call(&raw mut error);
    if error.is_null() {
        return Ok(result);
    }
    // SAFETY: an error that is set is a string that ends in NUL, and is the caller's to free.
    let message = unsafe {
        let message = CStr::from_ptr(error).to_string_lossy().into_owned();
        (functions.free)(error.cast());
        message
    };
    Err(message.into())
}

fn c_path(path: &Path) -> Outcome<CString> {
    Ok(CString::new(path.as_os_str().as_bytes())?)
}

/// Options of the library for this program. They stay for as long as the process does.
fn options(functions: &Functions, cache_size: u64) -> Object {
    const NO_COMPRESSION: c_int = 0;
    let threads = std::thread::available_parallelism().map_or(1, |threads| threads.get() as c_int);
    // SAFETY: the object is one that the library just made.
    unsafe {
        let options = (functions.options_create)();
        (functions.options_create_if_missing)(options, 1);
        (functions.options_compression)(options, NO_COMPRESSION);
        (functions.increase_parallelism)(options, threads);
        // Bloom filters of 10 bits, a hash index in each block, and the cache, in MiB.
        (functions.cache_size_for_point_lookups)(options, cache_size >> 20);
        options
    }
}

/// An open database.
pub(crate) struct Database {
    functions: &'static Functions,
    database: Object,
    write_options: Object,
}

// SAFETY: the library's databases and options may be used by many threads at once.
unsafe impl Send for Database {}
// SAFETY: as above.
unsafe impl Sync for Database {}

impl Drop for Database {
    fn drop(&mut self) {
        // SAFETY: it is open, and what was made of it (readers) borrows it.
        unsafe { (self.functions.close)(self.database) }
    }
}

impl Database {
    /// Opens the database in a directory, or makes one.
    pub(crate) fn open(path: &Path, cache_size: u64) -> Outcome<Self> {
        let functions = functions()?;
        let path = c_path(path)?;
        let options = options(functions, cache_size);
        // SAFETY: the path ends in NUL, and the options are the library's.
        let database = fallible(functions, |error| unsafe { (functions.open)(options, path.as_ptr(), error) })?;
        // SAFETY: the object is one that the library just made.
        let write_options = unsafe {
            let options = (functions.writeoptions_create)();
            (functions.writeoptions_sync)(options, 1);
            options
        };
        Ok(Self { functions, database, write_options })
    }

    /// Takes in a table file, which is moved.
    pub(crate) fn ingest(&self, table: &Path) -> Outcome<()> {
        let functions = self.functions;
        let table = c_path(table)?;
        // SAFETY: the objects are the library's, and the list has one path that ends in NUL.
        fallible(functions, |error| unsafe {
            let options = (functions.ingestoptions_create)();
            (functions.ingestoptions_move_files)(options, 1);
            (functions.ingest)(self.database, [table.as_ptr()].as_ptr(), 1, options, error);
        })
    }

    /// Writes pairs of key and value in one commit, and waits until it is durable unless [`sync_writes`](Self::sync_writes) says otherwise.
    pub(crate) fn write<'p>(&self, pairs: impl Iterator<Item = (&'p [u8], &'p [u8])>) -> Outcome<()> {
        let functions = self.functions;
        // SAFETY: the batch is made, filled from slices with their lengths, written and destroyed here; the other objects live as long
        // as this one.
        unsafe {
            let batch = (functions.writebatch_create)();
            for (key, value) in pairs {
                (functions.writebatch_put)(batch, key.as_ptr(), key.len(), value.as_ptr(), value.len());
            }
            let written =
                fallible(functions, |error| (functions.write)(self.database, self.write_options, batch, error));
            (functions.writebatch_destroy)(batch);
            written
        }
    }

    /// Reads the database as it is. What is kept for it stays until the process ends.
    pub(crate) fn snapshot(&self) -> View<'_> {
        let functions = self.functions;
        // SAFETY: the objects are the library's, and the database is open.
        let read_options = unsafe {
            let options = (functions.readoptions_create)();
            (functions.readoptions_snapshot)(options, (functions.create_snapshot)(self.database));
            options
        };
        View { database: self, read_options }
    }

    /// Reads the database as it is at each read. What is kept for it stays until the process ends.
    pub(crate) fn latest(&self) -> View<'_> {
        // SAFETY: the call has no conditions.
        let read_options = unsafe { (self.functions.readoptions_create)() };
        View { database: self, read_options }
    }

    /// Has later writes wait until they are durable, or not.
    pub(crate) fn sync_writes(&mut self, sync: bool) {
        // SAFETY: the options are the library's, and no write is under way.
        unsafe { (self.functions.writeoptions_sync)(self.write_options, sync.into()) }
    }
}

/// A database at one point in time, or as it is at each read.
#[derive(Clone, Copy)]
pub(crate) struct View<'d> {
    database: &'d Database,
    read_options: Object,
}

impl View<'_> {
    /// Lends the value of a key.
    #[inline]
    pub(crate) fn get<T>(&self, key: &[u8], see: impl FnOnce(&[u8]) -> T) -> Outcome<Option<T>> {
        let functions = self.database.functions;
        // SAFETY: the key is a slice with its length, the database is open, the options are the library's.
        let pinned = fallible(functions, |error| unsafe {
            (functions.get_pinned)(self.database.database, self.read_options, key.as_ptr(), key.len(), error)
        })?;
        if pinned.is_null() {
            return Ok(None);
        }
        let mut len = 0;
        // SAFETY: the value is of that length and stays until the slice is destroyed, which is after it was lent.
        unsafe {
            let value = (functions.pinned_value)(pinned, &raw mut len);
            let seen = see(std::slice::from_raw_parts(value, len));
            (functions.pinned_destroy)(pinned);
            Ok(Some(seen))
        }
    }

    /// Lends all values, in the order of keys.
    pub(crate) fn each(&self, mut see: impl FnMut(&[u8]) -> Outcome<()>) -> Outcome<()> {
        let functions = self.database.functions;
        // SAFETY: the iterator is made and destroyed here; a value is lent before the iterator moves on.
        unsafe {
            let iterator = (functions.create_iterator)(self.database.database, self.read_options);
            (functions.iter_seek_to_first)(iterator);
            let mut seen = Ok(());
            while seen.is_ok() && (functions.iter_valid)(iterator) != 0 {
                let mut len = 0;
                let value = (functions.iter_value)(iterator, &raw mut len);
                seen = see(std::slice::from_raw_parts(value, len));
                (functions.iter_next)(iterator);
            }
            let read = fallible(functions, |error| (functions.iter_get_error)(iterator, error));
            (functions.iter_destroy)(iterator);
            seen.and(read)
        }
    }
}

/// A table file that is being written, with keys in order.
pub(crate) struct TableWriter {
    functions: &'static Functions,
    writer: Object,
}

impl Drop for TableWriter {
    fn drop(&mut self) {
        // SAFETY: the library made it, and nothing else has it.
        unsafe { (self.functions.sst_destroy)(self.writer) }
    }
}

impl TableWriter {
    /// Starts a file.
    pub(crate) fn create(path: &Path) -> Outcome<Self> {
        let functions = functions()?;
        let path = c_path(path)?;
        // SAFETY: the objects are the library's.
        let writer = unsafe { (functions.sst_create)((functions.envoptions_create)(), options(functions, 8 << 20)) };
        // SAFETY: the path ends in NUL.
        fallible(functions, |error| unsafe { (functions.sst_open)(writer, path.as_ptr(), error) })?;
        Ok(Self { functions, writer })
    }

    /// Adds a pair.
    pub(crate) fn put(&mut self, key: &[u8], value: &[u8]) -> Outcome<()> {
        // SAFETY: key and value are slices with their lengths.
        fallible(self.functions, |error| unsafe {
            (self.functions.sst_put)(self.writer, key.as_ptr(), key.len(), value.as_ptr(), value.len(), error);
        })
    }

    /// Ends the file.
    pub(crate) fn finish(self) -> Outcome<()> {
        // SAFETY: the writer is open.
        fallible(self.functions, |error| unsafe { (self.functions.sst_finish)(self.writer, error) })
    }
}
