//! *Purpose*: the words for where a job stands, and for why it is being ended.
//!
//! *Owns*: [`StateWord`], [`EndReason`], [`AttemptEnd`].
//!
//! *Promises*: Slurm's words, read and written alike in JSON, SQL, OpenAPI and on the command line;
//! each stands once, and what is asked of a state is a match that the compiler holds complete.
//!
//! *Not here*: which state follows which (`kernel::transition`).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use strum::{EnumIter, EnumString, IntoEnumIterator, IntoStaticStr, VariantArray};
use utoipa::ToSchema;

/// The words for a job's state that users see.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    ToSchema,
    VariantArray,
    EnumString,
    IntoStaticStr,
)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[schema(as = State)]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE", ascii_case_insensitive)]
#[strum(parse_err_ty = String, parse_err_fn = no_state)]
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

fn no_state(text: &str) -> String {
    let words: Vec<&str> = StateWord::ALL.iter().map(|state| state.word()).collect();
    format!("\"{text}\" is not a state; one of {}", words.join(", "))
}

impl StateWord {
    /// Every word, in the order of a job's life.
    pub const ALL: &'static [StateWord] = <StateWord as VariantArray>::VARIANTS;

    /// The word in JSON and SQL.
    #[must_use]
    pub fn word(self) -> &'static str {
        self.into()
    }

    /// Whether a job in this state has ended otherwise than COMPLETED.
    #[must_use]
    pub fn is_failure(self) -> bool {
        self.is_final() && self != StateWord::Completed
    }

    /// Whether a job in this state has been given what it asks for, and holds it.
    #[must_use]
    pub fn is_live(self) -> bool {
        matches!(self, StateWord::Running | StateWord::Completing)
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

/// Whether a job is held, and who alone may release it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, EnumIter)]
pub enum Hold {
    /// It is not.
    #[default]
    No,
    /// Whoever gives orders about it.
    ByUser,
    /// An operator.
    ByOperator,
}

impl Hold {
    /// That of a job of which these are told.
    #[must_use]
    pub fn of(held: bool, by_operator: bool) -> Hold {
        match (held, by_operator) {
            (false, _) => Hold::No,
            (true, false) => Hold::ByUser,
            (true, true) => Hold::ByOperator,
        }
    }
}

/// Why a live attempt is being brought to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, EnumIter)]
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
        hold: Hold,
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
            EndReason::Requeued { hold: Hold::No } => "requeued",
            EndReason::Requeued { hold: Hold::ByUser } => "requeued_hold",
            EndReason::Requeued { hold: Hold::ByOperator } => "requeued_hold_by_operator",
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

impl FromStr for EndReason {
    type Err = String;

    /// Reads [`EndReason::word`].
    fn from_str(text: &str) -> Result<EndReason, String> {
        let requeued = Hold::iter().map(|hold| EndReason::Requeued { hold });
        let mut known = EndReason::iter().chain(requeued);
        let found = known.find(|reason| reason.word() == text);
        found.ok_or_else(|| format!("\"{text}\" is not a reason to end a job"))
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
    /// Nobody could say who its owner is.
    UserUnknown,
}

impl AttemptEnd {
    /// The word of an attempt that somebody asked to run again.
    pub const REQUEUED: &'static str = "REQUEUED";
    /// The word of one that made room for another job.
    pub const PREEMPTED: &'static str = "PREEMPTED";
    /// The word of one whose owner nobody could name.
    pub const USER_UNKNOWN: &'static str = "USER_UNKNOWN";
    /// Those that are no states of jobs.
    const OWN: [AttemptEnd; 3] =
        [AttemptEnd::Requeued, AttemptEnd::Preempted, AttemptEnd::UserUnknown];

    /// The word in JSON and SQL.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            AttemptEnd::Job(state) => state.word(),
            AttemptEnd::Requeued => AttemptEnd::REQUEUED,
            AttemptEnd::Preempted => AttemptEnd::PREEMPTED,
            AttemptEnd::UserUnknown => AttemptEnd::USER_UNKNOWN,
        }
    }
}

impl FromStr for AttemptEnd {
    type Err = String;

    fn from_str(text: &str) -> Result<AttemptEnd, String> {
        match AttemptEnd::OWN.into_iter().find(|end| end.word() == text) {
            Some(end) => Ok(end),
            None => text.parse().map(AttemptEnd::Job),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn every_state_is_read_from_its_word_in_any_case_and_in_json() {
        for state in StateWord::ALL {
            assert_eq!(state.word().parse(), Ok(*state));
            assert_eq!(state.word().to_lowercase().parse(), Ok(*state));
            let json = format!("\"{}\"", state.word());
            assert_eq!(serde_json::to_string(state).unwrap(), json);
        }
        let refused = "DONE".parse::<StateWord>().unwrap_err();
        assert!(refused.starts_with("\"DONE\" is not a state; one of PENDING, "), "{refused}");
    }

    #[test]
    fn every_reason_is_read_from_its_word() {
        for reason in EndReason::iter().chain(Hold::iter().map(|hold| EndReason::Requeued { hold }))
        {
            assert_eq!(reason.word().parse(), Ok(reason));
        }
        assert!("bored".parse::<EndReason>().is_err());
    }

    #[test]
    fn every_end_of_an_attempt_is_read_from_its_word() {
        let of_jobs = StateWord::ALL.iter().copied().map(AttemptEnd::Job);
        for end in of_jobs.chain(AttemptEnd::OWN) {
            assert_eq!(end.word().parse(), Ok(end));
        }
    }
}
