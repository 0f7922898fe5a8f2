//! *Purpose*: measures what attempts use while they run.
//!
//! *Owns*: [`Inner::measure`], reading times and memory of processes.
//!
//! *Promises*: only attempts of this server whose supervisor lives are measured; time of CPUs is
//! that of all processes of the tree, those that have ended among them, as their parents and at
//! last the supervisor were told when they waited for them; a number that cannot be had is none.
//!
//! *Not here*: what an attempt used when it has ended (`attempt_watch`), when it is measured
//! (`actors::usage_watch`).
//!
//! Source: proc_pid_stat(5), proc_pid_status(5); `Documentation/admin-guide/cgroup-v1/memory.rst`
//! and `cgroup-v2.rst` of Linux.
//!
//! **Memory** is what processes have of their own and what they share by shared memory. Of a job
//! that has a control group for its memory that group knows, and counts each page once; else it is
//! added up over processes. Pages of files are not among it: the system takes them when it likes.

use std::fs;
use std::io::Read;
use std::path::Path;

use super::inner::Inner;
use super::memory;
use super::proc;
use super::spool;
use crate::engine::{EngineError, Key, Measured};

/// Longer than any `/proc/<pid>/status`: a list of CPUs and of memory nodes is the longest line.
const STATUS_BYTES_MAX: u64 = 16 * 1024;
/// Of microseconds in a second.
const SECOND_US: u64 = 1_000_000;
/// What counts in `memory.stat`, of version 1 with what is below it, and of version 2.
const COUNTED: [[&str; 2]; 2] = [["total_rss", "total_shmem"], ["anon", "shmem"]];

impl Inner {
    /// See [`crate::engine::Engine::measure`].
    pub(super) fn measure(&self) -> Result<Vec<(Key, Measured)>, EngineError> {
        let names = spool::known(&self.data_dir.join("spool"))?;
        Ok(names
            .iter()
            .filter_map(|name| Some((Key::parse(name)?, self.measure_one(name)?)))
            .collect())
    }

    /// `None` when no script of it runs here.
    fn measure_one(&self, name: &str) -> Option<Measured> {
        // One that cannot be read is one that goes this instant.
        let folder = self.folder(name);
        let state = self.state(name).ok().filter(|state| state.script.is_some())?;
        let supervisor = self.supervisor(&state)?;
        let own = proc::stat(supervisor.pid).filter(|seen| seen.identity == supervisor)?;
        if !own.is_alive() {
            return None;
        }
        let group = state.groups_of(name).into_iter().find_map(|group| {
            let is_its = group.parent().is_some_and(|base| base.ends_with(memory::BASE));
            is_its.then(|| bytes_of_group(&group))?
        });
        let (mut ticks, mut rss_bytes) = (own.children_ticks, Some(0_u64));
        proc::visit_descendants(supervisor.pid, |seen| {
            ticks = ticks.saturating_add(seen.own_ticks).saturating_add(seen.children_ticks);
            if group.is_none() && seen.is_alive() {
                let own = own_bytes(seen.identity.pid);
                rss_bytes = rss_bytes.zip(own).map(|(sum, own)| sum.saturating_add(own));
            }
        });
        // Only when it has said how this one ended its supervisor goes on to another attempt.
        let measured = Measured { cpu_us: Some(us(ticks)), rss_bytes: group.or(rss_bytes) };
        (!folder.has_exit()).then_some(measured)
    }
}

fn us(ticks: u64) -> u64 {
    let each = SECOND_US / rustix::param::clock_ticks_per_second().max(1);
    ticks.saturating_mul(each)
}

/// The memory of a process; none when it does not show it, 0 when it has just gone.
fn own_bytes(pid: i32) -> Option<u64> {
    let mut text = Vec::new();
    let read = fs::File::open(format!("/proc/{pid}/status"))
        .and_then(|file| file.take(STATUS_BYTES_MAX).read_to_end(&mut text));
    match read {
        Ok(_) => Some(of_status(&String::from_utf8_lossy(&text))),
        Err(_) if proc::stat(pid).is_none_or(|seen| !seen.is_alive()) => Some(0),
        Err(_) => None,
    }
}

/// One that is ending has no lines about memory any more.
fn of_status(text: &str) -> u64 {
    let line = |line: &str| {
        let (name, value) = line.split_once(':')?;
        let counts = ["RssAnon", "RssShmem"].contains(&name);
        counts.then(|| value.trim().strip_suffix("kB")?.trim_end().parse::<u64>().ok())?
    };
    text.lines().filter_map(line).fold(0, |sum, kib| sum.saturating_add(kib.saturating_mul(1_024)))
}

/// The memory of a control group; none when it does not tell.
fn bytes_of_group(group: &Path) -> Option<u64> {
    of_memory_stat(&fs::read_to_string(group.join("memory.stat")).ok()?)
}

fn of_memory_stat(text: &str) -> Option<u64> {
    let value = |word: &str| {
        let value = |line: &str| line.strip_prefix(word)?.strip_prefix(' ')?.trim().parse().ok();
        text.lines().find_map(value)
    };
    COUNTED.iter().find_map(|[own, shared]| {
        let own: u64 = value(own)?;
        // Version 1 of old does not count it apart.
        Some(own.saturating_add(value(shared).unwrap_or(0)))
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_what_is_a_process_s_own_and_what_it_shares_but_no_file() {
        let status = "Name:\tpython\nVmRSS:\t 900 kB\nRssAnon:\t 300 kB\nRssFile:\t 500 kB\n\
                      RssShmem:\t 100 kB\n";
        assert_eq!(of_status(status), 400 * 1_024);
        assert_eq!(of_status("Name:\tkthreadd\nState:\tZ (zombie)\n"), 0);
        assert!(own_bytes(std::process::id().cast_signed()).unwrap() > 1_024);
        assert_eq!(own_bytes(i32::MAX), Some(0), "it is gone");
    }

    #[test]
    fn a_group_of_either_version_tells_what_its_processes_have() {
        let v1 = "cache 7\nrss 1\nshmem 2\ntotal_cache 9\ntotal_rss 30\ntotal_shmem 4\n";
        assert_eq!(of_memory_stat(v1), Some(34));
        assert_eq!(of_memory_stat("anon 50\nfile 900\nshmem 5\n"), Some(55));
        assert_eq!(of_memory_stat("file 900\n"), None);
    }
}
