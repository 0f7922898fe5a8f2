//! *Purpose*: the names of things: jobs, attempts, units of resources, commits, epochs, events.
//!
//! *Owns*: newtypes over integers, so that a job id is never taken for a CPU id.
//!
//! *Promises*: ids order as they were given out; an attempt names one run of one job.
//!
//! *Not here*: who gives ids out (`kernel::state`), where they are kept (`store`).

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! id {
    ($(#[$doc:meta])* $name:ident($int:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub $int);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = std::num::ParseIntError;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map($name)
            }
        }
    };
}

id! {
    /// A job's number, 1 upward, never given out twice by one installation.
    #[derive(Default)]
    JobId(i64)
}
id! {
    /// The identity of one unit of a resource that has units: a CPU as the operating system
    /// numbers it, a GPU by its place on the bus.
    UnitId(u32)
}
pub use self::UnitId as CpuId;
id! {
    /// The number of a user, as the system has it.
    Uid(u32)
}
/// Whose something is; `None`: the server's own user.
pub type Owner = Option<Uid>;
id! {
    /// The number of a transaction; the first one of an installation is 1.
    #[derive(Default)]
    CommitNo(i64)
}
id! {
    /// The number of a server's start over a database; each start takes the next one.
    Epoch(i64)
}
id! {
    /// The durable sequence number of a transition, the id of server-sent events.
    #[derive(Default)]
    EventId(i64)
}

/// One run of one job: a job that is run again has the next `n`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Attempt {
    /// The job that runs.
    pub job: JobId,
    /// 1 for the first run.
    pub n: u32,
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.job, self.n)
    }
}
