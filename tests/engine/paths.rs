//! One bad path is one kind of error, whichever way it is opened.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use vector_datalib::{BulkLoader, Error, VectorDb, attrs};

/// What became of a path.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Done,
    NotFound,
    AlreadyExists,
    InvalidArgument,
    Io,
    Other,
}

fn kind<T>(result: Result<T, Error>) -> Kind {
    match result {
        Ok(_) => Kind::Done,
        Err(error) if error.is_not_found() => Kind::NotFound,
        Err(error) if error.is_already_exists() => Kind::AlreadyExists,
        Err(error) if error.is_invalid_argument() => Kind::InvalidArgument,
        Err(error) if error.is_io() => Kind::Io,
        Err(_) => Kind::Other,
    }
}

fn load(path: &Path) -> Result<(), Error> {
    let mut loader = BulkLoader::create(path)?;
    loader.push(1, [("n", 1)])?;
    loader.finish().map(drop)
}

/// Puts something in a folder; returns the path to try.
type Place = fn(&Path) -> String;

/// The places, and what becomes of making a database there and of opening one.
const PLACES: [(&str, Place, Kind, Kind); 12] = [
    ("nothing", |_| "a.vdb".into(), Kind::Done, Kind::NotFound),
    ("nothing, nor the folder above", |_| "x/y/a.vdb".into(), Kind::Done, Kind::NotFound),
    ("an empty path", |_| String::new(), Kind::InvalidArgument, Kind::InvalidArgument),
    ("a file", |dir| put(dir, "a.txt"), Kind::InvalidArgument, Kind::InvalidArgument),
    ("a link to a file", |dir| link(dir, &put(dir, "a.txt")), Kind::InvalidArgument, Kind::InvalidArgument),
    ("below a file", |dir| put(dir, "a.txt") + "/a.vdb", Kind::Io, Kind::Io),
    ("an empty directory", |dir| folder(dir, "a.vdb"), Kind::Done, Kind::NotFound),
    ("a link to an empty directory", |dir| link(dir, &folder(dir, "a.vdb")), Kind::Done, Kind::NotFound),
    ("a directory of something else", other_directory, Kind::InvalidArgument, Kind::NotFound),
    ("a link that leads nowhere", |dir| link(dir, "nowhere"), Kind::InvalidArgument, Kind::NotFound),
    ("a database", database, Kind::AlreadyExists, Kind::Done),
    ("a link to a database", |dir| link(dir, &database(dir)), Kind::AlreadyExists, Kind::Done),
];

fn put(dir: &Path, name: &str) -> String {
    fs::write(dir.join(name), "something else").unwrap();
    name.to_owned()
}

fn folder(dir: &Path, name: &str) -> String {
    fs::create_dir(dir.join(name)).unwrap();
    name.to_owned()
}

fn other_directory(dir: &Path) -> String {
    let name = folder(dir, "other");
    put(dir, "other/notes.txt");
    name
}

fn link(dir: &Path, target: &str) -> String {
    symlink(target, dir.join("link")).unwrap();
    "link".to_owned()
}

fn database(dir: &Path) -> String {
    VectorDb::create(dir.join("there.vdb")).unwrap().upsert(1, attrs! {}).unwrap();
    "there.vdb".to_owned()
}

#[test]
fn a_bad_path_is_the_same_kind_of_error_however_it_is_opened() {
    for (what, place, made, opened) in PLACES {
        let made_with = |make: fn(&Path) -> Result<(), Error>| {
            let dir = tempfile::tempdir().unwrap();
            let name = place(dir.path());
            kind(make(&if name.is_empty() { name.into() } else { dir.path().join(name) }))
        };
        let found = [made_with(|path| VectorDb::create(path).map(drop)), made_with(load)];
        assert_eq!(found, [made; 2], "making a database where {what} is");
        let found = [
            made_with(|path| VectorDb::open(path).map(drop)),
            made_with(|path| VectorDb::open_read_only(path).map(drop)),
        ];
        assert_eq!(found, [opened; 2], "opening {what}");
    }
}

/// Creating once left a `LOCK` in a directory of something else.
#[test]
fn what_is_refused_is_left_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(other_directory(dir.path()));
    let error = VectorDb::create(&path).unwrap_err();
    assert!(error.to_string().contains("it holds notes.txt"), "{error}");
    assert_eq!(load(&path).unwrap_err().to_string(), error.to_string());
    assert!(VectorDb::open(&path).is_err() && VectorDb::open_read_only(&path).is_err());
    let names: Vec<_> = fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["notes.txt"]);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn a_database_that_is_open_elsewhere_exists_already() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.vdb");
    let _db = VectorDb::create(&path).unwrap();
    assert_eq!([kind(VectorDb::create(&path)), kind(load(&path))], [Kind::AlreadyExists; 2]);
    assert!(VectorDb::open(&path).unwrap_err().is_locked());
}

