//! When and where figures were taken: without that they say nothing.

use serde::Serialize;
use std::fmt;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

/// When and where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Machine {
    /// When the comparison ended, in UTC.
    pub date: String,
    /// The kernel.
    pub kernel: String,
    /// The processor, by its own name.
    pub processor: Option<String>,
    /// Threads that run at a time.
    pub cores: Option<usize>,
    /// The file system of the data.
    pub file_system: Option<String>,
    /// The commit of the working copy that this store's binary lies in, if it lies in one.
    pub commit: Option<String>,
}

#[cfg(test)]
impl Machine {
    /// One for reports that nothing was measured for.
    pub(crate) fn made_up() -> Machine {
        Machine {
            date: "today".into(),
            kernel: "some".into(),
            processor: None,
            cores: Some(2),
            file_system: None,
            commit: None,
        }
    }
}

impl Machine {
    /// This machine, now, and where this store's binary comes from.
    pub(crate) fn of(directory: &Path, paxos_kv: Option<&Path>) -> Machine {
        let name = rustix::system::uname();
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let text = |path| fs::read_to_string(path).unwrap_or_default();
        let directory = directory.canonicalize().unwrap_or_else(|_| directory.to_owned());
        Machine {
            date: date(since.unwrap_or(Duration::ZERO)),
            kernel: format!(
                "{} {}",
                name.sysname().to_string_lossy(),
                name.release().to_string_lossy()
            ),
            processor: processor(&text("/proc/cpuinfo")),
            cores: std::thread::available_parallelism().ok().map(usize::from),
            file_system: file_system(&text("/proc/self/mounts"), &directory),
            commit: paxos_kv.and_then(|binary| commit(binary.parent()?)),
        }
    }
}

/// A moment by its time since 1970, in UTC.
fn date(since: Duration) -> String {
    let (days, seconds) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    let is_leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    let (mut year, mut day) = (1970, days);
    while day >= 365 + u64::from(is_leap(year)) {
        day -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let february = 28 + u64::from(is_leap(year));
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30] {
        if day < length {
            break;
        }
        day -= length;
        month += 1;
    }
    let (hour, minute) = (seconds / 3600, seconds / 60 % 60);
    format!("{year}-{month:02}-{:02} {hour:02}:{minute:02} UTC", day + 1)
}

fn processor(cpuinfo: &str) -> Option<String> {
    let line = cpuinfo.lines().find(|line| line.starts_with("model name"))?;
    line.split_once(':').map(|(_, name)| name.trim().to_owned())
}

/// The kind of file system that a directory is on, by the table of what is mounted.
fn file_system(mounts: &str, directory: &Path) -> Option<String> {
    let mount = |line: &str| {
        let mut fields = line.split(' ').skip(1);
        let (place, kind) = (fields.next()?.to_owned(), fields.next()?.to_owned());
        directory.starts_with(&place).then_some((place, kind))
    };
    // What was mounted last covers what was there before.
    mounts.lines().filter_map(mount).max_by_key(|(place, _)| place.len()).map(|(_, kind)| kind)
}

fn commit(directory: &Path) -> Option<String> {
    let mut git = Command::new("git");
    git.arg("-C").arg(directory).args(["describe", "--always", "--dirty"]);
    let output = git.output().ok().filter(|output| output.status.success())?;
    let commit = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    (!commit.is_empty()).then_some(commit)
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Machine { date, kernel, processor, cores, file_system, commit } = self;
        let known = |text: &Option<String>| text.clone().unwrap_or_else(|| "unknown".into());
        write!(
            f,
            "{date}, commit {}; {kernel}, {} with {} threads, {}",
            known(commit),
            known(processor),
            cores.unwrap_or(0),
            known(file_system)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        let on = |seconds| date(Duration::from_secs(seconds));
        assert_eq!(on(0), "1970-01-01 00:00 UTC");
        assert_eq!(on(951_782_400), "2000-02-29 00:00 UTC");
        assert_eq!(on(1_735_689_599), "2024-12-31 23:59 UTC");
        assert_eq!(on(1_795_597_260), "2026-11-25 09:01 UTC");
    }

    #[test]
    fn the_innermost_mount_is_the_file_system() {
        let mounts =
            "/dev/vda / ext4 rw 0 0\ntmpfs /tmp tmpfs rw 0 0\n/dev/vdb /tmp/x xfs rw 0 0\n";
        let kind = |path: &str| file_system(mounts, Path::new(path));
        assert_eq!(kind("/home/a").as_deref(), Some("ext4"));
        assert_eq!(kind("/tmp/y").as_deref(), Some("tmpfs"));
        assert_eq!(kind("/tmp/x/y").as_deref(), Some("xfs"));
        assert_eq!(kind("/tmpfile").as_deref(), Some("ext4"), "whole names count");
    }
}
