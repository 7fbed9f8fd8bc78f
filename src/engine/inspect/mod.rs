//! What is in the files, part by part, as far as it can be read: for people who want to see a database as it is on disk.
//!
//! Every structure is shown as its bytes stand, and checked by the decoders that reads go through. Nothing is opened as a database, so
//! a file that is damaged or alone is shown like any other.

mod axis;
mod column;
mod frame;
mod layout;
mod log;
mod manifest;
mod patch;
mod tree;

pub use tree::Inspection;

use super::base_axis::BaseAxis;
use super::base_column::BaseColumn;
use super::block_file::BlockFile;
use super::patch::Patch;
use crate::error::{Error, Result};
use crate::format::Invalid;
use crate::format::block_file::{AXIS_MAGIC, COLUMN_MAGIC, PATCH_MAGIC};
use crate::format::manifest::{MAGIC as MANIFEST_MAGIC, MANIFEST_NAME, MANIFEST_TEMPORARY, Manifest, is_data_name};
use crate::format::wal::{Header, wal_name, wal_number};
use crate::storage::{LOCK_NAME, Storage};
use column::Parts;
use frame::Expected;
use manifest::{NamedFile, named_files};
use std::collections::HashSet;
use std::sync::Arc;

fn each_told_once(mut node: Inspection) -> Inspection {
    node.tell_once(&mut HashSet::new());
    node
}

/// How often a database that is being written to is looked at again before problems are believed.
const LIVE_TRIES: u32 = 5;

/// What a file is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Manifest,
    Axis,
    Column,
    Patch,
    Log,
}

impl Kind {
    /// By the name that the format gives such files.
    fn of_name(name: &str) -> Option<Self> {
        match name {
            MANIFEST_NAME | MANIFEST_TEMPORARY => Some(Self::Manifest),
            name if wal_number(name).is_some() => Some(Self::Log),
            name if !is_data_name(name) => None,
            name if name.starts_with("axis-") => Some(Self::Axis),
            name if name.starts_with("patch-") => Some(Self::Patch),
            _ => Some(Self::Column),
        }
    }

    /// By its first bytes.
    fn of_start(start: &[u8]) -> Option<Self> {
        let all = [Self::Manifest, Self::Axis, Self::Column, Self::Patch, Self::Log];
        all.into_iter().find(|kind| start == kind.magic())
    }

    const fn magic(self) -> &'static [u8; 8] {
        match self {
            Self::Manifest => &MANIFEST_MAGIC,
            Self::Axis => &AXIS_MAGIC,
            Self::Column => &COLUMN_MAGIC,
            Self::Patch => &PATCH_MAGIC,
            Self::Log => b"VDBWALG\0",
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Manifest => "manifest",
            Self::Axis => "axis",
            Self::Column => "column",
            Self::Patch => "patch",
            Self::Log => "log",
        }
    }
}

/// Looks into the files of one directory.
pub(crate) struct Inspector<'s> {
    storage: &'s dyn Storage,
    list_max: usize,
}

impl<'s> Inspector<'s> {
    /// `list_max`: segments, dictionary entries and log records that are listed, each; all are checked and counted.
    pub(crate) const fn new(storage: &'s dyn Storage, list_max: usize) -> Self {
        Self { storage, list_max }
    }

    /// Adds one of many parts: the first ones, and those that are bad in another way than the one before.
    fn list(&self, node: &mut Inspection, index: usize, part: Inspection) {
        let told =
            |part: &Inspection| part.all_problems().iter().map(|problem| problem.to_string()).collect::<Vec<_>>();
        let is_new = || node.children.last().is_none_or(|last| told(last) != told(&part));
        if index < self.list_max || (!part.is_sound() && is_new()) {
            node.children.push(part);
        }
    }

    /// One file.
    pub(crate) fn file(&self, name: &str) -> Result<Inspection> {
        let path = self.storage.path().join(name);
        let Some(start) = self.storage.read_range(name, 0, 8)? else { return Err(Error::NotFound { path }) };
        let Some(kind) = Kind::of_start(&start).or_else(|| Kind::of_name(name)) else {
            let kinds = "manifest, axis, column, patch or log";
            return Err(Error::invalid_argument(format!("{} is no {kinds} of a database", path.display())));
        };
        self.part(name, kind, None, None).map(each_told_once)
    }

    fn part(&self, name: &str, kind: Kind, expected: Option<&Expected>, known_end: Option<u64>) -> Result<Inspection> {
        let len = self.storage.len(name)?;
        let mut node = Inspection::new(name).field("kind", kind.name()).field("bytes", len);
        if len.is_none() {
            node.problem(self.missing(name, "it was removed meanwhile"));
            return Ok(node);
        }
        match kind {
            Kind::Manifest => {
                self.manifest(&mut node);
            }
            Kind::Log => self.log(&mut node, known_end),
            Kind::Axis | Kind::Column | Kind::Patch => {
                if let Some(file) = self.frame(&mut node, kind.magic(), expected) {
                    match kind {
                        Kind::Axis => self.axis(&mut node, &file),
                        Kind::Patch => self.patch(&mut node, &file),
                        _ => self.column(&mut node, &file, &Parts::of(&file)),
                    }
                    // Each part may be sound, and still not go with the others.
                    if node.is_sound() {
                        node.check(Self::resolve(kind, file));
                    }
                }
            }
        }
        Ok(node)
    }

