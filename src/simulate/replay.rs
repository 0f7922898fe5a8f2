//! *Purpose*: a trace in simulated time.
//!
//! *Owns*: [`replay`] and its clock.
//!
//! *Promises*: passes are those of `policy`, at the instants and in the order that the
//! [`Clock`] says; every job of the trace starts once and ends after its run time.
//!
//! *Not here*: the policy (`policy`), what is told about the waits (`simulate::summary`).

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fmt;
use std::str::FromStr;

use super::swf::{Trace, TraceJob};
use crate::job::ids::JobId;
use crate::policy::input::{Instant, PassInput, PendingJob, Running};
use crate::policy::name::{Policy, PolicyRefused};
use crate::policy::pass::Planner;
use crate::policy::plan::Plan;
use crate::resources::capacity::{Capacity, Demand};

/// The longest time between passes, seconds: a day.
const TICK_S_MAX: i64 = 86_400;

/// How the events of one instant follow one another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// First whatever ends, then whatever is submitted, then one pass.
    Batch,
    /// A pass after each submission and after each ending, as the simulator pyss has it.
    Sequential,
}

/// What is simulated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Who goes first.
    pub policy: Policy,
    /// Passes only at multiples of so many seconds.
    pub tick_s: Option<i64>,
    /// The order within an instant.
    pub clock: Clock,
    /// Whether the scheduler knows run times beforehand, instead of requests.
    pub clairvoyant: bool,
}

/// Why the name of a policy cannot be simulated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingRefused {
    /// The policy itself.
    #[error(transparent)]
    Policy(#[from] PolicyRefused),
    /// What follows the slash.
    #[error("\"/{0}\" is not understood; /tick5 makes a pass every 5 s of the trace")]
    Tick(String),
}

impl Default for Setting {
    /// The server's policy, in batch mode, by request, a pass at each event.
    fn default() -> Setting {
        let policy = Policy::default();
        Setting { policy, tick_s: None, clock: Clock::Batch, clairvoyant: false }
    }
}

impl FromStr for Setting {
    type Err = SettingRefused;

    /// Reads a policy, and behind a slash how often passes are made: `fcfs+firstfit/tick5`.
    fn from_str(text: &str) -> Result<Setting, SettingRefused> {
        let (policy, tick) = match text.split_once('/') {
            Some((policy, tick)) => (policy, Some(tick)),
            None => (text, None),
        };
        let seconds = |tick: &str| {
            let tick_s = tick.strip_prefix("tick").and_then(|s| s.parse::<i64>().ok());
            let tick_s = tick_s.filter(|s| (1..=TICK_S_MAX).contains(s));
            tick_s.ok_or_else(|| SettingRefused::Tick(tick.to_owned()))
        };
        let (policy, tick_s) = (policy.parse()?, tick.map(seconds).transpose()?);
        Ok(Setting { policy, tick_s, ..Setting::default() })
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.policy)?;
        self.tick_s.map_or(Ok(()), |s| write!(f, "/tick{s}"))
    }
}

/// What became of a trace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The start of each job, seconds, in the order of the trace.
    pub starts: Vec<Instant>,
    /// Passes made.
    pub passes: u64,
    /// The longest queue that a pass found.
    pub queue_max: usize,
}

/// Told after each pass: how things stand now, and what was decided.
pub type Observer<'a> = &'a mut dyn FnMut(&PassInput, &Plan);

/// Replays a trace.
pub fn replay(trace: &Trace, setting: Setting, observer: Observer<'_>) -> Outcome {
    let mut machine = Machine::new(trace, setting, observer);
    match setting.clock {
        Clock::Batch => machine.batch(),
        Clock::Sequential => machine.sequential(),
    }
    machine.outcome
}

/// When it ends, the how-manieth start it was, and which job it is.
type Ending = Reverse<(Instant, usize, usize)>;

struct Machine<'a> {
    jobs: &'a [TraceJob],
    setting: Setting,
    planner: Planner,
    input: PassInput,
    /// The next to be submitted.
    next: usize,
    endings: BinaryHeap<Ending>,
    started: usize,
    outcome: Outcome,
    observer: Observer<'a>,
}

