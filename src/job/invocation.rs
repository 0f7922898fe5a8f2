//! *Purpose*: how a script is called, beside its environment.
//!
//! *Owns*: [`Invocation`], [`Umask`], [`Ulimits`], and their text forms; [`mail_types`].
//!
//! *Promises*: what nobody said stays unsaid: then the script gets what the server has.
//!
//! *Not here*: the checks (`kernel::admission`), setting any of it (`engine::local`).

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use strum::IntoEnumIterator;

/// The most arguments of a script.
pub const ARGUMENTS_MAX: usize = 10_000;
/// All arguments together, bytes: a quarter of the room that Linux has for arguments and
/// environment, of which half is the environment's.
pub const ARGUMENTS_BYTES_MAX: usize = 512 * 1024;

/// How a script is called.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Invocation {
    /// Whether each character of its text stands for a byte (see [`super::script`]).
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub script_is_bytes: bool,
    /// Its arguments, `$1` and so on.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub arguments: Vec<String>,
    /// Pattern of the file that it reads as its standard input; `/dev/null` when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub standard_input: Option<String>,
    /// Its file mode creation mask.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub umask: Option<Umask>,
    /// Its soft limits, where they are not the server's.
    #[serde(skip_serializing_if = "Ulimits::is_empty")]
    pub limits: Ulimits,
    /// Where the command was given that submitted it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub submit_directory: Option<String>,
    /// On which machine that was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub submit_host: Option<String>,
    /// The file that the script was read from, there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// When its owner wants mail, as `sbatch --mail-type` has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mail_type: Option<String>,
    /// Who gets that mail.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mail_user: Option<String>,
}

/// What mail can be about: sbatch(1), `--mail-type`.
const MAIL_TYPES: [&str; 13] = [
    "NONE",
    "BEGIN",
    "END",
    "FAIL",
    "REQUEUE",
    "ALL",
    "INVALID_DEPEND",
    "STAGE_OUT",
    "TIME_LIMIT",
    "TIME_LIMIT_90",
    "TIME_LIMIT_80",
    "TIME_LIMIT_50",
    "ARRAY_TASKS",
];

/// A list of what mail is wanted about, in capitals.
///
/// # Errors
/// A sentence that names what is none of it.
pub fn mail_types(text: &str) -> Result<String, String> {
    let list = text.to_ascii_uppercase();
    match list.split(',').find(|word| !MAIL_TYPES.contains(word)) {
        None => Ok(list),
        Some(other) => {
            let shown: String = other.chars().take(40).collect();
            Err(format!("\"{shown}\" is none of {}", MAIL_TYPES.join(", ")))
        }
    }
}

/// A file mode creation mask; in text four octal digits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Umask(u32);

impl Umask {
    /// Of these bits, if they are nothing but rights.
    #[must_use]
    pub fn of_bits(bits: u32) -> Option<Umask> {
        (bits <= 0o777).then_some(Umask(bits))
    }

    /// The bits.
    #[must_use]
    pub fn bits(self) -> u32 {
        self.0
    }
}

impl fmt::Display for Umask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04o}", self.0)
    }
}

impl FromStr for Umask {
    type Err = String;

    fn from_str(text: &str) -> Result<Umask, String> {
        let is_octal = !text.is_empty() && text.bytes().all(|b| (b'0'..=b'7').contains(&b));
        let bits = u32::from_str_radix(text, 8).ok().filter(|_| is_octal);
        bits.and_then(Umask::of_bits).ok_or_else(|| {
            let shown: String = text.chars().take(40).collect();
            format!("\"{shown}\" is not a mask; write octal digits, 0022")
        })
    }
}

impl TryFrom<String> for Umask {
    type Error = String;

    fn try_from(text: String) -> Result<Umask, String> {
        text.parse()
    }
}

impl From<Umask> for String {
    fn from(umask: Umask) -> String {
        umask.to_string()
    }
}

/// A resource that the kernel limits for each process, by the name that limits.conf(5) has.
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
    strum::EnumIter,
    strum::EnumString,
    strum::IntoStaticStr,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
#[allow(missing_docs, reason = "setrlimit(2) says what each is")]
pub enum Ulimit {
    As,
    Core,
    Cpu,
    Data,
    Fsize,
    Memlock,
    Nofile,
    Nproc,
    Stack,
}

impl Ulimit {
    /// All that there are.
    pub fn all() -> impl Iterator<Item = Ulimit> {
        Ulimit::iter()
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// Soft limits, in the kernel's units (bytes, seconds, files, processes); `None` is unlimited.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Ulimits(pub BTreeMap<Ulimit, Option<u64>>);

impl Ulimits {
    /// Whether none is said.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_mask_is_octal() {
        assert_eq!("077".parse::<Umask>().unwrap().to_string(), "0077");
        assert_eq!("0".parse::<Umask>().unwrap().bits(), 0);
        for bad in ["", "8", "0x1", "1777", "-1", "+7", " 7", "77777777777777777777"] {
            assert!(bad.parse::<Umask>().unwrap_err().contains("octal"), "{bad}");
        }
    }

    #[test]
    fn what_is_not_said_takes_no_room() {
        assert_eq!(serde_json::to_string(&Invocation::default()).unwrap(), "{}");
        let said = Invocation {
            arguments: vec!["a b".into()],
            umask: Umask::of_bits(0o27),
            limits: Ulimits([(Ulimit::Nofile, Some(9)), (Ulimit::Core, None)].into()),
            ..Invocation::default()
        };
        let text = serde_json::to_string(&said).unwrap();
        let wanted = "{\"arguments\":[\"a b\"],\"umask\":\"0027\",\
                      \"limits\":{\"core\":null,\"nofile\":9}}";
        assert_eq!(text, wanted);
        assert_eq!(serde_json::from_str::<Invocation>(&text).unwrap(), said);
    }
}
