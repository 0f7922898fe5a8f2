//! *Purpose*: whom it costs if a running job runs longer.
//!
//! *Owns*: [`Extension`], [`delays`].
//!
//! *Promises*: what is compared is what everybody is told: the starts that are foretold.
//!
//! *Not here*: who may do it all the same (`api::edit`).

use crate::clock;
use crate::job::ids::JobId;
use crate::job::suspension::Suspension;
use crate::kernel::views::pass_input::expected_end;
use crate::policy::forecast::forecast;
use crate::policy::input::PassInput;
use crate::policy::name::Policy;
use crate::time::{SECOND_US, Time};

/// Until when a running job may run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extension {
    /// The job.
    pub job: JobId,
    /// When it was started.
    pub since: Time,
    /// Whether it is suspended, and for how long it was.
    pub suspension: Suspension,
    /// Its limit from then on, seconds; `None` is unlimited.
    pub limit_s: Option<u32>,
    /// Not after.
    pub deadline: Option<Time>,
}

impl Extension {
    fn end(&self, now: Time) -> Time {
        let end = expected_end(self.since, self.limit_s, self.suspension, now);
        self.deadline.map_or(end, |deadline| end.min(deadline))
    }

    /// Whether it may run longer than by another.
    #[must_use]
    pub fn is_beyond(&self, other: &Extension) -> bool {
        self.end(self.since) > other.end(self.since)
    }
}

/// The first of the line that would start later if this job ran so long.
#[must_use]
pub fn delays(policy: Policy, mut line: PassInput, extension: Extension) -> Option<JobId> {
    let starts = |line: &PassInput| forecast(policy, line);
    let before = starts(&line);
    let end = extension.end(clock::now()).0;
    let running = line.running.iter_mut().find(|running| running.job == extension.job)?;
    running.end = running.end.max(end);
    let after = starts(&line);
    let later = |job: &JobId| {
        let start = |of: &std::collections::HashMap<JobId, crate::policy::forecast::Forecast>| {
            of.get(job).and_then(|forecast| forecast.start)
        };
        match (start(&before), start(&after)) {
            (Some(before), Some(after)) => after > before.saturating_add(SECOND_US),
            (Some(_), None) => true,
            (None, _) => false,
        }
    };
    line.queue.iter().map(|waiting| waiting.job).find(later)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::input::{PendingJob, Running};
    use crate::resources::capacity::Capacity;

    #[test]
    fn who_waits_for_its_cpus_is_delayed_and_who_does_not_is_not() {
        let now = clock::now();
        let hour = 3_600;
        let end = |s: i64| now.plus_s(s).0;
        let running = |id, s| Running { job: JobId(id), end: end(s), held: Capacity::of(1) };
        let line = |cpus| PassInput {
            now: now.0,
            free: Capacity::of(0),
            total: Capacity::of(2),
            running: vec![running(1, hour), running(2, 10 * hour)],
            queue: vec![PendingJob {
                job: JobId(3),
                cpus,
                request: 60 * SECOND_US,
                submitted: now.0,
                ..PendingJob::default()
            }],
            ..PassInput::default()
        };
        let longer = |job, hours: u32| Extension {
            suspension: Suspension::default(),
            job: JobId(job),
            since: now,
            limit_s: Some(hours * 3_600),
            deadline: None,
        };
        let who = |cpus, extension| delays(Policy::default(), line(cpus), extension);
        assert_eq!(who(1, longer(1, 2)), Some(JobId(3)), "it waits for just these");
        assert_eq!(who(1, longer(2, 20)), None, "it starts when the other ends");
        assert_eq!(who(2, longer(1, 9)), None, "it needs both, and the other ends later still");
        assert_eq!(who(2, longer(1, 11)), Some(JobId(3)));
        assert!(longer(1, 2).is_beyond(&longer(1, 1)) && !longer(1, 1).is_beyond(&longer(1, 1)));
        let until = Extension { deadline: Some(now.plus_s(60)), ..longer(1, 2) };
        assert!(longer(1, 1).is_beyond(&until));
    }
}
