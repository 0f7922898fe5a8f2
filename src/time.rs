//! *Purpose*: time as a value.
//!
//! *Owns*: [`Time`], microseconds since 1970 UTC, and arithmetic that never overflows.
//!
//! *Promises*: nothing here reads a clock.
//!
//! *Not here*: the clock and RFC 3339 text (`crate::clock`).

use serde::{Deserialize, Serialize};

/// Microseconds in a second.
pub const SECOND_US: i64 = 1_000_000;

/// An instant: microseconds since 1970-01-01T00:00:00Z.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Time(pub i64);

impl Time {
    /// This instant moved by whole seconds; saturates at the ends of the range.
    #[must_use]
    pub fn plus_s(self, seconds: i64) -> Time {
        Time(self.0.saturating_add(seconds.saturating_mul(SECOND_US)))
    }

    /// Microseconds from `earlier` to this instant; negative when the clock was set back.
    #[must_use]
    pub fn since_us(self, earlier: Time) -> i64 {
        self.0.saturating_sub(earlier.0)
    }
}