impl<'a> Machine<'a> {
    fn new(trace: &'a Trace, setting: Setting, observer: Observer<'a>) -> Machine<'a> {
        let room = Capacity::of(trace.cpus);
        Machine {
            jobs: &trace.jobs,
            setting,
            planner: Planner::new(setting.policy, 1),
            input: PassInput { free: room, total: room, ..PassInput::default() },
            next: 0,
            endings: BinaryHeap::new(),
            started: 0,
            outcome: Outcome { starts: vec![0; trace.jobs.len()], ..Outcome::default() },
            observer,
        }
    }

    fn request(&self, job: usize) -> i64 {
        let job = &self.jobs[job];
        if self.setting.clairvoyant { job.run } else { job.request }
    }

    /// The next instant at which something happens, and whether that is more than a reservation.
    fn next_instant(&self) -> Option<(Instant, bool)> {
        let submission = self.jobs.get(self.next).map(|job| job.submit);
        let ending = self.endings.peek().map(|Reverse((end, ..))| *end);
        let event = submission.into_iter().chain(ending).min();
        let reserved = self.planner.next_reserved();
        match (event, reserved) {
            (Some(event), Some(reserved)) if reserved < event => Some((reserved, false)),
            (Some(event), _) => Some((event, true)),
            (None, reserved) => reserved.map(|at| (at, false)),
        }
    }

    fn batch(&mut self) {
        while let Some((event, _)) = self.next_instant() {
            let now = match self.setting.tick_s {
                Some(tick) => event.saturating_add(tick - 1).div_euclid(tick) * tick,
                None => event,
            };
            while let Some(job) = self.ending_until(now) {
                self.release(job);
            }
            while self.jobs.get(self.next).is_some_and(|job| job.submit <= now) {
                self.submit();
            }
            self.pass(now);
        }
    }

    fn sequential(&mut self) {
        while let Some((now, event)) = self.next_instant() {
            if !event {
                self.pass(now);
                continue;
            }
            // Whoever is due by his request now counts as gone before anybody is looked at.
            let mut counted = Vec::new();
            while let Some(first) = self.input.running.first().filter(|first| first.end <= now) {
                counted.push(first.job);
                self.input.free = self.input.free.plus(&first.held);
                self.input.running.remove(0);
            }
            while self.jobs.get(self.next).is_some_and(|job| job.submit == now) {
                self.submit();
                self.pass(now);
            }
            while let Some(job) = self.ending_until(now) {
                if !counted.contains(&JobId(job as i64)) {
                    self.release(job);
                }
                self.planner.ask_for_a_round();
                self.pass(now);
            }
        }
    }

    /// The next job that has ended by now, if any.
    fn ending_until(&mut self, now: Instant) -> Option<usize> {
        self.endings.peek().filter(|Reverse((end, ..))| *end <= now)?;
        self.endings.pop().map(|Reverse((.., job))| job)
    }

    fn submit(&mut self) {
        let job = &self.jobs[self.next];
        self.input.queue.push(PendingJob {
            job: JobId(self.next as i64),
            cpus: job.cpus,
            request: self.request(self.next),
            submitted: job.submit,
            ..PendingJob::default()
        });
        self.next += 1;
    }

    fn release(&mut self, job: usize) {
        let end = self.outcome.starts[job] + self.request(job);
        let running = &mut self.input.running;
        let from = running.partition_point(|attempt| attempt.end < end);
        let id = JobId(job as i64);
        if let Some(at) = running[from..].iter().position(|attempt| attempt.job == id) {
            let gone = running.remove(from + at);
            self.input.free = self.input.free.plus(&gone.held);
        }
    }

    fn pass(&mut self, now: Instant) {
        self.input.now = now;
        self.outcome.passes += 1;
        self.outcome.queue_max = self.outcome.queue_max.max(self.input.queue.len());
        let plan = self.planner.pass(&self.input);
        for id in &plan.start {
            self.start(id.0 as usize, now);
        }
        plan.take_out_of(&mut self.input.queue);
        (self.observer)(&self.input, &plan);
    }

    fn start(&mut self, job: usize, now: Instant) {
        let held = self.input.free.taken_by(&Demand::of(self.jobs[job].cpus));
        self.input.free = self.input.free.minus(&held);
        let attempt = Running { job: JobId(job as i64), end: now + self.request(job), held };
        let running = &mut self.input.running;
        let at = running.partition_point(|other| other.end <= attempt.end);
        running.insert(at, attempt);
        self.outcome.starts[job] = now;
        self.endings.push(Reverse((now + self.jobs[job].run, self.started, job)));
        self.started += 1;
    }
}
