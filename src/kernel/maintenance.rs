//! *Purpose*: times in which no job may run.
//!
//! *Owns*: [`Maintenance`], and the kernel's windows.
//!
//! *Promises*: a job is not started that could still run when a window begins; what runs already
//! runs on; a window that has passed is forgotten.
//!
//! *Not here*: how a pass heeds a window (`policy::input`).
//!
//! A drained server is in a window that began when it was drained and has no end.

use std::sync::Arc;

use super::change::{Change, Step};
use super::kernel::Kernel;
use crate::policy::input::Window;
use crate::resources::capacity::RegionSet;
use crate::time::Time;

/// Most windows at a time: they are made by hand.
pub const WINDOWS_MAX: usize = 100;

/// A time in which no job may run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Maintenance {
    /// Its number.
    pub id: i64,
    /// Its first instant.
    pub start: Time,
    /// The first instant after it; `None` until somebody ends it.
    pub end: Option<Time>,
    /// What it is for.
    pub reason: Arc<str>,
    /// Who wants it.
    pub principal: Arc<str>,
}

impl Maintenance {
    /// As a pass sees it.
    #[must_use]
    pub fn window(&self) -> Window {
        let end = self.end.map_or(i64::MAX, |end| end.0);
        Window { start: self.start.0, end, regions: RegionSet::ALL }
    }
}

/// Why there is no such window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MaintenanceRefused {
    /// It would be over before it begins, or is over already.
    #[error("it would end before it begins, or has ended already")]
    Over,
    /// There are too many.
    #[error("there are {WINDOWS_MAX} windows already; end some with `downbeat resume`")]
    TooMany,
}

impl Kernel {
    /// From `start` to `end` no job may run.
    ///
    /// # Errors
    /// When that time is over, or there are too many.
    pub fn maintain(
        &mut self,
        (start, end): (Time, Option<Time>),
        reason: &Arc<str>,
        principal: &Arc<str>,
        now: Time,
    ) -> Result<(Maintenance, Step), MaintenanceRefused> {
        if end.is_some_and(|end| end <= start || end <= now) {
            return Err(MaintenanceRefused::Over);
        }
        if self.maintenance.len() >= WINDOWS_MAX {
            return Err(MaintenanceRefused::TooMany);
        }
        let id = self.maintenance.last().map_or(1, |last| last.id + 1);
        let (reason, principal) = (Arc::clone(reason), Arc::clone(principal));
        let window = Maintenance { id, start, end, reason, principal };
        self.maintenance.push(window.clone());
        let changes = vec![Change::Maintained(window.clone())];
        Ok((window, Step { changes, ..Step::default() }))
    }

    /// Ends these windows, or all that have begun; answers those that there were.
    pub fn resume(&mut self, which: Option<&[i64]>, now: Time) -> (Vec<Maintenance>, Step) {
        let asked = |window: &Maintenance| match which {
            Some(ids) => ids.contains(&window.id),
            None => window.start <= now,
        };
        self.end_windows(asked)
    }

    /// Forgets the windows that are over by now.
    pub(super) fn pass_windows(&mut self, now: Time) -> Step {
        self.end_windows(|window| window.end.is_some_and(|end| end <= now)).1
    }

    fn end_windows(&mut self, over: impl Fn(&Maintenance) -> bool) -> (Vec<Maintenance>, Step) {
        let mut gone = Vec::new();
        self.maintenance.retain(|window| {
            let over = over(window);
            gone.extend(over.then(|| window.clone()));
            !over
        });
        let mut step = Step::default();
        if !gone.is_empty() {
            step.changes.push(Change::Resumed(gone.iter().map(|window| window.id).collect()));
        }
        (gone, step)
    }

