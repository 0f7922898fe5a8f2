//! *Purpose*: which CPUs this process may use.
//!
//! *Owns*: [`available`]: affinity, cut by the CPU quota of the control group (v2 and v1).
//!
//! *Promises*: at least one CPU; a control group that cannot be read limits nothing.
//!
//! *Not here*: who holds a CPU (`resources::ledger`), pinning (`engine::local`).

use std::path::{Path, PathBuf};

use crate::job::ids::CpuId;

/// The CPUs of this process's affinity, as many as its control group's quota pays for.
#[must_use]
pub fn available() -> Vec<CpuId> {
    let mut cpus = affinity();
    if let Some(quota) = quota(Path::new("/sys/fs/cgroup"), Path::new("/proc/self/cgroup")) {
        cpus.truncate(quota.max(1));
    }
    cpus
}

fn affinity() -> Vec<CpuId> {
    use rustix::thread::{CpuSet, sched_getaffinity};
    let ids: Vec<CpuId> = match sched_getaffinity(None) {
        Ok(set) => (0..CpuSet::MAX_CPU)
            .filter(|&id| set.is_set(id))
            .filter_map(|id| u32::try_from(id).ok().map(CpuId))
            .collect(),
        // More CPUs than the set holds: their number is known all the same.
        Err(_) => {
            let n = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
            (0..u32::try_from(n).unwrap_or(1)).map(CpuId).collect()
        }
    };
    if ids.is_empty() { vec![CpuId(0)] } else { ids }
}

/// Whole CPUs that the quotas of this process's control groups pay for.
fn quota(mount: &Path, membership: &Path) -> Option<usize> {
    let membership = std::fs::read_to_string(membership).ok()?;
    let mut least: Option<f64> = None;
    for line in membership.lines() {
        let mut parts = line.splitn(3, ':');
        let (Some(_), Some(controllers), Some(path)) = (parts.next(), parts.next(), parts.next())
        else {
            continue;
        };
        let path = path.trim_start_matches('/');
        if controllers.is_empty() {
            lower(&mut least, mount, path, v2);
        } else if controllers.split(',').any(|c| c == "cpu") {
            for folder in ["cpu", "cpu,cpuacct"] {
                lower(&mut least, &mount.join(folder), path, v1);
            }
        }
    }
    least.map(|cpus| cpus.floor() as usize)
}

/// A group has no more than any group above it.
fn lower(least: &mut Option<f64>, mount: &Path, path: &str, read: fn(&Path) -> Option<f64>) {
    let mut group: PathBuf = mount.join(path);
    while group.starts_with(mount) {
        if let Some(cpus) = read(&group) {
            *least = Some(least.map_or(cpus, |l: f64| l.min(cpus)));
        }
        if !group.pop() {
            break;
        }
    }
}

fn v2(group: &Path) -> Option<f64> {
    let text = std::fs::read_to_string(group.join("cpu.max")).ok()?;
    let (quota, period) = text.trim().split_once(' ')?;
    ratio(quota, period)
}

fn v1(group: &Path) -> Option<f64> {
    let quota = std::fs::read_to_string(group.join("cpu.cfs_quota_us")).ok()?;
    let period = std::fs::read_to_string(group.join("cpu.cfs_period_us")).ok()?;
    ratio(&quota, &period)
}

/// `max` and `-1` are no quota.
fn ratio(quota: &str, period: &str) -> Option<f64> {
    let quota: f64 = quota.trim().parse().ok()?;
    let period: f64 = period.trim().parse().ok()?;
    (quota > 0.0 && period > 0.0).then_some(quota / period)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn there_is_always_a_cpu() {
        assert!(!available().is_empty());
    }

    #[test]
    fn the_tightest_quota_on_the_way_up_counts() {
        let root = tempfile::tempdir().unwrap();
        let membership = root.path().join("membership");
        fs::create_dir_all(root.path().join("a/b")).unwrap();
        fs::write(&membership, "0::/a/b\n").unwrap();
        assert_eq!(quota(root.path(), &membership), None);
        fs::write(root.path().join("a/b/cpu.max"), "max 100000\n").unwrap();
        assert_eq!(quota(root.path(), &membership), None);
        fs::write(root.path().join("a/cpu.max"), "250000 100000\n").unwrap();
        assert_eq!(quota(root.path(), &membership), Some(2));
        fs::write(root.path().join("a/b/cpu.max"), "400000 100000\n").unwrap();
        assert_eq!(quota(root.path(), &membership), Some(2));
    }

    #[test]
    fn the_first_version_of_control_groups_is_understood() {
        let root = tempfile::tempdir().unwrap();
        let membership = root.path().join("membership");
        fs::create_dir_all(root.path().join("cpu")).unwrap();
        fs::write(&membership, "4:cpu,cpuacct:/elsewhere\n1:memory:/x\n").unwrap();
        fs::write(root.path().join("cpu/cpu.cfs_quota_us"), "-1").unwrap();
        fs::write(root.path().join("cpu/cpu.cfs_period_us"), "100000").unwrap();
        assert_eq!(quota(root.path(), &membership), None);
        fs::write(root.path().join("cpu/cpu.cfs_quota_us"), "50000").unwrap();
        assert_eq!(quota(root.path(), &membership), Some(0));
    }
}
