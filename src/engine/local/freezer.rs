//! *Purpose*: stops the processes of a job where they stand, and lets them go on.
//!
//! *Owns*: [`Freezer`] (what this machine offers), the control group in which a job is frozen.
//!
//! *Promises*: what is said to work was tried at the start of the server; a job has such a group
//! only once somebody suspended it; whoever is frozen there is of the job, and all of it is.
//!
//! *Not here*: when a job is suspended (`attempt_watch`), removing what a lost attempt left
//! (`look`).
//!
//! **Version 1** has a hierarchy for it, in which no other group matters. In **version 2** the
//! group is made within the one that the job's script is in, so the limits of that one still hold.
//! In both, whoever enters a frozen group is frozen, and cannot start anybody.

use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use super::cgroup;
use super::proc::{self, Identity};
use super::sys;

/// The folder of all groups that are frozen.
pub const BASE: &str = "downbeat.frozen";
/// The controller of version 1.
const CONTROLLER: &str = "freezer";
/// What freezes a group of version 1, and of version 2.
const FILES: [&str; 2] = ["freezer.state", "cgroup.freeze"];
/// How often the tree is listed until nobody new is in it. Whoever was moved starts nobody any
/// more, so a second look mostly finds none; what forks faster than this is a fork bomb.
const PASSES_MAX: u32 = 200;

/// What can freeze a job, with the group that this process is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Freezer {
    /// The controller of version 1.
    V1(PathBuf),
    /// Any group of version 2.
    V2(PathBuf),
    /// Nothing.
    Absent,
}

impl Freezer {
    /// Finds out what works here, by trying; with it the sentence for `/info`. With
    /// `only_version_2` version 1 is passed over.
    #[must_use]
    pub fn find(only_version_2: bool) -> (Freezer, String) {
        let own = match fs::read_to_string(cgroup::OWN) {
            Ok(text) => text,
            Err(e) => return Freezer::absent(&format!("{}: {e}", cgroup::OWN)),
        };
        let cgroup::Places { v1, v2 } = cgroup::places(Path::new(cgroup::MOUNT), &own, CONTROLLER);
        let v1 = v1.into_iter().filter(|_| !only_version_2).map(Freezer::V1);
        let mut why = "there are none".to_owned();
        for freezer in v1.chain(v2.into_iter().map(Freezer::V2)) {
            match freezer.try_out() {
                Ok(()) => {
                    let version =
                        if matches!(freezer, Freezer::V1(_)) { "version 1" } else { "version 2" };
                    let says = format!(
                        "a running job can be suspended: a control group ({version}) stops all of \
                         its processes where they stand, and its time limit stands still"
                    );
                    return (freezer, says);
                }
                Err(e) => why = e,
            }
        }
        Freezer::absent(&why)
    }

    /// None, and the sentence for `/info`.
    #[must_use]
    pub fn absent(why: &str) -> (Freezer, String) {
        let says = format!("no job can be suspended: no control group can freeze one here ({why})");
        (Freezer::Absent, says)
    }

    /// As a line for the step daemon.
    #[must_use]
    pub fn line(&self) -> String {
        match self {
            Freezer::V1(own) => format!("v1 {}", own.display()),
            Freezer::V2(own) => format!("v2 {}", own.display()),
            Freezer::Absent => "absent".to_owned(),
        }
    }

    /// Reads [`Freezer::line`].
    #[must_use]
    pub fn parse(line: &str) -> Freezer {
        match line.split_once(' ') {
            Some(("v1", own)) => Freezer::V1(own.into()),
            Some(("v2", own)) => Freezer::V2(own.into()),
            _ => Freezer::Absent,
        }
    }

    fn base(&self) -> Option<PathBuf> {
        match self {
            Freezer::V1(own) | Freezer::V2(own) => Some(own.join(BASE)),
            Freezer::Absent => None,
        }
    }

    /// Removes empty groups of attempts that nobody knows any more.
    pub fn sweep(&self, is_known: impl Fn(&str) -> bool) {
        if let Some(base) = self.base() {
            cgroup::sweep(&base, is_known);
            self.leave();
        }
    }

    /// Leaves nothing behind when no job has a group.
    pub fn leave(&self) {
        if let Some(base) = self.base() {
            let _in_use_if_not = fs::remove_dir(base);
        }
    }

