//! *Purpose*: times in which no job may run, as people and the clock begin and end them.
//!
//! *Owns*: [`Kernel::maintain`], [`Kernel::resume`].
//!
//! *Promises*: a job is not started that could still run when a window begins; what runs already
//! runs on; a window that has passed is forgotten.
//!
//! *Not here*: the windows (`kernel::parts::maintenance`), how a pass heeds one (`policy::input`).

use std::sync::Arc;

use crate::kernel::access::Permitted;
use crate::kernel::change::{Change, Step};
use crate::kernel::parts::maintenance::{Maintenance, MaintenanceRefused};
use crate::kernel::state::Kernel;
use crate::time::Time;

impl Kernel {
    /// From `start` to `end` no job may run.
    ///
    /// # Errors
    /// When that time is over, or there are too many.
    pub fn maintain(
        &mut self,
        when: (Time, Option<Time>),
        reason: &Arc<str>,
        by: &Permitted,
        now: Time,
    ) -> Result<(Maintenance, Step), MaintenanceRefused> {
        let window = self.maintenance.add(when, reason, &by.caller().name, now)?;
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
    pub(in crate::kernel) fn pass_windows(&mut self, now: Time) -> Step {
        self.end_windows(|window| window.end.is_some_and(|end| end <= now)).1
    }

    fn end_windows(&mut self, over: impl Fn(&Maintenance) -> bool) -> (Vec<Maintenance>, Step) {
        let gone = self.maintenance.end(over);
        let mut step = Step::default();
        if !gone.is_empty() {
            step.changes.push(Change::Resumed(gone.iter().map(|window| window.id).collect()));
        }
        (gone, step)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::job::ids::JobId;
    use crate::kernel::testing::KernelBuilder;
    use crate::kernel::testing::job::job;
    use crate::policy::name::Policy;
    use crate::policy::pass::plan;

    fn kernel(limits: &[i64]) -> Kernel {
        let mut kernel = KernelBuilder::new().cpus(8).build();
        kernel.enter(limits.iter().map(|limit| job().time_limit(*limit)), Time(0));
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
        assert_eq!(kernel.run_timers(over).changes, [Change::Resumed(vec![1])]);
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
