//! *Purpose*: how much memory this process may use.
//!
//! *Owns*: [`available`]: what the machine has, cut by the limits of the control group (v2 and v1).
//!
//! *Promises*: a control group that cannot be read limits nothing.
//!
//! *Not here*: who holds memory (`resources::ledger`), keeping a job below its limit
//! (`engine::local`).

use std::fs;
use std::path::{Path, PathBuf};

/// Bytes; `None` where the system does not say.
#[must_use]
pub fn available() -> Option<u64> {
    let machine = fs::read_to_string("/proc/meminfo").ok().and_then(|text| total(&text));
    let group = limit(Path::new("/sys/fs/cgroup"), Path::new("/proc/self/cgroup"));
    [machine, group].into_iter().flatten().min()
}

/// `MemTotal` of `/proc/meminfo`, which counts in KiB.
fn total(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

/// The tightest limit of this process's control groups; a group may use no more than any above it.
fn limit(mount: &Path, membership: &Path) -> Option<u64> {
    let membership = fs::read_to_string(membership).ok()?;
    let mut limits = Vec::new();
    for line in membership.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else { continue };
        let path = path.trim_start_matches('/');
        if controllers.is_empty() {
            for mount in [mount.to_owned(), mount.join("unified")] {
                limits.extend(on_the_way_up(&mount, path, "memory.max"));
            }
        } else if controllers.split(',').any(|c| c == "memory") {
            limits.extend(on_the_way_up(&mount.join("memory"), path, "memory.limit_in_bytes"));
        }
    }
    limits.into_iter().min()
}

/// What the groups from this one up to the mount say; `max` is no number and no limit.
fn on_the_way_up(mount: &Path, path: &str, file: &str) -> Vec<u64> {
    let group: PathBuf = mount.join(path);
    let groups = group.ancestors().take_while(|group| group.starts_with(mount));
    let says = |group: &Path| fs::read_to_string(group.join(file)).ok()?.trim().parse().ok();
    groups.filter_map(says).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_says_how_much_it_has() {
        assert_eq!(total("MemTotal:       24684092 kB\nMemFree: 1 kB\n"), Some(24_684_092 << 10));
        assert_eq!(total("MemFree: 1 kB\n"), None);
        assert!(available().is_some_and(|bytes| bytes > 1 << 20));
    }

    #[test]
    fn the_tightest_limit_on_the_way_up_counts() {
        let root = tempfile::tempdir().unwrap();
        let membership = root.path().join("membership");
        fs::create_dir_all(root.path().join("a/b")).unwrap();
        fs::write(&membership, "0::/a/b\n").unwrap();
        assert_eq!(limit(root.path(), &membership), None);
        fs::write(root.path().join("a/b/memory.max"), "max\n").unwrap();
        assert_eq!(limit(root.path(), &membership), None);
        fs::write(root.path().join("a/memory.max"), "1048576\n").unwrap();
        assert_eq!(limit(root.path(), &membership), Some(1 << 20));
        fs::write(root.path().join("a/b/memory.max"), "2097152\n").unwrap();
        assert_eq!(limit(root.path(), &membership), Some(1 << 20));
    }

    #[test]
    fn the_first_version_of_control_groups_is_understood() {
        let root = tempfile::tempdir().unwrap();
        let membership = root.path().join("membership");
        // In a container the path may be one of the machine's that cannot be seen there.
        fs::create_dir_all(root.path().join("memory")).unwrap();
        fs::write(&membership, "4:cpu:/x\n1:memory:/elsewhere\n0::/\n").unwrap();
        assert_eq!(limit(root.path(), &membership), None);
        fs::write(root.path().join("memory/memory.limit_in_bytes"), "4096\n").unwrap();
        assert_eq!(limit(root.path(), &membership), Some(4096));
    }
}
