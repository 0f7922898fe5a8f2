//! *Purpose*: the processes of an attempt: for the audit while it lives, for killing when its
//! supervisor is gone.
//!
//! *Owns*: the rules by which a process is attributed to an attempt without its supervisor.
//!
//! *Promises*: every signal goes through a pidfd whose process was looked at after opening; a
//! stranger who carries a recorded number is left alone. The number of a session or a group alone
//! proves nothing: it counts as long as somebody in it bears the attempt's key. Everybody reads the
//! key of everybody: of a person's attempt only that person's processes bear it.
//!
//! *Not here*: ending a tree whose supervisor lives (`supervisor`). What escapes where there are no
//! control groups: processes that all emptied their environment, when the step daemon died as well.

use std::collections::HashSet;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::Signal;

use super::cgroup;
use super::freezer;
use super::launch::KEY_VARIABLE;
use super::proc::{self, Identity, Program, Stat};
use super::proctrack;
use super::state::State;
use super::stepd;
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

/// The step daemon, and what it and its supervisors run: a child of it that runs something else is
/// an orphan of a supervisor that is gone.
#[derive(Clone, Copy, Debug)]
pub struct Daemon {
    /// Its number.
    pub pid: i32,
    /// Its program.
    pub program: Program,
}

/// The name by which processes show that they are of an attempt.
#[derive(Clone, Copy, Debug)]
pub struct Bearing<'a> {
    /// The attempt's key.
    pub key: &'a str,
    /// The number of the user who alone can bear it, if that is not the server's own.
    pub owner: Option<u32>,
}

/// The living processes of an attempt whose supervisor is gone. `daemon` is the step daemon.
///
/// # Errors
/// When nobody can look now: then nobody may say that none is left.
pub fn of_lost(
    name: Bearing<'_>,
    state: &State,
    daemon: Option<Daemon>,
) -> io::Result<Vec<Identity>> {
    Ok(survey(name, state, daemon)?.found)
}

/// What a look at all processes shows of an attempt.
struct Survey {
    /// Its living processes.
    found: Vec<Identity>,
    /// Those whose key cannot be read this instant: they are between two programs, or seem so.
    unread: Vec<Stat>,
}

/// Lets nobody in a group start anything more, and those die whom it kept frozen.
fn close(group: &Path) {
    proctrack::close(group);
    let _as_it_was = freezer::thaw(group);
}

fn survey(bearing: Bearing<'_>, state: &State, daemon: Option<Daemon>) -> io::Result<Survey> {
    let name = bearing.key;
    // First, so that whoever is listed afterwards starts nobody else.
    let gone = state.supervisor.filter(|supervisor| proc::stat(supervisor.pid).is_none());
    let track = state
        .track
        .clone()
        .filter(|track| gone.is_some_and(|supervisor| proctrack::is_of(track, supervisor.pid)));
    let groups: Vec<PathBuf> = state.groups_of(name).into_iter().chain(track).collect();
    if gone.is_some() {
        groups.iter().for_each(|group| close(group));
    }
    let everybody: Vec<Stat> = proc::all()?.into_iter().filter(Stat::is_alive).collect();
    fault::point(fault::LOST_LISTED);
    let me = i32::try_from(std::process::id()).unwrap_or_default();
    let (mut keyed, mut unread) = (HashSet::new(), Vec::new());
    for seen in everybody.iter().filter(|seen| seen.identity.pid != me) {
        match proc::variable(seen.identity.pid, KEY_VARIABLE)? {
            Some(keys) if keys.iter().any(|key| key == name) => {
                // One that is gone by now is nobody's.
                let user = bearing.owner.map(|_| proc::real_user(seen.identity.pid)).transpose()?;
                if user.is_none_or(|user| user == bearing.owner) {
                    keyed.insert(seen.identity.pid);
                }
            }
            Some(_) => {}
            None => unread.push(*seen),
        }
    }
    let session = state.supervisor.filter(|leader| {
        // One that lives serves somebody else.
        let is_gone = everybody.iter().all(|s| s.identity.pid != leader.pid);
        let members = everybody.iter().filter(|s| s.session == leader.pid);
        is_gone && is_proven(*leader, members, &everybody, &keyed)
    });
    let group = state.script.filter(|leader| {
        let members = everybody.iter().filter(|s| s.group == leader.pid);
        is_proven(*leader, members, &everybody, &keyed)
    });
    let members: Vec<i32> = groups.iter().flat_map(|group| cgroup::members(group)).collect();
    // A child of the step daemon is a supervisor, which runs the daemon's program, or an orphan.
    // If the daemon dies while we look, nobody counts as an orphan: better to look again than to
    // kill the supervisor of another job.
    let belongs = |seen: &Stat| {
        let pid = seen.identity.pid;
        let later = |than: Identity| seen.identity.ticks >= than.ticks;
        session.is_some_and(|s| seen.session == s.pid && later(s))
            || group.is_some_and(|g| seen.group == g.pid && later(g))
            || members.contains(&pid)
            || daemon.is_some_and(|d| seen.parent == d.pid && d.program.is_not_of(pid))
    };
    let ours = |pid: i32| pid == me || daemon.is_some_and(|daemon| daemon.pid == pid);
    let mut pids: HashSet<i32> = HashSet::new();
    for seen in everybody.iter().filter(|seen| !ours(seen.identity.pid)) {
        if belongs(seen) || keyed.contains(&seen.identity.pid) {
            pids.insert(seen.identity.pid);
        }
    }
    // And whoever they begot, whatever those have made of themselves.
    loop {
        let more = everybody.iter().filter(|s| pids.contains(&s.parent) && !ours(s.identity.pid));
        let more: Vec<i32> = more.map(|s| s.identity.pid).filter(|p| !pids.contains(p)).collect();
        if more.is_empty() {
            break;
        }
        pids.extend(more);
    }
    let found = everybody.iter().map(|s| s.identity).filter(|i| pids.contains(&i.pid)).collect();
    Ok(Survey { found, unread })
}

