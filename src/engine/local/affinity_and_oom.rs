//! *Purpose*: what a supervisor makes of itself before and beside its script.
//!
//! *Owns*: its CPU affinity and its out-of-memory score.
//!
//! *Promises*: a script inherits what the server was started with; beside one that lasts its
//! supervisor can outrun it and is the last to be killed.
//!
//! *Not here*: what others made of it (`fitness`).

use super::launch::{self, Failure};
use super::served_attempt::ServedAttempt;
use super::spool::OrderFile;
use crate::job::ids::CpuId;

/// What the out-of-memory killer shall think of a supervisor that holds 50 KiB and the truth.
const OOM_SCORE: &str = "-900";
/// Where that is said.
const OOM_FILE: &str = "/proc/self/oom_score_adj";

/// The out-of-memory score of this process, if this system allows us to lower it: tried once by
/// the step daemon, and taken back.
#[must_use]
pub fn oom_score_if_it_may_be_lowered() -> Option<String> {
    let before = std::fs::read_to_string(OOM_FILE).ok()?.trim().to_owned();
    let may = std::fs::write(OOM_FILE, OOM_SCORE).is_ok() && set_oom_score(&before);
    may.then_some(before)
}

fn set_oom_score(score: &str) -> bool {
    std::fs::write(OOM_FILE, score).is_ok()
}

/// Gives this process what the script shall inherit: its CPUs, and the out-of-memory score that the
/// server was started with.
pub fn become_like_the_script(
    attempt: &mut ServedAttempt<'_>,
    file: &OrderFile,
) -> Result<(), Failure> {
    if attempt.inherited.protected {
        if !attempt.config.oom_score.as_deref().is_some_and(set_oom_score) {
            attempt.inherited.unfit = true;
            return Err(format!("the supervisor cannot write {OOM_FILE}").into());
        }
        attempt.inherited.protected = false;
    }
    let cpus: &[CpuId] = if file.order.pin { &file.order.cpus } else { &[] };
    // Each time: a former script may have moved its parent (`taskset`).
    if launch::pin(cpus) {
        attempt.inherited.confined_to = cpus.to_vec();
    } else {
        let _ = rustix::thread::sched_setaffinity(None, &attempt.config.all_cpus);
        attempt.inherited.confined_to.clear();
    }
    Ok(())
}

/// Becomes what a supervisor shall be beside a script that lasts: able to outrun it, and the last
/// to be killed for want of memory.
pub fn become_a_guard(attempt: &mut ServedAttempt<'_>) {
    be_everywhere(attempt);
    attempt.inherited.protected |= attempt.config.oom_score.is_some() && set_oom_score(OOM_SCORE);
}

/// Back to all CPUs.
fn be_everywhere(attempt: &mut ServedAttempt<'_>) {
    if !attempt.inherited.confined_to.is_empty() {
        let _ = rustix::thread::sched_setaffinity(None, &attempt.config.all_cpus);
        attempt.inherited.confined_to.clear();
    }
}
