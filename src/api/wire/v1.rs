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
pub use super::efficiency::Efficiency;
pub use super::history::HistoryEntry;
pub use super::job::{Allocation, BatchAccepted, Event, Job, JobList, Usage, format_rfc3339};
pub use super::me::{Allowance, Limits, Me, Role, Via};
pub use super::partitions::Partition;
pub use super::problem::Problem;
pub use super::rank::{Rank, RankParts, RankPolicy};
pub use super::report::{Ability, Audit, Drift, Info, PastDrift, SettingValue};
pub use super::resources::{AllocationRow, Cpu, Resources};
pub use super::retry::RetryBody;
pub use super::signal::SignalBody;
pub use super::step::{Step, StepBody, StepList};
pub use super::token::{NewToken, TokenBody, TokenInfo};
pub use super::update::UpdateBody;
pub use super::usage::{UsageLine, UsageReport};
pub use super::web::{WebCode, WebSession};
pub use crate::job::array_spec::{ArraySpec, JobRef};
pub use crate::job::dependency::Dependencies;
pub use crate::job::faults::FieldError;
pub use crate::job::ids::{CpuId, EventId, JobId};
pub use crate::job::outcome::ExitCode;
pub use crate::job::signal::{EarlySignal, Recipients};
pub use crate::job::spec::{DataSource, OpenMode};
pub use crate::job::state::StateWord;
pub use crate::text::quote::{acts, escaped};
