//! *Purpose*: a reservation for everybody.
//!
//! *Owns*: [`Reservations`], which goes from pass to pass.
//!
//! *Promises*: a job is reserved the first place that is left when it comes, for its whole
//! request, and never a later one afterwards; when an attempt ends before its time every
//! reservation is taken out once, in line, and put back at its first place.
//!
//! *Not here*: reserving only for the first job (`policy::shadow`).
//!
//! Source: Mu'alem, Feitelson, "Utilization, predictability, workloads, and user runtime estimates
//! in scheduling the IBM SP2 with backfilling" (IEEE TPDS 2001).

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::input::{Barred, Instant, PassInput, PendingJob, Quotas, Window, spend};
use super::plan::Plan;
use super::profile::Profile;
use crate::job::ids::JobId;
use crate::resources::capacity::Capacity;

/// A job's place in the line: more points, then the smaller id.
type Turn = (std::cmp::Reverse<i64>, JobId);

#[derive(Clone, Copy, Debug)]
struct Reserved {
    job: PendingJob,
    at: Instant,
    share: Capacity,
}

/// Every reservation.
#[derive(Debug, Default)]
pub struct Reservations {
    profile: Option<Profile>,
    reserved: BTreeMap<Turn, Reserved>,
    /// Their instants.
    starts: BTreeSet<(Instant, Turn)>,
    /// The queue as the last pass left it.
    left: Vec<PendingJob>,
    /// Until when what runs is planned to hold what.
    running: HashMap<JobId, (Instant, Capacity)>,
    windows: Vec<Window>,
    /// Whether the next pass goes round although nothing ended early.
    asked: bool,
}

fn turn(job: &PendingJob) -> Turn {
    (std::cmp::Reverse(job.points), job.job)
}

impl Reservations {
    /// The first reservation.
    #[must_use]
    pub fn next(&self) -> Option<Instant> {
        self.starts.first().map(|(at, _)| *at)
    }

    /// At the next pass every reservation is taken out and put back.
    pub fn ask_for_a_round(&mut self) {
        self.asked = true;
    }

    /// Keeps the book and says who starts now.
    pub fn pass(&mut self, input: &PassInput) -> Plan {
        let known = self.known(&input.queue);
        let (mut profile, known) = match self.profile.take() {
            Some(mut profile) => {
                profile.advance(input.now);
                match self.follow(input, known, &mut profile) {
                    Some(()) => (profile, known),
                    None => (self.anew(input), 0),
                }
            }
            None => (self.anew(input), 0),
        };
        let rest = &input.queue[known..];
        let mut new: Vec<&PendingJob> =
            rest.iter().filter(|job| !self.reserved.contains_key(&turn(job))).collect();
        new.sort_by_key(|job| turn(job));
        for job in new {
            // Of an array the first task that may start; the next pass takes the next one.
            let reserved = self.reserved.contains_key(&turn(job));
            if !reserved && !over_quota(input, job, &input.quotas) {
                self.reserve(input, &mut profile, *job);
            }
        }
        let plan = self.due(input);
        self.left.truncate(known);
        self.left.extend_from_slice(rest);
        plan.take_out_of(&mut self.left);
        self.profile = Some(profile);
        plan
    }

    /// How many of the first of a queue were left by the last pass just so, all with reservations:
    /// nothing has to be asked of these one by one. None of them if it left others.
    fn known(&self, queue: &[PendingJob]) -> usize {
        let known = self.left.len() == self.reserved.len() && queue.starts_with(&self.left);
        if known { self.left.len() } else { 0 }
    }

    fn reserve(&mut self, input: &PassInput, profile: &mut Profile, job: PendingJob) {
        if let Some((at, share)) = profile.earliest(&input.demand(&job), job.request) {
            profile.reserve(at, job.request, &share);
            self.reserved.insert(turn(&job), Reserved { job, at, share });
            self.starts.insert((at, turn(&job)));
        }
    }

    /// Follows what happened since the last pass; `None` when the book no longer fits it.
    fn follow(&mut self, input: &PassInput, known: usize, profile: &mut Profile) -> Option<()> {
        let now = input.now;
        let planned = |r: &&super::input::Running| {
            self.running.get(&r.job).is_some_and(|(end, held)| (*end, *held) == (r.end, r.held))
        };
        if self.windows != input.windows || input.running.iter().any(|a| !planned(&a)) {
            return None;
        }
        let mut early = false;
        if input.running.len() < self.running.len() {
            let here: HashSet<JobId> = input.running.iter().map(|attempt| attempt.job).collect();
            self.running.retain(|job, (end, held)| {
                let stays = here.contains(job);
                if !stays && *end > now {
                    profile.give_back(now, *end, held);
                    early = true;
                }
                stays
            });
        }
        let last = self.reserved.last_key_value().map(|(turn, _)| *turn);
        let overtakes = |job: &&PendingJob| {
            !self.reserved.contains_key(&turn(job))
                && last.is_some_and(|last| turn(job) < last && last.0.0 < job.points)
        };
        if input.queue[known..].iter().any(|job| overtakes(&job)) {
            return None;
        }
        if known < self.reserved.len() {
            early |= self.forget_gone(input, profile);
        }
        // A reservation that was not kept, or room that came or went for another reason.
        if self.next().is_some_and(|at| at < now) {
            return None;
        }
        let due = self.due_at(now).filter_map(|turn| self.reserved.get(turn));
        if due.fold(profile.now(), |room, reserved| room.plus(&reserved.share)) != input.free {
            return None;
        }
        if std::mem::take(&mut self.asked) || early {
            self.round(input, profile);
        }
        Some(())
    }

