//! *Purpose*: how a script, an attempt and a job ended.
//!
//! *Owns*: [`ExitCode`] and what a shell makes of it, [`Usage`], [`Handle`], [`Stop`],
//! [`OutOfMemory`], [`Exit`], [`EndState`].
//!
//! *Promises*: plain data; a code is the script's own, or there is none. The sentence about memory
//! says whose limit was reached, and how much was used.
//!
//! *Not here*: which end follows from what (`kernel::transition`), the record on disk
//! (`crate::engine`).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::state::StateWord;
use crate::text::size::shown;
use crate::time::Time;

/// How a script ended, as Slurm writes it: `code:signal`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExitCode {
    /// The code the script exited with, 0 when a signal ended it.
    pub code: u8,
    /// The signal that ended it, 0 when it exited.
    pub signal: u8,
}

impl ExitCode {
    /// The code the script exited with, if it exited.
    #[must_use]
    pub fn status(self) -> Option<u8> {
        (self.signal == 0).then_some(self.code)
    }

    /// The signal that ended the script, if one did.
    #[must_use]
    pub fn by_signal(self) -> Option<u8> {
        (self.signal != 0).then_some(self.signal)
    }
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

/// The code of a shell for a job that ended by its time limit, as `timeout` has it.
const TIME_LIMIT_CODE: u8 = 124;
/// For one that somebody cancelled.
const CANCELLED_CODE: u8 = 125;
/// For one of which nobody knows how it ended.
const LOST_CODE: u8 = 126;
/// For one of which no script was started, as a shell has it for a command that it does not find.
const NOT_STARTED_CODE: u8 = 127;
/// What a shell adds to the number of a signal that ended a command.
const SIGNAL_CODE: u8 = 128;
/// The signal that ends a process for want of memory.
const SIGKILL: u8 = 9;

impl StateWord {
    /// The code that a shell would have seen had it run a job itself that ended so.
    #[must_use]
    pub fn shell_code(self, code: Option<ExitCode>) -> u8 {
        match self {
            StateWord::Completed => 0,
            StateWord::Timeout => TIME_LIMIT_CODE,
            StateWord::Cancelled => CANCELLED_CODE,
            StateWord::NodeFail => LOST_CODE,
            // The script may have ended well although one of its processes was killed.
            StateWord::OutOfMemory => match code {
                None | Some(ExitCode { code: 0, signal: 0 }) => SIGNAL_CODE + SIGKILL,
                Some(code) => of_script(code),
            },
            StateWord::Failed => code.map_or(NOT_STARTED_CODE, of_script),
            // It has not ended: nothing that could be taken for an end.
            StateWord::Pending | StateWord::Running | StateWord::Completing => NOT_STARTED_CODE,
        }
    }
}

/// The code of a script that did not end well.
fn of_script(code: ExitCode) -> u8 {
    match code {
        ExitCode { code: 0, signal: 0 } => 1, // It failed for another reason than its code.
        ExitCode { code, signal: 0 } => code,
        ExitCode { signal, .. } => SIGNAL_CODE.saturating_add(signal),
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

/// The script's process. Identity is pid plus start, never a bare pid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handle {
    /// The script's process id.
    pub pid: i32,
    /// When it was spawned.
    pub start_time: Time,
}

/// Why a supervisor stopped a script.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stop {
    /// It was asked to.
    Cancelled,
    /// The time limit had passed.
    TimeLimit,
    /// What it wrote had reached its bound.
    OutputLimit,
}

/// Processes of a job were killed because there was no memory left for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutOfMemory {
    /// How much the job might use.
    pub limit_bytes: u64,
    /// The most that it used, where the system says so.
    pub peak_bytes: Option<u64>,
    /// How many of its processes were killed for it.
    pub kills: u64,
    /// Whether it had reached its own limit; if not, the machine had none left.
    pub at_its_limit: bool,
    /// Whether that came before its supervisor stopped it, if it did.
    pub before_stop: bool,
}

impl fmt::Display for OutOfMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let limit = shown(self.limit_bytes);
        if self.at_its_limit {
            write!(f, "out of memory: it reached its limit of {limit}")?;
        } else {
            write!(f, "out of memory: the machine had none left, below its limit of {limit}")?;
        }
        if let Some(peak) = self.peak_bytes {
            write!(f, " (peak {})", shown(peak))?;
        }
        match self.kills {
            1 => write!(f, ", and one of its processes was killed"),
            n => write!(f, ", and {n} of its processes were killed"),
        }?;
        if self.at_its_limit { write!(f, "; ask for more memory") } else { Ok(()) }
    }
}

/// What an exit record says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exit {
    /// The script's true code; `None` when a stop came before the spawn.
    pub exit_code: Option<ExitCode>,
    /// Whether the supervisor had stopped it.
    pub stop: Option<Stop>,
    /// The script's process.
    pub handle: Option<Handle>,
    /// When the last process of the tree was gone.
    pub end_time: Time,
    /// What the tree used.
    pub usage: Usage,
    /// Whether processes of it were killed for want of memory.
    pub out_of_memory: Option<OutOfMemory>,
    /// Processes that the script left behind and that had to be killed.
    pub left_behind: Vec<String>,
}

/// How a job ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndState {
    /// A final word.
    pub word: StateWord,
    /// The script's true code; `None` where no script ended.
    pub exit_code: Option<ExitCode>,
    /// A sentence for the person, where there is something to say.
    pub error: Option<String>,
    /// When the last process of the tree was gone, or the job was given up.
    pub end_time: Time,
    /// What the tree used.
    pub usage: Usage,
    /// The script's process, when one was started.
    pub handle: Option<Handle>,
    /// What the person should know of it beside the end itself.
    pub warnings: Vec<String>,
}

impl EndState {
    /// The end of a job that no script of was run.
    #[must_use]
    pub fn without_script(word: StateWord, error: Option<String>, end_time: Time) -> EndState {
        EndState {
            word,
            exit_code: None,
            error,
            end_time,
            usage: Usage::default(),
            handle: None,
            warnings: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sentence_names_limit_and_peak_and_whose_limit_it_was() {
        let hit = OutOfMemory {
            limit_bytes: 64 << 20,
            peak_bytes: Some(64 << 20),
            kills: 1,
            at_its_limit: true,
            before_stop: true,
        };
        assert_eq!(
            hit.to_string(),
            "out of memory: it reached its limit of 64 MiB (peak 64 MiB), and one of its processes \
             was killed; ask for more memory"
        );
        let other = OutOfMemory { at_its_limit: false, peak_bytes: None, kills: 2, ..hit };
        assert_eq!(
            other.to_string(),
            "out of memory: the machine had none left, below its limit of 64 MiB, and 2 of its \
             processes were killed"
        );
    }
}
