//! What the figures were measured on.

use std::fs;

/// The first line of a file that starts with a name, without the name.
fn line(path: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    Some(line.trim_start_matches([' ', '\t', ':', '=']).trim_matches('"').to_owned())
}

/// Processor, cores, memory and system, in one line.
pub(crate) fn describe() -> String {
    let unknown = || "unknown".to_owned();
    let cores = std::thread::available_parallelism().map_or(0, Into::into);
    format!(
        "{}, {cores} cores, {} of memory, Linux {}, {}",
        line("/proc/cpuinfo", "model name").unwrap_or_else(unknown),
        line("/proc/meminfo", "MemTotal").unwrap_or_else(unknown),
        line("/proc/sys/kernel/osrelease", "").unwrap_or_else(unknown),
        line("/etc/os-release", "PRETTY_NAME").unwrap_or_else(unknown),
    )
}
