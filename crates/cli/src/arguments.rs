//! The command line: every command and option, with the help that `vdb help` prints.

use crate::limits::{self, LimitOption};
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

const ABOUT: &str =
    "An N-dimensional coordinate database: unique keys, deduplicated dimensions, constant-time lookups.";

const LONG_ABOUT: &str = "An N-dimensional coordinate database: unique keys, deduplicated dimensions, constant-time lookups.

A database is a directory. Each point in it has a unique key, a coordinate (its slot number) and attributes: values in named \
dimensions, which appear by being used. This is not a similarity-search database.";

const KEY_HELP: &str = "KEY is a JSON literal where it parses as one (101, 1.5, true, \"101\", [\"EWR\",1545]), else plain text. \
Types are strict: the integer 101 and the text \"101\" are two keys; to name the text, quote it twice: '\"101\"'. What JSON cannot \
hold is tagged: {\"$bytes\":\"base64\"}, {\"$float\":\"NaN\"}, {\"$timestamp\":\"2013-01-01T10:00:00Z\"}, {\"$ext\":[code,\"base64\"]}, \
{\"$map\":[[key,value],...]}.";

const AFTER_HELP: &str = "Start with: vdb demo

Results go to stdout: tables on a terminal, JSON when piped. Progress and reports go to stderr.

Exit codes: 0 done, 1 key or value not found, 2 wrong usage, 3 corrupt database or rejected .db file, 4 database locked by another \
writer, 5 anything else, 130 interrupted; vdb --help says more.";

const AFTER_LONG_HELP: &str = "Start with: vdb demo

Results go to stdout: tables on a terminal, JSON when piped. Progress and reports go to stderr.

Exit codes:
  0  done
  1  a key or a value that was asked for is not there (get, delete, find, count)
  2  wrong usage: the command line has to be another one. An unknown option, a KEY that no key
     can be, a column that SOURCE does not have, a file where a database is expected, a pipe or
     a device where a file is
  3  corrupt: bytes on disk are not what was written (for verify: there is any problem), or a
     .db file to import is rejected: it is none, is damaged, contradicts itself or exceeds a limit
  4  locked: another writer has the database open
  5  anything else: the command line makes sense, but not with what is there. No database, or one
     already; a source that is missing, or CSV or JSON lines that are rejected; no permission; no space
  130, 143  stopped by Ctrl-C or by kill before it was done, with nothing left behind (import,
     export); a second Ctrl-C ends the program at once";

/// Options of every command are listed after its own.
const LAST: usize = 900;

/// The whole command line.
#[derive(Parser, Debug)]
#[command(name = "vdb", version, about = ABOUT, long_about = LONG_ABOUT, arg_required_else_help = true)]
#[command(after_help = AFTER_HELP, after_long_help = AFTER_LONG_HELP)]
#[command(disable_help_subcommand = false, infer_subcommands = false, max_term_width = 110)]
pub(crate) struct Arguments {
    /// Print results as JSON on a terminal too
    #[arg(long, global = true, display_order = LAST)]
    pub(crate) json: bool,

