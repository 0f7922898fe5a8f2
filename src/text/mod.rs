//! *Purpose*: what people write and read: times, sizes, lists of CPUs, and texts of others.
//!
//! *Owns*: each grammar once, both ways, whoever uses it: settings, bodies, `#SBATCH` lines, the
//! command line, messages.
//!
//! *Promises*: pure; what it writes it reads; what it refuses it refuses with a sentence.
//!
//! *Not here*: the notation of a job's own properties (`crate::job`), JSON (`api::wire`).

pub mod cpu_list;
pub mod duration;
pub mod quote;
pub mod size;
pub mod time_limit;
pub mod when;
