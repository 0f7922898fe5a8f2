//! *Purpose*: watching over one script that was started, until no process of it is left.
//!
//! *Owns*: the time limit and the signal before it, the signals that somebody sends, TERM → grace →
//! KILL, the time for what a script
//! leaves behind, the bound of kept output, the reaping of the whole tree and what it used.
//!
//! *Promises*: the limit is kept while no server runs, on the monotonic clock; a record comes only
//! when no process of the tree is left; what a script leaves behind may finish for a bounded time
//! (it writes the last output: `tee`, `gzip`), then it is ended and named; a wish of the server is
//! found even if nobody can poke us.
//!
//! *Not here*: starting the script (`launch`), what becomes of the record (`supervisor`).

mod suspension;

use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};

use super::affinity_and_oom::become_a_guard;
use super::launch;
use super::notice::{Notice, hint};
use super::proc;
use super::served_attempt::{RECORD_PAUSE, ServedAttempt, note, settle};
use super::signal_files;
use super::spool::{EXIT_VERSION, OrderFile};
use super::state::State;
use super::sys;
use crate::clock;
use crate::engine::{ExitRecord, Handle, LimitWish, Stop};
use crate::fault;
use crate::job::ids::EventId;
use crate::job::outcome::{ExitCode, Usage};
use crate::job::signal::{EarlySignal, Recipients};

/// How long a start is kept back, and nothing is done that only a lasting script makes worth while.
/// Whoever hears of a script that has ended by then hears of one thing instead of two, and the end
/// holds the start: each word wakes three processes, and the server would make a start durable that
/// nobody has seen before its end.
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

/// How long a tree may go on after its script before that is told: most are gone by then, and a
/// state that nobody sees need not be made durable.
const FINISHING_PAUSE: Duration = Duration::from_millis(200);
/// Between TERM and KILL for what did not finish in its time.
const LEFTOVER_GRACE: Duration = Duration::from_secs(1);
/// Left-behind processes that a record names; of the others their number.
const NAMED_MAX: usize = 10;
/// How often `control` is looked at unasked: a server in another container cannot poke us.
const CONTROL_LOOK: Duration = Duration::from_secs(5);
/// The fastest that output is taken to grow, bytes a second: by it the next look is timed.
const OUTPUT_BYTES_A_SECOND: u64 = 2 * 1024 * 1024 * 1024;
/// Soonest and latest next look at what is written.
const OUTPUT_LOOK: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// Where the attempt stands.
#[derive(Clone, Copy, Debug)]
enum Phase {
    /// The script runs, perhaps until a limit.
    Running { limit: Option<Instant> },
    /// The script has ended; what it left behind may go on until then.
    Finishing { until: Instant },
    /// TERM was sent; whoever is left at `kill_at` is killed.
    Ending { since: Instant, kill_at: Instant },
    /// Everything is being killed.
    Killing { sweeps: u32, pause: Duration },
}

/// The watch over one attempt.
pub struct AttemptWatch<'a, 'b> {
    attempt: &'a mut ServedAttempt<'b>,
    file: &'a OrderFile,
    me: i32,
    script: Handle,
    started: Instant,
    /// How long the script may run: as ordered, until the server wishes otherwise.
    limit: LimitWish,
    /// Since when it is suspended: its limit stands still.
    suspended: Option<Instant>,
    phase: Phase,
    /// When the job is told that its limit is near.
    early: Option<(Instant, EarlySignal)>,
    /// Until when the start is not told.
    untold: Option<Instant>,
    /// Until when it is not told that only leftovers go on.
    finishing_untold: Option<Instant>,
    /// When `control` is looked at next.
    control_at: Instant,
    /// When the size of its output is looked at next, if that is bounded.
    output_at: Option<Instant>,
    left_behind: Vec<String>,
    /// The last signal that was sent because somebody asked for it.
    signalled: EventId,
    stop: Option<Stop>,
    /// Whether memory had run out before the stop.
    ran_out_before: bool,
    exit_code: Option<ExitCode>,
    usage: Usage,
}

