//! *Purpose*: the value that *is* a set of CPUs, and everything that goes with them.
//!
//! *Owns*: [`Allocation`], which cannot be copied, cloned or made outside the ledger; [`Share`],
//! the record of what stands in one.
//!
//! *Promises*: releasing twice does not compile; forgetting one leaves a state that still
//! holds it, and `check::units_are_conserved` and `check::amounts_are_conserved` say so.
//!
//! ```compile_fail
//! use downbeat::job::ids::{Attempt, CpuId, JobId};
//! use downbeat::resources::{capacity::Demand, ledger::Ledger};
//! let mut ledger = Ledger::new([CpuId(0)]);
//! let a = ledger.allocate(Attempt { job: JobId(1), n: 1 }, &Demand::of(1)).unwrap();
//! ledger.release(a);
//! ledger.release(a); // error: use of moved value
//! ```
//!
//! *Not here*: what is free (`resources::ledger`).

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::job::ids::{Attempt, CpuId, UnitId};
use crate::job::request::MEMORY;

/// What is held of one resource; in JSON a list of units, or a number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Held {
    /// These units, ascending.
    Units(Box<[UnitId]>),
    /// So much.
    Amount(u64),
}

impl Held {
    /// How much that is.
    #[must_use]
    pub fn amount(&self) -> u64 {
        match self {
            Held::Units(units) => units.len() as u64,
            Held::Amount(amount) => *amount,
        }
    }
}

/// What is held of a resource, by name: a record that nothing can be released with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share {
    /// The resource.
    pub resource: Arc<str>,
    /// What is held of it.
    pub held: Held,
}

/// How many units came back with an allocation; of amounts nothing is said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Released {
    /// CPUs.
    pub cpus: u32,
    /// Units of all resources, CPUs included.
    pub units: u32,
}

/// CPUs and everything else that one attempt holds. Made by `Ledger::allocate` and, at boot,
/// `Ledger::adopt`; consumed by `Ledger::release`. Dropping one does not release it.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "an allocation that is dropped leaks what it holds"]
pub struct Allocation {
    pub(super) holder: Attempt,
    pub(super) cpus: Box<[CpuId]>,
    pub(super) rest: Box<[Share]>,
}

impl Allocation {
    /// The attempt that holds this.
    #[must_use]
    pub fn holder(&self) -> Attempt {
        self.holder
    }

    /// The CPUs, ascending.
    #[must_use]
    pub fn cpus(&self) -> &[CpuId] {
        &self.cpus
    }

    /// What is held beside CPUs, by name of the resource.
    #[must_use]
    pub fn rest(&self) -> &[Share] {
        &self.rest
    }

    /// How many units it gives back.
    #[must_use]
    pub fn units(&self) -> Released {
        let cpus = self.cpus.len() as u32;
        let others = self.rest.iter().filter(|share| matches!(share.held, Held::Units(_)));
        let others = others.fold(0, |all, share| all + share.held.amount() as u32);
        Released { cpus, units: cpus + others }
    }

    /// The memory, bytes; 0 for a job that asked for none.
    #[must_use]
    pub fn memory(&self) -> u64 {
        let memory = self.rest.iter().find(|share| &*share.resource == MEMORY);
        memory.map_or(0, |share| share.held.amount())
    }
}
