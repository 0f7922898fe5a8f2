//! *Purpose*: memory as a second resource: what a site has, what became of who took too much.
//!
//! *Owns*: [`SiteMemory`], [`OutOfMemory`], how an amount is shown to people.
//!
//! *Promises*: an amount is shown in binary units, exactly where it is a whole number of them.
//!
//! *Not here*: who holds how much (`kernel::ledger`), how people write amounts (`api::wire`), what
//! keeps a job below its limit (`engine::local`).

use std::fmt;

use serde::{Deserialize, Serialize};

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

/// An amount for people: `512 MiB`, `23.54 GiB`.
#[must_use]
pub fn shown(bytes: u64) -> String {
    const UNITS: [(u32, &str); 4] = [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")];
    match UNITS.into_iter().find(|(bits, _)| bytes >> bits > 0) {
        None if bytes == 1 => "1 byte".to_owned(),
        None => format!("{bytes} bytes"),
        Some((bits, unit)) if bytes.is_multiple_of(1 << bits) => {
            format!("{} {unit}", bytes >> bits)
        }
        Some((bits, unit)) => format!("{:.2} {unit}", bytes as f64 / (1_u64 << bits) as f64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_is_exact_where_it_is_whole() {
        let cases = [
            (0, "0 bytes"),
            (1, "1 byte"),
            (1023, "1023 bytes"),
            (1 << 20, "1 MiB"),
            (1 << 40, "1 TiB"),
            ((1 << 30) + (1 << 29), "1.50 GiB"),
            (25_276_506_112, "23.54 GiB"),
        ];
        for (bytes, text) in cases {
            assert_eq!(shown(bytes), text);
        }
    }

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
