//! *Purpose*: what holds from a commit on, for the samples of minutes.
//!
//! *Owns*: the way from a snapshot to levels.
//!
//! *Promises*: the levels are those that `/resources` shows.
//!
//! *Not here*: adding up (`kernel::parts::samples`).

use crate::job::request::GPU;
use crate::job::state::StateWord;
use crate::kernel::parts::samples::Levels;
use crate::kernel::views::snapshot::Snapshot;

/// What holds from this commit on.
#[must_use]
pub fn levels(now: &Snapshot) -> Levels {
    Levels {
        cpus: now.used_cpus.into(),
        memory: now.used_memory,
        gpus: now.others.iter().find(|one| &*one.name == GPU).map_or(0, |gpus| gpus.used),
        pending: now.count(StateWord::Pending),
        running: now.count(StateWord::Running) + now.count(StateWord::Completing),
    }
}
