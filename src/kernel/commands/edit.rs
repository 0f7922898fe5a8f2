//! *Purpose*: changes a pending job.
//!
//! *Owns*: [`Kernel::edit`], [`Edited`].
//!
//! *Promises*: an edit of a job that no longer waits changes nothing; one that is lowered has no
//! claim any more.
//!
//! *Not here*: what can be changed (`kernel::change`), whether a limit is allowed
//! (`kernel::admission`).

use std::sync::Arc;

use crate::job::ids::JobId;
use crate::job::state::StateWord;
use crate::kernel::change::{Change, Edit, Step};
use crate::kernel::state::Kernel;
use crate::time::Time;

/// What became of an edit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edited {
    /// It is as asked for.
    Done,
    /// It has been started; only a pending job can be changed.
    Live,
    /// It is over, or never was. The database tells.
    NotLive,
}

impl Kernel {
    /// Changes a pending job.
    pub fn edit(
        &mut self,
        id: JobId,
        edit: Edit,
        principal: &Arc<str>,
        now: Time,
    ) -> (Edited, Step) {
        let mut step = Step::default();
        let Some(mut job) = self.queue.remove(id) else {
            let live = self.live.contains_key(&id);
            return (if live { Edited::Live } else { Edited::NotLive }, step);
        };
        if edit.priority.is_some_and(|priority| priority < job.priority) {
            self.give_up_claim(id, &mut step);
        }
        job.priority = edit.priority.unwrap_or(job.priority);
        job.limit_s = edit.limit_s.unwrap_or(job.limit_s);
        let mut conditions = self.eligibility.forget(id).unwrap_or_default();
        conditions.held = edit.held.unwrap_or(conditions.held);
        conditions.begin = edit.begin.unwrap_or(conditions.begin);
        conditions.deadline = edit.deadline.unwrap_or(conditions.deadline);
        self.eligibility.register(id, conditions);
        self.enqueue(job, now);
        let event = self.event(
            (id, job.attempts),
            (Some(StateWord::Pending), StateWord::Pending),
            (edit.cause(), Arc::clone(principal)),
            now,
        );
        step.changes.push(Change::Edited { event, edit });
        (Edited::Done, step)
    }
}
