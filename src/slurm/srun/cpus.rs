//! *Purpose*: the CPUs of a job among its steps.
//!
//! *Owns*: a file for each CPU of the job, whose lock a step holds while it has that CPU; the
//! numbers of steps.
//!
//! *Promises*: no two steps that keep to CPUs of their own have one in common; what a step had is
//! free as soon as its `srun` is gone, however that ended; who waits for CPUs is woken and does not
//! look again and again; steps that wait are served one after the other.
//!
//! *Not here*: how many a step needs (`srun::step`).
//!
//! Why files and not the server: a job goes on while no server runs, and a lock ends with its
//! process.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FlockOperation, flock, inotify};
use rustix::io::Errno;

use crate::clock;

/// The CPUs of a step: they are its own as long as this lives.
#[derive(Debug)]
pub struct OwnCpus {
    _held: Vec<File>,
    /// Which they are, counted from 0 among those of the job.
    pub which: Vec<usize>,
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

/// The number of the next step.
///
/// # Errors
/// What the system says.
pub fn next_step(folder: &Path) -> io::Result<u32> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let mut counter = open(&folder.join("steps"))?;
    flock(&counter, FlockOperation::LockExclusive)?;
    let mut text = String::new();
    counter.read_to_string(&mut text)?;
    let step: u32 = text.trim().parse().unwrap_or(0);
    counter.rewind()?;
    counter.write_all(format!("{}\n", step.saturating_add(1)).as_bytes())?;
    Ok(step)
}

/// Takes so many of the job's CPUs; calls `waiting` once if some are busy. `None` when they were
/// busy for so long, or when somebody else waits and this one has not the time to.
///
/// # Errors
/// What the system says.
pub fn take(
    folder: &Path,
    (wanted, all): (usize, usize),
    patience: Option<Duration>,
    waiting: impl FnOnce(),
) -> io::Result<Option<OwnCpus>> {
    let files = (0..all).map(|cpu| open(&folder.join(format!("cpu.{cpu}"))));
    let files: Vec<File> = files.collect::<io::Result<_>>()?;
    // Watched before the first look, so that nothing that becomes free between them is missed.
    let freed = inotify::init(inotify::CreateFlags::CLOEXEC)?;
    inotify::add_watch(&freed, folder, inotify::WatchFlags::CLOSE_WRITE)?;
    // Who waits keeps those behind him from taking what he needs.
    let turn = open(&folder.join("turn"))?;
    let mut waiting = Some(waiting);
    let until = patience.and_then(|patience| clock::monotonic().checked_add(patience));
    if flock(&turn, FlockOperation::NonBlockingLockExclusive).is_err() {
        waiting.take().into_iter().for_each(|waiting| waiting());
        if patience.is_some() {
            return Ok(None);
        }
        flock(&turn, FlockOperation::LockExclusive)?;
    }
    loop {
        let mut which = Vec::with_capacity(wanted);
        for (cpu, file) in files.iter().enumerate().filter(|_| wanted <= all) {
            if which.len() == wanted {
                break;
            }
            match flock(file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => which.push(cpu),
                Err(Errno::WOULDBLOCK) => {}
                Err(error) => return Err(error.into()),
            }
        }
        if which.len() == wanted {
            let files = files.into_iter().enumerate().filter(|(cpu, _)| which.contains(cpu));
            return Ok(Some(OwnCpus { _held: files.map(|(_, file)| file).collect(), which }));
        }
        for cpu in which {
            flock(&files[cpu], FlockOperation::Unlock)?;
        }
        waiting.take().into_iter().for_each(|waiting| waiting());
        let left = until.map(|until| until.saturating_duration_since(clock::monotonic()));
        if !is_freed(&freed, left)? {
            return Ok(None);
        }
    }
}

/// Waits until somebody lets go of something; answers whether that was in time.
fn is_freed(freed: &rustix::fd::OwnedFd, patience: Option<Duration>) -> io::Result<bool> {
    let timeout = patience.and_then(|patience| Timespec::try_from(patience).ok());
    let mut fds = [PollFd::new(freed, PollFlags::IN)];
    loop {
        match poll(&mut fds, timeout.as_ref()) {
            Ok(0) => return Ok(false),
            Ok(_) => break,
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    // What it says does not matter, only that it is taken.
    let mut said = [0; 4096];
    rustix::io::read(freed, &mut said)?;
    Ok(true)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn steps_have_numbers_and_cpus_of_their_own() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("steps");
        assert_eq!((next_step(&folder).unwrap(), next_step(&folder).unwrap()), (0, 1));
        let now = Some(Duration::ZERO);
        let nobody_waits = || panic!("there was room");
        let first = take(&folder, (2, 3), now, nobody_waits).unwrap().unwrap();
        assert_eq!(first.which, [0, 1]);
        let mut told = false;
        assert!(take(&folder, (2, 3), now, || told = true).unwrap().is_none());
        assert!(told);
        let second = take(&folder, (1, 3), now, nobody_waits).unwrap().unwrap();
        assert_eq!(second.which, [2]);
        drop(first);
        assert_eq!(take(&folder, (2, 3), now, nobody_waits).unwrap().unwrap().which, [0, 1]);
    }

    #[test]
    fn who_waits_is_woken_by_whoever_goes() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("steps");
        next_step(&folder).unwrap();
        let first = take(&folder, (1, 1), None, || ()).unwrap().unwrap();
        let (told, waits) = std::sync::mpsc::channel();
        let second = std::thread::spawn({
            let folder = folder.clone();
            move || take(&folder, (1, 1), None, || told.send(()).unwrap()).unwrap().unwrap().which
        });
        waits.recv().unwrap();
        drop(first);
        assert_eq!(second.join().unwrap(), [0]);
    }
}
