//! *Purpose*: the value that *is* a set of CPUs.
//!
//! *Owns*: [`Allocation`], which cannot be copied, cloned or made outside the ledger.
//!
//! *Promises*: releasing twice does not compile; forgetting one leaves a state that still
//! holds it, and `check::cpus_are_conserved` says so.
//!
//! ```compile_fail
//! use downbeat::kernel::{ids::{Attempt, CpuId, JobId}, ledger::Ledger};
//! let mut ledger = Ledger::new([CpuId(0)]);
//! let a = ledger.allocate(Attempt { job: JobId(1), n: 1 }, 1).unwrap();
//! ledger.release(a);
//! ledger.release(a); // error: use of moved value
//! ```
//!
//! *Not here*: which CPUs are free (`kernel::ledger`).

use super::ids::{Attempt, CpuId};

/// CPUs held by one attempt. Made by `Ledger::allocate` and, at boot, `Ledger::adopt`;
/// consumed by `Ledger::release`. Dropping one does not release it.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "an allocation that is dropped leaks its CPUs"]
pub struct Allocation {
    pub(super) holder: Attempt,
    pub(super) cpus: Box<[CpuId]>,
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
}
