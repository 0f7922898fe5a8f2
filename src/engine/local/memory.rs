//! *Purpose*: keeps a job that asks for memory below what it asked for.
//!
//! *Owns*: [`MemoryControl`] (what this machine offers), [`Group`] (a job's own control group).
//!
//! *Promises*: what is said to work was tried at the start of the server; a group is only made for
//! a job that asks for memory; it is gone when its last process is; that a process was killed for
//! want of memory is read from the group, or not said at all.
//!
//! *Not here*: moving a process in before its first instruction (`sys`), what follows from a kill
//! (`kernel::transition`), who holds how much (`resources::ledger`).
//!
//! **Where groups are.** Below the group that the server was started in, whose limits hold for all
//! of them: `downbeat/<attempt>`. In version 2 a group that hands a controller on may hold no
//! process itself, so there the server moves into `downbeat.server` beside it, which it only does
//! where it is alone (a unit of systemd with `Delegate=yes`).
//!
//! **What it is not.** A wall against its own user: who may write the group's files, root or the
//! owner of a delegated group, may write himself out of it.

use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use super::cgroup;
use super::sys;
use crate::job::outcome::OutOfMemory;

/// The folder of all groups, in the server's own group.
pub const BASE: &str = "downbeat";
/// So much is taken at a time: a use that comes as near as this has met the limit.
const CHARGE_BYTES: u64 = 64 * 4096;
/// Limit of the group that is made to try: any will do.
const TRIAL_BYTES: u64 = 64 << 20;

/// Which control groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// `memory.limit_in_bytes`.
    V1,
    /// `memory.max`.
    V2,
}

/// What keeps jobs below their memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MemoryControl {
    /// A control group each, in this folder.
    Groups(Version, PathBuf),
    /// A limit of data for each process.
    DataLimit,
}

impl MemoryControl {
    /// Finds out what works here, by trying; with it the sentence for `/info`.
    #[must_use]
    pub fn find() -> (MemoryControl, String) {
        let own = match fs::read_to_string(cgroup::OWN) {
            Ok(text) => text,
            Err(e) => return MemoryControl::without_groups(&format!("{}: {e}", cgroup::OWN)),
        };
        MemoryControl::find_in(Path::new(cgroup::MOUNT), &own)
    }

    fn find_in(mount: &Path, membership: &str) -> (MemoryControl, String) {
        let mut why = "the controller \"memory\" is not there".to_owned();
        for (version, own) in places(mount, membership) {
            match base_in(version, &own).and_then(|base| try_out(version, base)) {
                Ok((base, swap)) => {
                    let says = sentence(version, swap);
                    return (MemoryControl::Groups(version, base), says);
                }
                Err(e) => why = e,
            }
        }
        MemoryControl::without_groups(&why)
    }

    /// The other means, and the sentence for `/info`.
    #[must_use]
    pub fn without_groups(why: &str) -> (MemoryControl, String) {
        let says = format!(
            "no control group can be used here ({why}); each single process of a job that asks for \
             memory may have so much data (RLIMIT_DATA), several may have more together, and no \
             job ends OUT_OF_MEMORY"
        );
        (MemoryControl::DataLimit, says)
    }

    /// As a line for the step daemon.
    #[must_use]
    pub fn line(&self) -> String {
        match self {
            MemoryControl::Groups(Version::V1, base) => format!("v1 {}", base.display()),
            MemoryControl::Groups(Version::V2, base) => format!("v2 {}", base.display()),
            MemoryControl::DataLimit => "data".to_owned(),
        }
    }

    /// Reads [`MemoryControl::line`].
    #[must_use]
    pub fn parse(line: &str) -> MemoryControl {
        match line.split_once(' ') {
            Some(("v1", base)) => MemoryControl::Groups(Version::V1, base.into()),
            Some(("v2", base)) => MemoryControl::Groups(Version::V2, base.into()),
            _ => MemoryControl::DataLimit,
        }
    }

