//! *Purpose*: why each job of a line waits, and when it may start.
//!
//! *Owns*: [`forecast`].
//!
//! *Promises*: every job of the scene gets a verdict; an expected start assumes that every attempt
//! and every job before it lasts as long as it may, so it is late rather than early unless
//! somebody comes in between.
//!
//! *Not here*: words and sentences (`observe::explain`), conditions that keep a job out of the
//! line (`kernel::conditions`).

use std::collections::HashMap;

use super::name::Policy;
use super::pass::plan;
use super::profile::Profile;
use super::scene::{Barred, Instant, Scene, Waiting, spend};
use crate::job::ids::JobId;
use crate::time::SECOND_US;

/// For how many jobs of a line an expected start is worked out: each looks at the reservations of
/// all before it, and so far ahead it is a guess in any case.
pub const STARTS_FORETOLD: usize = 300;

/// Why a job of the line waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
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
pub struct Foretold {
    /// Its place in the line, from 1.
    pub position: usize,
    /// Why it waits.
    pub verdict: Verdict,
    /// When it is expected to start, if somebody worked it out and it ever can.
    pub start: Option<Instant>,
}

/// Foretells every job of a scene whose queue is a line, first to run first.
#[must_use]
pub fn forecast(policy: Policy, scene: &Scene) -> HashMap<JobId, Foretold> {
    let mut starts = plan(policy, scene).start;
    let mut profile = Profile::new(scene.now, scene.free, &scene.running);
    for window in &scene.windows {
        let closed = scene.total.share(scene.total.within(window.regions), 0, window.regions);
        let from = window.start.max(scene.now);
        profile.reserve(from, window.end.saturating_sub(from), &closed);
    }
    let mut quotas = scene.quotas.clone();
    let mut head = None;
    let mut foretold = HashMap::with_capacity(scene.queue.len());
    for (n, job) in scene.queue.iter().enumerate() {
        let barred = scene.bars(job, &quotas);
        let starting = starts.iter().position(|start| *start == job.job);
        let verdict = match (barred, head) {
            _ if starting.is_some_and(|at| starts.swap_remove(at) == job.job) => {
                spend(&mut quotas, job);
                Verdict::Starts
            }
            (Some(barred), _) => Verdict::Barred(barred),
            (None, None) => {
                head = Some(job.job);
                Verdict::Resources
            }
            (None, Some(head)) => Verdict::Priority(head),
        };
        // Nobody knows when a quota is given back; the rest has a place in the profile.
        let counts = !matches!(barred, Some(Barred::Quota(_) | Barred::TooLarge));
        let start = (counts && n < STARTS_FORETOLD).then(|| reserve(&mut profile, job)).flatten();
        // An array stands there once for each task that may start: the first speaks for it.
        foretold.entry(job.job).or_insert(Foretold { position: n + 1, verdict, start });
    }
    foretold
}

fn reserve(profile: &mut Profile, job: &Waiting) -> Option<Instant> {
    let (at, share) = profile.earliest(job)?;
    profile.reserve(at, job.request.max(SECOND_US), &share);
    Some(at)
}