#[test]
fn a_load_that_finds_its_place_taken_says_by_what() {
    let dir = tempfile::tempdir().unwrap();
    for (name, put) in [
        ("a", (|path| VectorDb::create(path).map(drop).unwrap()) as fn(&Path)),
        ("b", |path| fs::write(path, "").unwrap()),
    ] {
        let path = dir.path().join(name);
        let mut loader = BulkLoader::create(&path).unwrap();
        loader.push(1, [("n", 1)]).unwrap();
        put(&path);
        let expected = if name == "a" { Kind::AlreadyExists } else { Kind::InvalidArgument };
        assert_eq!(kind(loader.finish()), expected);
    }
}

/// Names in a folder, and in those below it.
fn tree(dir: &Path) -> Vec<String> {
    let mut names = Vec::new();
    for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
        names.push(entry.path().display().to_string());
        if entry.path().is_dir() {
            names.extend(tree(&entry.path()));
        }
    }
    names.sort();
    names
}

#[test]
fn nothing_is_put_inside_of_a_database_by_whatever_path() {
    let dir = tempfile::tempdir().unwrap();
    let inside = dir.path().join(database(dir.path()));
    symlink(&inside, dir.path().join("link")).unwrap();
    let other = VectorDb::create(dir.path().join("other.vdb")).unwrap();
    let before = tree(dir.path());
    for name in ["there.vdb/inner", "there.vdb/deep/er/inner", "link/inner", "no/../there.vdb/inner"] {
        let path = dir.path().join(name);
        for error in
            [VectorDb::create(&path).map(drop).unwrap_err(), load(&path).unwrap_err(), other.export(&path).unwrap_err()]
        {
            assert!(error.is_invalid_argument(), "{name}: {error}");
            let text = error.to_string();
            assert!(text.starts_with(&format!("{} is inside of the database ", path.display())), "{text}");
            assert!(text.ends_with("; choose a place outside of it"), "{text}");
        }
    }
    assert!(other.export(dir.path().join("other.vdb/deep/x.db")).unwrap_err().is_invalid_argument());
    assert_eq!(tree(dir.path()), before);
    assert!(other.owns_path(dir.path().join("other.vdb/deep/x")) && !other.owns_path(inside.join("x")));
    // A folder with a file of that name is not a database yet.
    fs::write(dir.path().join("MANIFEST"), "include *.py").unwrap();
    assert_eq!(kind(load(&dir.path().join("a.vdb"))), Kind::Done);
}

#[test]
fn a_load_that_fails_leaves_no_folders_and_one_that_succeeds_keeps_them() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x/y/a.vdb");
    let mut loader = BulkLoader::create(&path).unwrap();
    loader.push(1, [("n", 1)]).unwrap();
    drop(loader);
    assert!(tree(dir.path()).is_empty());
    fs::create_dir(dir.path().join("x")).unwrap();
    let mut loader = BulkLoader::create(&path).unwrap();
    loader.push(1, [("n", 1)]).unwrap();
    assert!(loader.finish_with(&mut |_| std::ops::ControlFlow::Break(())).unwrap_err().is_cancelled());
    assert_eq!(tree(dir.path()), [dir.path().join("x").display().to_string()], "what was there before stays");
    load(&path).unwrap();
    assert_eq!(VectorDb::open(&path).unwrap().len(), 1);
}

#[test]
fn what_a_killed_load_left_is_removed_when_the_database_is_made_again() {
    let create = |path: &Path| VectorDb::create(path).map(drop);
    for make in [create, load] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.vdb");
        let alive = BulkLoader::create(&path).unwrap();
        let left_over = dir.path().join(".a.vdb.AbC123.loading");
        fs::create_dir(&left_over).unwrap();
        fs::write(left_over.join("axis-1"), "half").unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
        make(&path).unwrap();
        assert!(!left_over.exists());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2, "the load that is going on, and the database");
        assert_eq!(kind(alive.finish()), Kind::AlreadyExists);
    }
}

#[test]
fn errors_and_handles_call_a_database_what_the_caller_did() {
    let dir = tempfile::tempdir().unwrap();
    database(dir.path());
    let called = dir.path().join("there.vdb/../there.vdb");
    let held = VectorDb::open(&called).unwrap();
    assert_eq!(held.path(), called);
    let folder = dir.path().join("there.vdb/../empty");
    fs::create_dir(&folder).unwrap();
    for (error, path) in [
        (VectorDb::open(&called).map(drop).unwrap_err(), &called),
        (VectorDb::create(&called).map(drop).unwrap_err(), &called),
        (load(&called).unwrap_err(), &called),
        (VectorDb::open(&folder).map(drop).unwrap_err(), &folder),
        (vector_datalib::inspect::inspect_database(&folder, 1).map(drop).unwrap_err(), &folder),
    ] {
        assert!(error.to_string().contains(&path.display().to_string()), "{error}");
    }

    let path = dir.path().join("a.vdb");
    let mut loader = BulkLoader::create(&path).unwrap();
    loader.push(1, [("n", 1)]).unwrap();
    let left = tree(dir.path()).into_iter().find(|name| name.ends_with(".loading")).unwrap();
    fs::remove_dir_all(left).unwrap();
    let error = loader.finish().unwrap_err().to_string();
    assert!(error.contains(&path.display().to_string()) && !error.contains(".loading"), "{error}");
}
