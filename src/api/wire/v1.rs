//! *Purpose*: everything that `/api/v1` says, under one name.
//!
//! *Owns*: nothing; the nouns have files of their own.
//!
//! *Promises*: changes are additive; a field is never renamed.
//!
//! *Not here*: the replaced system's shapes (`wire::seed`).

pub use super::array::ArrayState;
pub use super::attempt::{Attempt, Retry};
pub use super::body::{BatchBody, NestedBody, NestedJob, SubmitBody};
pub use super::job::{
    Allocation, BatchAccepted, Event, Job, JobList, StateSchema, Usage, format_rfc3339,
};
pub use super::partitions::Partition;
pub use super::problem::Problem;
pub use super::rank::{Rank, RankParts, RankPolicy};
pub use super::report::{Ability, Audit, Drift, Info, PastDrift, SettingValue};
pub use super::resources::{AllocationRow, Cpu, Resources};
pub use super::retry::RetryBody;
pub use super::update::UpdateBody;
pub use crate::kernel::conditions::Dependencies;
pub use crate::kernel::early::EarlySignal;
pub use crate::kernel::ids::{CpuId, EventId, JobId};
pub use crate::kernel::job::{DataSource, ExitCode, FieldError, OpenMode, StateWord};
pub use crate::kernel::tasks::{ArraySpec, JobRef};
pub use crate::text::quote::{acts, escaped};
