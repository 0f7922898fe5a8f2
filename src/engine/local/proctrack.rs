//! *Purpose*: a control group for each job, so that nobody of it can hide and none can fill the
//! machine with processes.
//!
//! *Owns*: [`ProcTrack`] (where such groups can be made here), the group of a supervisor and
//! whoever it starts.
//!
//! *Promises*: what is said to work was tried at the start of the server; a supervisor enters its
//! group before its first job, so every process of its jobs is born in it, at no cost for each;
//! when the supervisor is gone, whoever is left in the group is of its last job, whatever he has
//! made of his environment, his session and his parents.
//!
//! *Not here*: memory (`memory`), the rules of attribution (`processes`).
//!
//! Named after Slurm's `proctrack/cgroup`.

use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use super::cgroup;
use super::sys;

/// The folder of all groups, in the server's own group.
const BASE: &str = "downbeat.jobs";
/// Of all processes and threads that the machine can have, one job may have this part: others can
/// still start, and the server can still end it.
const MACHINE_PART: u64 = 2;
/// How many there can be.
const LIMITS: [&str; 2] = ["/proc/sys/kernel/pid_max", "/proc/sys/kernel/threads-max"];

/// Where groups of supervisors are made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcTrack {
    base: Option<PathBuf>,
}

impl ProcTrack {
    /// Finds out what works here, by trying.
    #[must_use]
    pub fn find() -> ProcTrack {
        let own = fs::read_to_string(cgroup::OWN).unwrap_or_default();
        let mut places = places(Path::new(cgroup::MOUNT), &own);
        ProcTrack { base: places.find_map(|own| try_out(&own).ok()) }
    }

    /// Nowhere.
    #[must_use]
    pub fn nowhere() -> ProcTrack {
        ProcTrack { base: None }
    }

    /// What `/info` says.
    #[must_use]
    pub fn sentence(&self) -> String {
        match &self.base {
            Some(base) => format!(
                "every job has a control group below {}; whoever is left in it when its supervisor \
                 is gone is killed, and it holds at most {} processes and threads{}",
                base.display(),
                processes_max(),
                if base.join("pids.max").exists() { "" } else { " (not enforced here)" }
            ),
            None => "no control group can be made here: a process that left its session and \
                     emptied its environment can escape if its supervisor and the step daemon are \
                     killed, and a job may start as many processes as its user may"
                .to_owned(),
        }
    }

    /// As a line for the step daemon.
    #[must_use]
    pub fn line(&self) -> String {
        self.base.as_ref().map(|base| base.display().to_string()).unwrap_or_default()
    }

    /// Reads [`ProcTrack::line`].
    #[must_use]
    pub fn parse(line: &str) -> ProcTrack {
        ProcTrack { base: Some(line).filter(|line| !line.is_empty()).map(PathBuf::from) }
    }

    /// Makes a group for this process and enters it; answers where it is. `None` where there are
    /// none, or no more: a job runs without one rather than not at all.
    #[must_use]
    pub fn enter(&self) -> Option<PathBuf> {
        let base = self.base.as_ref()?;
        let group = base.join(format!("{}.{}", std::process::id(), nonce()));
        let entered =
            fs::create_dir_all(base).and_then(|()| fs::create_dir(&group)).and_then(|()| {
                let _where_it_is_counted =
                    fs::write(group.join("pids.max"), processes_max().to_string());
                fs::write(group.join("cgroup.procs"), "0")
            });
        match entered {
            Ok(()) => Some(group),
            Err(_) => {
                let _not_made = fs::remove_dir(&group);
                None
            }
        }
    }

    /// Removes groups that nobody is in.
    pub fn sweep(&self) {
        let Some(base) = &self.base else { return };
        for group in fs::read_dir(base).into_iter().flatten().flatten() {
            let _in_use_if_not = cgroup::remove(&group.path());
        }
    }

    /// Leaves nothing behind when no job has a group.
    pub fn leave(&self) {
        if let Some(base) = &self.base {
            self.sweep();
            let _in_use_if_not = fs::remove_dir(base);
        }
    }
}

/// Whether a group that a spool names can be that of a supervisor with this number.
#[must_use]
pub fn is_of(group: &Path, supervisor: i32) -> bool {
    let name = group.file_name().and_then(|name| name.to_str());
    let number = name.and_then(|name| name.split('.').next());
    cgroup::is_below(group, BASE) && number == Some(supervisor.to_string().as_str())
}

