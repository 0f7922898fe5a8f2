//! *Purpose*: Slurm's ways of writing a time limit, both ways.
//!
//! *Owns*: [`LimitAsked`], [`parse`], [`parse_unambiguous`], [`of_minutes`], [`format_limit`].
//!
//! *Promises*: seconds are kept, not rounded to minutes; `0`, fractions and negative numbers
//! are refused with a sentence; what [`format_limit`] writes is read back to the same seconds.
//!
//! *Not here*: durations that are no limits (`text::duration`), the site's default and maximum
//! (`kernel::admission`).

use super::duration::{compact_s, format_dhms, whole};
use super::quote::shorten;

/// Which time limit a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitAsked {
    /// The site's default.
    Default,
    /// None at all, said explicitly.
    Unlimited,
    /// So many seconds.
    Seconds(i64),
}

/// What is understood, for refusals.
pub const FORMS: &str = "write minutes (90), \"M:S\", \"H:M:S\", \"D-H\", \"D-H:M\", \"D-H:M:S\", \
                     \"90s\", \"10m\", \"2h\", \"3d\" or \"UNLIMITED\"";

/// Reads a time limit as Slurm writes it; seconds are kept.
///
/// # Errors
/// A sentence for the person who wrote it.
pub fn parse(text: &str) -> Result<LimitAsked, String> {
    read(text, |minutes, seconds| Ok(dhms(0, 0, minutes, seconds)))
}

/// Reads the same from those for whom `X:Y` once meant hours and minutes: it is refused.
///
/// # Errors
/// A sentence for the person who wrote it; of `X:Y` with both readings.
pub fn parse_unambiguous(text: &str) -> Result<LimitAsked, String> {
    read(text, |x, y| {
        Err(format!(
            "\"{x}:{y}\" has two readings, {x} hours {y} minutes and {x} minutes {y} seconds; \
             write \"{x}:{y}:00\" or \"0:{x}:{y}\""
        ))
    })
}

/// A limit of so many minutes, which is what a bare number means.
///
/// # Errors
/// A sentence for the person who wrote it.
pub fn of_minutes(minutes: i64) -> Result<LimitAsked, String> {
    if minutes < 0 {
        return Err(format!("{minutes} minutes is negative; {FORMS}"));
    }
    positive(minutes.checked_mul(60).ok_or_else(|| format!("{minutes} minutes is too long"))?)
}

fn read(
    text: &str,
    two_parts: impl Fn(i64, i64) -> Result<Option<i64>, String>,
) -> Result<LimitAsked, String> {
    let text = text.trim();
    if text.eq_ignore_ascii_case("UNLIMITED") || text.eq_ignore_ascii_case("INFINITE") {
        return Ok(LimitAsked::Unlimited);
    }
    let bad = || format!("\"{}\" is not a time limit; {FORMS}", shorten(text));
    if text.starts_with('-') {
        return Err(format!("\"{}\" is negative; {FORMS}", shorten(text)));
    }
    if let Ok(minutes) = text.parse::<i64>() {
        return of_minutes(minutes);
    }
    if text.ends_with(|c: char| c.is_ascii_lowercase()) {
        return positive(compact_s(text).ok_or_else(bad)?);
    }
    let (days, clock) = match text.split_once('-') {
        Some((days, clock)) => (Some(whole(days).ok_or_else(bad)?), clock),
        None => (None, text),
    };
    let parts: Option<Vec<i64>> = clock.split(':').map(whole).collect();
    let parts = parts.ok_or_else(bad)?;
    let seconds = match (days, parts.as_slice()) {
        (None, [x, y]) => two_parts(*x, *y)?,
        (None, [h, m, s]) => dhms(0, *h, *m, *s),
        (Some(d), [h]) => dhms(d, *h, 0, 0),
        (Some(d), [h, m]) => dhms(d, *h, *m, 0),
        (Some(d), [h, m, s]) => dhms(d, *h, *m, *s),
        _ => return Err(bad()),
    };
    positive(seconds.ok_or_else(|| format!("\"{}\" is too long a time", shorten(text)))?)
}

/// A limit as `D-HH:MM:SS`, or `UNLIMITED`.
#[must_use]
pub fn format_limit(limit_s: Option<i64>) -> String {
    limit_s.map_or_else(|| "UNLIMITED".to_owned(), format_dhms)
}

fn positive(seconds: i64) -> Result<LimitAsked, String> {
    if seconds == 0 {
        return Err("is zero; say \"UNLIMITED\" for no limit, or leave it out".to_owned());
    }
    Ok(LimitAsked::Seconds(seconds))
}

fn dhms(d: i64, h: i64, m: i64, s: i64) -> Option<i64> {
    let hours = d.checked_mul(24)?.checked_add(h)?;
    let minutes = hours.checked_mul(60)?.checked_add(m)?;
    minutes.checked_mul(60)?.checked_add(s)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_form_means_what_slurm_means() {
        let table = [
            ("90", 5400),
            ("1", 60),
            ("1:30", 90),
            ("90:00", 5400),
            ("0:01", 1),
            ("1:02:03", 3723),
            ("00:00:30", 30),
            ("100:00:00", 360_000),
            ("1-2", 93_600),
            ("1-02:03", 93_780),
            ("1-02:03:04", 93_784),
            ("0-0:0:5", 5),
            ("90s", 90),
            ("10m", 600),
            ("2h", 7200),
            ("3d", 259_200),
            ("1h30m", 5400),
            (" 5 ", 300),
        ];
        for (text, seconds) in table {
            assert_eq!(parse(text), Ok(LimitAsked::Seconds(seconds)), "{text}");
        }
        assert_eq!(parse("unlimited"), Ok(LimitAsked::Unlimited));
        assert_eq!(of_minutes(10), Ok(LimitAsked::Seconds(600)));
    }

    #[test]
    fn zero_fractions_and_negatives_are_refused() {
        for text in [
            "0",
            "0:00",
            "0-0",
            "0s",
            "-1",
            "-5:00",
            "1.5",
            "1.5h",
            "",
            "abc",
            "1:",
            ":1",
            "1:2:3:4",
            "1-",
            "-",
            "1-2-3",
            "1 h",
            "2x",
            "m",
            "1e3",
            "+5:00",
            "99999999999999999999",
            "999999999999999-1",
            "1-2:3:4:5",
            "9223372036854775807",
            "UNLIMITED!",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
        for minutes in [0, -1, i64::MAX] {
            assert!(of_minutes(minutes).is_err(), "{minutes}");
        }
    }

    #[test]
    fn where_x_colon_y_is_ambiguous_it_is_refused_with_both_readings() {
        let message = parse_unambiguous("10:30").unwrap_err();
        assert!(message.contains("10 hours 30 minutes"), "{message}");
        assert!(message.contains("10 minutes 30 seconds"), "{message}");
        assert_eq!(parse_unambiguous("1:02:03"), Ok(LimitAsked::Seconds(3723)));
        assert_eq!(parse_unambiguous("1-2:03"), Ok(LimitAsked::Seconds(93_780)));
    }

    proptest! {
        #[test]
        fn any_text_is_answered(text in ".{0,40}") {
            let _ = parse(&text);
            let _ = parse_unambiguous(&text);
        }

        #[test]
        fn what_is_written_is_read_back(seconds in 1..=10 * 366 * 86_400i64) {
            let text = format_limit(Some(seconds));
            prop_assert_eq!(parse_unambiguous(&text), Ok(LimitAsked::Seconds(seconds)));
        }
    }
}
