//! *Purpose*: the process that outlives the server beside each script.
//!
//! *Owns*: one attempt from its launch to its exit record: the time limit, TERM → grace →
//! KILL, the reaping of the whole tree and what it used.
//!
//! *Promises*: the limit is kept while no server runs, on the monotonic clock; a record is
//! written only when no process of the tree is left; a script that ends by itself leaves no
//! survivor; a cancel found before the spawn means that no script ever starts; no signal but
//! KILL and the server's poke moves it. What a full disk does not take is kept and written
//! later; a folder that was deleted is made again for the record.
//!
//! *Not here*: starting the script (`launch`), what the record means (`kernel`).

use std::fs::File;
use std::io::Write;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, Signal};
use rustix::thread::CpuSet;

use super::proc::{self, Identity};
use super::report::Report;
use super::spool::{EXIT_VERSION, Folder, OrderFile, State};
use super::{launch, sys};
use crate::clock;
use crate::engine::{ExitRecord, Handle, Stop};
use crate::fault;
use crate::kernel::job::{ExitCode, Usage};

/// How long a start is kept back. Whoever hears of a script that has ended by then hears of one
/// thing instead of two, and the end holds the start: each word wakes three processes, and the
/// server would make a start durable that nobody has seen before its end.
const START_PAUSE: Duration = Duration::from_millis(5);
/// Between two sweeps of a dying tree when no child's end was reported: an orphan that is
/// handed up to us comes without a signal. Doubles up to [`SWEEP_PAUSE_MAX`], because a
/// process stuck in the kernel may take long.
const SWEEP_PAUSE: Duration = Duration::from_millis(5);
/// See [`SWEEP_PAUSE`].
const SWEEP_PAUSE_MAX: Duration = Duration::from_secs(1);
/// After so many sweeps we are in a race against something that forks: ask for more CPU.
const SWEEPS_BEFORE_PRIORITY: u32 = 3;
/// The priority then asked for (refused to ordinary users, who go on as before).
const RACE_NICE: i32 = -15;
/// Between two attempts to write something on a full disk.
const RECORD_PAUSE: Duration = Duration::from_secs(1);
/// How long a record is kept for a data folder that is not there: who moved it by mistake may
/// put it back; after that it was removed on purpose and nobody wants the record.
const HOME_GONE_BOUND: Duration = Duration::from_secs(120);
/// What the out-of-memory killer shall think of a supervisor that holds 50 KiB and the truth.
const OOM_SCORE: &str = "-900";
/// Where that is said.
const OOM_FILE: &str = "/proc/self/oom_score_adj";

/// Exit code of a supervisor that has told its end; of any other the step daemon tells it.
pub const TOLD: u8 = 0;
/// See [`TOLD`].
const UNTOLD: u8 = 1;

/// What a supervisor takes over from the step daemon at the fork.
pub struct Post {
    /// The attempt's name.
    pub name: String,
    /// Its folder.
    pub folder: Folder,
    /// Its state file, locked: this lock is the supervisor's life.
    pub state: File,
    /// Where hints go.
    pub report: OwnedFd,
    /// This boot.
    pub boot_id: String,
    /// The soft limit of open files that scripts shall have.
    pub soft_nofile: Option<u64>,
    /// The CPUs of an unpinned process.
    pub all_cpus: CpuSet,
    /// See [`may_lower_oom_score`].
    pub may_lower_oom_score: bool,
    /// What `state` did not take yet.
    pub owed: Vec<u8>,
}

/// Whether this system allows us to protect supervisors from the out-of-memory killer: tried
/// once by the step daemon, and taken back.
#[must_use]
pub fn may_lower_oom_score() -> bool {
    let Ok(before) = std::fs::read_to_string(OOM_FILE) else { return false };
    std::fs::write(OOM_FILE, OOM_SCORE).is_ok() && std::fs::write(OOM_FILE, before.trim()).is_ok()
}