    /// Removes empty groups of attempts that nobody knows any more.
    pub fn sweep(&self, is_known: impl Fn(&str) -> bool) {
        if let MemoryControl::Groups(_, base) = self {
            cgroup::sweep(base, is_known);
        }
    }

    /// Leaves nothing behind when no job has a group: for the step daemon, which ends after its
    /// server whatever that died of.
    pub fn leave(&self) {
        if let MemoryControl::Groups(_, base) = self {
            let _in_use_if_not = fs::remove_dir(base);
        }
    }
}

fn sentence(version: Version, swap: bool) -> String {
    let (version, whole) = match version {
        Version::V1 => ("version 1", "; the rest of it goes on"),
        Version::V2 => ("version 2", " with all others of it"),
    };
    let swap = if swap { "swap included" } else { "swap cannot be limited here" };
    format!(
        "a job that asks for memory has a control group ({version}) that keeps all of it below \
         that ({swap}); a process that wants more is killed{whole}, and the job ends OUT_OF_MEMORY"
    )
}

/// The groups of this process that may have the controller, best first.
fn places(mount: &Path, membership: &str) -> Vec<(Version, PathBuf)> {
    let cgroup::Places { v1, v2 } = cgroup::places(mount, membership, "memory");
    let v2 = v2.into_iter().filter(|own| has_controller(own)).map(|own| (Version::V2, own));
    v2.chain(v1.into_iter().map(|own| (Version::V1, own))).collect()
}

fn has_controller(own: &Path) -> bool {
    let controllers = fs::read_to_string(own.join("cgroup.controllers")).unwrap_or_default();
    controllers.split_whitespace().any(|c| c == "memory")
}

/// The folder of all groups, ready for groups that can be limited.
fn base_in(version: Version, own: &Path) -> Result<PathBuf, String> {
    let named = |path: &Path, e: io::Error| format!("{}: {e}", path.display());
    if version == Version::V1 {
        let base = own.join(BASE);
        return make_base(version, &base).map(|()| base.clone()).map_err(|e| named(&base, e));
    }
    let own = cgroup::above_server(own);
    if let Err(e) = hand_on(own) {
        if matches!(e.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem) {
            return Err(named(own, e));
        }
        let me = std::process::id().to_string();
        let members = fs::read_to_string(own.join("cgroup.procs")).map_err(|e| named(own, e))?;
        if members.lines().any(|pid| pid != me) {
            return Err(format!(
                "{} holds other processes too; start the server as a unit of systemd with \
                 Delegate=yes, for one by `systemd-run --scope -p Delegate=yes`",
                own.display()
            ));
        }
        let leaf = own.join(cgroup::SERVER);
        cgroup::make_folder(&leaf)
            .and_then(|()| fs::write(leaf.join("cgroup.procs"), &me))
            .and_then(|()| hand_on(own))
            .map_err(|e| named(&leaf, e))?;
    }
    let base = own.join(BASE);
    make_base(version, &base).map(|()| base.clone()).map_err(|e| named(&base, e))
}

fn make_base(version: Version, base: &Path) -> io::Result<()> {
    cgroup::make_folder(base)?;
    if version == Version::V2 { hand_on(base) } else { Ok(()) }
}

/// Lets the groups in this one limit their memory.
fn hand_on(group: &Path) -> io::Result<()> {
    fs::write(group.join("cgroup.subtree_control"), "+memory")
}

/// Makes a group, has a process moved into it and removes it; answers whether it limits swap.
fn try_out(version: Version, base: PathBuf) -> Result<(PathBuf, bool), String> {
    // One process may try twice at a time.
    static TRIALS: AtomicU32 = AtomicU32::new(0);
    let n = TRIALS.fetch_add(1, Ordering::Relaxed);
    let name = format!("trial.{}.{n}", std::process::id());
    let tried = Group::make(version, &base, &name, TRIAL_BYTES).and_then(|group| {
        let swap = group.limits_swap();
        let entered = group.door().and_then(|door| sys::try_to_enter(door.as_fd()));
        group.remove().and(entered).map(|()| swap)
    });
    match tried {
        Ok(swap) => Ok((base, swap)),
        Err(e) => {
            let _in_use_if_not = fs::remove_dir(&base);
            Err(format!("{}: {e}", base.display()))
        }
    }
}