/// Who is left of an attempt whose folder in the spool was taken away.
#[derive(Debug)]
pub enum UnrecordedAttempt {
    /// Nobody.
    Nobody,
    /// Its script, below a living supervisor.
    Supervised(Identity),
    /// Processes of it, and no supervisor.
    Abandoned,
}

/// Looks for an attempt without its folder: by the key that its script carries, and by the
/// parent of whoever carries it.
///
/// # Errors
/// When nobody can look now.
pub fn without_folder(
    name: Bearing<'_>,
    data_dir: &Path,
    daemon: Option<i32>,
    program: Option<Program>,
) -> io::Result<UnrecordedAttempt> {
    let Survey { found: them, unread } = survey(name, &State::default(), None)?;
    let theirs = |pid: i32| them.iter().any(|one| one.pid == pid);
    // A supervisor is a fork of a step daemon of this folder, with its command line, which
    // anybody can give himself, and its program, which nobody can.
    let is_supervisor = |pid: i32| -> io::Result<bool> {
        Ok(Some(pid) != daemon
            && !program.is_some_and(|program| program.is_not_of(pid))
            && proc::command_line(pid)?.ends_with(&stepd::command_line(data_dir)))
    };
    for seen in them.iter().filter_map(|one| proc::stat(one.pid)) {
        if !theirs(seen.parent)
            && is_supervisor(seen.parent)?
            && let Some(parent) = proc::stat(seen.parent)
        {
            return Ok(UnrecordedAttempt::Supervised(parent.identity));
        }
    }
    if !them.is_empty() {
        return Ok(UnrecordedAttempt::Abandoned);
    }
    // A script of ours that became another program this instant shows no key, and may be the one.
    for seen in unread {
        if is_supervisor(seen.parent)? {
            let sentence = format!("process {} is between two programs", seen.identity.pid);
            return Err(io::Error::new(io::ErrorKind::WouldBlock, sentence));
        }
    }
    Ok(UnrecordedAttempt::Nobody)
}

/// Whether a session or group is the one that `leader`, who is gone, had made. Linux gives a number
/// to a new process only when no session and no group bears it: one that somebody of ours is in has
/// been ours all the time, and one that nobody is in may be anybody's.
fn is_proven<'a>(
    leader: Identity,
    mut members: impl Iterator<Item = &'a Stat>,
    everybody: &[Stat],
    keyed: &HashSet<i32>,
) -> bool {
    everybody.iter().all(|s| s.identity.pid != leader.pid || s.identity == leader)
        && members.any(|s| keyed.contains(&s.identity.pid) && s.identity.ticks >= leader.ticks)
}

/// The keys of all attempts that a living process bears.
///
/// # Errors
/// When nobody can look now.
pub fn keys() -> io::Result<HashSet<String>> {
    let mut keys = HashSet::new();
    for seen in proc::all()?.iter().filter(|seen| seen.is_alive()) {
        keys.extend(proc::variable(seen.identity.pid, KEY_VARIABLE)?.into_iter().flatten());
    }
    Ok(keys)
}

