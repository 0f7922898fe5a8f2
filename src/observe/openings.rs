//! *Purpose*: when there is room for a job that somebody might submit now.
//!
//! *Owns*: [`Outlook`], [`outlook`].
//!
//! *Promises*: an opening takes nothing from anybody who is foretold: a job that is submitted now,
//! as large as it says and no longer, is foretold to start then.
//!
//! *Not here*: what is foretold of those that wait (`policy::forecast`), the sizes that are asked
//! about (`api::forecast`).

use std::collections::HashMap;

use crate::job::ids::JobId;
use crate::policy::forecast::{Foretold, foretell};
use crate::policy::input::PassInput;
use crate::policy::name::Policy;
use crate::resources::capacity::{CellSet, Demand, MEMORY_CELL};
use crate::time::{SECOND_US, Time};

/// A start that is expected later than this rests on a job without a time limit, seconds.
pub(super) const FORETOLD_S_MAX: i64 = 300 * 86_400;
/// Between the question and the submission some time passes, seconds.
const MARGIN_S: i64 = 5;
/// Limits are told in whole minutes: who is told one submits it a little later.
const LIMIT_STEP_S: i64 = 60;

/// What is free from some time on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Free {
    /// From when on.
    pub at: Time,
    /// CPUs.
    pub cpus: u32,
    /// Bytes of memory, where it is counted.
    pub memory_bytes: u64,
    /// GPUs.
    pub gpus: u64,
}

/// When a job of some size could start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opening {
    /// When; `None`: nobody can say.
    pub start: Option<Time>,
    /// For how long, seconds; `None`: however long.
    pub limit_s: Option<i64>,
}

/// What is foretold.
#[derive(Clone, Debug, Default)]
pub struct Outlook {
    /// As of when.
    pub now: Time,
    /// What is free when.
    pub steps: Vec<Free>,
    /// When those that wait start, soonest first.
    pub starts: Vec<(JobId, Time)>,
    /// When jobs of the sizes that were asked about could start; `None`: never.
    pub openings: Vec<Option<Opening>>,
}

/// What is foretold of a line: what is free until a time, who starts when, and when jobs of these
/// sizes could. `gpus` are the cells that count them.
#[must_use]
pub fn outlook(
    policy: Policy,
    line: &PassInput,
    (gpus, until): (CellSet, Option<Time>),
    sizes: &[Demand<'_>],
) -> Outlook {
    let Foretold { jobs, left } = foretell(policy, line);
    let horizon = line.now.saturating_add(FORETOLD_S_MAX * SECOND_US);
    let until = until.map_or(horizon, |until| until.0.min(horizon));
    let steps = left.steps().take_while(|(at, _)| *at <= until).map(|(at, free)| Free {
        at: Time(at),
        cpus: free.all_cpus(),
        memory_bytes: free.cell(MEMORY_CELL),
        gpus: free.within(gpus),
    });
    let opening = |size: &Demand<'_>| {
        let least = (LIMIT_STEP_S + MARGIN_S) * SECOND_US;
        let (start, end) = left.opening(size, least).filter(|_| line.total.holds(size))?;
        if start >= horizon {
            return Some(Opening { start: None, limit_s: None });
        }
        let span_s = |end: i64| (end - start) / SECOND_US - MARGIN_S;
        let limit_s =
            end.filter(|end| *end < horizon).map(|end| span_s(end) / LIMIT_STEP_S * LIMIT_STEP_S);
        Some(Opening { start: Some(Time(start)), limit_s })
    };
    Outlook {
        now: Time(line.now),
        steps: steps.collect(),
        starts: starts(&jobs, horizon),
        openings: sizes.iter().map(opening).collect(),
    }
}

fn starts(
    jobs: &HashMap<JobId, crate::policy::forecast::Forecast>,
    horizon: i64,
) -> Vec<(JobId, Time)> {
    let start = |at: Option<i64>| at.filter(|at| *at < horizon).map(Time);
    let mut starts: Vec<(JobId, Time)> =
        jobs.iter().filter_map(|(job, of)| Some((*job, start(of.start)?))).collect();
    starts.sort_unstable_by_key(|(job, at)| (*at, *job));
    starts
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::policy::forecast::forecast;
    use crate::policy::input::{PendingJob, Running};
    use crate::resources::capacity::Capacity;

    const MINUTE: i64 = 60 * SECOND_US;

    /// Four CPUs: two are free, two come back in an hour, and somebody waits for three for an hour.
    fn line() -> PassInput {
        let waits =
            PendingJob { job: JobId(7), cpus: 3, request: 60 * MINUTE, ..PendingJob::default() };
        PassInput {
            free: Capacity::of(2),
            total: Capacity::of(4),
            running: vec![Running { job: JobId(1), end: 60 * MINUTE, held: Capacity::of(2) }],
            queue: vec![waits],
            ..PassInput::default()
        }
    }

    fn told(sizes: &[u32]) -> Outlook {
        let sizes: Vec<Demand<'_>> = sizes.iter().map(|cpus| Demand::of(*cpus)).collect();
        outlook(Policy::default(), &line(), (CellSet(0), None), &sizes)
    }

    #[test]
    fn room_is_told_with_how_long_it_lasts() {
        let told = told(&[1, 2, 3, 5]);
        let at =
            |minutes: i64, limit_s| Some(Opening { start: Some(Time(minutes * MINUTE)), limit_s });
        let hour = Some(59 * 60);
        assert_eq!(told.openings, [at(0, None), at(0, hour), at(120, None), None]);
        assert_eq!(told.starts, [(JobId(7), Time(60 * MINUTE))]);
        let steps: Vec<_> = told.steps.iter().map(|step| (step.at.0 / MINUTE, step.cpus)).collect();
        assert_eq!(steps, [(0, 2), (60, 1), (120, 4)]);
    }

    #[test]
    fn who_submits_what_was_told_starts_then_and_delays_nobody() {
        for (cpus, opening) in [1, 2, 3].into_iter().zip(told(&[1, 2, 3]).openings) {
            let Opening { start, limit_s } = opening.unwrap();
            let mut line = line();
            let request = limit_s.unwrap_or(1_000_000) * SECOND_US;
            let job = JobId(i64::MAX);
            line.queue.push(PendingJob { job, cpus, request, ..PendingJob::default() });
            let foretold = forecast(Policy::default(), &line);
            assert_eq!(foretold[&job].start.map(Time), start, "{cpus}");
            assert_eq!(foretold[&JobId(7)].start, Some(60 * MINUTE), "{cpus}");
        }
    }
}