    /// Print no progress and no reports: only results, errors, and what was lost
    #[arg(short, long, global = true, display_order = LAST)]
    pub(crate) quiet: bool,

    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The commands.
#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Take the tour: load a real sample, look up, update, delete, compact, export
    ///
    /// Every step is shown as the Rust call it makes, with what came back and how long it took: as text, to be read, so
    /// --json is refused. With -q the steps are taken and nothing is printed but errors.
    Demo(Demo),
    /// Make a database from a file of records
    #[command(after_help = IMPORT_HELP)]
    Import(Import),
    /// Write all points to a file
    #[command(after_help = EXPORT_HELP)]
    Export(Export),
    /// Print the attributes of a point as JSON
    ///
    /// Without a DIMENSION: all attributes as one object. With one: its bare value. With several: an object of those that the point
    /// has. When there is no such point, or no value in the one dimension asked for, `null` is printed and the exit code is 1.
    #[command(after_help = KEY_HELP)]
    Get(Get),
    /// Find the points that have a value in a dimension
    ///
    /// Prints their keys and coordinates, in the order of coordinates: as a table, or as a JSON object a line. Where there are none,
    /// nothing is printed and the exit code is 1.
    #[command(after_help = VALUE_HELP)]
    Find(Find),
    /// Count how many points have each value of a dimension
    ///
    /// Prints the values with their numbers of points, the most frequent first: as a table with bars, or as a JSON object a line. null
    /// is a value; points without a value are not counted. Where no point has a value, nothing is printed and the exit code is 1.
    Count(Count),
    /// Add a point or change some of its attributes, and print its coordinate
    ///
    /// Attributes that are not named keep their values. The write is on disk when the command ends.
    #[command(after_help = KEY_HELP)]
    Put(Put),
    /// Delete points
    ///
    /// All of them at once or, should the write fail, none. Keys that do not exist are reported, and the exit code is 1.
    #[command(after_help = KEY_HELP)]
    Delete(Delete),
    /// Describe a database: points, dimensions, encodings, sizes
    ///
    /// A number of distinct values with a ~ is that of the last checkpoint, not of now: a dimension that is stored
    /// without a dictionary is not counted at each write (in JSON, `distinct_exact` is false). The version is the one
    /// that a canonical file (`vdb export DB OUT.db`) states, not that of this program.
    ///
    /// On a terminal the size of each dimension is drawn as a bar, to the scale of the largest one.
    Stats(Stats),
    /// Show what is in the files of a database, part by part
    ///
    /// Headers, sections with their places, segments with encodings and counts, dictionaries, log records, checksums: as a tree, or as
    /// nested JSON objects of name, fields, problems and children. Everything is read and every checksum is verified, but nothing is
    /// opened: damaged files are shown as far as they can be read, and so are files that are alone.
    ///
    /// What is bad is said where it is, and the exit code is 3. `vdb verify` checks more: that the parts agree with each other.
    Inspect(Inspect),
    /// Read every byte of a database and check it
    ///
    /// Each problem is printed; the exit code is 3 if there is any. A database that is too damaged to be opened has one
    /// problem, the one that keeps it from being opened: nothing else can be checked then. Where there is no database,
    /// or it may not be read, nothing is found out about it, and the exit code is that of any other command.
    ///
    /// The files and bytes reported are those of the data files (keys and dimensions), counted whole; MANIFEST and the
    /// log are checked too, and not counted.
    Verify(Database),
    /// Move what was written since the last checkpoint from the log into the data files
    Checkpoint(Database),
    /// Rewrite the data files as small and fast as they get
    Compact(Compact),
    /// Print a script that completes commands and options in a shell
    #[command(after_help = COMPLETIONS_HELP)]
    Completions(Completions),
    /// Print a manual page, or write all of them to a directory
    #[command(after_help = MAN_HELP)]
    Man(Man),
}

/// Arguments of `demo`.
#[derive(Args, Debug)]
pub(crate) struct Demo {
    /// Work in this new directory and keep it; else in a temporary one
    pub(crate) dir: Option<PathBuf>,
}

pub(crate) const IMPORT_HELP: &str = "CSV, types: a column becomes integer, float or boolean only where every cell prints back exactly as it stands \
in the file; else it is text, and nothing is lost. Integers are decimal without leading zeros or plus, within 64 bits (0042 is text). \
Floats must all be in their shortest form and written in one way: whole numbers all with a point (1.0, 2.5, 1e16) or all without \
(1, 2.5); 1.50 makes a column text, unless --float says otherwise. Booleans are true and false. Missing cells do not count.

CSV, missing cells: without --null, an empty cell is missing, in a text column too: the point has no attribute there. With --null, the cells \
that equal one of its texts are missing instead, and an empty cell is empty text; give --null '' as well for both.