/// Kills them, waits a little for their end, answers how many there were.
///
/// # Errors
/// When the system cannot wait, or no descriptor is left to kill even one with.
pub fn kill(them: &[Identity]) -> io::Result<usize> {
    let mut dying: Vec<OwnedFd> = Vec::new();
    for one in them {
        match proc::find(*one) {
            Ok(Some(fd)) => {
                let _ = rustix::process::pidfd_send_signal(&fd, Signal::KILL);
                dying.push(fd);
            }
            Ok(None) => {}
            // The others are seen by the next call, which these have made room for.
            Err(_) if !dying.is_empty() => break,
            Err(e) => return Err(e),
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::io::Read;
    use std::process::{Command, Stdio};

    use super::*;
    use crate::clock;

    /// Two who sleep in the session of one who is gone, itself one group. The first bears this key,
    /// if any; neither is the child of a process of ours.
    struct Session {
        leader: Identity,
        members: [i32; 2],
    }

    impl Session {
        fn start(key: Option<&str>) -> Session {
            let bears = key.map(|key| format!("{KEY_VARIABLE}={key}")).unwrap_or_default();
            let sleep = "sleep 600 > /dev/null & echo $!";
            let script = format!("env {bears} {sleep}; env -i {sleep}; read gone");
            let mut leader = Command::new("setsid")
                .args(["sh", "-c", &script])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let pid = i32::try_from(leader.id()).unwrap();
            let identity = proc::stat(pid).unwrap().identity;
            drop(leader.stdin.take());
            let mut said = String::new();
            leader.stdout.take().unwrap().read_to_string(&mut said).unwrap();
            leader.wait().unwrap();
            let members: Vec<i32> = said.lines().map(|pid| pid.parse().unwrap()).collect();
            let session = Session { leader: identity, members: members.try_into().unwrap() };
            for seen in session.members.iter().map(|pid| proc::stat(*pid).unwrap()) {
                assert_eq!((seen.session, seen.group), (pid, pid));
            }
            session.become_sleepers();
            session
        }

        /// Both were forked; only once they are `sleep` is their environment what it shall be.
        fn become_sleepers(&self) {
            let until = clock::monotonic() + Duration::from_secs(10);
            let is_sleep = |pid: &i32| {
                std::fs::read(format!("/proc/{pid}/cmdline")).unwrap() == b"sleep\x00600\x00"
            };
            while !self.members.iter().all(is_sleep) {
                assert!(clock::monotonic() < until, "they are not asleep");
                std::thread::yield_now();
            }
        }

        fn found(&self, name: &str, state: &State) -> Vec<i32> {
            let them = of_lost(Bearing { key: name, owner: None }, state, None).unwrap();
            self.members.into_iter().filter(|pid| them.iter().any(|i| i.pid == *pid)).collect()
        }
    }

    impl Drop for Session {
        fn drop(&mut self) {
            let them = self.members.iter().filter_map(|pid| Some(proc::stat(*pid)?.identity));
            kill(&them.collect::<Vec<_>>()).unwrap();
        }
    }

    /// Records that name the leader, as supervisor and as script.
    fn records(leader: Identity) -> [State; 2] {
        let named = Some(leader);
        let (mut supervisor, mut script) = (State::default(), State::default());
        (supervisor.supervisor, script.script) = (named, named);
        [supervisor, script]
    }

    #[test]
    fn who_is_in_a_session_or_group_with_a_bearer_of_the_key_is_of_the_attempt() {
        let name = "17.1.remainskeyed";
        let session = Session::start(Some(name));
        for state in records(session.leader) {
            assert_eq!(session.found(name, &state), session.members, "{state:?}");
        }
        let [keyed, _] = session.members;
        assert_eq!(session.found(name, &State::default()), [keyed], "no number is recorded");
        let other =
            Identity { ticks: proc::stat(keyed).unwrap().identity.ticks + 1, ..session.leader };
        for state in records(other) {
            assert_eq!(session.found(name, &state), [keyed], "it began after they did");
        }
    }

    #[test]
    fn a_number_that_nobody_of_the_attempt_is_in_leads_to_nobody() {
        let (name, another) = ("17.1.remainsnone", "18.1.remainsother");
        for key in [None, Some(another)] {
            let session = Session::start(key);
            for state in records(session.leader) {
                assert_eq!(session.found(name, &state), [0; 0], "{key:?} {state:?}");
            }
        }
    }
}
