//! *Purpose*: from an order to a running script.
//!
//! *Owns*: the watch over the process that is to become the script, until it is that; the waiting
//! for a machine that is short of something.
//!
//! *Promises*: limit and cancel work although the job's files do not answer, and no script starts
//! after its cancel was found; what the machine is short of never ends a job. A place that cannot
//! be written to is waited for here; when processes or memory are short the order is given back,
//! since whoever waits here takes some of them.
//!
//! *Not here*: what that process does (`launch`), watching over the script (`attempt_watch`).

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::{Pid, Signal};

use super::affinity_and_oom::become_like_the_script;
use super::cgroup;
use super::child::Within;
use super::devices::Wall;
use super::launch::{Bounds, Failure, Launching, Prepared, Whose, not_denied};
use super::launcher::Launcher;
use super::memory::{Group, MemoryControl};
use super::notice::{Notice, hint};
use super::served_attempt::{ServedAttempt, is_cancelled_within, note, say};
use super::spool::OrderFile;
use super::state::State;
use super::sys;
use crate::clock;
use crate::engine::Stop;
use crate::fault;
use crate::time::Time;

/// First pause before a launch is tried again that the machine had no room for; doubles up to
/// [`PAUSE_MAX`].
const PAUSE: Duration = Duration::from_secs(1);
/// See [`PAUSE`]: a machine that recovers shall not be kept waiting for longer.
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// After this it is said that the job's files do not answer: longer than a busy disk takes.
const SLOW: Duration = Duration::from_secs(10);

/// What became of a start.
pub enum Start {
    /// The script runs.
    Spawned {
        /// Its process.
        pid: i32,
        /// When it was spawned.
        start_time: Time,
        /// The same; its limit counts from here.
        begun: Instant,
    },
    /// It was stopped before it was started.
    Stopped(Stop),
    /// The machine has no room for it now; the sentence says for what.
    GivenBack(String),
}

