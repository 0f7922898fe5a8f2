//! *Purpose*: the value that *is* a set of CPUs, and the memory that goes with them.
//!
//! *Owns*: [`Allocation`], which cannot be copied, cloned or made outside the ledger.
//!
//! *Promises*: releasing twice does not compile; forgetting one leaves a state that still
//! holds it, and `check::cpus_are_conserved` and `check::memory_is_conserved` say so.
//!
//! ```compile_fail
//! use downbeat::kernel::{ids::{Attempt, CpuId, JobId}, ledger::Ledger};
//! let mut ledger = Ledger::new([CpuId(0)]);
//! let a = ledger.allocate(Attempt { job: JobId(1), n: 1 }, 1, 0).unwrap();
//! ledger.release(a);
//! ledger.release(a); // error: use of moved value
//! ```
//!
//! *Not here*: which CPUs and how much memory are free (`resources::ledger`).

use crate::job::ids::{Attempt, CpuId};

/// CPUs and memory held by one attempt. Made by `Ledger::allocate` and, at boot, `Ledger::adopt`;
/// consumed by `Ledger::release`. Dropping one does not release it.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "an allocation that is dropped leaks its CPUs and its memory"]
pub struct Allocation {
    pub(super) holder: Attempt,
    pub(super) cpus: Box<[CpuId]>,
    pub(super) memory: u64,
}

impl Allocation {
    /// The attempt that holds these CPUs.
    #[must_use]
    pub fn holder(&self) -> Attempt {
        self.holder
    }

    /// The CPUs, ascending.
    #[must_use]
    pub fn cpus(&self) -> &[CpuId] {
        &self.cpus
    }

    /// The memory, bytes; 0 for a job that asked for none.
    #[must_use]
    pub fn memory(&self) -> u64 {
        self.memory
    }
}
