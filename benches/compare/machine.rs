//! *Purpose*: what the machine is, and what processes cost it.
//!
//! *Owns*: reading `/proc`; the price of one `fdatasync`.
//!
//! *Promises*: CPU time is that of the process alone, not of its children: what a server costs
//! is neither its jobs' nor its supervisors'.
//!
//! *Not here*: clocks of latencies (`work`).

use std::fs;
use std::io::Write;
use std::path::Path;
use std::time::Instant;

use super::common::processes_of;
use super::sums::{median, thousands};

/// Readings of one `fdatasync`.
const SYNCS: usize = 200;

/// A sentence about the machine.
pub fn describe() -> String {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let models: Vec<&str> = cpuinfo
        .lines()
        .filter_map(|line| line.strip_prefix("model name")?.split_once(": ").map(|(_, m)| m))
        .collect();
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    format!(
        "{} × {}, kernel {}, fdatasync of 4 KiB {:.0} µs (median of {SYNCS}), load before {}",
        std::thread::available_parallelism().map_or(0, usize::from),
        models.first().unwrap_or(&"unknown CPU"),
        kernel.trim(),
        fsync_us(),
        load.split_whitespace().next().unwrap_or("?"),
    )
}

/// What the disk below the temporary folder takes to be sure.
fn fsync_us() -> f64 {
    let mut file = tempfile::tempfile().unwrap();
    let readings: Vec<f64> = (0..SYNCS)
        .map(|_| {
            file.write_all(&[0; 4096]).unwrap();
            let before = Instant::now();
            file.sync_data().unwrap();
            before.elapsed().as_secs_f64() * 1e6
        })
        .collect();
    median(&readings)
}

/// CPU time of one process, µs.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cpu {
    /// In user mode, in steps of 10 ms.
    pub user: f64,
    /// In the kernel, in steps of 10 ms.
    pub system: f64,
    /// On a CPU at all, by the scheduler's own count, over the threads that live now.
    pub fine: f64,
}

impl Cpu {
    /// Of a living process.
    pub fn of(pid: u32) -> Cpu {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
        let ticks = |at: usize| fields[at].parse::<f64>().unwrap() * 10_000.0;
        let threads = fs::read_dir(format!("/proc/{pid}/task")).unwrap().flatten();
        let fine = threads.filter_map(|thread| {
            let text = fs::read_to_string(thread.path().join("schedstat")).ok()?;
            text.split_whitespace().next()?.parse::<f64>().ok()
        });
        Cpu { user: ticks(11), system: ticks(12), fine: fine.sum::<f64>() / 1_000.0 }
    }

    /// What was spent since, for each of so many jobs.
    pub fn since(self, before: Cpu, jobs: usize) -> Cpu {
        let each = |now: f64, then: f64| (now - then) / jobs as f64;
        Cpu {
            user: each(self.user, before.user),
            system: each(self.system, before.system),
            fine: each(self.fine, before.fine),
        }
    }
}

/// Resident memory of a process, KiB; 0 when it is gone.
pub fn rss_kib(pid: u32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|l| l.split_whitespace().next()?.parse().ok()).unwrap_or_default()
}

/// Resident memory of every process that belongs to this folder, MiB.
pub fn rss_mib_of(folder: &Path) -> f64 {
    processes_of(folder).into_iter().map(rss_kib).sum::<f64>() / 1024.0
}

/// Bytes of a file, for people.
pub fn size_mib(path: &Path) -> String {
    let bytes = fs::metadata(path).map_or(0, |file| file.len());
    format!("{} MiB", thousands((bytes >> 20) as usize))
}