/// Lives through one attempt. Runs in a child forked by the step daemon; its answer is the
/// process's exit code.
pub fn run(mut post: Post) -> i32 {
    sys::close_all_but(vec![post.state.as_raw_fd(), post.report.as_raw_fd()]);
    let record = attempt(&mut post).unwrap_or_else(|sentence| ExitRecord {
        version: EXIT_VERSION,
        exit_code: None,
        stop: None,
        launch_error: Some(sentence),
        handle: None,
        end_time: clock::now(),
        usage: Usage::default(),
    });
    fault::point(fault::EXITED_REAPED);
    keep(&post, &record);
    fault::point(fault::EXITED_RECORDED);
    let Post { state, report, name, .. } = post;
    // First the lock, then the word: whoever hears of the end finds the lock free.
    drop(state);
    let told = hint(&report, &Report::Ended(name));
    i32::from(if told { TOLD } else { UNTOLD })
}

/// From the order to the record, or to a sentence why no script was started.
fn attempt(post: &mut Post) -> Result<ExitRecord, String> {
    // Neither can fail here: a fresh fork leads no group, and every Linux in use knows the call.
    let _ = rustix::process::setsid();
    let _ = rustix::process::set_child_subreaper(Some(rustix::process::getpid()));
    fault::point(fault::LAUNCH_UNNAMED);
    let me = proc::myself().map_err(|e| e.to_string())?;
    // First this line, then `control`: a server that has written `control` and finds no
    // line can rely on its wish being read.
    note(post, &State::supervisor_line(me, &post.boot_id));
    let file = post.folder.read_order().map_err(|e| e.to_string())?;
    if post.folder.read_control().cancel {
        return Ok(cancelled_before_start());
    }
    if let Some(soft) = post.soft_nofile {
        let hard = rustix::process::getrlimit(Resource::Nofile).maximum;
        let limit = Rlimit { current: Some(soft), maximum: hard };
        let _ = rustix::process::setrlimit(Resource::Nofile, limit);
    }
    fault::point(fault::LAUNCH_BEFORE_SPAWN);
    let pinned = file.order.pin && launch::pin(&file.order.cpus);
    let Some(pid) = spawn(post, &file)? else { return Ok(cancelled_before_start()) };
    let start_time = clock::now();
    let started = clock::monotonic();
    fault::point(fault::LAUNCH_SPAWNED);
    if pinned {
        // Only the script is confined; a supervisor must be able to outrun it.
        let _ = rustix::thread::sched_setaffinity(None, &post.all_cpus);
    }
    drop(std::env::set_current_dir("/"));
    // The script is our child and not reaped, so its entry is there even if it has ended.
    let script = proc::stat(pid).map_or(Identity { pid, ticks: 0 }, |s| s.identity);
    note(post, &State::script_line(script, start_time));
    fault::point(fault::STARTED_NOTED);
    if post.may_lower_oom_score {
        // After the spawn, so that the script has the score the server was started with.
        drop(std::fs::write(OOM_FILE, OOM_SCORE));
    }
    let limit = file.order.limit_s.and_then(|s| started.checked_add(seconds(s)));
    let watch = Watch {
        post,
        file: &file,
        me: me.pid,
        script: pid,
        phase: Phase::Running { limit },
        untold: started.checked_add(START_PAUSE),
        stop: None,
        exit_code: None,
        usage: Usage::default(),
    };
    Ok(watch.until_the_end(Handle { pid, start_time }))
}

/// Starts the script; `None` when it was cancelled first. As long as the server's own disk is
/// full nothing has run and nothing is the job's fault, so this waits for room.
fn spawn(post: &mut Post, file: &OrderFile) -> Result<Option<i32>, String> {
    loop {
        match launch::launch(file, &post.folder, &post.name) {
            Ok(pid) => return Ok(Some(pid)),
            Err(failure) if failure.is_full_disk => {
                let _poked = sys::wait_child_or_poke(Some(RECORD_PAUSE));
                let _told = settle(post);
                if post.folder.read_control().cancel {
                    return Ok(None);
                }
            }
            Err(failure) => return Err(failure.sentence),
        }
    }
}

fn cancelled_before_start() -> ExitRecord {
    ExitRecord {
        version: EXIT_VERSION,
        exit_code: None,
        stop: Some(Stop::Cancelled),
        launch_error: None,
        handle: None,
        end_time: clock::now(),
        usage: Usage::default(),
    }
}