/// A job's control group.
#[derive(Debug)]
pub struct Group {
    version: Version,
    path: PathBuf,
    limit: u64,
}

impl Group {
    /// Where the group of this attempt is.
    #[must_use]
    pub fn path(base: &Path, name: &str) -> PathBuf {
        base.join(name)
    }

    /// Makes the group of this attempt, or takes the one that it has, and limits it.
    ///
    /// # Errors
    /// What the system says; nothing is left then.
    pub fn make(version: Version, base: &Path, name: &str, limit: u64) -> io::Result<Group> {
        let group = Group { version, path: Group::path(base, name), limit };
        cgroup::make(base, &group.path, |base| make_base(version, base))?;
        match group.set_limit() {
            Ok(()) => Ok(group),
            Err(e) => {
                let _gone = group.remove();
                Err(e)
            }
        }
    }

    /// Where the system has no file for something (swap that is not counted), it is left out.
    fn set_limit(&self) -> io::Result<()> {
        let limit = self.limit.to_string();
        let set = |file: &str, value: &str| fs::write(self.path.join(file), value);
        match self.version {
            Version::V1 => {
                set("memory.limit_in_bytes", &limit)?;
                drop(set("memory.memsw.limit_in_bytes", &limit));
                drop(set("memory.oom_control", "0"));
            }
            Version::V2 => {
                set("memory.max", &limit)?;
                drop(set("memory.swap.max", "0"));
                drop(set("memory.oom.group", "1"));
            }
        }
        Ok(())
    }

    fn limits_swap(&self) -> bool {
        let file = match self.version {
            Version::V1 => "memory.memsw.limit_in_bytes",
            Version::V2 => "memory.swap.max",
        };
        self.path.join(file).exists()
    }

    /// The file into which a process writes itself to enter.
    ///
    /// # Errors
    /// What the system says.
    pub fn door(&self) -> io::Result<OwnedFd> {
        cgroup::door(&self.path)
    }

    /// Where it is, if it is of version 2: there a process is in one group for everything.
    #[must_use]
    pub fn unified(&self) -> Option<&Path> {
        (self.version == Version::V2).then_some(&*self.path)
    }

    /// How many processes were killed for want of memory so far.
    #[must_use]
    pub fn kills(&self) -> u64 {
        match self.version {
            Version::V1 => self.count("memory.oom_control", "oom_kill"),
            Version::V2 => self.count("memory.events", "oom_kill"),
        }
    }

    /// What became of it, if that is that memory ran out.
    #[must_use]
    pub fn out_of_memory(&self, before_stop: bool) -> Option<OutOfMemory> {
        let kills = self.kills();
        if kills == 0 {
            return None;
        }
        let (at_its_limit, peak) = match self.version {
            Version::V1 => {
                let peak = self.number("memory.max_usage_in_bytes");
                let with_swap = self.number("memory.memsw.max_usage_in_bytes");
                // Refusals are counted for memory alone, and the limit with swap is met first.
                let near = peak.max(with_swap).unwrap_or(0).saturating_add(CHARGE_BYTES);
                (near >= self.limit || self.number("memory.failcnt").unwrap_or(0) > 0, peak)
            }
            Version::V2 => (self.count("memory.events", "max") > 0, self.number("memory.peak")),
        };
        let limit_bytes = self.limit;
        Some(OutOfMemory { limit_bytes, peak_bytes: peak, kills, at_its_limit, before_stop })
    }

    fn number(&self, file: &str) -> Option<u64> {
        fs::read_to_string(self.path.join(file)).ok()?.trim().parse().ok()
    }

    fn count(&self, file: &str, word: &str) -> u64 {
        let text = fs::read_to_string(self.path.join(file)).unwrap_or_default();
        let count = |line: &str| line.strip_prefix(word)?.strip_prefix(' ')?.trim().parse().ok();
        text.lines().find_map(count).unwrap_or(0)
    }

