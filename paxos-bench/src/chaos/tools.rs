//! What this machine must offer for some of the faults.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Set in a process that has mounts of its own.
const NAMESPACE: &str = "PAXOS_BENCH_NAMESPACE";

/// Bytes of a small disk: much more than a node of these runs needs.
const SMALL_DISK: &str = "size=128m";

/// Whether this process has mounts of its own, which end with it.
pub fn has_namespace() -> bool {
    std::env::var_os(NAMESPACE).is_some()
}

/// Starts this program anew, in its own place, with mounts of its own. It comes back only where
/// that is not possible, and says why.
pub fn enter_namespace() -> String {
    let probe = |flags: &str| {
        let mut probe = Command::new("unshare");
        probe.args([flags, "sh", "-c", "mount -t tmpfs -o size=64k tmpfs /mnt"]);
        let tried = probe.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
        tried.is_ok_and(|status| status.success())
    };
    // As root, or as whoever is root in a user namespace of its own.
    let Some(flags) = ["-m", "-rm"].into_iter().find(|flags| probe(flags)) else {
        return "a small disk cannot be mounted here (unshare -rm): run as root, or allow user \
                namespaces"
            .to_owned();
    };
    let program = match std::env::current_exe() {
        Ok(program) => program,
        Err(error) => return error.to_string(),
    };
    let mut again = Command::new("unshare");
    again.arg(flags).arg(program).args(std::env::args_os().skip(1)).env(NAMESPACE, "1");
    again.exec().to_string()
}

/// Mounts a small disk. Only for a process that has mounts of its own.
pub(super) fn mount_small_disk(at: &Path) -> io::Result<()> {
    fs::create_dir_all(at)?;
    let mut mount = Command::new("mount");
    mount.args(["-t", "tmpfs", "-o", SMALL_DISK, "tmpfs"]).arg(at);
    match mount.stdin(Stdio::null()).status()?.success() {
        true => Ok(()),
        false => Err(io::Error::other(format!("cannot mount a small disk at {}", at.display()))),
    }
}

/// Undoes [`mount_small_disk`], so that the directory can be removed. What was there is gone.
pub(super) fn unmount(disk: &Path) {
    // Where it fails, the mount ends with this process, and an empty directory stays.
    let _ = Command::new("umount").arg(disk).stdin(Stdio::null()).status();
}

/// Uses all room of a small disk. What does it goes with [`make_room`].
pub(super) fn fill(disk: &Path) -> io::Result<()> {
    let mut file = File::create(ballast(disk))?;
    for bytes in [1 << 20, 4096, 1] {
        let zeros = vec![0; bytes];
        loop {
            match file.write_all(&zeros) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::StorageFull => break,
                Err(error) => return Err(error),
            }
        }
    }
    Ok(())
}

/// Gives the room back.
pub(super) fn make_room(disk: &Path) -> io::Result<()> {
    match fs::remove_file(ballast(disk)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn ballast(disk: &Path) -> PathBuf {
    disk.join("ballast")
}

/// Has the next sync of each thread of a process fail, until it is dropped.
#[derive(Debug)]
pub(super) struct FailedSync {
    strace: Child,
    log: PathBuf,
}

impl FailedSync {
    pub(super) fn of(pid: u32, log: PathBuf) -> io::Result<FailedSync> {
        let mut strace = Command::new("strace");
        strace.args(["-f", "-qq", "-e", "trace=fsync,fdatasync"]);
        strace.args(["-e", "inject=fsync,fdatasync:error=EIO:when=1", "-o"]).arg(&log);
        strace.args(["-p", &pid.to_string()]);
        strace.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Ok(FailedSync { strace: strace.spawn()?, log })
    }

    /// Whether a sync has failed.
    pub(super) fn struck(&self) -> bool {
        fs::read_to_string(&self.log).unwrap_or_default().contains("INJECTED")
    }
}

impl Drop for FailedSync {
    fn drop(&mut self) {
        // It ends by itself when the process does.
        let _ = self.strace.kill();
        let _ = self.strace.wait();
    }
}

/// Whether a process can be traced, as [`FailedSync`] does; if not, what is missing.
pub(super) fn can_trace() -> Result<(), String> {
    let version = Command::new("strace").arg("-V").stdout(Stdio::null()).status();
    if !version.is_ok_and(|status| status.success()) {
        return Err("strace is not installed (Debian: apt-get install strace)".to_owned());
    }
    let traced = || -> io::Result<bool> {
        let mut sleep = Command::new("sleep").arg("2").spawn()?;
        let mut strace = Command::new("strace");
        strace.args(["-f", "-qq", "-o", "/dev/null", "-e", "trace=none"]);
        strace.args(["-p", &sleep.id().to_string()]).stderr(Stdio::null());
        let mut strace = strace.spawn()?;
        // One that may not attach ends at once.
        std::thread::sleep(Duration::from_millis(500));
        let attached = strace.try_wait()?.is_none();
        sleep.kill()?;
        sleep.wait()?;
        strace.wait()?;
        Ok(attached)
    };
    match traced() {
        Ok(true) => Ok(()),
        Ok(false) => Err("strace may not attach to a process here: run as root".to_owned()),
        Err(error) => Err(format!("strace does not run: {error}")),
    }
}