    /// Where the group of the attempt of this name is to be made, whose script this is.
    ///
    /// # Errors
    /// When nothing can freeze here, or the script is gone.
    pub fn group_of(&self, script: i32, name: &str) -> io::Result<PathBuf> {
        let above = match self {
            Freezer::Absent => Err(io::Error::from(io::ErrorKind::Unsupported)),
            Freezer::V1(own) => Ok(own.clone()),
            Freezer::V2(_) => {
                let membership = fs::read_to_string(format!("/proc/{script}/cgroup"))?;
                let places = cgroup::places(Path::new(cgroup::MOUNT), &membership, CONTROLLER);
                let first = places.v2.into_iter().next();
                first.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
            }
        };
        Ok(above?.join(BASE).join(name))
    }

    /// Makes a group, has a process enter it, freezes it and removes it.
    fn try_out(&self) -> Result<(), String> {
        let Some(base) = self.base() else { return Ok(()) };
        // One process may try twice at a time.
        static TRIALS: AtomicU32 = AtomicU32::new(0);
        let n = TRIALS.fetch_add(1, Ordering::Relaxed);
        let group = base.join(format!("trial.{}.{n}", std::process::id()));
        let tried = make(&group).and_then(|()| {
            let entered = cgroup::door(&group).and_then(|door| sys::try_to_enter(door.as_fd()));
            entered.and_then(|()| set(&group, true)).and_then(|()| set(&group, false))
        });
        let removed = cgroup::remove(&group);
        self.leave();
        tried.and(removed).map_err(|e| format!("{}: {e}", base.display()))
    }
}

/// Makes a group, with the folder that it is in.
///
/// # Errors
/// What the system says.
pub fn make(group: &Path) -> io::Result<()> {
    let base = group.parent().unwrap_or(group);
    cgroup::make(base, group, cgroup::make_folder)
}

/// Freezes all that is below this process, by moving it into this group. What is moved while others
/// still run starts nobody any more, so one look follows the other until nobody is left to move.
///
/// # Errors
/// What the system says, and when somebody starts processes faster than they are stopped; then
/// some are frozen.
pub fn freeze(group: &Path, me: i32) -> io::Result<()> {
    set(group, true)?;
    let mut moved: Vec<Identity> = Vec::new();
    for _ in 0..PASSES_MAX {
        let tree = proc::descendants(me).into_iter().filter(|seen| seen.is_alive());
        let new: Vec<Identity> =
            tree.map(|seen| seen.identity).filter(|one| !moved.contains(one)).collect();
        if new.is_empty() {
            return Ok(());
        }
        for one in new {
            // One that ends meanwhile is of no concern; its number is not another's so soon.
            if proc::stat(one.pid).is_some_and(|seen| seen.identity == one) {
                match fs::write(group.join("cgroup.procs"), one.pid.to_string()) {
                    Err(e) if e.raw_os_error() != Some(libc::ESRCH) => return Err(e),
                    _ => {}
                }
            }
            moved.push(one);
        }
    }
    Err(io::Error::other("processes are started faster than they can be stopped"))
}

/// Lets all in a group go on. In one that is not there nobody is.
///
/// # Errors
/// What the system says.
pub fn thaw(group: &Path) -> io::Result<()> {
    match set(group, false) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Removes a group that nobody is in, and the folder of such groups if this was the last.
pub fn remove(group: &Path) {
    let _empty_if_removed = cgroup::remove(group);
    if let Some(base) = group.parent() {
        let _in_use_if_not = fs::remove_dir(base);
    }
}

fn set(group: &Path, frozen: bool) -> io::Result<()> {
    let [v1, v2] = FILES.map(|file| group.join(file));
    if v1.exists() {
        return fs::write(v1, if frozen { "FROZEN" } else { "THAWED" });
    }
    // Nothing is made here: a group without this file cannot freeze anybody.
    let mut file = fs::OpenOptions::new().write(true).open(v2)?;
    io::Write::write_all(&mut file, if frozen { b"1" } else { b"0" })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_freezer_survives_its_line() {
        let own = PathBuf::from("/sys/fs/cgroup/a b");
        for freezer in [Freezer::V1(own.clone()), Freezer::V2(own), Freezer::Absent] {
            assert_eq!(Freezer::parse(&freezer.line()), freezer);
        }
    }

    #[test]
    fn a_group_that_is_not_there_is_thawed_and_one_that_cannot_freeze_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        assert!(thaw(&folder.path().join("none")).is_ok());
        assert!(set(folder.path(), true).is_err());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "nothing was made");
    }

    #[test]
    fn without_a_freezer_there_is_no_group() {
        assert!(Freezer::Absent.group_of(1, "7.1.ab").is_err());
        let own = Freezer::V1("/sys/fs/cgroup/freezer/x".into());
        let group = own.group_of(1, "7.1.ab").unwrap();
        assert_eq!(group, Path::new("/sys/fs/cgroup/freezer/x/downbeat.frozen/7.1.ab"));
        assert!(cgroup::is_below(&group, BASE));
    }
}