    /// Removes it.
    ///
    /// # Errors
    /// While a process is in it.
    pub fn remove(&self) -> io::Result<()> {
        cgroup::remove(&self.path)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn means_survive_their_line() {
        let groups = |version| MemoryControl::Groups(version, "/sys/fs/cgroup/a b/downbeat".into());
        for control in [groups(Version::V1), groups(Version::V2), MemoryControl::DataLimit] {
            assert_eq!(MemoryControl::parse(&control.line()), control);
        }
        assert_eq!(MemoryControl::parse(""), MemoryControl::DataLimit);
    }

    #[test]
    fn version_2_comes_first_where_it_has_the_controller() {
        let mount = tempfile::tempdir().unwrap();
        let there = |path: &str| fs::create_dir_all(mount.path().join(path)).unwrap();
        let says = |path: &str, text: &str| fs::write(mount.path().join(path), text).unwrap();
        there("memory/x");
        there("unified/y");
        says("unified/cgroup.controllers", "hugetlb\n");
        says("unified/y/cgroup.controllers", "hugetlb\n");
        let found = || places(mount.path(), "4:memory:/x\n3:cpu:/z\n0::/y\n");
        let v1 = (Version::V1, mount.path().join("memory/x"));
        assert_eq!(found(), std::slice::from_ref(&v1));
        says("unified/y/cgroup.controllers", "cpu memory\n");
        let v2 = (Version::V2, mount.path().join("unified/y"));
        assert_eq!(found(), [v2, v1]);
    }

    #[test]
    fn a_kill_is_read_from_what_either_version_says() {
        let base = tempfile::tempdir().unwrap();
        let make = |version, name| Group::make(version, base.path(), name, 10 << 20).unwrap();
        let (v1, v2) = (make(Version::V1, "1.1.x"), make(Version::V2, "2.1.x"));
        let says = |group: &Group, file: &str, text: &str| {
            fs::write(group.path.join(file), text).unwrap();
        };
        let with_swap = fs::read_to_string(v1.path.join("memory.memsw.limit_in_bytes"));
        assert_eq!(with_swap.unwrap(), "10485760");
        assert_eq!(fs::read_to_string(v2.path.join("memory.swap.max")).unwrap(), "0");
        assert_eq!((v1.out_of_memory(true), v2.out_of_memory(true)), (None, None));
        says(&v1, "memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n");
        says(&v1, "memory.max_usage_in_bytes", "9699328\n");
        says(&v2, "memory.events", "low 0\nmax 0\noom 0\noom_kill 1\noom_group_kill 1\n");
        let hit = |limits| OutOfMemory {
            limit_bytes: 10 << 20,
            peak_bytes: None,
            kills: 1,
            at_its_limit: limits,
            before_stop: false,
        };
        let of_v1 = OutOfMemory { peak_bytes: Some(9_699_328), kills: 2, ..hit(false) };
        assert_eq!(v1.out_of_memory(false), Some(of_v1), "the machine had none left");
        says(&v1, "memory.memsw.max_usage_in_bytes", "10485760\n");
        assert!(v1.out_of_memory(false).unwrap().at_its_limit, "with swap it met its limit");
        assert_eq!(v2.out_of_memory(false), Some(hit(false)), "the machine had none left");
        says(&v2, "memory.events", "low 0\nhigh 0\nmax 12\noom 1\noom_kill 1\n");
        assert_eq!(v2.out_of_memory(false), Some(hit(true)));
    }

    #[test]
    fn a_server_that_is_not_alone_leaves_version_2_alone() {
        let own = tempfile::tempdir().unwrap();
        // A folder in the file's place: it cannot be written to.
        fs::create_dir(own.path().join("cgroup.subtree_control")).unwrap();
        fs::write(own.path().join("cgroup.procs"), "1\n2\n").unwrap();
        let why = base_in(Version::V2, own.path()).unwrap_err();
        assert!(why.contains("holds other processes too") && why.contains("Delegate=yes"), "{why}");
        assert!(!own.path().join(cgroup::SERVER).exists());
    }
}
