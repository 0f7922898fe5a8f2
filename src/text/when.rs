//! *Purpose*: points in time as people write them.
//!
//! *Owns*: [`parse`], [`FORMS`].
//!
//! *Promises*: RFC 3339, or `now+` and a duration; what is not understood is refused with both
//! forms, and what RFC 3339 could not write again is refused.
//!
//! *Not here*: time limits (`text::time_limit`), the clock (`crate::clock`).

use super::duration::parse_s;
use crate::clock;
use crate::time::Time;

/// The last microsecond that RFC 3339 can write: the end of the year 9999.
const LAST: Time = Time(253_402_300_799_999_999);

/// How a time is written, for refusals.
pub const FORMS: &str = "write 2026-11-22T16:00:00Z or now+2h";

/// Reads a time; `now+2h` counts from now.
///
/// # Errors
/// A sentence with the forms that are understood.
pub fn parse(text: &str) -> Result<Time, String> {
    let text = text.trim();
    let ahead = match text.strip_prefix("now") {
        Some("") => Some(0),
        Some(rest) => rest.trim().strip_prefix('+').and_then(|d| parse_s(d).ok()),
        None => None,
    };
    let relative = ahead.map(|seconds| clock::now().plus_s(seconds));
    // Without an offset a time is read as UTC, as all times of the API are.
    let with_offset = format!("{text}Z");
    let shown = || text.chars().take(40).collect::<String>();
    let time = relative
        .or_else(|| clock::parse_rfc3339(text))
        .or_else(|| clock::parse_rfc3339(&with_offset))
        .ok_or_else(|| format!("\"{}\" is not a time; {FORMS}", shown()))?;
    if !(Time(0)..=LAST).contains(&time) {
        return Err(format!("\"{}\" is not between the years 1970 and 9999", shown()));
    }
    Ok(time)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_rfc_3339_or_counts_from_now() {
        assert_eq!(parse("1970-01-01T00:00:01Z"), Ok(Time(1_000_000)));
        assert_eq!(parse("1970-01-01T01:00:01+01:00"), Ok(Time(1_000_000)));
        assert_eq!(parse("1970-01-01T00:00:01"), Ok(Time(1_000_000)));
        let before = clock::now();
        let ahead = parse("now+2h").unwrap();
        assert!(ahead >= before.plus_s(7_200) && ahead <= clock::now().plus_s(7_200));
        assert!(parse("now").unwrap() >= before);
        for bad in ["tomorrow", "", "now+", "now+soon", "now-1h", "16:00", "2026-13-01T00:00:00Z"] {
            assert!(parse(bad).unwrap_err().contains("now+2h"), "{bad}");
        }
        for far in [
            "now+9223372036854775807s",
            "now+106751991167d",
            "9999-12-31T23:59:59-23:59",
            "1969-12-31T23:59:59Z",
            "0000-01-01T00:00:00+23:59",
        ] {
            assert!(parse(far).unwrap_err().contains("between the years 1970 and 9999"), "{far}");
        }
        assert!(parse("9999-12-31T23:59:59.999999Z").is_ok());
    }
}