/// Writes the record, however long the disk stays full; meanwhile the lock says that we live.
/// A folder that was deleted under us is made again: nobody who means it well removes one whose
/// record is not written.
fn keep(post: &Post, record: &ExitRecord) {
    let mut home_gone = Duration::ZERO;
    while post.folder.write_exit(record).is_err() {
        let made = post.folder.create().is_ok_and(|new| new);
        if made {
            continue;
        }
        if !post.folder.data_dir().exists() {
            home_gone += RECORD_PAUSE;
            if home_gone > HOME_GONE_BOUND {
                return;
            }
        }
        let _poked = sys::wait_child_or_poke(Some(RECORD_PAUSE));
    }
}

/// Adds a line to `state`. What does not fit on a full disk is owed: until it is paid the lock
/// says "alive".
fn note(post: &mut Post, line: &str) {
    post.owed.extend_from_slice(line.as_bytes());
    let _paid = settle(post);
}

/// Pays what is owed to `state`, going on where a write stopped; answers whether there was
/// something to pay and nothing is left.
fn settle(post: &mut Post) -> bool {
    if post.owed.is_empty() {
        return false;
    }
    while !post.owed.is_empty() {
        match (&post.state).write(&post.owed) {
            Ok(written) if written > 0 => drop(post.owed.drain(..written)),
            _ => return false,
        }
    }
    true
}

/// Tells the server, if there is one and its pipe has room; answers whether.
fn hint(pipe: &OwnedFd, report: &Report) -> bool {
    rustix::io::write(pipe, report.line().as_bytes()).is_ok()
}

fn seconds(s: u32) -> Duration {
    Duration::from_secs(u64::from(s))
}

/// Where the attempt stands.
#[derive(Clone, Copy, Debug)]
enum Phase {
    /// The script runs, perhaps until a limit.
    Running { limit: Option<Instant> },
    /// TERM was sent; whoever is left at `kill_at` is killed.
    Ending { since: Instant, kill_at: Instant },
    /// Everything is being killed.
    Killing { sweeps: u32, pause: Duration },
}

/// One attempt under watch.
struct Watch<'a> {
    post: &'a mut Post,
    file: &'a OrderFile,
    me: i32,
    script: i32,
    phase: Phase,
    /// Until when the start is not told.
    untold: Option<Instant>,
    stop: Option<Stop>,
    exit_code: Option<ExitCode>,
    usage: Usage,
}

