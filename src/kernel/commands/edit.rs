//! *Purpose*: changes a job that is not over.
//!
//! *Owns*: [`Kernel::edit`], [`Kernel::would_edit`], [`Edited`].
//!
//! *Promises*: an edit that is refused changes nothing; no job comes to wait for itself; a job that
//! is lowered, or asks for something else, has no claim any more; the supervisor of a running job
//! hears of its other limit once that is durable.
//!
//! *Not here*: what can be changed (`job::edit`), whether it is allowed (`kernel::admission`), who
//! waits for whom (`kernel::views::chain`).

use crate::job::edit::Edit;
use crate::job::ids::JobId;
use crate::job::request::MEMORY;
use crate::job::spec::SingletonKey;
use crate::job::state::StateWord;
use crate::kernel::access::{Action, Permitted, Principal};
use crate::kernel::change::{Change, Effect, Step};
use crate::kernel::parts::eligibility::{Chain, DependencySnapshot};
use crate::kernel::parts::limits::{Payer, TooMany};
use crate::kernel::parts::queued::Queued;
use crate::kernel::state::Kernel;
use crate::time::Time;

/// What became of an edit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edited {
    /// It is as asked for.
    Done,
    /// It has been started, and of such a job not all of this can be changed; or it is being
    /// ended.
    Live,
    /// It is over, or never was. The database tells.
    NotLive,
    /// It would wait for itself.
    WaitsForItself,
    /// It would wait for more jobs than are looked through
    /// ([`CHAIN_MAX`](crate::job::dependency::CHAIN_MAX)).
    WaitsForTooMany,
    /// An operator holds it, and whoever wants it released is none.
    HeldByOperator,
    /// The account may not have so many that wait.
    TooMany(TooMany),
}

impl Kernel {
    /// Changes a job. `elsewhere` knows of the jobs that it is to wait for.
    pub fn edit(
        &mut self,
        id: JobId,
        mut edit: Edit,
        elsewhere: &DependencySnapshot,
        by: &Permitted,
        now: Time,
    ) -> (Edited, Step) {
        let refused = self.would_edit(id, &edit, elsewhere, by);
        if refused != Edited::Done {
            return (refused, Step::default());
        }
        let Some(job) = self.queue.get(id).copied() else {
            return self.edit_live(id, edit, &by.principal(), now);
        };
        // Its owner holds it too, which changes nothing about that.
        edit.by_operator |= edit.held == Some(true) && self.is_held_by_operator(id);
        let mut step = Step::default();
        let lowered = edit.priority.is_some_and(|priority| priority < job.priority);
        let reshaped = edit.cpus.is_some() || edit.memory_bytes.is_some();
        if lowered || reshaped || edit.partition.is_some() || edit.account.is_some() {
            self.give_up_claim(id, &mut step);
        }
        self.queue.remove(id);
        let job = self.reshaped(job, &edit);
        let conditions = self.eligibility.forget(id).unwrap_or_default();
        let conditions = self.with_edit(conditions, &edit, elsewhere);
        let is_singleton = conditions.dependencies.singleton;
        self.eligibility.register(id, conditions);
        if let Some(dependencies) = &edit.dependencies {
            let followed = self.array_progress(dependencies, elsewhere);
            self.arrays.follow_others(id, &followed);
        }
        self.enqueue(job, now);
        if let Some(family) = &edit.family {
            self.change_family(id, (family, is_singleton), elsewhere, now);
        }
        let told = edit.dependencies.as_ref().and_then(|_| self.told_so_far(id));
        let state = StateWord::Pending;
        step.changes.push(self.edited((id, job.attempts), state, edit, &by.principal(), now));
        step.changes.extend(told);
        (Edited::Done, step)
    }

