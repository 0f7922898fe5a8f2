//! *Purpose*: other rules for a kernel that is at work.
//!
//! *Owns*: [`Kernel::reconfigure`], [`RulesRefused`].
//!
//! *Promises*: all of the new rules hold from then on, or none; whatever runs keeps its CPUs; no
//! job is lost: whoever may not start under the new rules waits and is told why; what accounts have
//! used is kept.
//!
//! *Not here*: what rules there are (`kernel::parts::rules`), reading them (`config`).

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::job::ids::{CpuId, JobId};
use crate::kernel::change::{Change, Step};
use crate::kernel::parts::names::Words;
use crate::kernel::parts::queued::Queued;
use crate::kernel::parts::rules::{Rules, Seat};
use crate::kernel::state::Kernel;
use crate::time::Time;

/// Why these rules cannot hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RulesRefused {
    /// A partition has a CPU that this server does not hand out.
    #[error(
        "partition \"{partition}\": cpus has CPU {cpu}, which this server does not hand out; more \
         CPUs (cpus) need a restart"
    )]
    StrangeCpu {
        /// Its name.
        partition: String,
        /// The first such CPU.
        cpu: CpuId,
    },
}

impl Kernel {
    /// These rules hold from now on; of their accounts only what is laid down counts. Jobs that
    /// wait are looked at by them at their next turn.
    ///
    /// # Errors
    /// When the rules cannot hold here; nothing is different then.
    pub fn reconfigure(&mut self, rules: Rules, now: Time) -> Result<Step, RulesRefused> {
        if let Some(refused) = self.refuses(&rules) {
            return Err(refused);
        }
        let shared = self.rules.accounts.share();
        let accounts = self.rules.accounts.under(&rules.accounts, now);
        self.ledger.divide(rules.partitions.region_of().clone());
        let chosen = self.live.values().map(|live| (live.job.id, self.chosen(&live.job)));
        let chosen = chosen.filter_map(|(job, name)| Some((job, name?))).collect();
        let users = self.rules.users.under(&rules.users, now);
        self.rules = Rules { accounts, users, ..rules };
        self.rules.over(self.ledger.inventory());
        self.seat_all(&chosen, now);
        let mut step = Step::default();
        if shared && !self.rules.accounts.share() {
            // Nobody is charged any more: what runs has been used up to now.
            let used = self.rules.accounts.usages(now).into_iter();
            let charged = |(account, cpu_us, at)| Change::Charged { account, cpu_us, at };
            step.changes.extend(used.map(charged));
        }
        self.drop_claims(&mut step);
        Ok(step)
    }

    fn refuses(&self, rules: &Rules) -> Option<RulesRefused> {
        rules.partitions.iter().find_map(|partition| {
            let strange = |cpu: &&CpuId| !self.ledger.is_configured(**cpu);
            let cpu = *partition.cpus.iter().find(strange)?;
            Some(RulesRefused::StrangeCpu { partition: partition.name.to_string(), cpu })
        })
    }

    /// Everybody who waits, runs or is entering goes where the rules of now want him; of those that
    /// list several partitions whoever runs stays in the one that was chosen.
    fn seat_all(&mut self, chosen: &BTreeMap<JobId, Arc<str>>, now: Time) {
        self.keep_names();
        let seats = self.seats();
        let seat = |names: u32| seats.get(names as usize).or(seats.first()).copied();
        let seated = |job: Queued| seat(job.names).unwrap_or_default().of(job);
        for live in self.live.values_mut() {
            live.job = seated(live.job);
            if let Some(name) = chosen.get(&live.job.id) {
                live.job.placement = self.rules.partitions.placement(name);
            }
            self.rules.started(&live.job, &self.requests.demand(&live.job), now);
        }
        for entering in self.entering.values() {
            if let Some(words) = self.names.get(entering.names) {
                self.rules.entering(words, entering.waiting, true);
            }
        }
        let waiting: Vec<JobId> = self.queue.iter().map(|job| job.id).collect();
        for id in waiting {
            let Some(before) = self.queue.get(id).copied() else { continue };
            let job = seated(before);
            if job == before && !self.lists_several(&job) {
                self.refresh(id, now);
            } else {
                self.queue.remove(id);
                self.enqueue(job, now);
            }
        }
    }

    /// Where the jobs of each set of words belong, by its number; the first is of no words.
    fn seats(&mut self) -> Vec<Seat> {
        let rules = &mut self.rules;
        let nobody = Seat { placement: rules.partitions.placement(""), ..Seat::default() };
        let seat = |words: &Option<Words>| match words {
            // All of them have jobs.
            Some(Words { partition, account, user }) => {
                rules.certain_seat((partition, account, user))
            }
            None => nobody,
        };
        std::iter::once(nobody).chain(self.names.all().iter().map(seat)).collect()
    }
}

#[cfg(test)]
mod tests;
