//! *Purpose*: what this machine is made of, and how busy it is.
//!
//! *Owns*: its NUMA nodes and cores ([`Topology`]), the load of each CPU ([`Times`]), and when they
//! are looked at ([`Watch`]).
//!
//! *Promises*: what the system does not tell is not known, never 0; nothing is read while nobody
//! asks; who asks waits for no file.
//!
//! *Not here*: who holds what (`resources`), how a driver is asked (`devices`).

mod times;
mod topology;
mod watch;

pub use times::Times;
pub use topology::{Node, Topology};
pub use watch::{GpuNow, HeldGpus, Loads, Watch};
