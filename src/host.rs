//! *Purpose*: what this machine is called.
//!
//! *Owns*: its two names.
//!
//! *Promises*: the same answer everywhere in this program.
//!
//! *Not here*: addresses (`serve::socket`), names that a proxy has (`config`).

/// The whole name, as `hostname` has it.
#[must_use]
pub fn name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// The first part of it, as `hostname -s` has it: a node's name in Slurm.
#[must_use]
pub fn short_name() -> String {
    name().split('.').next().unwrap_or_default().to_owned()
}
