//! What processes have used, as the kernel tells it.

use std::fs;
use std::path::Path;
use std::time::Duration;

/// Processor time of these processes so far, theirs and the kernel's for them; none: one has ended.
pub(crate) fn cpu(pids: &[u32]) -> Option<Duration> {
    let ticks_per_s = rustix::param::clock_ticks_per_second();
    let ticks = |pid: &u32| cpu_ticks(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?);
    let ticks: u64 = pids.iter().map(ticks).sum::<Option<u64>>()?;
    Some(Duration::from_secs_f64(ticks as f64 / ticks_per_s as f64))
}

/// Ticks that a process has run, by its line in `/proc`.
fn cpu_ticks(stat: &str) -> Option<u64> {
    // The second field is a name in parentheses, which may have anything in it.
    let (_, fields) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let (user, system) = (fields.get(11)?, fields.get(12)?);
    Some(user.parse::<u64>().ok()? + system.parse::<u64>().ok()?)
}

/// The memory that a process has, in bytes; none: it has ended.
pub(crate) fn resident_bytes(pid: u32) -> Option<u64> {
    resident(&fs::read_to_string(format!("/proc/{pid}/status")).ok()?)
}

/// How many files and sockets a process has open; none: it has ended.
pub(crate) fn descriptors(pid: u32) -> Option<u64> {
    Some(fs::read_dir(format!("/proc/{pid}/fd")).ok()?.count() as u64)
}

/// Memory that new processes may have without others losing theirs, in bytes.
pub(crate) fn available_bytes() -> Option<u64> {
    kilobytes(&fs::read_to_string("/proc/meminfo").ok()?, "MemAvailable:")
}

/// Bytes of all files in a directory and those below it. One that goes meanwhile has none.
pub(crate) fn bytes_below(directory: &Path) -> u64 {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let sizes = entries.map(|entry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => bytes_below(&entry.path()),
        metadata => metadata.map_or(0, |metadata| metadata.len()),
    });
    sizes.sum()
}

/// Resident memory, by the status of a process in `/proc`.
fn resident(status: &str) -> Option<u64> {
    kilobytes(status, "VmRSS:")
}

/// A number of bytes that a file in `/proc` tells in kilobytes.
fn kilobytes(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_found_behind_any_name() {
        let stat = "42 (a ) b) S 1 42 42 0 -1 4194560 9 0 0 0 700 34 0 0 20 0 5 0 99 1 2";
        assert_eq!(cpu_ticks(stat), Some(734));
        assert_eq!(cpu_ticks("42 (a"), None);
        assert!(cpu(&[std::process::id()]).is_some());
    }

    #[test]
    fn memory_is_told_in_kilobytes() {
        assert_eq!(resident("Name:\tx\nVmRSS:\t  120 kB\nThreads:\t1\n"), Some(122_880));
        assert_eq!(resident("Name:\tx\n"), None, "a process that has ended has none");
        assert!(resident_bytes(std::process::id()).is_some_and(|bytes| bytes > 0));
        assert!(available_bytes().is_some_and(|bytes| bytes > 0));
    }

    #[test]
    fn what_is_open_and_what_is_on_disk_is_counted() {
        let before = descriptors(std::process::id()).unwrap();
        assert!(before > 2 && descriptors(u32::MAX).is_none(), "{before}");
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("below")).unwrap();
        fs::write(directory.path().join("a"), "12345").unwrap();
        fs::write(directory.path().join("below/b"), "678").unwrap();
        assert_eq!(bytes_below(directory.path()), 8);
        assert_eq!(bytes_below(&directory.path().join("gone")), 0);
    }
}
