//! *Purpose*: what a scheduling pass decides upon.
//!
//! *Owns*: the input of a pass: what is free, who runs until when, who waits, who has a claim;
//! whether there is anything to decide.
//!
//! *Promises*: an overdue attempt is planned to end a second from now, so there is always a
//! reservation; nothing is free that has to be looked at first.
//!
//! *Not here*: the line of those who wait (`kernel::parts::queue`), the pass (`policy`).

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::job::ids::{JobId, UnitId};
use crate::job::suspension::Suspension;
use crate::kernel::parts::live::Live;
use crate::kernel::parts::maintenance::Maintenance;
use crate::kernel::parts::queue::pending::{pointed, request_us};
use crate::kernel::state::Kernel;
use crate::kernel::transition::JobState;
use crate::policy::claims::{claimants, keep};
use crate::policy::input::{PassInput, PendingJob, Preemptable, Running};
use crate::policy::name::Policy;
use crate::resources::capacity::Capacity;
use crate::time::Time;

/// When an overdue job is expected to end, seconds from now.
pub const OVERDUE_S: i64 = 1;

/// When an attempt that was granted or spawned `since` gives its CPUs back at the latest, as far
/// as planning goes; one that is suspended as if it went on now.
#[must_use]
pub fn expected_end(since: Time, limit_s: Option<u32>, suspension: Suspension, now: Time) -> Time {
    let counted = request_us(limit_s).saturating_add(suspension.us(now));
    let end = Time(since.0.saturating_add(counted));
    if end <= now { now.plus_s(OVERDUE_S) } else { end }
}

impl Kernel {
    /// Whether a pass could start anything: something waits, and something is free or can be had.
    #[must_use]
    pub fn wants_a_plan(&self) -> bool {
        self.queue.has_candidates() && (self.ledger.free() > 0 || self.may_preempt())
    }

    /// Whether a look is needed before a waiting job can be given what it asks for; then which
    /// units of the resource are held by jobs, and need none.
    #[must_use]
    pub fn wants_look(&self, now: Time) -> Option<BTreeSet<UnitId>> {
        let resource = self.looks.unlooked(now)?;
        let asked = self.queue.has_candidates() && self.requests.any_of(resource);
        let held = self.ledger.held_of(resource)?;
        let all_held = held.len() >= self.ledger.configured_of(resource);
        (asked && !all_held).then_some(held)
    }

    /// What a scheduling pass decides upon: of the queue what such a pass could start, and the
    /// first job that it could not.
    #[must_use]
    pub fn input(&self, policy: &Policy, now: Time) -> PassInput {
        let mut input = self.ground(now);
        input.queue = match input.claims.is_empty() {
            true => self.queue.candidates(policy, &input, &self.rules.points(now)),
            false => self.queue.candidates(policy, &keep(&input).rest, &self.rules.points(now)),
        };
        if !input.preemptable.is_empty() {
            input.queue.iter_mut().for_each(|job| job.preempts = self.preempts(job.job));
        }
        input
    }

    /// An input without those who wait for their turn.
    pub(in crate::kernel) fn ground(&self, now: Time) -> PassInput {
        let free = self.ledger.free_room();
        let running: Vec<Running> =
            self.live.values().map(|live| self.running(live, now)).collect();
        let mut total = running.iter().fold(free, |total, attempt| total.plus(&attempt.held));
        // More may be held than there is since a reconfiguration: that does not come back.
        total = total.least(&self.ledger.at_most());
        let windows = self.maintenance.all().iter().map(Maintenance::window).collect();
        let quotas = self.rules.quotas();
        let queue = Vec::new();
        let (preemptable, claims) = (self.preemptable(), self.claims_now(now));
        let now = now.0;
        let requests = Arc::clone(self.requests.parts());
        let free = free.minus(&self.unlooked(Time(now)));
        PassInput {
            now,
            free,
            total,
            running,
            queue,
            claims,
            requests,
            quotas,
            windows,
            preemptable,
        }
    }

    fn running(&self, live: &Live, now: Time) -> Running {
        let since = live.state.handle().map_or(live.granted, |handle| handle.start_time);
        let end = match live.state {
            // It was told to stop.
            JobState::Completing(..) => now.plus_s(OVERDUE_S).0,
            _ => expected_end(since, live.job.limit_s, live.suspension, now).0,
        };
        // What is no longer configured does not come back.
        let held = live.state.allocation();
        let held = held.map_or(Capacity::default(), |held| self.ledger.room_of(held));
        Running { job: live.job.id, end, held }
    }

    /// Attempts of partitions that others preempt, and all that are leaving.
    fn preemptable(&self) -> Vec<Preemptable> {
        let below = self.rules.partitions.preempted();
        if below == 0 {
            return Vec::new();
        }
        // Nor does anybody make room who may not have become a job.
        let stored = self.live.values().filter(|live| !self.unstored.contains(&live.job.id));
        let attempts = stored.map(|live| Preemptable {
            job: live.job.id,
            partition: live.job.placement.partition,
            since: live.granted.0,
            held: self.running(live, live.granted).held,
            leaves: matches!(live.state, JobState::Completing(..)),
        });
        // A partition that is no longer there has no bit.
        let one = |partition: u8| 1_u64.checked_shl(partition.into()).unwrap_or(0);
        attempts.filter(|a| a.leaves || below & one(a.partition) != 0).collect()
    }

    /// The partitions that a pending job preempts, each a bit; none for one that may not become a
    /// job.
    pub(in crate::kernel) fn preempts(&self, job: JobId) -> u64 {
        if self.unstored.contains(&job) {
            return 0;
        }
        let partition = self.queue.get(job).map(|job| job.placement.partition);
        partition.map_or(0, |partition| self.rules.partitions.preempts(partition))
    }

    /// Whether a job waits that need not wait until something is free.
    fn may_preempt(&self) -> bool {
        let partitions = self.rules.partitions.iter().zip(0..);
        let mut preempting = partitions.filter(|(partition, _)| partition.preempts != 0);
        preempting.any(|(_, place)| self.queue.waiting_for(place) > 0)
    }

    /// What is free as far as the ledger says, and may not be given before somebody has looked.
    pub(in crate::kernel) fn unlooked(&self, now: Time) -> Capacity {
        let place = self.looks.unlooked(now).and_then(|name| self.ledger.inventory().find(name));
        let Some(place) = place else { return Capacity::default() };
        let free = self.ledger.free_room();
        let cells = self.ledger.inventory().cells(place, None);
        cells.each().fold(Capacity::default(), |all, cell| all.with(cell, free.cell(cell)))
    }

    /// Jobs that room was made for, as a pass sees them.
    pub(in crate::kernel) fn claims_now(&self, now: Time) -> Vec<PendingJob> {
        if self.claims.is_empty() {
            return Vec::new();
        }
        let points = self.rules.points(now);
        let seen = |(_, id): &(Time, JobId)| {
            let job = self.queue.get(*id).filter(|_| self.has_claim(*id))?;
            Some(PendingJob { preempts: self.preempts(*id), ..pointed(job, &points) })
        };
        self.claims.iter().filter_map(seen).collect()
    }

    /// Those of them that keep room now.
    pub(in crate::kernel) fn claimants(&self, now: Time) -> Vec<PendingJob> {
        if self.claims.is_empty() { Vec::new() } else { claimants(&self.ground(now)) }
    }

    /// Whether it still waits for the room that was made for it.
    pub(in crate::kernel) fn has_claim(&self, id: JobId) -> bool {
        self.queue.is_shown(id) && self.preempts(id) != 0
    }
}