JSON lines: one object a line. Where the first line is a point as an export writes it, \
{\"key\":...,\"coordinate\":...,\"attributes\":{...}}, all lines are, and every type is read back. Else, and with --key, a line holds the attributes of a \
point: --key FIELD says which one is the key, which is no dimension then; without it lines are numbered from 0. What JSON cannot hold is tagged, as exports do \
(vdb get --help). null is a value; a field that is not there is missing. Coordinates are not kept: points get the coordinates 0, 1, 2 and so on in the \
order of the lines, and it is said how many lines had another one, as behind a gap that a deleted point left.

.db: every release of the Python package vector_datalib, told by its first bytes, whatever its name. Coordinates, types and the order of dimensions are kept. What \
follows from the rest of the file (reference counts, free slots, next ids) is made anew, and it is said what was wrong. A file that is damaged, \
cut short or contradicts itself is rejected with the place and the reason, and the exit code is 3; so is one that exceeds a limit. \
Files of release 1.4 of the package carry no checksums: a byte of theirs that has rotted is taken for data wherever it could be data. \
Those of earlier releases (gzip), and those that vdb export writes, have checksums. Limits, for files of strangers; lengths are in \
bytes, VALUE may end in KiB, MiB, GiB or TiB:
  file-len        the file [default: 1TiB]
  inflated-len    what it holds, uncompressed [default: 16TiB]
  inflated-ratio  how many times as long as the file that may be, beyond 64 MiB [default: 100]
  depth           arrays and maps in one another [default: 133]
  string-len      one text, byte string or ext value [default: 1GiB]
  name-len        the name of a dimension [default and at most: 65535]
  names-len       the names of all dimensions together [default: 64MiB]
  dimensions      dimensions [default: 100000]
  points          points and free places between them [default and at most: 4294967295]
  values          values in one dimension [default: 4294967295]

CSV and JSON lines: points with the same key are merged: the first has the place, the last the say. The file is read twice and never held in memory.

All: nothing is left behind when SOURCE is rejected, the disk is full or Ctrl-C stops the import. An import that is killed leaves a \
directory .NAME.*.loading beside DB, which the next import to DB removes. SOURCE is a file, - for stdin, or what a shell makes of <(command); \
for a named pipe or a device say - and < NAME. An empty directory may be at DB: the database takes its place, with its mode and, as far \
as that is permitted, its owner and group. It cannot take the place of the current directory, or of one where a file system is mounted.";

/// Arguments of `import`.
#[derive(Args, Debug)]
pub(crate) struct Import {
    /// A CSV file with a header line or JSON lines, plain or compressed by gzip or zip (whatever its name), a .db file, or - for stdin
    pub(crate) source: PathBuf,

    /// The directory of the new database; there must be none yet, or an empty one
    pub(crate) db: PathBuf,

    /// The column or field that holds the keys; it is not a dimension then. Without it rows are numbered from 0
    #[arg(long, value_name = "COLUMN")]
    pub(crate) key: Option<String>,

    /// What SOURCE is; else a .db file where it begins like one of any release, and told from its name otherwise (in a zip, from the
    /// archive's): .db, .jsonl or .ndjson, else CSV, unless it begins like JSON, which is refused
    #[arg(long, value_enum)]
    pub(crate) format: Option<ImportFormat>,

    /// CSV: a cell of exactly this text is missing: its point has no such attribute. May be repeated [default: the empty cell]
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub(crate) null: Vec<String>,

    /// CSV: keep a column as text whatever its cells look like. May be repeated
    #[arg(long, value_name = "COLUMN")]
    pub(crate) text: Vec<String>,

    /// CSV: read a column as floats though its cells (1.50, 1e5) do not print back as they stand. May be repeated
    #[arg(long, value_name = "COLUMN")]
    pub(crate) float: Vec<String>,

    /// db: import what can be saved of a file that contradicts itself, as torn saves of the Python package do, and say what is lost
    #[arg(long)]
    pub(crate) salvage: bool,

    /// db: refuse a file that has more of something than VALUE, or accept one that has. May be repeated; the names are below
    #[arg(long, value_name = "NAME=VALUE", value_parser = limits::parse)]
    pub(crate) limit: Vec<LimitOption>,
}

/// What a source of an import can be.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ImportFormat {
    /// Comma-separated values with a header line
    Csv,
    /// A file of the Python package `vector_datalib`, or one that an export wrote
    Db,
    /// JSON lines: points as an export writes them, or plain objects
    Jsonl,
    /// Apache Parquet
    #[value(hide = true)]
    Parquet,
    /// An Arrow file
    #[value(hide = true)]
    Arrow,
}

const EXPORT_HELP: &str = "Points are written in slot order, all from one moment, whatever other processes write meanwhile. OUT is \
replaced when the export is complete, and left alone when it fails or Ctrl-C stops it; where OUT is a link, so is the file that \
it leads to. An export that is killed leaves a file .NAME.*.exporting beside OUT, which the next export to OUT removes.

If OUT is -, the points go to stdout and --format says how, jsonl or csv; no report is printed there. A .db file \
cannot go to stdout, a pipe or a device. A file whose name is - is ./-

db: the file of release 1.4 of the Python package vector_datalib. What that cannot hold appears there as ext values of type 86, which it \
looks up and saves unharmed, and which an import here reads back: arrays, maps, integers beyond 64 bits, and numbers or booleans that Python calls \
equal to an earlier key, or to an earlier value of the dimension (1, 1.0 and true).

