//! *Purpose*: the process that outlives the server beside each script.
//!
//! *Owns*: one attempt at a time, from its launch to its exit record, and what must be as new
//! before it takes another.
//!
//! *Promises*: a record is written only when no process of the tree is left, and another order
//! taken only after that; a cancel found before the spawn means that no script ever starts; no
//! signal but KILL and the server's poke moves it. What a full disk does not take is kept and
//! written later; a folder that was deleted is made again for the record.
//!
//! *Not here*: starting the script (`start`, `launch`), watching over it (`attempt_watch`), who
//! gives orders (`supervisor_pool`), what the record means (`kernel`).
//!
//! Why one process serves many attempts, one after the other: a fork with all that belongs to it
//! (tables of memory, a session, its end and its reaping) costs about as much as a short script.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;

use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{Shutdown, shutdown};
use rustix::process::{Resource, Rlimit};

use super::attempt_watch::AttemptWatch;
use super::cgroup;
use super::fd_passing;
use super::fitness::Fitness;
use super::freezer;
use super::launch::{Failure, Whose};
use super::launcher::Launcher;
use super::notice::{Notice, hint};
use super::proc::{self, Identity};
use super::served_attempt::{
    InheritedState, RECORD_PAUSE, ServedAttempt, SupervisorConfig, is_cancelled_within, note, say,
};
use super::spool::{EXIT_VERSION, Folder};
use super::start::{self, Start};
use super::state::State;
use super::sys;
use crate::clock;
use crate::engine::{EngineError, ExitRecord, Handle};
use crate::fault;
use crate::job::outcome::Usage;

/// How long a record is kept for a data folder that is not there: who moved it by mistake may
/// put it back; after that it was removed on purpose and nobody wants the record.
const HOME_GONE_BOUND: Duration = Duration::from_secs(120);
/// How long a supervisor that has served waits for another order: longer than the gaps of a busy
/// server, soon enough that a quiet machine holds none but the spare one, which has not served.
const REST_BOUND: Duration = Duration::from_secs(10);

/// Exit code of a supervisor that owes nobody a word; of any other the step daemon tells the end.
pub const TOLD: u8 = 0;
/// See [`TOLD`].
const UNTOLD: u8 = 1;

/// What `ps` and `top` call it, fifteen characters at the most: it serves one job after another.
const NAME: &std::ffi::CStr = c"downbeat-superv";

/// Lives through one attempt after the other. Orders come from `orders`: a name, with it the locked
/// state file; by its pid on `rested` it says that it has time for another one. Runs in a child
/// forked by the step daemon; its answer is the process's exit code.
pub fn run(config: &SupervisorConfig, orders: &OwnedFd, rested: &OwnedFd) -> i32 {
    sys::close_all_but([orders, rested, &config.notices].map(AsRawFd::as_raw_fd).to_vec());
    // A name that is not set harms nobody.
    let _ = rustix::thread::set_name(NAME);
    // Neither can fail here: a fresh fork leads no group, and every Linux in use knows the call.
    let _ = rustix::process::setsid();
    let me = rustix::process::getpid();
    let _ = rustix::process::set_child_subreaper(Some(me));
    if let Some(soft) = config.soft_nofile {
        let hard = rustix::process::getrlimit(Resource::Nofile).maximum;
        let limit = Rlimit { current: Some(soft), maximum: hard };
        let _ = rustix::process::setrlimit(Resource::Nofile, limit);
    }
    let mut inherited = InheritedState { track: config.track.enter(), ..InheritedState::default() };
    let born = Fitness::now();
    let mut has_served = false;
    while let Some((name, state)) = next_order(orders, has_served) {
        let folder = Folder::new(&config.data_dir, &name);
        let attempt = ServedAttempt {
            config,
            name,
            folder,
            state,
            group: None,
            wall: None,
            frozen: None,
            is_walled: false,
            owed: Vec::new(),
            inherited: &mut inherited,
        };
        match serve(attempt) {
            Served::Untold => return i32::from(UNTOLD),
            // What a script has made of its parent must not be the next one's.
            Served::Told if inherited.unfit || Fitness::now() != born => break,
            Served::Told => {}
        }
        has_served = true;
        let pid = me.as_raw_nonzero().get().to_ne_bytes();
        // Without room for it there are more of us than anybody needs.
        if rustix::io::write(rested, &pid).is_err() {
            break;
        }
    }
    i32::from(TOLD)
}

/// Waits for an order. `None` when nobody gives any: the step daemon is gone, or has left one
/// that has served to rest for [`REST_BOUND`].
fn next_order(orders: &OwnedFd, has_served: bool) -> Option<(String, File)> {
    if has_served {
        set_socket_timeout(orders, Timeout::Recv, Some(REST_BOUND)).ok()?;
    }
    loop {
        match fd_passing::receive(orders) {
            Ok(order) => return order.map(|(name, state)| (name, File::from(state))),
            Err(rustix::io::Errno::INTR) => {}
            // From here on the daemon cannot send. What it had sent before is still received.
            Err(rustix::io::Errno::AGAIN) => shutdown(orders, Shutdown::Read).ok()?,
            Err(_) => return None,
        }
    }
}

/// What became of one who has served an attempt.
enum Served {
    /// Nobody was told of the end.
    Untold,
    /// All is told that there is to tell.
    Told,
}

