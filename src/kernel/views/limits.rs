//! *Purpose*: how much an account, or a user, may have waiting.
//!
//! *Owns*: [`Kernel::too_many`], [`Kernel::has_and_may`], [`Standing`].
//!
//! *Promises*: tasks of arrays and submissions that are not durable yet count too.
//!
//! *Not here*: what they may have running (`kernel::parts::accounts`).

use std::collections::HashMap;
use std::sync::Arc;

use crate::job::spec::JobSpec;
use crate::kernel::parts::accounts::{Account, Accounts};
use crate::kernel::parts::arrays::beyond_the_first;
use crate::kernel::parts::limits::{AccountRule, Payer, TooMany, Waiting};
use crate::kernel::parts::queued::Queued;
use crate::kernel::state::Kernel;
use crate::text::size::shown;

/// How much an account, or a user, has and may have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// What it may have.
    pub rule: AccountRule,
    /// CPUs that its jobs hold.
    pub running_cpus: u32,
    /// Its jobs that hold CPUs.
    pub running_jobs: u32,
    /// What waits of it; further tasks of arrays are counted where they are limited.
    pub waiting: Waiting,
}

impl Kernel {
    /// The first of these jobs for which its account or its user has too much that waits, and why.
    #[must_use]
    pub fn too_many(&self, specs: &[Arc<JobSpec>]) -> Option<(usize, TooMany)> {
        let mut known: HashMap<Payer<'_>, (Waiting, Waiting)> = HashMap::new();
        for (place, spec) in specs.iter().enumerate() {
            let user = Some(spec.counted_user()).filter(|user| !user.is_empty());
            let user = user.map(Payer::User);
            for payer in [Payer::Account(&spec.account)].into_iter().chain(user) {
                let (now, new) = known
                    .entry(payer)
                    .or_insert_with(|| (self.waiting_of(payer), Waiting::default()));
                *new = new.plus(Waiting::of(spec));
                if let Some(refused) = self.refused(payer, *now, *new) {
                    return Some((place, refused));
                }
            }
        }
        None
    }

    /// Why an account, or a user, may not have this job waiting as well, if it may not.
    pub(in crate::kernel) fn too_many_with(
        &self,
        payer: Payer<'_>,
        job: &Queued,
    ) -> Option<TooMany> {
        let (jobs, bytes) = (self.arrays.tasks_left(job.id), job.input_bytes.into());
        self.refused(payer, self.waiting_of(payer), Waiting { jobs, bytes })
    }

    /// How much somebody has, and may have.
    #[must_use]
    pub fn has_and_may(&self, payer: Payer<'_>) -> Standing {
        let (table, name) = self.table(payer);
        let account = table.get(table.find(name));
        Standing {
            rule: table.rules().of(name).cloned().unwrap_or_default(),
            running_cpus: account.map_or(0, |account| account.running_cpus),
            running_jobs: account.map_or(0, |account| account.running_jobs),
            waiting: self.waiting_of(payer),
        }
    }

    fn table<'a>(&'a self, payer: Payer<'a>) -> (&'a Accounts, &'a str) {
        match payer {
            Payer::Account(name) => (&self.rules.accounts, name),
            Payer::User(name) => (&self.rules.users, name),
        }
    }

    fn refused(&self, payer: Payer<'_>, now: Waiting, new: Waiting) -> Option<TooMany> {
        let (table, name) = self.table(payer);
        let rule = table.rules().of(name)?;
        let then = now.plus(new);
        let what = if let Some(max) = rule.max_queued_jobs.filter(|max| then.jobs > (*max).into()) {
            format!("{max} jobs waiting (max_queued_jobs) and has {}", now.jobs)
        } else {
            let max = rule.max_queued_bytes.filter(|max| then.bytes > *max)?;
            let (max, now, new) = (shown(max), shown(now.bytes), shown(new.bytes));
            format!(
                "{max} of scripts and environments waiting (max_queued_bytes), has {now} and sent \
                 {new} more"
            )
        };
        let way_out = "wait until some have started, or send fewer";
        let sentence = format!("{payer} may have {what}; {way_out}");
        Some(TooMany { field: payer.field(), sentence })
    }

    /// What waits of an account or a user, if it is counted.
    fn waiting_of(&self, payer: Payer<'_>) -> Waiting {
        let (table, name) = self.table(payer);
        let id = table.find(name);
        let Some(Account { entering, rule, .. }) = table.get(id) else { return Waiting::default() };
        let (queued, is_its) = match payer {
            Payer::Account(_) => (self.queue.waiting_of_account(id), of_account as IsIts),
            Payer::User(_) => (self.queue.waiting_of_user(id), of_user as IsIts),
        };
        // Arrays are looked through only where their tasks count.
        let further = rule.max_queued_jobs.map_or(0, |_| self.further_of(id, is_its));
        queued.plus(*entering).plus(Waiting { jobs: further, bytes: 0 })
    }

    /// Tasks of its arrays that are no entries of the queue of their own.
    fn further_of(&self, id: u32, is_its: IsIts) -> u64 {
        let is_its = |job| self.queue.get(job).is_some_and(|job| is_its(job, id));
        let arrays = self.arrays.iter().filter(|(job, _)| is_its(*job));
        arrays.map(|(_, array)| beyond_the_first(array.left.len())).sum()
    }
}

/// Whether a job counts against an account, or a user, of this number.
type IsIts = fn(&Queued, u32) -> bool;

fn of_account(job: &Queued, account: u32) -> bool {
    job.account == account
}

fn of_user(job: &Queued, user: u32) -> bool {
    job.user == user
}