impl Watch<'_> {
    fn until_the_end(mut self, handle: Handle) -> ExitRecord {
        while self.reap_all() {
            if self.exit_code.is_some() && matches!(self.phase, Phase::Running { .. }) {
                self.phase = Phase::Killing { sweeps: 0, pause: SWEEP_PAUSE };
            }
            let mut timeout = self.act();
            if let Some(left) = self.tell_start() {
                timeout = Some(timeout.map_or(left, |due| due.min(left)));
            }
            if !self.post.owed.is_empty() {
                timeout = Some(timeout.map_or(RECORD_PAUSE, |due| due.min(RECORD_PAUSE)));
            }
            let poked = sys::wait_child_or_poke(timeout);
            // Until now nobody could know whom to poke.
            let told_late = settle(self.post);
            if told_late {
                let _heard = hint(&self.post.report, &Report::Changed(self.post.name.clone()));
            }
            if poked || told_late {
                self.read_control();
            }
        }
        ExitRecord {
            version: EXIT_VERSION,
            exit_code: self.exit_code,
            stop: self.stop,
            launch_error: None,
            handle: Some(handle),
            end_time: clock::now(),
            usage: self.usage,
        }
    }

    /// Tells the start once it is due; answers how long until then.
    fn tell_start(&mut self) -> Option<Duration> {
        let left = self.untold?.saturating_duration_since(clock::monotonic());
        if !left.is_zero() {
            return Some(left);
        }
        self.untold = None;
        let _heard = hint(&self.post.report, &Report::Changed(self.post.name.clone()));
        None
    }

    /// Takes every ended child; answers whether any process is left.
    fn reap_all(&mut self) -> bool {
        loop {
            match sys::reap() {
                sys::Reaped::NoneReady => return true,
                sys::Reaped::NoChildren => return false,
                sys::Reaped::Child(pid, code, used) => {
                    self.usage.user_us = self.usage.user_us.saturating_add(used.user_us);
                    self.usage.system_us = self.usage.system_us.saturating_add(used.system_us);
                    self.usage.max_rss_bytes = self.usage.max_rss_bytes.max(used.max_rss_bytes);
                    // Orphans may come to carry the script's number once it is free.
                    if pid == self.script && self.exit_code.is_none() {
                        self.exit_code = Some(code);
                    }
                }
            }
        }
    }

    /// Does what is due; answers how long to wait for the next thing to be due.
    fn act(&mut self) -> Option<Duration> {
        let now = clock::monotonic();
        match self.phase {
            Phase::Running { limit: None } => None,
            Phase::Running { limit: Some(limit) } if now < limit => Some(limit - now),
            Phase::Running { .. } => {
                self.begin_to_end(Stop::TimeLimit, self.file.order.kill_grace_s);
                Some(Duration::ZERO)
            }
            Phase::Ending { kill_at, .. } if now < kill_at => Some(kill_at - now),
            Phase::Ending { .. } => {
                self.phase = Phase::Killing { sweeps: 0, pause: SWEEP_PAUSE };
                Some(Duration::ZERO)
            }
            Phase::Killing { sweeps, pause } => {
                if sweeps == SWEEPS_BEFORE_PRIORITY {
                    let _ = rustix::process::setpriority_process(None, RACE_NICE);
                }
                self.sweep();
                let longer = (pause * 2).min(SWEEP_PAUSE_MAX);
                self.phase = Phase::Killing { sweeps: sweeps.saturating_add(1), pause: longer };
                Some(pause)
            }
        }
    }

    /// The server poked: what does it wish now?
    fn read_control(&mut self) {
        let wish = self.post.folder.read_control();
        if !wish.cancel {
            return;
        }
        let grace = wish.kill_grace_s.unwrap_or(self.file.order.kill_grace_s);
        match self.phase {
            Phase::Running { .. } => self.begin_to_end(Stop::Cancelled, grace),
            // A repeated cancel may shorten the grace, counted from the first; the reason of
            // the stop stays what it was.
            Phase::Ending { since, kill_at } => {
                let sooner = since.checked_add(seconds(grace)).unwrap_or(kill_at).min(kill_at);
                self.phase = Phase::Ending { since, kill_at: sooner };
            }
            Phase::Killing { .. } => {}
        }
    }

    fn begin_to_end(&mut self, stop: Stop, grace_s: u32) {
        let (before, after) = match stop {
            Stop::Cancelled => (fault::CANCEL_READ, fault::CANCEL_TERM_SENT),
            Stop::TimeLimit => (fault::LIMIT_REACHED, fault::LIMIT_TERM_SENT),
        };
        fault::point(before);
        let since = clock::monotonic();
        let kill_at = since.checked_add(seconds(grace_s)).unwrap_or(since);
        self.stop = Some(stop);
        self.phase = Phase::Ending { since, kill_at };
        note(self.post, State::stopping_line(stop));
        let _heard = hint(&self.post.report, &Report::Changed(self.post.name.clone()));
        self.signal_group(Signal::TERM);
        // Whoever left the script's group is asked too; whoever is stopped must wake to hear.
        proc::visit_descendants(self.me, |seen| {
            if seen.group != self.script {
                proc::signal(seen.identity, Signal::TERM);
                proc::signal(seen.identity, Signal::CONT);
            }
        });
        self.signal_group(Signal::CONT);
        fault::point(after);
    }

    /// Kills everything that can be found. Fast things first: one call kills the whole group
    /// at an instant between forks, our own children cannot have been mistaken (we have not
    /// reaped them); then the rest of the tree, each verified.
    fn sweep(&self) {
        self.signal_group(Signal::KILL);
        for child in proc::children(self.me) {
            if let Some(pid) = Pid::from_raw(child) {
                let _ = rustix::process::kill_process(pid, Signal::KILL);
            }
        }
        proc::visit_descendants(self.me, |seen| {
            if seen.parent != self.me {
                proc::signal(seen.identity, Signal::KILL);
            }
        });
    }

    /// Signals the script's process group, as long as its number cannot mean another: while
    /// the script, or another child of ours in its group, is not reaped.
    fn signal_group(&self, signal: Signal) {
        let ours = |child: &i32| proc::stat(*child).is_some_and(|s| s.group == self.script);
        let held = self.exit_code.is_none() || proc::children(self.me).iter().any(ours);
        if let Some(group) = Pid::from_raw(self.script).filter(|_| held) {
            let _ = rustix::process::kill_process_group(group, signal);
        }
    }
}
