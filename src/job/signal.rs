//! *Purpose*: the signals of a job: that which it gets before its time limit, so that it may save
//! what it has, and those that somebody sends it.
//!
//! *Owns*: [`EarlySignal`], as `sbatch --signal` writes it; [`Signal`] and whom of a job it is for.
//!
//! *Promises*: a signal is one that Linux has a name for; what is written reads back the same.
//!
//! *Not here*: sending it (`engine::local::attempt_watch`), the limit itself (`job::spec`).
//!
//! Source of the notation: sbatch(1), `--signal`; of the recipients: scancel(1), `--batch` and
//! `--full`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::job::ids::EventId;

/// How long before the limit when nobody says, seconds, as in Slurm.
pub const EARLY_S: u32 = 60;
/// Longest time before the limit, seconds, as in Slurm.
pub const EARLY_S_MAX: u32 = 65_535;

/// Linux's signals by number, from 1, without the `SIG`.
const NAMES: [&str; 31] = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2",
    "PIPE", "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG",
    "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
];

/// A signal some time before the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EarlySignal {
    /// Its number.
    pub signal: i32,
    /// How long before the limit, seconds.
    pub before_s: u32,
    /// Whether the script's own process gets it, and nobody else; otherwise all others get it.
    pub to_script: bool,
}

/// Who of a job is sent a signal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Recipients {
    /// The script's own process, and nobody else.
    Script,
    /// All but the script's own process: a shell without a trap would die of it, and with it the
    /// job.
    #[default]
    Others,
    /// All processes of the job.
    All,
}

impl Recipients {
    /// Its word in JSON and in the database.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Recipients::Script => "script",
            Recipients::Others => "others",
            Recipients::All => "all",
        }
    }
}

impl FromStr for Recipients {
    type Err = String;

    fn from_str(text: &str) -> Result<Recipients, String> {
        let all = [Recipients::Script, Recipients::Others, Recipients::All];
        let found = all.into_iter().find(|one| one.word() == text);
        found.ok_or_else(|| "a signal is for the script, for others or for all".to_owned())
    }
}

/// A signal that somebody sends to a running job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signal {
    /// Its number.
    pub number: u8,
    /// For whom.
    pub to: Recipients,
}

/// The same, as it was decided upon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NumberedSignal {
    /// The event of that. Later signals have higher numbers, so whoever has done one knows which
    /// are new.
    pub no: EventId,
    /// What is sent.
    pub signal: Signal,
}

/// The name of a signal, without the `SIG`; `None` where there is no such.
#[must_use]
pub fn name_of(number: impl Into<i64>) -> Option<&'static str> {
    let index = usize::try_from(number.into()).ok()?.checked_sub(1)?;
    NAMES.get(index).copied()
}

/// The number of a signal: `USR1`, `SIGUSR1`, `usr1` or `10`.
///
/// # Errors
/// A sentence that names it.
pub fn number_of(text: &str) -> Result<u8, String> {
    let found = number(text.trim());
    found.ok_or_else(|| {
        let name: String = text.chars().take(40).collect();
        format!("\"{name}\" is not a signal; a name such as USR1 or a number from 1 to 31")
    })
}

fn number(text: &str) -> Option<u8> {
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let numbers = || (1..).zip(NAMES);
    let by_name = numbers().find(|(_, known)| *known == name).map(|(number, _)| number);
    by_name.or_else(|| text.parse().ok().filter(|n| numbers().any(|(number, _)| number == *n)))
}

impl FromStr for EarlySignal {
    type Err = String;

    fn from_str(text: &str) -> Result<EarlySignal, String> {
        let text = text.trim();
        let shown: String = text.chars().take(40).collect();
        let (to, rest) = text.split_once(':').unwrap_or(("", text));
        let to_script = match to {
            "" if rest == text => false,
            "B" => true,
            other if other.contains('R') => {
                let message = "R: is about reservations, which this server has none of; write \
                               B:USR1@60 or USR1@60";
                return Err(message.to_owned());
            }
            _ => return Err(format!("\"{shown}\" is not a signal; write B:USR1@60 or USR1@60")),
        };
        let (name, seconds) = match rest.split_once('@') {
            Some((name, seconds)) => (name, Some(seconds)),
            None => (rest, None),
        };
        let signal = number_of(name)?.into();
        let before_s = match seconds.map(str::parse) {
            None => EARLY_S,
            Some(Ok(seconds)) if seconds <= EARLY_S_MAX => seconds,
            Some(_) => {
                return Err(format!("\"{shown}\": after @ come seconds, from 0 to {EARLY_S_MAX}"));
            }
        };
        Ok(EarlySignal { signal, before_s, to_script })
    }
}

impl fmt::Display for EarlySignal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = usize::try_from(self.signal).unwrap_or(0).wrapping_sub(1);
        let to = if self.to_script { "B:" } else { "" };
        match NAMES.get(at) {
            Some(name) => write!(f, "{to}{name}@{}", self.before_s),
            None => write!(f, "{to}{}@{}", self.signal, self.before_s),
        }
    }
}

impl TryFrom<String> for EarlySignal {
    type Error = String;
    fn try_from(text: String) -> Result<EarlySignal, String> {
        text.parse()
    }
}

impl From<EarlySignal> for String {
    fn from(signal: EarlySignal) -> String {
        signal.to_string()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn read(text: &str) -> EarlySignal {
        text.parse().unwrap()
    }

    #[test]
    fn a_signal_is_written_as_in_slurm() {
        let usr1 = EarlySignal { signal: 10, before_s: 60, to_script: false };
        for text in ["USR1", "SIGUSR1", "usr1@60", "10", "10@60"] {
            assert_eq!(read(text), usr1, "{text}");
        }
        assert_eq!(read("B:TERM@5").to_string(), "B:TERM@5");
        assert_eq!(read("USR2@65535").to_string(), "USR2@65535");
        for signal in 1..=31 {
            let one = EarlySignal { signal, ..usr1 };
            assert_eq!(read(&one.to_string()), one);
        }
    }

    #[test]
    fn what_is_no_signal_is_refused_with_its_part() {
        let refused = |text: &str| text.parse::<EarlySignal>().unwrap_err();
        assert!(refused("USR3").contains("\"USR3\" is not a signal"));
        assert!(refused("0").contains("from 1 to 31"));
        assert!(refused("").contains("is not a signal"));
        assert!(refused("USR1@65536").contains("from 0 to 65535"));
        assert!(refused("USR1@-1").contains("from 0 to 65535"));
        assert!(refused("R:USR1").contains("R: is about reservations"));
        assert!(refused("BR:USR1").contains("R: is about reservations"));
        assert!(refused("X:USR1").contains("write B:USR1@60"));
    }
}