/// Starts the script.
///
/// # Errors
/// Why it cannot be started.
pub fn start(
    attempt: &mut ServedAttempt<'_>,
    file: &OrderFile,
    launcher: &mut Launcher,
) -> Result<Start, Failure> {
    become_like_the_script(attempt, file)?;
    fault::point(fault::LAUNCH_READY);
    if attempt.folder.read_control().cancel {
        return Ok(Start::Stopped(Stop::Cancelled));
    }
    fault::point(fault::LAUNCH_BEFORE_SPAWN);
    let mut pause = PAUSE;
    loop {
        let begun = clock::monotonic();
        let tried = bounds(attempt, file).and_then(|bounds| {
            let mut prepared =
                Prepared::make(file, &attempt.folder, &attempt.name, attempt.config)?;
            let launching = prepared.start(bounds, &mut launcher.stack)?;
            watch(attempt, file, &launching, &launcher.signals, begun)
        });
        let failure = match tried {
            Ok(start) => return Ok(start),
            Err(failure) if failure.whose == Whose::Machine => {
                return Ok(Start::GivenBack(failure.sentence));
            }
            Err(failure) if failure.whose == Whose::Server => failure,
            Err(failure) => return Err(failure),
        };
        say(attempt, &failure.sentence);
        attempt.folder.open_up();
        if is_cancelled_within(attempt, pause) {
            return Ok(Start::Stopped(Stop::Cancelled));
        }
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

/// Until the process is the script, has said why it cannot be, or was killed.
fn watch(
    attempt: &mut ServedAttempt<'_>,
    file: &OrderFile,
    launching: &Launching<'_>,
    signals: &OwnedFd,
    begun: Instant,
) -> Result<Start, Failure> {
    let limit = file.order.limit_s.map(|s| Duration::from_secs(s.into()));
    let due = limit.and_then(|limit| begun.checked_add(limit));
    let (mut slow, mut stop) = (begun.checked_add(SLOW), None);
    loop {
        let now = clock::monotonic();
        let next = [due.filter(|_| stop.is_none()), slow].into_iter().flatten().min();
        let (told, signal) = wait_for_either(launching.told(), signals, next, now)
            .map_err(|e| give_up(launching, &e))?;
        if told && stop.is_none() {
            return match launching.why_not() {
                Some(failure) => {
                    see_off(launching.pid());
                    Err(failure)
                }
                None => {
                    let (pid, start_time) = (launching.pid(), clock::now());
                    fault::point(fault::LAUNCH_SPAWNED);
                    Ok(Start::Spawned { pid, start_time, begun })
                }
            };
        }
        if signal {
            let _which = rustix::io::read(signals, &mut [0; 128]);
        }
        if let Some(stop) = stop
            && is_reaped(launching.pid())
        {
            return Ok(Start::Stopped(stop));
        }
        let now = clock::monotonic();
        if stop.is_none() {
            stop = match due {
                _ if attempt.folder.read_control().cancel => Some(Stop::Cancelled),
                Some(due) if due <= now => Some(Stop::TimeLimit),
                _ => None,
            };
            if let Some(stop) = stop {
                kill(launching.pid());
                note(attempt, State::stopping_line(stop));
                let _heard = hint(&attempt.config.notices, &Notice::Changed(attempt.name.clone()));
            }
        }
        if slow.is_some_and(|slow| slow <= now) {
            slow = None;
            let directory = file.order.working_directory.display();
            say(attempt, &format!("{directory}, or where its output goes, does not answer"));
        }
    }
}

/// Waits until either can be read, or it is time; answers which can be.
fn wait_for_either(
    told: &OwnedFd,
    signals: &OwnedFd,
    next: Option<Instant>,
    now: Instant,
) -> io::Result<(bool, bool)> {
    let left = next.map(|next| next.saturating_duration_since(now)).map(|left| Timespec {
        tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: left.subsec_nanos().into(),
    });
    let mut fds = [told, signals].map(|fd| PollFd::from_borrowed_fd(fd.as_fd(), PollFlags::IN));
    match rustix::event::poll(&mut fds, left.as_ref()) {
        Ok(_) | Err(rustix::io::Errno::INTR) => {}
        Err(e) => return Err(e.into()),
    }
    Ok((!fds[0].revents().is_empty(), !fds[1].revents().is_empty()))
}

/// Without a watch over it the child must not become the script.
fn give_up(launching: &Launching<'_>, error: &io::Error) -> Failure {
    kill(launching.pid());
    see_off(launching.pid());
    Failure { sentence: format!("its start cannot be watched: {error}"), whose: Whose::Machine }
}

/// Waits for the end of a child that is about to end.
fn see_off(child: i32) {
    while !is_reaped(child) {
        let _poked = sys::wait_child_or_poke(Some(PAUSE));
    }
}

/// Kills a child that was not reaped, so that its number is its own.
fn kill(child: i32) {
    if let Some(child) = Pid::from_raw(child) {
        let _ended_if_not = rustix::process::kill_process(child, Signal::KILL);
    }
}

fn is_reaped(child: i32) -> bool {
    loop {
        match sys::reap() {
            sys::Reaped::Child(pid, ..) if pid == child => return true,
            sys::Reaped::Child(..) => {}
            sys::Reaped::NoneReady => return false,
            sys::Reaped::NoChildren => return true,
        }
    }
}

/// What a job is kept within. First its memory: the group for that may take the wall too.
fn bounds(attempt: &mut ServedAttempt<'_>, file: &OrderFile) -> Result<Bounds, Failure> {
    let within = within(attempt, file)?;
    let wall = wall(attempt, file).map_err(|e| not_denied(&e))?;
    Ok(Bounds { within, wall })
}

/// Denies the devices of others to a job; answers the door of the group that does, if the process
/// is not in it for its memory.
fn wall(attempt: &mut ServedAttempt<'_>, file: &OrderFile) -> io::Result<Option<OwnedFd>> {
    let denied = &file.order.denied_devices;
    let wall = &attempt.config.wall;
    let Some(base) = wall.base().filter(|_| !denied.is_empty()) else { return Ok(None) };
    let unified = attempt.group.as_ref().and_then(Group::unified);
    if let (Wall::V2(_), Some(group)) = (wall, unified) {
        if !attempt.is_walled {
            wall.deny(group, denied)?;
            attempt.is_walled = true;
        }
        return Ok(None);
    }
    let group = base.join(&attempt.name);
    if !attempt.is_walled {
        // Noted first: whatever becomes of us, somebody knows what to remove.
        note(attempt, &State::group_line(&group));
        cgroup::make(base, &group, cgroup::make_folder)?;
        attempt.wall = Some(group.clone());
        wall.deny(&group, denied)?;
        attempt.is_walled = true;
    }
    cgroup::door(&group).map(Some)
}

/// What a job is kept within that asks for memory. Where groups worked when the server started, a
/// job does not run without one.
fn within(attempt: &mut ServedAttempt<'_>, file: &OrderFile) -> Result<Option<Within>, Failure> {
    let Some(bytes) = file.order.memory_bytes else { return Ok(None) };
    let MemoryControl::Groups(version, base) = &attempt.config.memory else {
        return Ok(Some(Within::Data(bytes)));
    };
    let unmade = |e: io::Error| {
        let sentence = format!("its memory cannot be limited: {}: {e}", base.display());
        Failure::of_the_machine(sentence, &e)
    };
    if attempt.group.is_none() {
        // Noted first: whatever becomes of us, somebody knows what to remove.
        let line = State::group_line(&Group::path(base, &attempt.name));
        note(attempt, &line);
        let group = Group::make(*version, base, &attempt.name, bytes).map_err(unmade)?;
        attempt.group = Some(group);
    }
    let door = attempt.group.as_ref().map(Group::door).transpose().map_err(unmade)?;
    Ok(door.map(Within::Group))
}
