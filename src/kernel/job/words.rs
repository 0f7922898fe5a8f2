//! *Purpose*: the words for where a job stands and how it ended.
//!
//! *Owns*: [`StateWord`], [`ExitCode`], [`OpenMode`], [`Usage`].
//!
//! *Promises*: Slurm's words, read and written alike in JSON, SQL and on the command line.
//!
//! *Not here*: which state follows which (`kernel::transition`).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// How the files of a job's output are opened when it starts, as Slurm writes it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OpenMode {
    /// Each attempt begins with empty files.
    #[default]
    Truncate,
    /// What is there stays, and each attempt writes behind it.
    Append,
}

impl OpenMode {
    /// The word in JSON and SQL.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            OpenMode::Truncate => "truncate",
            OpenMode::Append => "append",
        }
    }
}

impl FromStr for OpenMode {
    type Err = String;

    fn from_str(text: &str) -> Result<OpenMode, String> {
        match text {
            "truncate" | "t" => Ok(OpenMode::Truncate),
            "append" | "a" => Ok(OpenMode::Append),
            _ => {
                let shown: String = text.chars().take(40).collect();
                Err(format!("\"{shown}\" is not a mode; append or truncate"))
            }
        }
    }
}

/// How a script ended, as Slurm writes it: `code:signal`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExitCode {
    /// The code the script exited with, 0 when a signal ended it.
    pub code: u8,
    /// The signal that ended it, 0 when it exited.
    pub signal: u8,
}

impl fmt::Display for ExitCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.code, self.signal)
    }
}

impl FromStr for ExitCode {
    type Err = ();
    fn from_str(text: &str) -> Result<ExitCode, ()> {
        let (code, signal) = text.split_once(':').ok_or(())?;
        Ok(ExitCode {
            code: code.parse().map_err(|_| ())?,
            signal: signal.parse().map_err(|_| ())?,
        })
    }
}

/// What the process tree of an attempt used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// CPU time in user mode, µs.
    pub user_us: i64,
    /// CPU time in the kernel, µs.
    pub system_us: i64,
    /// Resident set of the largest single process, bytes.
    pub max_rss_bytes: i64,
}

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
    pub fn word(self) -> &'static str {
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
