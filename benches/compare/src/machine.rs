//! What the figures were measured on, and with which versions.

use serde::Serialize;
use std::collections::BTreeMap;
use std::fs;

/// The machine and the engines.
#[derive(Serialize, Debug)]
pub(crate) struct Machine {
    processor: String,
    cores: usize,
    memory: String,
    kernel: String,
    system: String,
    /// Of the engines, and of what they are made on.
    pub(crate) versions: BTreeMap<&'static str, String>,
}

/// The first line of a file that starts with a name, without the name.
fn line(path: &str, name: &str) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or("unknown");
    line.trim_start_matches([' ', '\t', ':', '=']).trim_matches('"').to_owned()
}

/// The version of a package in a lock file.
fn locked<'l>(lock: &'l str, package: &str) -> Option<&'l str> {
    let (_, rest) = lock.split_once(&format!("name = \"{package}\"\nversion = \""))?;
    rest.split('"').next()
}

impl Machine {
    /// This one.
    pub(crate) fn this() -> Self {
        const LOCK: &str = include_str!("../Cargo.lock");
        let mut versions: BTreeMap<&str, String> = ["vector-datalib", "heed", "redb", "fjall", "rusqlite"]
            .into_iter()
            .filter_map(|package| Some((package, locked(LOCK, package)?.to_owned())))
            .collect();
        versions.insert("SQLite", rusqlite::version().to_owned());
        let lmdb = heed::lmdb_version();
        versions.insert("LMDB", format!("{}.{}.{}", lmdb.major, lmdb.minor, lmdb.patch));
        versions.insert("RocksDB", "7.8".to_owned());
        Self {
            processor: line("/proc/cpuinfo", "model name"),
            cores: std::thread::available_parallelism().map_or(0, Into::into),
            memory: line("/proc/meminfo", "MemTotal"),
            kernel: line("/proc/sys/kernel/osrelease", ""),
            system: line("/etc/os-release", "PRETTY_NAME"),
            versions,
        }
    }

    /// Two lines of text.
    pub(crate) fn describe(&self) -> String {
        let Self { processor, cores, memory, kernel, system, versions } = self;
        let versions: Vec<String> = versions.iter().map(|(name, version)| format!("{name} {version}")).collect();
        format!("{processor}, {cores} cores, {memory} of memory, Linux {kernel}, {system}\n{}", versions.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_those_of_the_lock_file() {
        let lock = "[[package]]\nname = \"heed\"\nversion = \"0.1.2\"\nsource = \"x\"\n";
        assert_eq!((locked(lock, "heed"), locked(lock, "hee")), (Some("0.1.2"), None));
        assert!(Machine::this().describe().contains("redb "));
    }
}
