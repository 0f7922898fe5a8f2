//! *Purpose*: the only clock.
//!
//! *Owns*: the wall clock, the monotonic clock's waits are `actix_rt::time`; RFC 3339 text.
//!
//! *Promises*: no other file asks what time it is (the tidy test looks).
//!
//! *Not here*: time as a value (`time`).

use chrono::{DateTime, SecondsFormat, Utc};

use crate::fault;
use crate::time::Time;

/// The wall clock now.
#[must_use]
pub fn now() -> Time {
    Time(Utc::now().timestamp_micros() + fault::clock_skew_us())
}

/// A point on the monotonic clock, for measuring how long something took or how long is left;
/// unmoved by a wall clock that is set.
#[must_use]
pub fn monotonic() -> std::time::Instant {
    std::time::Instant::now()
}

/// RFC 3339 in UTC with microseconds: `2026-11-22T03:42:17.123456Z`.
#[must_use]
pub fn rfc3339(time: Time) -> String {
    DateTime::from_timestamp_micros(time.0)
        .unwrap_or_default()
        .to_rfc3339_opts(SecondsFormat::Micros, true)
}

/// Reads RFC 3339 text; any offset is understood.
#[must_use]
pub fn parse_rfc3339(text: &str) -> Option<Time> {
    DateTime::parse_from_rfc3339(text).ok().map(|t| Time(t.timestamp_micros()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn times_survive_text_to_the_microsecond() {
        let time = Time(1_795_318_937_123_456);
        assert_eq!(rfc3339(time), "2026-11-22T03:42:17.123456Z");
        assert_eq!(parse_rfc3339(&rfc3339(time)), Some(time));
        assert_eq!(parse_rfc3339("2026-11-22T04:42:17.123456+01:00"), Some(time));
        assert_eq!(parse_rfc3339("yesterday"), None);
    }
}
