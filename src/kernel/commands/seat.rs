//! *Purpose*: jobs that list several partitions: in which of them each waits.
//!
//! *Owns*: [`Kernel::seat`].
//!
//! *Promises*: such a job stands in the line of one partition at a time, so to a pass it is a job
//! like any other; where it has room it is offered to be started, and where nobody started it in
//! one it is offered in the next; where it has room in none it waits in the first that allows it,
//! and what is reserved for it there stays.
//!
//! *Not here*: which partitions there are (`resources::partitions`), whose turn it is (`policy`).
//!
//! Source: sbatch(1), `--partition`: the one that offers the earliest start is used.

use std::sync::Arc;

use crate::job::ids::JobId;
use crate::kernel::parts::conditions::Blocked;
use crate::kernel::parts::queued::Queued;
use crate::kernel::state::Kernel;
use crate::resources::partitions::{Placement, is_list, named_in};
use crate::time::Time;

/// Jobs of several partitions that one pass looks at: more than it can start at a time on most
/// machines, and few enough that the look takes less than the pass.
const SEATED_AT_A_TIME: usize = 1_000;

impl Kernel {
    /// Seats the oldest jobs that list several partitions before a pass looks at the line.
    pub fn seat(&mut self, now: Time) {
        if self.several.is_empty() {
            return;
        }
        self.several.retain(|job, _| self.queue.get(*job).is_some());
        let free = self.ledger.free_room();
        let shown = self.several.keys().copied().filter(|job| self.queue.is_shown(*job));
        let jobs: Vec<JobId> = shown.take(SEATED_AT_A_TIME).collect();
        for id in jobs {
            let Some(job) = self.queue.get(id).copied() else { continue };
            let seats = self.seats_of(&job);
            let fits = |seat: &Placement| {
                free.holds(&self.requests.demand(&Queued { placement: *seat, ..job }))
            };
            let roomy: Vec<Placement> = seats.iter().copied().filter(fits).collect();
            let offered = self.several.get(&id).copied().flatten();
            let last = roomy.iter().position(|seat| Some(*seat) == offered);
            let offer = match last {
                Some(last) => roomy.get((last + 1) % roomy.len()).copied(),
                None => roomy.first().copied(),
            };
            self.several.insert(id, offer);
            if let Some(placement) = offer.or(seats.first().copied())
                && placement != job.placement
            {
                self.queue.remove(id);
                self.several.insert(id, offer);
                self.enqueue(Queued { placement, ..job }, now);
            }
        }
    }

    /// The partitions that a job lists and that let it start, in its order.
    fn seats_of(&self, job: &Queued) -> Vec<Placement> {
        let Some(words) = self.names.get(job.names) else { return Vec::new() };
        let seat = |name| self.rules.partitions.placement(name);
        let seats = named_in(&words.partition).map(seat);
        let allows =
            |seat: &Placement| self.partition_hold(&Queued { placement: *seat, ..*job }).is_none();
        seats.filter(allows).collect()
    }

    /// A job that lists several partitions where it may start: where it is, or in the first that
    /// lets it. It is seated anew before each pass.
    pub(in crate::kernel) fn with_seat(&mut self, job: Queued) -> Queued {
        if !self.lists_several(&job) {
            self.several.remove(&job.id);
            return job;
        }
        self.several.entry(job.id).or_default();
        match self.partition_hold(&job) {
            None => job,
            Some(_) => match self.seats_of(&job).first() {
                Some(placement) => Queued { placement: *placement, ..job },
                None => job,
            },
        }
    }

    /// Whether a job lists several partitions, and there are any.
    pub(in crate::kernel) fn lists_several(&self, job: &Queued) -> bool {
        let words = self.names.get(job.names).filter(|_| !self.rules.partitions.is_empty());
        words.is_some_and(|words| is_list(&words.partition))
    }

    /// The name of the partition in which a job that lists several is.
    pub(in crate::kernel) fn chosen(&self, job: &Queued) -> Option<Arc<str>> {
        if !self.lists_several(job) {
            return None;
        }
        let partition = self.rules.partitions.at(job.placement.partition)?;
        Some(Arc::clone(&partition.name))
    }

    /// All partitions that a job lists which lists several.
    pub(in crate::kernel) fn list_of(&self, job: &Queued) -> Option<Arc<str>> {
        let words = self.names.get(job.names).filter(|words| is_list(&words.partition))?;
        Some(Arc::clone(&words.partition))
    }

    /// Whether a job stands where its words say, or in one of the partitions that it lists.
    pub(in crate::kernel) fn may_stand(&self, job: &Queued) -> bool {
        if !self.lists_several(job) {
            return self.seated(*job) == *job;
        }
        let listed = self.names.get(job.names).map_or("", |words| &words.partition);
        let mut seats = named_in(listed).map(|name| self.rules.partitions.placement(name));
        let gone = matches!(self.partition_hold(job), Some(Blocked::PartitionGone));
        let seated = self.seated(*job);
        let payers = (seated.account, seated.user) == (job.account, job.user);
        payers && (gone || seats.any(|seat| seat == job.placement))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