jsonl: {\"key\":...,\"coordinate\":...,\"attributes\":{...}} on each line; every type is kept.

csv: a header line, then a line a point: its key and its value in each dimension. Text, numbers and booleans are written so that \
an import reads them back; null, bytes, timestamps, arrays and maps are written as (tagged) JSON text, which an import takes for text, and \
text that looks like a number is told from a number only by the rest of its column: use jsonl where types matter.";

/// Arguments of `export`.
#[derive(Args, Debug)]
pub(crate) struct Export {
    /// The database
    pub(crate) db: PathBuf,

    /// The file to write, or - for stdout (jsonl and csv)
    pub(crate) out: PathBuf,

    /// What to write; else told from OUT's name: .db, .jsonl or .csv
    #[arg(long, value_enum)]
    pub(crate) format: Option<ExportFormat>,

    /// csv: what to write where a point has no value [default: nothing]
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub(crate) null: Option<String>,

    /// csv: the name of the column of keys [default: key]
    #[arg(long, value_name = "COLUMN")]
    pub(crate) key: Option<String>,
}

/// What an export can be.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ExportFormat {
    /// The canonical file, which the Python package `vector_datalib` reads too
    Db,
    /// JSON lines: one point a line, nothing lost
    Jsonl,
    /// Comma-separated values with a header line
    Csv,
}

/// Arguments of `get`.
#[derive(Args, Debug)]
pub(crate) struct Get {
    /// The database
    pub(crate) db: PathBuf,

    /// The key: a JSON literal, else plain text
    #[arg(allow_negative_numbers = true)]
    pub(crate) key: String,

    /// Which attributes to print; all without
    #[arg(value_name = "DIMENSION", allow_negative_numbers = true)]
    pub(crate) dimensions: Vec<String>,
}

/// Arguments of `put`.
#[derive(Args, Debug)]
pub(crate) struct Put {
    /// The database
    pub(crate) db: PathBuf,

    /// The key: a JSON literal, else plain text
    #[arg(allow_negative_numbers = true)]
    pub(crate) key: String,

    /// The attributes by their dimensions, such as '{"name":"Alice","age":25}'; null is a value, not a removal
    #[arg(value_name = "JSON-OBJECT")]
    pub(crate) attributes: String,

    /// Make the database if there is none
    #[arg(long)]
    pub(crate) create: bool,
}

/// Arguments of `delete`.
#[derive(Args, Debug)]
pub(crate) struct Delete {
    /// The database
    pub(crate) db: PathBuf,

    /// The keys: JSON literals, else plain text
    #[arg(value_name = "KEY", required = true, allow_negative_numbers = true)]
    pub(crate) keys: Vec<String>,
}

/// A database and nothing else.
#[derive(Args, Debug)]
pub(crate) struct Database {
    /// The database
    pub(crate) db: PathBuf,
}

const VALUE_HELP: &str = "VALUE is a JSON literal where it parses as one (101, 1.5, true, null, \"101\", [1,2]), else plain text. \
Types are strict: the integer 101, the float 101.0 and the text \"101\" are three values; to name the text, quote it twice: '\"101\"'. \
What JSON cannot hold is tagged, as in keys (vdb get --help).";

/// Arguments of `find`.
#[derive(Args, Debug)]
pub(crate) struct Find {
    /// The database
    pub(crate) db: PathBuf,

    /// The dimension to look in
    pub(crate) dimension: String,

    /// The value: a JSON literal, else plain text
    #[arg(allow_negative_numbers = true)]
    pub(crate) value: String,

    /// Stop after so many points
    #[arg(long, value_name = "N", value_parser = count)]
    pub(crate) limit: Option<u64>,
}

/// Arguments of `count`.
#[derive(Args, Debug)]
pub(crate) struct Count {
    /// The database
    pub(crate) db: PathBuf,

    /// The dimension whose values are counted
    pub(crate) dimension: String,

    /// Print only so many values, the most frequent ones
    #[arg(long, value_name = "N", value_parser = count)]
    pub(crate) top: Option<u64>,

    /// Draw bars in ASCII, as is done without --ascii where the locale is not one of UTF-8
    #[arg(long)]
    pub(crate) ascii: bool,
}

const COMPLETIONS_HELP: &str = "Put the script where the shell looks for it, for example:
  bash: vdb completions bash > ~/.local/share/bash-completion/completions/vdb
  zsh:  vdb completions zsh > ~/.zfunc/_vdb      (with ~/.zfunc in fpath)
  fish: vdb completions fish > ~/.config/fish/completions/vdb.fish";

/// Arguments of `completions`.
#[derive(Args, Debug)]
pub(crate) struct Completions {
    /// The shell
    pub(crate) shell: clap_complete::Shell,
}

