//! *Purpose*: what people write and read: sizes, and texts that are shown to them.
//!
//! *Owns*: each grammar once, both ways, whoever uses it: settings, bodies, `#SBATCH` lines, the
//! command line, messages.
//!
//! *Promises*: pure; what it writes it reads; what it refuses it refuses with a sentence.
//!
//! *Not here*: the notation of a job's own properties (`crate::job`), JSON (`api::wire`).

pub mod quote;
pub mod size;