impl<'a, 'b> AttemptWatch<'a, 'b> {
    /// Over `script`, a child of `me`, which was started at `started`.
    pub fn begin(
        attempt: &'a mut ServedAttempt<'b>,
        file: &'a OrderFile,
        me: i32,
        script: Handle,
        started: Instant,
    ) -> Self {
        let limit = LimitWish::of(file.order.limit_s);
        AttemptWatch {
            attempt,
            file,
            me,
            script,
            started,
            limit,
            suspended: None,
            phase: Phase::Running { limit: due(started, limit) },
            early: file.order.signal.and_then(|early| early_at(started, limit, early)),
            untold: started.checked_add(START_PAUSE),
            finishing_untold: None,
            control_at: started + CONTROL_LOOK,
            output_at: file.order.output_bytes.map(|_| started + OUTPUT_LOOK.0),
            left_behind: Vec::new(),
            signalled: EventId(0),
            stop: None,
            ran_out_before: false,
            exit_code: None,
            usage: Usage::default(),
        }
    }

    /// Returns when no process of the script's tree is left.
    pub fn until_the_end(mut self) -> ExitRecord {
        while self.reap_all() {
            if self.exit_code.is_some() && matches!(self.phase, Phase::Running { .. }) {
                self.begin_to_finish();
            }
            let dues =
                [self.act(), self.tell_start(), self.tell_finishing(), self.look_at_output()];
            let mut timeout =
                dues.into_iter().flatten().fold(self.look_at_control(), Duration::min);
            if !self.attempt.owed.is_empty() {
                timeout = timeout.min(RECORD_PAUSE);
            }
            let poked = sys::wait_child_or_poke(Some(timeout));
            // Until now nobody could know whom to poke.
            let told_late = settle(self.attempt);
            if told_late {
                self.tell_change();
            }
            if poked || told_late {
                self.read_control();
            }
        }
        self.note_missed_limit();
        let before_stop = self.stop.is_none() || self.ran_out_before;
        let group = self.attempt.group.as_ref();
        ExitRecord {
            version: EXIT_VERSION,
            exit_code: self.exit_code,
            stop: self.stop,
            launch_error: None,
            handle: Some(self.script),
            end_time: clock::now(),
            usage: self.usage,
            out_of_memory: group.and_then(|group| group.out_of_memory(before_stop)),
            left_behind: self.left_behind,
        }
    }

    /// The server ends what lives long beyond its limit: then we were kept from doing it.
    fn note_missed_limit(&mut self) {
        let grace = seconds(self.file.order.kill_grace_s);
        if let Phase::Running { limit: Some(limit) } = self.phase
            && self.exit_code.is_some_and(|code| code.signal != 0)
            && limit.checked_add(grace).is_some_and(|missed| self.counted_now() > missed)
        {
            self.stop = Some(Stop::TimeLimit);
        }
    }

    fn tell_change(&self) {
        let _heard =
            hint(&self.attempt.config.notices, &Notice::Changed(self.attempt.name.clone()));
    }

    /// The script has ended and others of its tree have not.
    fn begin_to_finish(&mut self) {
        self.resume();
        let now = clock::monotonic();
        let until = now.checked_add(seconds(self.file.order.finish_s)).unwrap_or(now);
        self.finishing_untold = now.checked_add(FINISHING_PAUSE).filter(|told| *told < until);
        self.phase = Phase::Finishing { until };
    }

    /// Tells that only leftovers go on, once that is due; answers how long until then.
    fn tell_finishing(&mut self) -> Option<Duration> {
        let left = self.finishing_untold?.saturating_duration_since(clock::monotonic());
        if !left.is_zero() {
            return Some(left);
        }
        self.finishing_untold = None;
        if matches!(self.phase, Phase::Finishing { .. }) {
            fault::point(fault::FINISH_BEGUN);
            note(self.attempt, State::FINISHING_LINE);
            self.tell_change();
        }
        None
    }

    /// Names those that did not finish in their time, and tells them to end.
    fn end_leftovers(&mut self) {
        fault::point(fault::FINISH_OVER);
        let (mut names, mut more) = (Vec::new(), 0_usize);
        for seen in proc::descendants(self.me).iter().filter(|seen| seen.is_alive()) {
            if names.len() < NAMED_MAX {
                let name = proc::name(seen.identity.pid);
                names.push(format!("{} ({name})", seen.identity.pid));
            } else {
                more += 1;
            }
            proc::signal(seen.identity, Signal::TERM);
            proc::signal(seen.identity, Signal::CONT);
        }
        if more > 0 {
            names.push(format!("and {more} more"));
        }
        self.left_behind = names;
        let since = clock::monotonic();
        self.phase = Phase::Ending { since, kill_at: since + LEFTOVER_GRACE };
    }