const MAN_HELP: &str = "Read a page at once with: vdb man | man -l -
Install all pages with:   vdb man --dir ~/.local/share/man/man1";

/// Arguments of `man`.
#[derive(Args, Debug)]
pub(crate) struct Man {
    /// The command whose page it is; without it, the page of vdb as a whole
    pub(crate) command: Option<String>,

    /// Write the pages of vdb and of all its commands to this directory, made if there is none
    #[arg(long, conflicts_with = "command")]
    pub(crate) dir: Option<PathBuf>,
}

/// Arguments of `stats`.
#[derive(Args, Debug)]
pub(crate) struct Stats {
    /// The database
    pub(crate) db: PathBuf,

    /// Draw bars in ASCII, as is done without --ascii where the locale is not one of UTF-8
    #[arg(long)]
    pub(crate) ascii: bool,
}

/// Arguments of `inspect`.
#[derive(Args, Debug)]
pub(crate) struct Inspect {
    /// A database, or one file of one: MANIFEST, an axis, column or patch file, a log
    #[arg(value_name = "DB|FILE")]
    pub(crate) path: PathBuf,

    /// List so many segments, dictionary entries and log records of each file, and those that are bad; all are counted
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = count)]
    pub(crate) limit: u64,

    /// Draw the tree in ASCII, as is done without --ascii where the locale is not one of UTF-8
    #[arg(long)]
    pub(crate) ascii: bool,
}

/// Arguments of `compact`.
#[derive(Args, Debug)]
pub(crate) struct Compact {
    /// The database
    pub(crate) db: PathBuf,

    /// Then write all points to this file: .db, .jsonl or .csv
    #[arg(long, value_name = "OUT")]
    pub(crate) export: Option<PathBuf>,

    /// Which coordinates points get, and how keys are found; all but keep change coordinates
    ///
    /// A layout is what the compaction leaves: what is put in later takes free coordinates, as ever.
    #[arg(long, value_enum, default_value_t = Layout::Keep)]
    pub(crate) layout: Layout,

    /// Close the gaps that deleted points left, as --layout packed does
    ///
    /// This can make a database larger: consecutive integers as keys take no room as long as each is the first one plus its
    /// coordinate. Where some of them were deleted, that ends, and all keys are stored and indexed. The sizes before and
    /// after are reported.
    #[arg(long, conflicts_with = "layout")]
    pub(crate) reassign_slots: bool,
}

/// How `compact` lays out points.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Layout {
    /// Coordinates stay as they are
    Keep,
    /// Points keep their order, and the gaps that deleted points left are closed
    Packed,
    /// Points are in the order of their keys
    ByKey,
    /// Each key's coordinate is worked out from its hash: the fastest to look up, and smaller; for keys that rarely come and
    /// go. Consecutive integers need no hash, and stay or are put in order
    Frozen,
}

impl Layout {
    pub(crate) const fn of_library(self) -> vector_datalib::Layout {
        match self {
            Self::Keep => vector_datalib::Layout::Keep,
            Self::Packed => vector_datalib::Layout::Packed,
            Self::ByKey => vector_datalib::Layout::ByKey,
            Self::Frozen => vector_datalib::Layout::Frozen,
        }
    }
}

/// A number of things, as options take it.
fn count(text: &str) -> Result<u64, String> {
    let too_large = text.len() > 1 && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().map_err(|_| match too_large {
        true => format!("the largest number is {}", u64::MAX),
        false => "a whole number is expected, 0 or more".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_definition_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn every_command_and_argument_has_help() {
        for command in Arguments::command().get_subcommands().filter(|command| command.get_name() != "help") {
            assert!(command.get_about().is_some(), "{}", command.get_name());
            for argument in command.get_arguments() {
                assert!(argument.get_help().is_some(), "{} {}", command.get_name(), argument.get_id());
            }
        }
    }

    #[test]
    fn keys_may_be_negative_numbers_and_null_texts_may_begin_with_a_dash() {
        let arguments = Arguments::try_parse_from(["vdb", "get", "db", "-5", "a"]).unwrap();
        assert!(matches!(arguments.command, Command::Get(Get { key, .. }) if key == "-5"));
        let arguments =
            Arguments::try_parse_from(["vdb", "import", "-", "db", "--null", "-", "--null", "-999"]).unwrap();
        assert!(matches!(arguments.command, Command::Import(Import { null, .. }) if null == ["-", "-999"]));
    }
}