    /// Gives back the reservations of those who wait no longer, or otherwise than before.
    fn forget_gone(&mut self, input: &PassInput, profile: &mut Profile) -> bool {
        let waiting: HashMap<JobId, &PendingJob> =
            input.queue.iter().map(|job| (job.job, job)).collect();
        let (before, starts) = (self.reserved.len(), &mut self.starts);
        self.reserved.retain(|turn, reserved| {
            let stays = waiting.get(&reserved.job.job).is_some_and(|job| **job == reserved.job);
            if !stays {
                profile.give_back(reserved.at.max(input.now), end(reserved), &reserved.share);
                starts.remove(&(reserved.at, *turn));
            }
            stays
        });
        self.reserved.len() < before
    }

    /// Everybody once, in line: out, and back at the first place.
    fn round(&mut self, input: &PassInput, profile: &mut Profile) {
        for reserved in self.reserved.values_mut() {
            let Reserved { job, at, share } = *reserved;
            let (asked, until) = (input.demand(&job), end(reserved));
            if profile.leaves_choice(&asked) {
                profile.give_back(at, until, &share);
                let place = profile.earliest(&asked, job.request);
                (reserved.at, reserved.share) = place.unwrap_or((at, share));
                profile.reserve(reserved.at, job.request, &reserved.share);
            } else if let Some(earlier) = profile.earlier(&asked, job.request, at) {
                // Only what it did not hold is reserved, and only what it no longer needs comes
                // back: it moves by less than it lasts as a rule, and takes the same.
                reserved.at = earlier;
                profile.reserve(earlier, at.min(end(reserved)) - earlier, &share);
                profile.give_back(at.max(end(reserved)), until, &share);
            }
        }
        self.starts = self.reserved.iter().map(|(turn, reserved)| (reserved.at, *turn)).collect();
    }

    fn anew(&mut self, input: &PassInput) -> Profile {
        self.asked = false;
        self.reserved.clear();
        self.starts.clear();
        self.windows.clone_from(&input.windows);
        self.running = input.running.iter().map(|r| (r.job, (r.end, r.held))).collect();
        let mut profile = Profile::new(input.now, input.free, &input.running);
        for window in &input.windows {
            let from = window.start.max(input.now);
            let closed = input.total.cpus_of(window.regions);
            profile.reserve(from, window.end.saturating_sub(from), &closed);
        }
        profile
    }

    /// Those whose reservation is for no later than this.
    fn due_at(&self, now: Instant) -> impl Iterator<Item = &Turn> {
        self.starts.iter().take_while(move |(at, _)| *at <= now).map(|(_, turn)| turn)
    }

    /// Whose reservation is for now.
    fn due(&mut self, input: &PassInput) -> Plan {
        let mut plan = Plan::default();
        let mut quotas = input.quotas.clone();
        let mut free = input.free;
        let due: Vec<Turn> = self.due_at(input.now).copied().collect();
        for turn in due {
            let Some(reserved) = self.reserved.get(&turn) else { continue };
            let asked = input.demand(&reserved.job);
            // A reservation is of the regions that stay free, whoever starts takes the first ones:
            // where they overlap a later one may find nothing, and the next pass begins anew.
            let gone = !free.holds(&asked);
            if gone || over_quota(input, &reserved.job, &quotas) {
                continue;
            }
            free = free.minus(&free.taken_by(&asked));
            spend(&mut quotas, &reserved.job, &asked);
            plan.start.push(reserved.job.job);
            self.running.insert(reserved.job.job, (end(reserved), reserved.share));
            self.starts.remove(&(reserved.at, turn));
            self.reserved.remove(&turn);
        }
        plan
    }
}

/// The profile has the windows in it; only limits are left to ask for.
fn over_quota(input: &PassInput, job: &PendingJob, quotas: &Quotas) -> bool {
    matches!(input.bars(job, quotas), Some(Barred::Quota(_)))
}

fn end(reserved: &Reserved) -> Instant {
    reserved.at.saturating_add(reserved.job.request)
}