    /// What a read checks before the first cell.
    fn resolve(kind: Kind, file: BlockFile) -> Result<()> {
        match kind {
            Kind::Axis => BaseAxis::new(file).slot_count().map(drop),
            Kind::Patch => {
                let patch = Patch::read(Arc::new(file))?;
                let axis = patch.axis().map(|axis| &axis.column);
                let mut columns = patch.dimensions().map(|(_, column)| column).chain(axis);
                columns.try_for_each(|column| column.resolve().map(drop))
            }
            _ => BaseColumn::new(file).resolve().map(drop),
        }
    }

    /// The manifest, the files that it names, the log, and what else is there.
    pub(crate) fn database(&self) -> Result<Inspection> {
        let mut tries = 0;
        loop {
            let before = self.storage.read(MANIFEST_NAME)?;
            let node = each_told_once(self.directory()?);
            tries += 1;
            // A writer may have replaced the files meanwhile.
            if node.is_sound() || tries == LIVE_TRIES || self.storage.read(MANIFEST_NAME)? == before {
                return Ok(node);
            }
        }
    }

    fn directory(&self) -> Result<Inspection> {
        let mut names = self.storage.list()?;
        let lens = names.iter().map(|name| Ok(self.storage.len(name)?.unwrap_or(0))).collect::<Result<Vec<u64>>>()?;
        let path = self.storage.path();
        if !names.iter().any(|name| Kind::of_name(name).is_some()) {
            return Err(Error::NotFound { path: path.to_owned() });
        }
        let mut node = Inspection::new(path.display().to_string()).field("files", names.len());
        node = node.field("bytes", lens.iter().sum::<u64>());
        let mut shown = Inspection::new(MANIFEST_NAME).field("kind", Kind::Manifest.name());
        let mut manifest = None;
        if names.iter().any(|name| name == MANIFEST_NAME) {
            shown = shown.field("bytes", self.storage.len(MANIFEST_NAME)?);
            manifest = self.manifest(&mut shown);
        } else {
            shown.problem(self.missing(MANIFEST_NAME, "it is missing, and files that it should name are there"));
        }
        node.children.push(shown);
        names.retain(|name| name != MANIFEST_NAME);
        for named in manifest.iter().flat_map(named_files) {
            if let NamedFile { file: Some(file), dimension, expected, .. } = named {
                let kind = Kind::of_name(&file).unwrap_or(Kind::Column);
                let mut shown = self.named(&names, &file, kind, expected.as_ref())?;
                names.retain(|name| *name != file);
                if let Some(dimension) = dimension {
                    shown.fields.insert(1, ("dimension", dimension.into()));
                }
                node.children.push(shown);
            }
        }
        self.logs(&mut node, &mut names, manifest.as_ref())?;
        for name in names {
            node.children.push(self.stray(&name, manifest.is_some())?);
        }
        Ok(node)
    }

    fn missing(&self, name: &str, reason: &'static str) -> Error {
        Error::corrupt(&self.storage.path().join(name), Invalid::new(0, "file", reason))
    }

    /// A file that the manifest names.
    fn named(&self, names: &[String], file: &str, kind: Kind, expected: Option<&Expected>) -> Result<Inspection> {
        if names.iter().any(|name| name == file) {
            return self.part(file, kind, expected, None);
        }
        let mut node = Inspection::new(file).field("kind", kind.name());
        node.problem(self.missing(file, "it is missing, and the manifest names it"));
        Ok(node)
    }

    /// The logs that are replayed, in their order.
    fn logs(&self, node: &mut Inspection, names: &mut Vec<String>, manifest: Option<&Manifest>) -> Result<()> {
        let Some(manifest) = manifest else { return Ok(()) };
        let seal = manifest.seal;
        let mut number = manifest.wal_first;
        loop {
            let name = wal_name(number);
            let sealed = seal.filter(|seal| seal.number == number).map(|seal| seal.len);
            if !names.contains(&name) {
                let is_sealed = seal.is_some_and(|seal| seal.number >= number);
                let has_later = names.iter().filter_map(|name| wal_number(name)).any(|later| later > number);
                let mut shown = Inspection::new(name.as_str()).field("kind", Kind::Log.name());
                if is_sealed {
                    shown.problem(self.missing(&name, "it is missing, and the manifest names it"));
                } else if has_later {
                    shown.problem(self.missing(&name, "it is missing, and later logs are there"));
                } else if number == manifest.wal_first {
                    // A log is made with its first commit.
                    shown = shown.field("state", "not there: no commit since the checkpoint, or it is lost");
                } else {
                    return Ok(());
                }
                node.children.push(shown);
                return Ok(());
            }
            let next = self.storage.read_range(&wal_name(number + 1), 0, crate::format::wal::HEADER_LEN)?;
            let next = next.and_then(|bytes| Header::decode(&bytes).ok());
            let follows = |header: &Header| header.database_id == manifest.database_id && header.number == number + 1;
            let known_end = next.filter(follows).map(|header| header.previous_len).or(sealed);
            node.children.push(self.part(&name, Kind::Log, None, known_end)?);
            names.retain(|other| *other != name);
            number += 1;
        }
    }

    /// A file that the manifest does not name. Where it is sound, that is what an unfinished checkpoint left.
    fn stray(&self, name: &str, has_manifest: bool) -> Result<Inspection> {
        let Some(kind) = Kind::of_name(name) else {
            let kind = if name == LOCK_NAME { "lock" } else { "not of a database" };
            return Ok(Inspection::new(name).field("kind", kind).field("bytes", self.storage.len(name)?));
        };
        if has_manifest {
            let node = Inspection::new(name).field("kind", kind.name()).field("bytes", self.storage.len(name)?);
            return Ok(node.field("state", "not in use"));
        }
        self.part(name, kind, None, None)
    }
}
