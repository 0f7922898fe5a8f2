//! *Purpose*: which ends of an attempt a job is run again after, how often, and how long it waits.
//!
//! *Owns*: [`RetryPolicy`], its [`Cause`]s.
//!
//! *Promises*: a cancelled or COMPLETED attempt is never a cause; the wait doubles with each retry
//! up to its bound.
//!
//! *Not here*: how many retries are used up (`kernel::parts::retries`).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::outcome::EndState;
use super::state::StateWord;

/// Most retries: whoever fails a hundred times in a row wants a person.
pub const RETRIES_MAX: u32 = 100;
/// Most causes in a list: more than there are kinds of, few enough to be looked through.
pub const CAUSES_MAX: usize = 32;
/// The wait before the first retry when nobody says, seconds.
pub const RETRY_DELAY_S: u32 = 10;
/// The longest wait when nobody says, seconds: what is down for an hour needs no more haste.
pub const RETRY_MAX_DELAY_S: u32 = 3_600;
/// The longest wait that may be asked for, seconds (a day): beyond it `begin_time` is meant.
pub const RETRY_DELAY_S_MAX: u32 = 86_400;
/// Retries of `#SBATCH --requeue`, which names no number: as many as Slurm's `MaxBatchRequeue`.
pub const REQUEUE_RETRIES: u32 = 5;

/// An end after which a job is run again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Cause {
    /// FAILED, however: by its code, by a signal, or because no script could be started.
    Failed,
    /// FAILED with a code from the first to the second, both included.
    ExitCode(u8, u8),
    /// FAILED by this signal, or by any.
    Signal(Option<u8>),
    /// TIMEOUT.
    Timeout,
    /// NODE_FAIL: the machine was restarted, or the supervisor killed.
    NodeFail,
    /// OUT_OF_MEMORY.
    OutOfMemory,
}

impl Cause {
    /// Whether an attempt that ended so is run again for this.
    #[must_use]
    pub fn covers(self, end: &EndState) -> bool {
        let failed = end.word == StateWord::Failed;
        match self {
            Cause::Failed => failed,
            Cause::ExitCode(least, most) => {
                let code = end.exit_code.filter(|c| c.signal == 0);
                failed && code.is_some_and(|c| (least..=most).contains(&c.code))
            }
            Cause::Signal(wanted) => {
                let signal = end.exit_code.map(|c| c.signal).filter(|signal| *signal != 0);
                failed && signal.is_some_and(|signal| wanted.is_none_or(|w| w == signal))
            }
            Cause::Timeout => end.word == StateWord::Timeout,
            Cause::NodeFail => end.word == StateWord::NodeFail,
            Cause::OutOfMemory => end.word == StateWord::OutOfMemory,
        }
    }
}

impl FromStr for Cause {
    type Err = String;

    fn from_str(text: &str) -> Result<Cause, String> {
        let text = text.trim();
        let bad = || {
            format!(
                "\"{}\" is not a cause; failed, exit_code:75, exit_code:1-5, signal, signal:9, \
                 timeout, node_fail or out_of_memory",
                text.chars().take(40).collect::<String>()
            )
        };
        match text.split_once(':') {
            None => match text {
                "failed" => Ok(Cause::Failed),
                "signal" => Ok(Cause::Signal(None)),
                "timeout" => Ok(Cause::Timeout),
                "node_fail" => Ok(Cause::NodeFail),
                "out_of_memory" => Ok(Cause::OutOfMemory),
                _ => Err(bad()),
            },
            Some(("exit_code", codes)) => {
                let (least, most) = codes.split_once('-').unwrap_or((codes, codes));
                let code = |text: &str| text.parse::<u8>().map_err(|_| bad());
                match (code(least)?, code(most)?) {
                    (0, _) => Err(format!("\"{text}\" holds 0, which is success; from 1 to 255")),
                    (least, most) if least > most => Err(bad()),
                    (least, most) => Ok(Cause::ExitCode(least, most)),
                }
            }
            Some(("signal", number)) => match number.parse::<u8>() {
                Ok(number) if (1..=64).contains(&number) => Ok(Cause::Signal(Some(number))),
                _ => Err(bad()),
            },
            Some(_) => Err(bad()),
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cause::Failed => f.write_str("failed"),
            Cause::ExitCode(least, most) if least == most => write!(f, "exit_code:{least}"),
            Cause::ExitCode(least, most) => write!(f, "exit_code:{least}-{most}"),
            Cause::Signal(None) => f.write_str("signal"),
            Cause::Signal(Some(number)) => write!(f, "signal:{number}"),
            Cause::Timeout => f.write_str("timeout"),
            Cause::NodeFail => f.write_str("node_fail"),
            Cause::OutOfMemory => f.write_str("out_of_memory"),
        }
    }
}

impl TryFrom<String> for Cause {
    type Error = String;
    fn try_from(text: String) -> Result<Cause, String> {
        text.parse()
    }
}

impl From<Cause> for String {
    fn from(cause: Cause) -> String {
        cause.to_string()
    }
}

/// Causes as a person lists them on a command line.
///
/// # Errors
/// A sentence that names the one that is none.
pub fn parse_causes(text: &str) -> Result<Vec<String>, String> {
    let each = text.split(',').map(|one| one.parse::<Cause>().map(|cause| cause.to_string()));
    each.collect()
}

/// When a job is run again by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetryPolicy {
    /// How often at most; a job is run once more often than that.
    pub max: u32,
    /// After which ends.
    pub on: Vec<Cause>,
    /// The wait before the first retry, seconds; it doubles with each.
    pub delay_s: u32,
    /// The longest wait, seconds.
    pub max_delay_s: u32,
}