    /// Looks at `control` if that is due; answers how long until the next look.
    fn look_at_control(&mut self) -> Duration {
        let now = clock::monotonic();
        if now >= self.control_at {
            self.control_at = now + CONTROL_LOOK;
            self.read_control();
        }
        self.control_at.saturating_duration_since(now)
    }

    /// Ends a job whose kept output has reached its bound; answers how long until the next look.
    fn look_at_output(&mut self) -> Option<Duration> {
        let bound = self.file.order.output_bytes?;
        let now = clock::monotonic();
        let at = self.output_at?;
        if now < at {
            return Some(at - now);
        }
        let written = launch::kept_bytes(&self.file.order);
        let phase_allows = matches!(self.phase, Phase::Running { .. } | Phase::Finishing { .. });
        if written >= bound {
            self.output_at = None;
            if phase_allows {
                self.begin_to_end(Stop::OutputLimit, self.file.order.kill_grace_s);
            }
            return Some(Duration::ZERO);
        }
        let soonest = (bound - written) / OUTPUT_BYTES_A_SECOND;
        let next = Duration::from_secs(soonest).clamp(OUTPUT_LOOK.0, OUTPUT_LOOK.1);
        self.output_at = Some(now + next);
        Some(next)
    }

    /// Tells the start once it is due; answers how long until then.
    fn tell_start(&mut self) -> Option<Duration> {
        let left = self.untold?.saturating_duration_since(clock::monotonic());
        if !left.is_zero() {
            return Some(left);
        }
        self.untold = None;
        become_a_guard(self.attempt);
        self.tell_change();
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
                    if pid == self.script.pid && self.exit_code.is_none() {
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
            Phase::Running { .. } if self.suspended.is_some() => None,
            Phase::Running { limit: None } => None,
            Phase::Running { limit: Some(limit) } if now < limit => {
                let left = self.early.map(|(at, _)| at.saturating_duration_since(now));
                if left.is_some_and(|left| left.is_zero()) {
                    self.tell_early();
                    return Some(limit - now);
                }
                Some(left.unwrap_or(limit - now).min(limit - now))
            }
            Phase::Running { .. } => {
                // At the latest now: it may have been asked for at the limit itself.
                self.tell_early();
                self.begin_to_end(Stop::TimeLimit, self.file.order.kill_grace_s);
                Some(Duration::ZERO)
            }
            Phase::Finishing { until } if now < until => Some(until - now),
            Phase::Finishing { .. } => {
                self.end_leftovers();
                Some(Duration::ZERO)
            }
            Phase::Ending { kill_at, .. } if now < kill_at => Some(kill_at - now),
            Phase::Ending { .. } => {
                self.phase = Phase::Killing { sweeps: 0, pause: SWEEP_PAUSE };
                Some(Duration::ZERO)
            }
            Phase::Killing { sweeps, pause } => {
                if sweeps == 0 {
                    become_a_guard(self.attempt);
                }
                if sweeps == SWEEPS_BEFORE_PRIORITY {
                    let _ = rustix::process::setpriority_process(None, RACE_NICE);
                    self.attempt.inherited.unfit = true;
                }
                self.sweep();
                let longer = (pause * 2).min(SWEEP_PAUSE_MAX);
                self.phase = Phase::Killing { sweeps: sweeps.saturating_add(1), pause: longer };
                Some(pause)
            }
        }
    }

    /// The limit is near. Either the script's own process hears of it, or all others do.
    fn tell_early(&mut self) {
        let Some((_, early)) = self.early.take() else { return };
        let to = if early.to_script { Recipients::Script } else { Recipients::Others };
        self.send(early.signal, to);
    }

    /// Sends a signal to some of the script's tree.
    fn send(&self, number: i32, to: Recipients) {
        let Some(signal) = Signal::from_named_raw(number) else { return };
        // All are known before the first one hears: what it starts upon hearing is not meant.
        let others = match to {
            Recipients::Script => Vec::new(),
            Recipients::Others | Recipients::All => proc::descendants(self.me),
        };
        // Not reaped, so the number is still its own.
        let script = Pid::from_raw(self.script.pid).filter(|_| self.exit_code.is_none());
        if let Some(script) = script.filter(|_| to != Recipients::Others) {
            let _ = rustix::process::kill_process(script, signal);
        }
        for other in others.iter().filter(|other| other.identity.pid != self.script.pid) {
            proc::signal(other.identity, signal);
        }
    }

