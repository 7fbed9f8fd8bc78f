//! Memory: whatever a file declares or holds, an import takes no more than its budget and 16 MiB beside it.
//!
//! The system counts for a whole process, so this is done in one of its own: this test program once more, told by its environment to do
//! nothing else.

use super::case::Case;
use std::fs;
use std::process::Command;
use vector_datalib::Import;

/// Set for the process that imports.
const ROLE: &str = "VECTOR_IMPORT_MEMORY";

/// What the imports may use.
const BUDGET: usize = 16 << 20;

/// What they may use beside it.
const BESIDE: u64 = 16 << 20;

fn cases() -> Vec<Case> {
    #[cfg(feature = "legacy-import")]
    let legacy = super::legacy::cases();
    #[cfg(not(feature = "legacy-import"))]
    let legacy = Vec::new();
    let tables = [
        super::lengths::cases(),
        super::frames::cases(),
        super::contradictions::cases(),
        super::values::cases(),
        super::salvage::cases(),
        super::tolerated::cases(),
        legacy,
    ];
    tables.concat()
}

#[test]
fn no_hostile_file_takes_more_than_the_budget_and_16_mib() {
    if std::env::var_os(ROLE).is_some() {
        return measure();
    }
    let name = "canonical::memory::no_hostile_file_takes_more_than_the_budget_and_16_mib";
    let mut command = Command::new(std::env::current_exe().unwrap());
    // One arena, so that what one import gave back is not kept beside what the next one takes.
    command.args(["--exact", name, "--nocapture"]).env(ROLE, "1").env("MALLOC_ARENA_MAX", "1");
    let output =
        command.env("MALLOC_TRIM_THRESHOLD_", "131072").env("MALLOC_MMAP_THRESHOLD_", "131072").output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("most: "), "nothing was measured: {said}");
    println!("{}", said.lines().filter(|line| line.starts_with("most: ")).collect::<String>());
}

/// Bytes of a line of `/proc/self/status`.
fn status(name: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("no {name}"));
    line.trim_matches(|c: char| !c.is_ascii_digit()).parse::<u64>().unwrap() << 10
}

/// Runs in the process of its own: writes the files first, so that only imports are measured.
fn measure() {
    let dir = tempfile::tempdir().unwrap();
    let mut names = Vec::new();
    for (index, case) in cases().into_iter().enumerate() {
        fs::write(dir.path().join(format!("{index}.db")), &case.file).unwrap();
        names.push(case.name);
    }
    let import = Import::new().memory_budget(BUDGET);
    let mut most = (0, String::new());
    for (index, name) in names.into_iter().enumerate() {
        let target = dir.path().join("target.vdb");
        // The peak starts again from what is used now.
        fs::write("/proc/self/clear_refs", "5").unwrap();
        let before = status("VmRSS:");
        let result = import.run(dir.path().join(format!("{index}.db")), &target);
        let used = status("VmHWM:").saturating_sub(before);
        assert!(used <= BUDGET as u64 + BESIDE, "{name}: {} KiB", used >> 10);
        if used > most.0 {
            most = (used, name);
        }
        if result.is_ok() {
            fs::remove_dir_all(&target).unwrap();
        }
    }
    println!("most: {} KiB, {}", most.0 >> 10, most.1);
}