impl RetryPolicy {
    /// What is meant when only a number is given: after an error of the job's own, or of the
    /// machine; not after a time limit or for want of memory, where the same would come again.
    #[must_use]
    pub fn usual(max: u32) -> RetryPolicy {
        let on = vec![Cause::Failed, Cause::NodeFail];
        RetryPolicy { max, on, delay_s: RETRY_DELAY_S, max_delay_s: RETRY_MAX_DELAY_S }
    }

    /// What `#SBATCH --requeue` means.
    #[must_use]
    pub fn after_node_failures() -> RetryPolicy {
        RetryPolicy { on: vec![Cause::NodeFail], ..RetryPolicy::usual(REQUEUE_RETRIES) }
    }

    /// The wait after so many retries, seconds.
    #[must_use]
    pub fn delay_s(&self, used: u32) -> u32 {
        let doubled = 2_u32.saturating_pow(used).saturating_mul(self.delay_s);
        doubled.min(self.max_delay_s)
    }

    /// What makes no sense about it: the name of its part, and a sentence.
    #[must_use]
    pub fn faults(&self) -> Vec<(&'static str, String)> {
        let mut faults = Vec::new();
        if !(1..=RETRIES_MAX).contains(&self.max) {
            faults.push(("max", format!("is {}; from 1 to {RETRIES_MAX}", self.max)));
        }
        if self.on.is_empty() {
            faults.push(("on", "is empty; name an end, or leave it out".to_owned()));
        }
        if self.on.len() > CAUSES_MAX {
            faults.push(("on", format!("{} causes; at most {CAUSES_MAX}", self.on.len())));
        }
        for (part, seconds) in [("delay", self.delay_s), ("max_delay", self.max_delay_s)] {
            if seconds > RETRY_DELAY_S_MAX {
                faults.push((part, format!("is {seconds} s; at most {RETRY_DELAY_S_MAX} s")));
            }
        }
        if self.max_delay_s < self.delay_s {
            let (most, first) = (self.max_delay_s, self.delay_s);
            faults.push(("max_delay", format!("is {most} s, less than the delay of {first} s")));
        }
        faults
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::job::outcome::ExitCode;
    use crate::time::Time;

    fn end(word: StateWord, code: Option<(u8, u8)>) -> EndState {
        let exit_code = code.map(|(code, signal)| ExitCode { code, signal });
        EndState { exit_code, ..EndState::without_script(word, None, Time(0)) }
    }

    #[test]
    fn what_is_written_reads_back_as_the_same_cause() {
        for text in "failed exit_code:75 exit_code:1-5 signal signal:9 timeout node_fail \
                     out_of_memory"
            .split_whitespace()
        {
            assert_eq!(text.parse::<Cause>().unwrap().to_string(), text);
        }
        for bad in ["", "exit_code", "exit_code:", "exit_code:256", "exit_code:5-1", "signal:65"] {
            assert!(bad.parse::<Cause>().unwrap_err().contains("is not a cause"), "{bad}");
        }
        let zero = "exit_code:0-5".parse::<Cause>().unwrap_err();
        assert!(zero.contains("which is success"), "{zero}");
    }

    /// Cause × end.
    #[test]
    fn every_cause_meets_every_end() {
        let ends = [
            end(StateWord::Failed, Some((75, 0))),
            end(StateWord::Failed, Some((3, 0))),
            end(StateWord::Failed, Some((0, 9))),
            end(StateWord::Failed, None),
            end(StateWord::Timeout, Some((0, 15))),
            end(StateWord::NodeFail, None),
            end(StateWord::OutOfMemory, Some((0, 9))),
            end(StateWord::Cancelled, Some((75, 0))),
            end(StateWord::Completed, Some((0, 0))),
        ];
        for (cause, covered) in [
            ("failed", "xxxx....."),
            ("exit_code:75", "x........"),
            ("exit_code:1-5", ".x......."),
            ("signal", "..x......"),
            ("signal:15", "........."),
            ("timeout", "....x...."),
            ("node_fail", ".....x..."),
            ("out_of_memory", "......x.."),
        ] {
            let read: Cause = cause.parse().unwrap();
            let mark = |end| if read.covers(end) { 'x' } else { '.' };
            assert_eq!(ends.iter().map(mark).collect::<String>(), covered, "{cause}");
        }
    }

    proptest! {
        #[test]
        fn the_wait_doubles_up_to_its_bound(
            delay_s in 0..=RETRY_DELAY_S_MAX,
            max_delay_s in 0..=RETRY_DELAY_S_MAX,
            used in 0..RETRIES_MAX,
        ) {
            let policy = RetryPolicy { delay_s, max_delay_s, ..RetryPolicy::usual(1) };
            let (wait, next) = (policy.delay_s(used), policy.delay_s(used + 1));
            prop_assert!(wait <= next && next <= max_delay_s);
            prop_assert!(next == wait * 2 || next == max_delay_s);
        }

        #[test]
        fn a_policy_is_stored_and_read_back(max in 1..=RETRIES_MAX, least in 1..200u8) {
            let on = vec![Cause::ExitCode(least, 255), Cause::Signal(Some(9)), Cause::Timeout];
            let policy = RetryPolicy { on, ..RetryPolicy::usual(max) };
            prop_assert_eq!(policy.faults(), vec![]);
            let text = serde_json::to_string(&policy).unwrap();
            prop_assert_eq!(serde_json::from_str::<RetryPolicy>(&text).unwrap(), policy);
        }
    }
}