    /// What would become of an edit, which is not made: [`Edited::Done`] where it would be.
    #[must_use]
    pub fn would_edit(
        &self,
        id: JobId,
        edit: &Edit,
        elsewhere: &DependencySnapshot,
        by: &Permitted,
    ) -> Edited {
        if self.unstored.contains(&id) {
            return Edited::NotLive;
        }
        let Some(job) = self.queue.get(id) else {
            let Some(live) = self.live.get(&id) else { return Edited::NotLive };
            let may = live.state.word() == StateWord::Running && edit.suits_running();
            return if may { Edited::Done } else { Edited::Live };
        };
        let releases = edit.held == Some(false) && self.is_held_by_operator(id);
        if releases && !by.may_too(Action::ReleaseOperatorHold) {
            return Edited::HeldByOperator;
        }
        if let Some(family) = &edit.family {
            match self.chain(id, edit.dependencies.as_ref(), family, elsewhere) {
                Chain::Ends => {}
                Chain::Closes => return Edited::WaitsForItself,
                Chain::TooLong => return Edited::WaitsForTooMany,
            }
        }
        if let Some(account) = &edit.account
            && self.rules.accounts.find(account) != job.account
            && let Some(why) = self.too_many_with(Payer::Account(account), job)
        {
            return Edited::TooMany(why);
        }
        Edited::Done
    }

    fn is_held_by_operator(&self, id: JobId) -> bool {
        self.eligibility.get(id).is_some_and(|own| own.held && own.by_operator)
    }

    /// Of a job that runs its end can be changed, and its words.
    fn edit_live(
        &mut self,
        id: JobId,
        edit: Edit,
        principal: &Principal,
        now: Time,
    ) -> (Edited, Step) {
        let mut step = Step::default();
        let Some(live) = self.live.get_mut(&id) else { return (Edited::NotLive, step) };
        live.job.limit_s = edit.limit_s.unwrap_or(live.job.limit_s);
        let attempt = live.attempt();
        if let Some(deadline) = edit.deadline {
            self.retries.entry(id).or_default().deadline = deadline;
        }
        if let Some(family) = &edit.family {
            self.change_family(id, (family, false), &DependencySnapshot::default(), now);
        }
        if edit.changes_end() {
            step.effects.push(Effect::Adjust(attempt));
        }
        let state = StateWord::Running;
        step.changes.push(self.edited((id, attempt.n), state, edit, principal, now));
        (Edited::Done, step)
    }

    fn edited(
        &mut self,
        of: (JobId, u32),
        state: StateWord,
        edit: Edit,
        principal: &Principal,
        now: Time,
    ) -> Change {
        let cause = (edit.cause(), principal.clone());
        let event = self.event(of, (Some(state), state), cause, now);
        Change::Edited { event, edit: Box::new(edit) }
    }

    /// The job as it stands in the queue then.
    fn reshaped(&mut self, mut job: Queued, edit: &Edit) -> Queued {
        job.priority = edit.priority.unwrap_or(job.priority);
        job.limit_s = edit.limit_s.unwrap_or(job.limit_s);
        job.cpus = edit.cpus.map_or(job.cpus, |(cpus, _)| cpus);
        if let Some(bytes) = edit.memory_bytes {
            let rest = self.requests.get(job.rest).map(|rest| (**rest).clone());
            job.rest = self.request(&rest.unwrap_or_default().with(MEMORY, bytes.unwrap_or(0)));
        }
        if let Some(words) = self.names.get(job.names).cloned()
            && (edit.partition.is_some() || edit.account.is_some())
        {
            let partition = edit.partition.as_deref().unwrap_or(&words.partition);
            let account = edit.account.as_deref().unwrap_or(&words.account);
            job = self.with_words(job, (partition, account, &words.user));
        }
        job
    }

    /// It leaves the singletons of its name, and is among those of this one: they wait for it, and
    /// it for them.
    fn change_family(
        &mut self,
        id: JobId,
        (family, is_singleton): (&SingletonKey, bool),
        elsewhere: &DependencySnapshot,
        now: Time,
    ) {
        let left_alone = self.eligibility.leave(id);
        if is_singleton {
            let known = elsewhere.singletons.get(family);
            self.eligibility.join(family, known.into_iter().flatten().copied());
        }
        if is_singleton || self.eligibility.is_family(family) {
            self.eligibility.join(family, [id]);
        }
        // Only the first of a family can have been free to go: now the next waits for this one.
        let next = self.eligibility.next_of_family(id);
        left_alone.into_iter().chain(next).chain([id]).for_each(|job| self.refresh(job, now));
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