    /// Sends what somebody asked for since the last look.
    fn send_signals(&mut self) {
        let ServedAttempt { folder, name, .. } = &*self.attempt;
        for asked in signal_files::take(folder, name, self.signalled) {
            fault::point(fault::SIGNAL_TAKEN);
            self.signalled = asked.no;
            self.send(asked.signal.number.into(), asked.signal.to);
        }
    }

    /// The server poked: what does it wish now?
    fn read_control(&mut self) {
        self.send_signals();
        let wish = self.attempt.folder.read_control();
        if let Some(limit) = wish.limit.filter(|limit| *limit != self.limit) {
            self.change_limit(limit);
        }
        self.suspend_or_resume(wish.suspend);
        if !wish.cancel {
            return;
        }
        let grace = wish.kill_grace_s.unwrap_or(self.file.order.kill_grace_s);
        match self.phase {
            Phase::Running { .. } | Phase::Finishing { .. } => {
                self.begin_to_end(Stop::Cancelled, grace);
            }
            // A repeated cancel may shorten the grace, counted from the first; the reason of
            // the stop stays what it was.
            Phase::Ending { since, kill_at } => {
                let sooner = since.checked_add(seconds(grace)).unwrap_or(kill_at).min(kill_at);
                self.phase = Phase::Ending { since, kill_at: sooner };
            }
            Phase::Killing { .. } => {}
        }
    }

    /// Somebody changed the time limit. A job that was told that its limit is near is told again,
    /// if that is ahead of it once more.
    fn change_limit(&mut self, limit: LimitWish) {
        fault::point(fault::LIMIT_READ);
        self.limit = limit;
        if let Phase::Running { .. } = self.phase {
            self.phase = Phase::Running { limit: due(self.started, limit) };
            let early = self.file.order.signal;
            let early = early.and_then(|early| early_at(self.started, limit, early));
            let now = self.counted_now();
            self.early = early.filter(|(at, _)| *at > now || self.early.is_some());
        }
    }

    fn begin_to_end(&mut self, stop: Stop, grace_s: u32) {
        let (before, after) = match stop {
            Stop::Cancelled => (fault::CANCEL_READ, fault::CANCEL_TERM_SENT),
            Stop::TimeLimit | Stop::OutputLimit => (fault::LIMIT_REACHED, fault::LIMIT_TERM_SENT),
        };
        fault::point(before);
        let since = clock::monotonic();
        let kill_at = since.checked_add(seconds(grace_s)).unwrap_or(since);
        self.ran_out_before = self.attempt.group.as_ref().is_some_and(|group| group.kills() > 0);
        self.stop = Some(stop);
        self.phase = Phase::Ending { since, kill_at };
        self.resume();
        note(self.attempt, State::stopping_line(stop));
        self.tell_change();
        let tree = proc::descendants(self.me);
        self.signal_group(Signal::TERM);
        // A process that left the script's group is asked too; one that is stopped must wake to
        // hear. What a handler starts to tidy up is not of the tree as it was, and is spared.
        for seen in tree.iter().filter(|seen| seen.group != self.script.pid) {
            proc::signal(seen.identity, Signal::TERM);
            proc::signal(seen.identity, Signal::CONT);
        }
        self.signal_group(Signal::CONT);
        fault::point(after);
    }

    /// Kills everything that can be found. Fast things first: one call kills the whole group
    /// at an instant between forks, our own children cannot have been mistaken (we have not
    /// reaped them); then the rest of the tree, each verified.
    fn sweep(&mut self) {
        self.resume();
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
        let ours = |child: &i32| proc::stat(*child).is_some_and(|s| s.group == self.script.pid);
        let held = self.exit_code.is_none() || proc::children(self.me).iter().any(ours);
        if let Some(group) = Pid::from_raw(self.script.pid).filter(|_| held) {
            let _ = rustix::process::kill_process_group(group, signal);
        }
    }
}

/// When a script that was started then is past its limit.
fn due(started: Instant, limit: LimitWish) -> Option<Instant> {
    started.checked_add(limit.time()?)
}

/// When it is told that its limit is near.
fn early_at(
    started: Instant,
    limit: LimitWish,
    early: EarlySignal,
) -> Option<(Instant, EarlySignal)> {
    let after = limit.time()?.saturating_sub(seconds(early.before_s));
    Some((started.checked_add(after)?, early))
}

fn seconds(s: u32) -> Duration {
    Duration::from_secs(u64::from(s))
}
