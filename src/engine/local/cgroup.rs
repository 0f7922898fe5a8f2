//! *Purpose*: control groups as this machine has them, whatever they are for.
//!
//! *Owns*: where this process may make groups; how one is made, who is in it, how it is removed;
//! whether a path that a spool names can be one of ours.
//!
//! *Promises*: nothing is written but into groups that the caller names; what a script may have
//! written into the spool never leads out of the control groups.
//!
//! *Not here*: groups that bound memory (`memory`), that deny devices (`devices`), that hold
//! processes (`proctrack`).

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::clock;
use crate::time::SECOND_US;

/// Where control groups are.
pub const MOUNT: &str = "/sys/fs/cgroup";
/// The groups that a process is in.
pub const OWN: &str = "/proc/self/cgroup";

/// Where a server goes whose own group of version 2 has to be empty, to hand a controller on.
pub const SERVER: &str = "downbeat.server";
/// An empty group of nobody's attempt is removed when it is older than this, seconds: between the
/// making of a group and its first process are microseconds, also in other servers.
const FORSAKEN_S: i64 = 60;
/// How often the folder of all groups is made while other servers end and take it away.
const BASE_TRIES: u32 = 8;

/// The groups that this process is in, below which others may be made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places {
    /// Of version 1, with the controller that was asked for.
    pub v1: Vec<PathBuf>,
    /// Of version 2, whatever controllers it has.
    pub v2: Vec<PathBuf>,
}

/// Looks for them below `mount`; `membership` is what [`OWN`] says.
#[must_use]
pub fn places(mount: &Path, membership: &str, controller: &str) -> Places {
    let mut places = Places::default();
    for line in membership.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else { continue };
        // In a container the path may be one that only the machine sees; its own is the mount then.
        let own = |mount: PathBuf| {
            let there = mount.join(path.trim_start_matches('/'));
            if there.exists() { there } else { mount }
        };
        let has_controller = controllers.split(',').any(|c| c == controller);
        if controllers.is_empty() {
            let mounts = [mount.to_owned(), mount.join("unified")];
            let mounts = mounts.into_iter().filter(|m| m.join("cgroup.controllers").exists());
            places.v2.extend(mounts.map(own));
        } else if has_controller && mount.join(controller).exists() {
            places.v1.push(own(mount.join(controller)));
        }
    }
    places
}

/// Whether a group that a spool names can be one below the folder of ours that has this name. What
/// a script may have written there must not lead elsewhere.
#[must_use]
pub fn is_below(group: &Path, base: &str) -> bool {
    group.parent().and_then(Path::file_name).is_some_and(|parent| parent == base)
        && group.starts_with(MOUNT)
        && !group.components().any(|part| part.as_os_str() == "..")
}

/// The group in which groups for jobs are made, when this is the server's own: it may have moved
/// into a group beside its jobs, or have been put where a server before it had moved to.
#[must_use]
pub fn above_server(own: &Path) -> &Path {
    let above = own.parent().filter(|_| own.ends_with(SERVER));
    above.unwrap_or(own)
}

/// Makes a group in the folder of all groups, or takes the one that is there. A server that ended
/// may take that folder along: then it is made again, by `make_base`.
///
/// # Errors
/// What the system says.
pub fn make(
    base: &Path,
    group: &Path,
    make_base: impl Fn(&Path) -> io::Result<()>,
) -> io::Result<()> {
    let mut tries = 0;
    while let Err(e) = make_folder(group) {
        tries += 1;
        if e.kind() != io::ErrorKind::NotFound || tries > BASE_TRIES {
            return Err(e);
        }
        make_base(base)?;
    }
    Ok(())
}

/// Makes a folder unless it is there.
///
/// # Errors
/// What the system says.
pub fn make_folder(path: &Path) -> io::Result<()> {
    match fs::create_dir(path) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => Err(e),
        _ => Ok(()),
    }
}

/// The file into which a process writes itself to enter a group.
///
/// # Errors
/// What the system says.
pub fn door(group: &Path) -> io::Result<OwnedFd> {
    let door = fs::OpenOptions::new().write(true).open(group.join("cgroup.procs"))?;
    Ok(door.into())
}

/// Removes empty groups below `base` of attempts that nobody knows any more.
pub fn sweep(base: &Path, is_known: impl Fn(&str) -> bool) {
    for group in fs::read_dir(base).into_iter().flatten().flatten() {
        let Ok(about) = group.metadata() else { continue };
        let age_s = clock::now().0 / SECOND_US - about.mtime();
        let name = group.file_name();
        if about.is_dir() && age_s > FORSAKEN_S && !is_known(&name.to_string_lossy()) {
            let _busy_if_not = remove(&group.path());
        }
    }
}

/// The processes in a group.
#[must_use]
pub fn members(group: &Path) -> Vec<i32> {
    let text = fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
    text.lines().filter_map(|pid| pid.parse().ok()).collect()
}

/// Removes a group, and those that its job made in it. One that is not there is removed.
///
/// # Errors
/// While a process is in it.
pub fn remove(group: &Path) -> io::Result<()> {
    match fs::remove_dir(group) {
        Ok(()) => return Ok(()),
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(_) => {}
    }
    for inner in fs::read_dir(group)?.flatten() {
        if inner.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove(&inner.path())?;
        }
    }
    fs::remove_dir(group)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_looked_for_where_the_controller_is() {
        let mount = tempfile::tempdir().unwrap();
        let there = |path: &str| fs::create_dir_all(mount.path().join(path)).unwrap();
        let at = |path: &str| vec![mount.path().join(path)];
        let found = |text: &str| places(mount.path(), text, "pids");
        assert_eq!(found("4:pids:/x\n0::/y\n"), Places::default(), "nothing is mounted");
        there("pids/x");
        there("unified/y");
        fs::write(mount.path().join("unified/cgroup.controllers"), "").unwrap();
        let both = Places { v1: at("pids/x"), v2: at("unified/y") };
        assert_eq!(found("4:cpu,pids:/x\n3:memory:/z\n0::/y\n"), both);
        let of_the_machine = Places { v1: at("pids"), v2: Vec::new() };
        assert_eq!(found("4:pids:/of/the/machine\n"), of_the_machine, "in a container");
        assert_eq!(found("4:pidsx:/x\nnonsense\n"), Places::default());
    }

    #[test]
    fn a_group_is_one_of_ours_only_below_the_control_groups() {
        let is = |path: &str| is_below(Path::new(path), "downbeat");
        assert!(is("/sys/fs/cgroup/memory/downbeat/7.1.ab"));
        for other in [
            "/tmp/downbeat/7.1.ab",
            "/sys/fs/cgroup/memory/other/7.1.ab",
            "/sys/fs/cgroup/../../tmp/downbeat/7.1.ab",
            "/sys/fs/cgroup",
        ] {
            assert!(!is(other), "{other}");
        }
    }
}
