//! *Purpose*: the answers of the system that this one replaces, with true numbers.
//!
//! *Owns*: [`Submitted`], [`Query`], [`Cancelled`], [`Dashboard`] and their parts.
//!
//! *Promises*: job ids are strings except on the dashboard, durations `D-HH:MM:SS`, states the
//! five old words.
//!
//! *Not here*: the same facts in this system's own words (`wire::v1`).

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::job::ids::JobId;
use crate::job::state::StateWord;

/// The old word for a state: five, where this system has nine.
#[must_use]
pub fn old_state(state: StateWord) -> &'static str {
    match state {
        StateWord::Pending => "PENDING",
        StateWord::Running | StateWord::Completing => "RUNNING",
        StateWord::Completed => "COMPLETED",
        StateWord::Cancelled => "CANCELLED",
        StateWord::Failed | StateWord::Timeout | StateWord::OutOfMemory | StateWord::NodeFail => {
            "FAILED"
        }
    }
}

/// The old message of an error: an end without an old word is named first.
#[must_use]
pub fn old_error(state: StateWord, error: Option<&str>) -> Option<String> {
    if !state.is_failure() || old_state(state) == state.word() {
        return error.map(str::to_owned);
    }
    Some(match error {
        Some(error) => format!("{state}: {error}"),
        None => state.word().to_owned(),
    })
}

/// Answer to `POST /jobs/submit`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Submitted {
    /// The job's number, as text.
    #[schema(example = "17")]
    pub job_id: String,
}

/// Answer to `POST /jobs/cancel/{id}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Cancelled {
    /// `cancelled`.
    #[schema(example = "cancelled")]
    pub msg: String,
}

/// Answer to `GET /jobs/query/{id}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Query {
    /// The job's number, as text.
    #[schema(example = "17")]
    pub job_id: String,
    /// One of the five old words.
    #[schema(example = "COMPLETED")]
    pub state: String,
    /// What went wrong; starts with the true state where there is no old word for it.
    pub error_msg: Option<String>,
    /// Its times.
    pub time: QueryTime,
    /// The last lines of its streams.
    pub job_log: QueryLog,
    /// The rest.
    pub detail: QueryDetail,
}

/// Times of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct QueryTime {
    /// When it was submitted.
    #[schema(format = DateTime)]
    pub submit_time: String,
    /// When its script was spawned.
    #[schema(format = DateTime)]
    pub start_time: Option<String>,
    /// When it ended.
    #[schema(format = DateTime)]
    pub end_time: Option<String>,
    /// From when on it could start.
    #[schema(format = DateTime)]
    pub eligible_time: Option<String>,
    /// `D-HH:MM:SS`.
    #[schema(example = "0-00:01:30")]
    pub elapsed_time: String,
    /// `D-HH:MM:SS`, or `UNLIMITED`.
    #[schema(example = "0-01:00:00")]
    pub limit_time: String,
}

/// Last lines of a job's streams.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct QueryLog {
    /// The end of standard output.
    pub stdout: String,
    /// The end of standard error.
    pub stderr: String,
}

/// The rest of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct QueryDetail {
    /// Its name.
    pub job_name: String,
    /// Who submitted it.
    pub user: String,
    /// The partition.
    pub partition: String,
    /// CPUs it holds or held; 0 before it started.
    pub allocated_cpus: u32,
    /// 1 once it has CPUs.
    pub allocated_nodes: u32,
    /// The node's name once it has CPUs.
    pub node_list: String,
    /// `code:signal`.
    pub exit_code: Option<String>,
    /// Where it runs.
    pub work_dir: Option<String>,
    /// The door it came through.
    pub data_source: String,
    /// Whom to charge.
    pub account: String,
}

/// Answer to `GET /dashboard`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Dashboard {
    /// Jobs by old state.
    pub job_stats: JobStats,
    /// CPUs.
    pub resource_stats: ResourceStats,
    /// The one node, once for each partition.
    pub node_info: Vec<NodeInfo>,
    /// Up to 20 that hold CPUs.
    pub running_jobs: Vec<DashboardJob>,
    /// Up to 20 that wait, in the order in which they would start.
    pub pending_jobs: Vec<DashboardJob>,
}

/// Jobs by old state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[allow(missing_docs, reason = "each is a count of the state it is named after")]
pub struct JobStats {
    pub total: u64,
    pub running: u64,
    pub pending: u64,
    pub completed: u64,
    pub failed: u64,
    pub cancelled: u64,
}

/// CPUs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ResourceStats {
    /// CPUs to hand out.
    pub total_cpus: u32,
    /// CPUs that jobs hold.
    pub allocated_cpus: u32,
    /// CPUs that are free.
    pub available_cpus: u32,
    /// Percent.
    pub utilization_rate: f64,
}

/// The node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct NodeInfo {
    /// The machine's name.
    pub node_name: String,
    /// The partition it is in.
    pub partition: String,
    /// CPUs to hand out.
    pub total_cpus: u32,
    /// CPUs that jobs hold.
    pub allocated_cpus: u32,
    /// CPUs that are free.
    pub available_cpus: u32,
    /// Whether it takes jobs.
    pub available: bool,
    /// Percent.
    pub utilization_rate: f64,
}

/// A job in one line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DashboardJob {
    /// The job's number; an integer here, as the dashboard always had it.
    #[schema(value_type = i64)]
    pub job_id: JobId,
    /// Its name.
    pub name: String,
    /// Whom to charge.
    pub account: String,
    /// One of the five old words.
    pub state: String,
    /// CPUs it holds; 0 while it waits.
    pub allocated_cpus: u32,
    /// When it was submitted.
    #[schema(format = DateTime)]
    pub submit_time: String,
    /// When its script was spawned.
    #[schema(format = DateTime)]
    pub start_time: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_without_an_old_word_is_named_in_the_message() {
        assert_eq!(old_state(StateWord::Completing), "RUNNING");
        assert_eq!(old_state(StateWord::NodeFail), "FAILED");
        assert_eq!(
            old_error(StateWord::Timeout, Some("ran 60 s")).as_deref(),
            Some("TIMEOUT: ran 60 s")
        );
        assert_eq!(old_error(StateWord::NodeFail, None).as_deref(), Some("NODE_FAIL"));
        assert_eq!(old_error(StateWord::Completed, None), None);
    }
}
