//! *Purpose*: memory as a second resource: what a site has, what became of who took too much.
//!
//! *Owns*: [`SiteMemory`], [`OutOfMemory`].
//!
//! *Promises*: its sentence says whose limit was reached, and how much was used.
//!
//! *Not here*: who holds how much (`kernel::ledger`), how people write amounts (`text::size`), what
//! keeps a job below its limit (`engine::local`).

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::text::size::shown;

/// Memory that a site hands out and assumes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SiteMemory {
    /// Bytes to hand out; `None`: memory is not counted.
    pub total: Option<u64>,
    /// Bytes for each CPU of a job that asks for none; `None`: such a job holds none.
    pub per_cpu: Option<u64>,
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
