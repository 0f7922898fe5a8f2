//! *Purpose*: whether a supervisor is still as it was born.
//!
//! *Owns*: what of a process another one of the same user can change, and a script can inherit.
//!
//! *Promises*: a look costs some microseconds: system calls, no files.
//!
//! *Not here*: what a supervisor changes of itself for a job and takes back (`affinity_and_oom`).

use rustix::process::{Resource, Rlimit, getpriority_process, getrlimit};

use super::sys;

/// Every limit there is.
const LIMITS: [Resource; 16] = [
    Resource::Cpu,
    Resource::Fsize,
    Resource::Data,
    Resource::Stack,
    Resource::Core,
    Resource::Rss,
    Resource::Nproc,
    Resource::Nofile,
    Resource::Memlock,
    Resource::As,
    Resource::Locks,
    Resource::Sigpending,
    Resource::Msgqueue,
    Resource::Nice,
    Resource::Rtprio,
    Resource::Rttime,
];

/// Limits, nice, scheduling class and class of input and output: `prlimit`, `renice`, `chrt`,
/// `ionice`.
#[derive(Debug, PartialEq, Eq)]
pub struct Fitness {
    limits: [Rlimit; LIMITS.len()],
    nice: Option<i32>,
    classes: sys::Classes,
}

impl Fitness {
    /// Of this process.
    #[must_use]
    pub fn now() -> Fitness {
        Fitness {
            limits: LIMITS.map(getrlimit),
            nice: getpriority_process(None).ok(),
            classes: sys::classes(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_changes_nothing_stays_as_he_is() {
        assert_eq!(Fitness::now(), Fitness::now());
    }
}
