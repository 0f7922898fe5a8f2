//! *Purpose*: the processes of an attempt: for the audit while it lives, for killing when its
//! supervisor is gone.
//!
//! *Owns*: the rules by which a process is attributed to an attempt without its supervisor.
//!
//! *Promises*: every signal goes through a pidfd whose process was looked at after opening; a
//! stranger who carries a recorded number is left alone.
//!
//! *Not here*: ending a tree whose supervisor lives (`supervisor`). What escapes: a process
//! that left the session and emptied its environment, when the step daemon died as well.

use std::collections::HashSet;
use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::Signal;

use super::launch::KEY_VARIABLE;
use super::proc::{self, Identity, Stat};
use super::spool::State;
use crate::fault;

/// How long one call waits for what it killed to be gone; a process stuck in the kernel is
/// seen again by the next call.
const KILL_BOUND: Duration = Duration::from_secs(1);

/// The living processes below a living supervisor.
#[must_use]
pub fn under_supervisor(supervisor: Identity) -> Vec<i32> {
    let mut found = Vec::new();
    proc::visit_descendants(supervisor.pid, |seen| {
        if seen.is_alive() {
            found.push(seen.identity.pid);
        }
    });
    // Looked at after the tree: had the supervisor gone, its number could mean another.
    let there = proc::stat(supervisor.pid).is_some_and(|s| s.identity == supervisor);
    if there { found } else { Vec::new() }
}

/// The living processes of an attempt whose supervisor is gone. `daemon` is the step daemon.
#[must_use]
pub fn of_lost(name: &str, state: &State, daemon: Option<i32>) -> Vec<Identity> {
    let everybody: Vec<Stat> = proc::all().into_iter().filter(Stat::is_alive).collect();
    fault::point(fault::LOST_LISTED);
    let me = i32::try_from(std::process::id()).unwrap_or_default();
    let entry = format!("{KEY_VARIABLE}={name}");
    let session = state.supervisor.filter(|s| number_is_still_theirs(*s, &everybody));
    let group = state.script.filter(|s| number_is_still_theirs(*s, &everybody));
    // A child of the step daemon is a supervisor, which runs the daemon's program, or an orphan.
    // If the daemon dies while we look, nobody counts as an orphan: better to look again than to
    // kill the supervisor of another job.
    let belongs = |seen: &Stat| {
        let pid = seen.identity.pid;
        let later = |than: Identity| seen.identity.ticks >= than.ticks;
        session.is_some_and(|s| seen.session == s.pid && later(s))
            || group.is_some_and(|g| seen.group == g.pid && later(g))
            || daemon.is_some_and(|d| seen.parent == d && proc::run_different_programs(pid, d))
            || proc::environment_holds(pid, &entry)
    };
    let ours = |pid: i32| pid == me || Some(pid) == daemon;
    let mut pids: HashSet<i32> = everybody
        .iter()
        .filter(|seen| !ours(seen.identity.pid) && belongs(seen))
        .map(|seen| seen.identity.pid)
        .collect();
    // And whoever they begot, whatever those have made of themselves.
    loop {
        let more = everybody.iter().filter(|s| pids.contains(&s.parent) && !ours(s.identity.pid));
        let more: Vec<i32> = more.map(|s| s.identity.pid).filter(|p| !pids.contains(p)).collect();
        if more.is_empty() {
            break;
        }
        pids.extend(more);
    }
    everybody.iter().map(|s| s.identity).filter(|i| pids.contains(&i.pid)).collect()
}

/// Whether a session or group with this number can only be the recorded one: Linux gives a
/// number to a new process only when no session and no group bears it, so if somebody else
/// has the number now, the old session is extinct.
fn number_is_still_theirs(recorded: Identity, everybody: &[Stat]) -> bool {
    everybody.iter().all(|s| s.identity.pid != recorded.pid || s.identity == recorded)
}

/// Kills them, waits a little for their end, answers how many there were.
///
/// # Errors
/// When the system cannot wait.
pub fn kill(them: &[Identity]) -> io::Result<usize> {
    let mut dying: Vec<OwnedFd> = Vec::new();
    for one in them {
        if let Some(fd) = proc::open(*one) {
            let _ = rustix::process::pidfd_send_signal(&fd, Signal::KILL);
            dying.push(fd);
        }
    }
    let seen = dying.len();
    let deadline = crate::clock::monotonic() + KILL_BOUND;
    while !dying.is_empty() {
        let left = deadline.saturating_duration_since(crate::clock::monotonic());
        if left.is_zero() {
            break;
        }
        let left = Timespec {
            tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: left.subsec_nanos().into(),
        };
        let mut fds: Vec<PollFd<'_>> =
            dying.iter().map(|fd| PollFd::new(fd, PollFlags::IN)).collect();
        match rustix::event::poll(&mut fds, Some(&left)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(e) => return Err(e.into()),
        }
        let mut ended =
            fds.iter().map(|fd| !fd.revents().is_empty()).collect::<Vec<_>>().into_iter();
        dying.retain(|_| !ended.next().unwrap_or(false));
    }
    Ok(seen)
}
