//! *Purpose*: whether this machine has what the engine is built on.
//!
//! *Owns*: the list of system calls and the least kernel, the trial of each in the data folder.
//!
//! *Promises*: what is missing is named at the start, with what has it; nothing fails later, job by
//! job, for want of it.
//!
//! *Not here*: what may be missing because there is another way (control groups, `close_range`, a
//! rename that refuses to replace).

use std::fs;
use std::io;
use std::path::Path;

use rustix::fs::{CWD, FlockOperation, Mode, OFlags, ResolveFlags, flock, openat2};
use rustix::process::{PidfdFlags, getpid, pidfd_open};

use super::spool::FREE_PREFIX;
use super::{plain, proc, sys};

/// The least version of Linux that has all of it.
pub const LEAST_KERNEL: &str = "5.6";

/// What is missing.
#[derive(Debug, thiserror::Error)]
#[error("{what} does not work here ({source}); {remedy}")]
pub struct Missing {
    /// Which system call or file system.
    what: &'static str,
    /// What has it.
    remedy: String,
    /// What the system said.
    source: io::Error,
}

/// Tries everything, in this folder where a folder is needed.
///
/// # Errors
/// The first that does not work.
pub fn probe(folder: &Path) -> Result<(), Missing> {
    let kernel = |what, answer: io::Result<()>| {
        let remedy = format!(
            "it needs Linux {LEAST_KERNEL} or newer, and no filter of system calls (seccomp) that \
             refuses it"
        );
        answer.map_err(|source| Missing { what, remedy, source })
    };
    let place = |what, answer: io::Result<()>| {
        let remedy = format!(
            "put the data folder on a local file system, or one that can do it: {}",
            folder.display()
        );
        answer.map_err(|source| Missing { what, remedy, source })
    };
    kernel("/proc", own_proc())?;
    kernel("pidfd_open", pidfd_open(getpid(), PidfdFlags::empty()).map(drop).map_err(Into::into))?;
    kernel("openat2", open_beneath(folder))?;
    kernel("signalfd", sys::child_signals().map(drop))?;
    place(
        "locking a file (flock)",
        try_file(folder, |file, _| Ok(flock(file, FlockOperation::NonBlockingLockExclusive)?)),
    )?;
    place(
        "giving a file a new name that nobody has",
        try_file(folder, |_, path| {
            let new = path.with_extension("renamed");
            let _left_by_a_crash = fs::remove_file(&new);
            plain::rename_new(path, &new)?;
            fs::rename(&new, path)
        }),
    )
}

/// `/proc` shows this process under its own number.
fn own_proc() -> io::Result<()> {
    let shown = fs::read_link("/proc/self")?;
    if shown.as_os_str().to_str() != Some(std::process::id().to_string().as_str()) {
        return Err(io::Error::other("it shows the processes of another namespace"));
    }
    proc::myself().map(drop)
}

fn open_beneath(folder: &Path) -> io::Result<()> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = rustix::fs::openat(CWD, folder, flags, Mode::empty())?;
    openat2(&root, ".", flags, Mode::empty(), ResolveFlags::BENEATH)?;
    Ok(())
}

fn try_file(folder: &Path, act: impl FnOnce(&fs::File, &Path) -> io::Result<()>) -> io::Result<()> {
    // One name, of those that belong to no attempt: what a killed server left is used again.
    let path = folder.join(format!("{FREE_PREFIX}probe"));
    let file = fs::File::create(&path)?;
    let done = act(&file, &path);
    fs::remove_file(&path)?;
    done
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_all_of_it_and_nothing_stays_behind() {
        let home = tempfile::tempdir().unwrap();
        probe(home.path()).unwrap();
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_is_missing_is_named_with_what_has_it() {
        let refused = probe(Path::new("/proc")).unwrap_err().to_string();
        assert!(refused.contains("flock") && refused.contains("local file system"), "{refused}");
    }
}
