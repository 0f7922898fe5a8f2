//! *Purpose*: the words for where a job stands, and for why it is being ended.
//!
//! *Owns*: [`StateWord`], [`EndReason`], [`AttemptEnd`].
//!
//! *Promises*: Slurm's words, read and written alike in JSON, SQL and on the command line.
//!
//! *Not here*: which state follows which (`kernel::transition`).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The words for a job's state that users see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[allow(missing_docs, reason = "Slurm's words, explained in the README")]
pub enum StateWord {
    Pending,
    Running,
    Completing,
    Completed,
    Failed,
    Cancelled,
    Timeout,
    OutOfMemory,
    NodeFail,
}

impl StateWord {
    /// Every word, in the order of a job's life.
    pub const ALL: [StateWord; 9] = [
        StateWord::Pending,
        StateWord::Running,
        StateWord::Completing,
        StateWord::Completed,
        StateWord::Failed,
        StateWord::Cancelled,
        StateWord::Timeout,
        StateWord::OutOfMemory,
        StateWord::NodeFail,
    ];

    /// The word in JSON and SQL.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            StateWord::Pending => "PENDING",
            StateWord::Running => "RUNNING",
            StateWord::Completing => "COMPLETING",
            StateWord::Completed => "COMPLETED",
            StateWord::Failed => "FAILED",
            StateWord::Cancelled => "CANCELLED",
            StateWord::Timeout => "TIMEOUT",
            StateWord::OutOfMemory => "OUT_OF_MEMORY",
            StateWord::NodeFail => "NODE_FAIL",
        }
    }

    /// Whether a job in this state has ended otherwise than COMPLETED.
    #[must_use]
    pub fn is_failure(self) -> bool {
        self.is_final() && self != StateWord::Completed
    }

    /// Whether a job in this state has ended.
    #[must_use]
    pub fn is_final(self) -> bool {
        !matches!(self, StateWord::Pending | StateWord::Running | StateWord::Completing)
    }
}

impl fmt::Display for StateWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

impl FromStr for StateWord {
    type Err = String;
    fn from_str(text: &str) -> Result<StateWord, String> {
        StateWord::ALL.into_iter().find(|s| s.word().eq_ignore_ascii_case(text)).ok_or_else(|| {
            let words: Vec<&str> = StateWord::ALL.iter().map(|s| s.word()).collect();
            format!("\"{text}\" is not a state; one of {}", words.join(", "))
        })
    }
}

/// Why a live attempt is being brought to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EndReason {
    /// Somebody cancelled it.
    Cancelled,
    /// Its supervisor enforces the time limit.
    TimeLimit,
    /// Its supervisor is gone; what remains of it is being killed.
    Lost,
    /// The script has ended; processes that it left behind may finish for a while.
    Finishing,
    /// It has written too much.
    OutputLimit,
    /// Somebody wants the job to run again.
    Requeued {
        /// Whether it shall be held then.
        hold: bool,
    },
    /// It makes room for a job of a partition that goes before its own; then it runs again.
    Preempted,
}

impl EndReason {
    /// The word in SQL and events.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            EndReason::Cancelled => "cancelled",
            EndReason::TimeLimit => "time_limit",
            EndReason::Lost => "lost",
            EndReason::Finishing => "finishing",
            EndReason::OutputLimit => "output_limit",
            EndReason::Requeued { hold: false } => "requeued",
            EndReason::Requeued { hold: true } => "requeued_hold",
            EndReason::Preempted => "preempted",
        }
    }

    /// Whether it is us who have to tell the script.
    #[must_use]
    pub fn is_told(self) -> bool {
        match self {
            EndReason::Cancelled | EndReason::Requeued { .. } | EndReason::Preempted => true,
            EndReason::TimeLimit
            | EndReason::Lost
            | EndReason::Finishing
            | EndReason::OutputLimit => false,
        }
    }
}

/// Every reason.
const REASONS: [EndReason; 8] = [
    EndReason::Cancelled,
    EndReason::TimeLimit,
    EndReason::Lost,
    EndReason::Finishing,
    EndReason::OutputLimit,
    EndReason::Requeued { hold: false },
    EndReason::Requeued { hold: true },
    EndReason::Preempted,
];

impl FromStr for EndReason {
    type Err = String;

    /// Reads [`EndReason::word`].
    fn from_str(text: &str) -> Result<EndReason, String> {
        let known = REASONS.into_iter().find(|reason| reason.word() == text);
        known.ok_or_else(|| format!("\"{text}\" is not a reason to end a job"))
    }
}

/// How one attempt ended: as its job did, or so that its job could run again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AttemptEnd {
    /// The state that its job has, or would have had without a retry.
    Job(StateWord),
    /// Somebody asked for another run.
    Requeued,
    /// It made room for another job.
    Preempted,
}

impl AttemptEnd {
    /// The word in JSON and SQL.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            AttemptEnd::Job(state) => state.word(),
            AttemptEnd::Requeued => "REQUEUED",
            AttemptEnd::Preempted => "PREEMPTED",
        }
    }
}

impl FromStr for AttemptEnd {
    type Err = String;

    fn from_str(text: &str) -> Result<AttemptEnd, String> {
        let own = [AttemptEnd::Requeued, AttemptEnd::Preempted];
        match own.into_iter().find(|end| end.word() == text) {
            Some(end) => Ok(end),
            None => text.parse().map(AttemptEnd::Job),
        }
    }
}
