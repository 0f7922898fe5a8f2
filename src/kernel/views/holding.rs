//! *Purpose*: what an attempt holds, and for whom.
//!
//! *Owns*: [`Holding`].
//!
//! *Promises*: nothing is changed.
//!
//! *Not here*: what is counted of it (`observe::by_account`).

use std::sync::Arc;

use crate::job::ids::Attempt;
use crate::job::request::GPU;
use crate::kernel::state::Kernel;
use crate::resources::allocation::{Allocation, Held};
use crate::time::Time;

/// What an attempt holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holding {
    /// The account that its job names; empty where it names none.
    pub account: Arc<str>,
    /// CPUs.
    pub cpus: u32,
    /// GPUs.
    pub gpus: u64,
    /// Since when.
    pub granted: Time,
}

impl Kernel {
    /// What a live attempt holds.
    #[must_use]
    pub fn holding(&self, attempt: Attempt) -> Option<Holding> {
        let live = self.live.get(&attempt.job).filter(|live| live.attempt() == attempt)?;
        let account = self.names.get(live.job.names).map(|words| Arc::clone(&words.account));
        Some(Holding {
            account: account.unwrap_or_default(),
            cpus: live.job.cpus,
            gpus: live.state.allocation().map_or(0, gpus),
            granted: live.granted,
        })
    }
}

fn gpus(held: &Allocation) -> u64 {
    let of_gpus = held.rest().iter().filter(|share| &*share.resource == GPU);
    let units = of_gpus.map(|share| match &share.held {
        Held::Units(units) => units.len() as u64,
        Held::Amount(_) => 0,
    });
    units.sum()
}