    /// When the next window is over.
    pub(super) fn next_window_end(&self) -> Option<Time> {
        self.maintenance.iter().filter_map(|window| window.end).min()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::change::Effect;
    use super::super::eligible::DependencySnapshot;
    use super::super::kernel::BootContext;
    use super::super::restore::Memory;
    use super::*;
    use crate::job::ids::{CpuId, JobId};
    use crate::job::spec::{JobRequest, JobSpec};
    use crate::kernel::admission::Site;
    use crate::policy::name::Policy;
    use crate::policy::pass::plan;
    use crate::text::time_limit::LimitAsked;

    fn kernel(limits: &[i64]) -> Kernel {
        let boot_context = BootContext { boot_id: "b".into(), nonce: "n".into() };
        let mut kernel = Kernel::load((0..8).map(CpuId), boot_context, Memory::default()).unwrap();
        let site = Site {
            total_cpus: 8,
            default_limit_s: None,
            max_limit_s: None,
            kill_grace_s: 30,
            output_roots: vec![],
            ..Site::default()
        };
        let spec = |limit: &i64| {
            let limit = LimitAsked::Seconds(*limit);
            let request = JobRequest { limit, ..JobRequest::new("true") };
            Arc::new(JobSpec::try_from((request, &site)).unwrap())
        };
        let specs = limits.iter().map(spec).collect();
        let (_, step) = kernel.submit(specs, &DependencySnapshot::default(), &"me".into(), Time(0));
        for effect in step.effects {
            if let Effect::Admit(jobs) = effect {
                kernel.admit(jobs);
            }
        }
        kernel
    }

    fn starts(kernel: &Kernel, now: Time) -> Vec<JobId> {
        let policy = Policy::default();
        plan(policy, &kernel.input(&policy, now)).start
    }

    fn maintain(kernel: &mut Kernel, from: i64, until: Option<i64>) -> Maintenance {
        let time = |s: i64| Time(0).plus_s(s);
        let when = (time(from), until.map(time));
        kernel.maintain(when, &"disks".into(), &"me".into(), Time(0)).unwrap().0
    }

    #[test]
    fn only_what_ends_before_a_window_starts() {
        let mut kernel = kernel(&[50, 200]);
        maintain(&mut kernel, 100, Some(300));
        assert_eq!(starts(&kernel, Time(0)), [JobId(1)]);
        assert_eq!(starts(&kernel, Time(0).plus_s(60)), [], "the short one would be too late");
        assert_eq!(kernel.next_alarm(), Some(Time(0).plus_s(300)));
        let over = Time(0).plus_s(300);
        assert_eq!(kernel.ring(over).changes, [Change::Resumed(vec![1])]);
        assert_eq!(starts(&kernel, over), [JobId(1), JobId(2)]);
    }

    #[test]
    fn a_drained_server_starts_nothing_until_it_is_resumed() {
        let mut kernel = kernel(&[50]);
        maintain(&mut kernel, 0, None);
        let later = maintain(&mut kernel, 9_000, Some(9_999));
        assert_eq!(starts(&kernel, Time(0)), []);
        let (gone, step) = kernel.resume(None, Time(0));
        assert_eq!((gone.len(), &step.changes[..]), (1, &[Change::Resumed(vec![1])][..]));
        assert_eq!(starts(&kernel, Time(0)), [JobId(1)]);
        assert_eq!(kernel.resume(None, Time(0)).1, Step::default(), "the later one stays");
        assert_eq!(kernel.resume(Some(&[later.id]), Time(0)).0, [later]);
    }

    #[test]
    fn a_window_in_the_past_is_refused() {
        let mut kernel = kernel(&[]);
        let mut ask = |start, end, now| {
            kernel.maintain((Time(start), Some(Time(end))), &"".into(), &"".into(), Time(now))
        };
        assert_eq!(ask(5, 5, 0), Err(MaintenanceRefused::Over));
        assert_eq!(ask(5, 9, 9), Err(MaintenanceRefused::Over));
        assert!(ask(5, 9, 8).is_ok());
    }
}
