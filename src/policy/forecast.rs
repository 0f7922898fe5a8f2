//! *Purpose*: why each job of a line waits, and when it may start.
//!
//! *Owns*: [`forecast`]; [`foretell`], the same with what is left free behind all of it.
//!
//! *Promises*: every job of the input gets a verdict; an expected start assumes that every attempt
//! and every job before it lasts as long as it may, so it is late rather than early unless
//! somebody comes in between.
//!
//! *Not here*: words and sentences (`observe::explain`), conditions that keep a job out of the
//! line (`kernel::parts::conditions`).

use std::collections::HashMap;

use super::input::{Barred, Instant, PassInput, Span, spend};
use super::name::Policy;
use super::pass::plan;
use super::profile::Profile;
use crate::job::ids::JobId;
use crate::resources::capacity::Demand;
use crate::time::SECOND_US;

/// For how many jobs of a line an expected start is worked out: each looks at the reservations of
/// all before it, and so far ahead it is a guess in any case.
pub const STARTS_FORETOLD: usize = 300;

/// Why a job of the line waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForecastReason {
    /// The next pass starts it.
    Starts,
    /// It is first of those that do not fit: it waits for CPUs or memory.
    Resources,
    /// Others are before it; the first of them is named.
    Priority(JobId),
    /// It may not start, however much is free.
    Barred(Barred),
}

/// What is foretold of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forecast {
    /// Its place in the line, from 1.
    pub position: usize,
    /// Why it waits.
    pub verdict: ForecastReason,
    /// When it is expected to start, if somebody worked it out and it ever can.
    pub start: Option<Instant>,
}

/// What is foretold of a line.
#[derive(Clone, Debug)]
pub struct Foretold {
    /// Of each of its jobs.
    pub jobs: HashMap<JobId, Forecast>,
    /// What is free beside all that runs and is foretold to start.
    pub left: Profile,
}

/// Foretells every job of an input whose queue is a line, first to run first.
#[must_use]
pub fn forecast(policy: Policy, input: &PassInput) -> HashMap<JobId, Forecast> {
    foretell(policy, input).jobs
}

/// The same, and what is free then.
#[must_use]
pub fn foretell(policy: Policy, input: &PassInput) -> Foretold {
    let mut starts = plan(policy, input).start;
    let mut profile = Profile::new(input.now, input.free, &input.running);
    for window in &input.windows {
        let closed = input.total.cpus_of(window.regions);
        let from = window.start.max(input.now);
        profile.reserve(from, window.end.saturating_sub(from), &closed);
    }
    let mut quotas = input.quotas.clone();
    let mut head = None;
    let mut foretold = HashMap::with_capacity(input.queue.len());
    for (n, job) in input.queue.iter().enumerate() {
        let barred = input.bars(job, &quotas);
        let starting = starts.iter().position(|start| *start == job.job);
        let verdict = match (barred, head) {
            _ if starting.is_some_and(|at| starts.swap_remove(at) == job.job) => {
                spend(&mut quotas, job, &input.demand(job));
                ForecastReason::Starts
            }
            (Some(barred), _) => ForecastReason::Barred(barred),
            (None, None) => {
                head = Some(job.job);
                ForecastReason::Resources
            }
            (None, Some(head)) => ForecastReason::Priority(head),
        };
        // Nobody knows when a quota is given back; the rest has a place in the profile.
        let counts = !matches!(barred, Some(Barred::Quota(_) | Barred::TooLarge));
        let is_foretold = n < STARTS_FORETOLD || verdict == ForecastReason::Starts;
        let start = (counts && is_foretold)
            .then(|| reserve(&mut profile, &input.demand(job), job.request))
            .flatten();
        // An array stands there once for each task that may start: the first speaks for it.
        foretold.entry(job.job).or_insert(Forecast { position: n + 1, verdict, start });
    }
    Foretold { jobs: foretold, left: profile }
}

fn reserve(profile: &mut Profile, asked: &Demand<'_>, request: Span) -> Option<Instant> {
    let (at, share) = profile.earliest(asked, request)?;
    profile.reserve(at, request.max(SECOND_US), &share);
    Some(at)
}