/// Lets nobody in a group start anything more, and kills all of it where the system does that at
/// once. Whoever lives is seen by [`cgroup::members`].
pub fn close(group: &Path) {
    // Each is there or not, by version and kernel; a signal to each member comes in any case.
    let _by_count = fs::write(group.join("pids.max"), "0");
    let _at_once = fs::write(group.join("cgroup.kill"), "1");
}

/// The groups of this process below which others may be made, best first: one that counts
/// processes, then one that only holds them.
fn places(mount: &Path, membership: &str) -> impl Iterator<Item = PathBuf> {
    let cgroup::Places { v1, v2 } = cgroup::places(mount, membership, "pids");
    v1.into_iter().chain(v2)
}

/// Makes the folder and a group in it, has a process enter that, and removes the group.
fn try_out(own: &Path) -> io::Result<PathBuf> {
    let base = cgroup::above_server(own).join(BASE);
    fs::create_dir_all(&base)?;
    let _where_it_is_handed_on = fs::write(own.join("cgroup.subtree_control"), "+pids");
    let _the_same = fs::write(base.join("cgroup.subtree_control"), "+pids");
    let trial = base.join(format!("trial.{}", nonce()));
    fs::create_dir(&trial)?;
    let door = fs::OpenOptions::new().write(true).open(trial.join("cgroup.procs"));
    let entered = door.and_then(|door| sys::try_to_enter(door.as_fd()));
    fs::remove_dir(&trial).and(entered).map(|()| base)
}

fn nonce() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}

fn processes_max() -> u64 {
    let limit = |path: &&str| fs::read_to_string(path).ok()?.trim().parse::<u64>().ok();
    LIMITS.iter().filter_map(limit).min().unwrap_or(u64::from(u16::MAX)) / MACHINE_PART
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_track_survives_its_line() {
        for track in [ProcTrack::nowhere(), ProcTrack { base: Some("/sys/fs/cgroup/a b".into()) }] {
            assert_eq!(ProcTrack::parse(&track.line()), track);
        }
    }

    #[test]
    fn a_group_is_bounded_before_its_supervisor_enters_it() {
        let base = tempfile::tempdir().unwrap();
        let track = ProcTrack { base: Some(base.path().join("downbeat.jobs")) };
        let group = track.enter().unwrap();
        let says = |file: &str| fs::read_to_string(group.join(file)).unwrap();
        assert_eq!(
            (says("pids.max"), says("cgroup.procs")),
            (processes_max().to_string(), "0".into())
        );
        let all: u64 = fs::read_to_string(LIMITS[0]).unwrap().trim().parse().unwrap();
        assert!((1..=all / 2).contains(&processes_max()), "others can still start");
        assert!(is_of(
            &Path::new("/sys/fs/cgroup/downbeat.jobs").join(group.file_name().unwrap()),
            i32::try_from(std::process::id()).unwrap()
        ));
        close(&group);
        assert_eq!((says("pids.max"), says("cgroup.kill")), ("0".into(), "1".into()));
    }

    #[test]
    fn a_group_that_counts_processes_comes_before_one_that_holds_them() {
        let mount = tempfile::tempdir().unwrap();
        let (pids, unified) = (mount.path().join("pids/x"), mount.path().join("unified/y"));
        fs::create_dir_all(&pids).unwrap();
        fs::create_dir_all(&unified).unwrap();
        fs::write(mount.path().join("unified/cgroup.controllers"), "").unwrap();
        let found: Vec<PathBuf> = places(mount.path(), "0::/y\n4:pids:/x\n").collect();
        assert_eq!(found, [pids, unified]);
    }

    #[test]
    fn a_group_of_somebody_else_is_not_a_supervisors() {
        let group = |path: &str| is_of(Path::new(path), 17);
        assert!(group("/sys/fs/cgroup/pids/x/downbeat.jobs/17.ab"));
        for other in [
            "/sys/fs/cgroup/pids/x/downbeat.jobs/18.ab",
            "/sys/fs/cgroup/user.slice/17.ab",
            "/sys/fs/cgroup/a/../downbeat.jobs/17.ab",
            "/tmp/downbeat.jobs/17.ab",
        ] {
            assert!(!group(other), "{other}");
        }
    }
}
