//! *Purpose*: control groups as this machine has them, whatever they are for.
//!
//! *Owns*: where this process may make groups; who is in one; how one is removed; whether a path
//! that a spool names can be one of ours.
//!
//! *Promises*: nothing is written but into groups that the caller names; what a script may have
//! written into the spool never leads out of the control groups.
//!
//! *Not here*: groups that bound memory (`memory`), groups that hold processes (`proctrack`).

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Where control groups are.
pub const MOUNT: &str = "/sys/fs/cgroup";
/// The groups that a process is in.
pub const OWN: &str = "/proc/self/cgroup";

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