fn serve(mut attempt: ServedAttempt<'_>) -> Served {
    let end = run_attempt(&mut attempt).unwrap_or_else(|failure| {
        let launch_error = Some(failure.sentence);
        End::Over(Box::new(ExitRecord { launch_error, ..no_script() }))
    });
    if let Some(group) = attempt.frozen.take() {
        freezer::remove(&group);
    }
    if let Some(group) = attempt.group.take() {
        // Nobody of ours is in it. If somebody else is, a server removes it when he has gone.
        let _empty_if_removed = group.remove();
    }
    if let Some(wall) = attempt.wall.take() {
        let _empty_if_removed = cgroup::remove(&wall);
    }
    let record = match end {
        End::Over(record) => record,
        End::GivenBack(why) => {
            withdraw(&attempt);
            // One process less that the machine has to hold.
            attempt.inherited.unfit = true;
            let ServedAttempt { config, state, name, .. } = attempt;
            drop(state);
            let told = hint(&config.notices, &Notice::GivenBack(name, why));
            return if told { Served::Told } else { Served::Untold };
        }
    };
    fault::point(fault::EXITED_REAPED);
    let kept = keep(&attempt, &record);
    fault::point(fault::EXITED_RECORDED);
    let ServedAttempt { config, state, name, .. } = attempt;
    // First the lock, then the word: whoever hears of the end finds the lock free.
    drop(state);
    let told = hint(&config.notices, &Notice::Ended(name, kept.then_some(record)));
    if told && kept { Served::Told } else { Served::Untold }
}

/// How an attempt ended.
enum End {
    /// With this record.
    Over(Box<ExitRecord>),
    /// The machine had no room for it, and why.
    GivenBack(String),
}

/// From the order to its end, or to a sentence why no script was started.
fn run_attempt(attempt: &mut ServedAttempt<'_>) -> Result<End, Failure> {
    fault::point(fault::LAUNCH_UNNAMED);
    let me = match attempt.inherited.me {
        Some(me) => me,
        None => {
            let me = patiently(attempt, |_| proc::myself())?;
            *attempt.inherited.me.insert(me)
        }
    };
    // First this line, then `control`: a server that has written `control` and finds no
    // line can rely on its wish being read.
    let mut lines = State::supervisor_line(me, &attempt.config.boot_id);
    if let Some(track) = &attempt.inherited.track {
        lines.push_str(&State::track_line(track));
    }
    note(attempt, &lines);
    let file = patiently(attempt, |attempt| {
        attempt.folder.read_order().map_err(|e| match e {
            EngineError::Spool { source, .. }
            | EngineError::Scratch { source, .. }
            | EngineError::Daemon(source) => source,
            EngineError::Machine(sentence) => io::Error::other(sentence),
        })
    })?;
    let mut launcher = match attempt.inherited.launcher.take() {
        Some(launcher) => launcher,
        None => patiently(attempt, |_| Launcher::new())?,
    };
    let start = start::start(attempt, &file, &mut launcher);
    attempt.inherited.launcher = Some(launcher);
    let (pid, start_time, begun) = match start? {
        Start::Spawned { pid, start_time, begun } => (pid, start_time, begun),
        Start::Stopped(stop) => {
            return Ok(End::Over(Box::new(ExitRecord { stop: Some(stop), ..no_script() })));
        }
        Start::GivenBack(why) => return Ok(End::GivenBack(why)),
    };
    // The script is our child and not reaped, so its entry is there even if it has ended.
    let script = proc::stat(pid).map_or(Identity { pid, ticks: 0 }, |s| s.identity);
    note(attempt, &State::script_line(script, start_time));
    fault::point(fault::STARTED_NOTED);
    let script = Handle { pid, start_time };
    let record = AttemptWatch::begin(attempt, &file, me.pid, script, begun).until_the_end();
    Ok(End::Over(Box::new(record)))
}

/// Tries until it is done, as long as only the machine is short of something.
fn patiently<T>(
    attempt: &mut ServedAttempt<'_>,
    mut act: impl FnMut(&ServedAttempt<'_>) -> io::Result<T>,
) -> Result<T, Failure> {
    loop {
        let error = match act(attempt) {
            Ok(done) => return Ok(done),
            Err(e) => Failure::of_the_machine(e.to_string(), &e),
        };
        if error.whose == Whose::Job || is_cancelled_within(attempt, RECORD_PAUSE) {
            return Err(error);
        }
    }
}

/// The record of an attempt without a script.
fn no_script() -> ExitRecord {
    ExitRecord {
        version: EXIT_VERSION,
        exit_code: None,
        stop: None,
        launch_error: None,
        handle: None,
        end_time: clock::now(),
        usage: Usage::default(),
        out_of_memory: None,
        left_behind: Vec::new(),
    }
}

/// Says that nothing of this order was started and nothing will be. Whoever took its folder away,
/// or has not the room, finds out by the lock.
fn withdraw(attempt: &ServedAttempt<'_>) {
    while attempt.folder.write_withdrawn().is_err() && attempt.folder.file("state").exists() {
        let _poked = sys::wait_child_or_poke(Some(RECORD_PAUSE));
    }
}

/// Writes the record, however long the disk stays full; meanwhile the lock says that we live.
/// A folder that was deleted under us is made again: nobody who means it well removes one whose
/// record is not written. Answers whether it is written: not when the data folder is gone.
fn keep(attempt: &ServedAttempt<'_>, record: &ExitRecord) -> bool {
    let mut home_gone = Duration::ZERO;
    let mut said = false;
    while let Err(e) = attempt.folder.write_exit(record) {
        if !std::mem::replace(&mut said, true) {
            say(attempt, &format!("the record of its end cannot be written: {e}"));
        }
        attempt.folder.open_up();
        let made = attempt.folder.create().is_ok_and(|new| new);
        if made {
            continue;
        }
        if !attempt.folder.data_dir().exists() {
            home_gone += RECORD_PAUSE;
            if home_gone > HOME_GONE_BOUND {
                return false;
            }
        }
        let _poked = sys::wait_child_or_poke(Some(RECORD_PAUSE));
    }
    true
}
