//! *Purpose*: the limits of a process, as the kernel knows them.
//!
//! *Owns*: which limit of the kernel a [`Ulimit`] is; reading those of this process.
//!
//! *Promises*: none is changed here.
//!
//! *Not here*: what a job asks for (`job::invocation`), setting it (`engine::local::child`).

use rustix::process::{Resource, getrlimit};

use crate::job::invocation::Ulimit;

/// What the kernel calls it.
#[must_use]
pub fn resource(limit: Ulimit) -> Resource {
    match limit {
        Ulimit::As => Resource::As,
        Ulimit::Core => Resource::Core,
        Ulimit::Cpu => Resource::Cpu,
        Ulimit::Data => Resource::Data,
        Ulimit::Fsize => Resource::Fsize,
        Ulimit::Memlock => Resource::Memlock,
        Ulimit::Nofile => Resource::Nofile,
        Ulimit::Nproc => Resource::Nproc,
        Ulimit::Stack => Resource::Stack,
    }
}

/// The soft limits of this process; `None` is unlimited.
pub fn own() -> impl Iterator<Item = (Ulimit, Option<u64>)> {
    Ulimit::all().map(|limit| (limit, getrlimit(resource(limit)).current))
}
