//! *Purpose*: lengths of time as people write them.
//!
//! *Owns*: [`parse`], [`parse_s`], [`seconds`], [`format_dhms`], [`short`].
//!
//! *Promises*: one grammar, numbers with units, which `humantime` reads; who takes a part of it
//! only, or numbers alone as well, says so here.
//!
//! *Not here*: time limits, where a number alone means minutes (`text::time_limit`).

use std::time::Duration;

use super::quote::shorten;

/// Reads `500ms`, `5s`, `1h 30m`, `2weeks` and so on; a number alone has no unit and is none.
#[must_use]
pub fn parse(text: &str) -> Option<Duration> {
    humantime::parse_duration(text).ok()
}

/// Reads whole seconds, or `90s`, `10m`, `2h`, `1h30m`.
///
/// # Errors
/// A sentence for the person who wrote it.
pub fn parse_s(text: &str) -> Result<i64, String> {
    let text = text.trim();
    seconds(text).ok_or_else(|| {
        format!("\"{}\" is not a duration; write \"30s\", \"5m\" or \"1h\"", shorten(text))
    })
}

/// Reads the same, of which nothing is said when it is none; blanks around it are not taken.
#[must_use]
pub fn seconds(text: &str) -> Option<i64> {
    whole(text).or_else(|| compact_s(text))
}

/// Seconds as `D-HH:MM:SS`; negative ones count as zero.
#[must_use]
pub fn format_dhms(seconds: i64) -> String {
    let s = seconds.max(0);
    format!("{}-{:02}:{:02}:{:02}", s / 86_400, s / 3600 % 24, s / 60 % 60, s % 60)
}

/// Seconds in two units at the most: `45s`, `3m07s`, `1h02m`, `2d03h`; negative ones count as zero.
#[must_use]
pub fn short(seconds: i64) -> String {
    let s = seconds.max(0);
    match s {
        ..60 => format!("{s}s"),
        60..3_600 => format!("{}m{:02}s", s / 60, s % 60),
        3_600..86_400 => format!("{}h{:02}m", s / 3_600, s / 60 % 60),
        _ => format!("{}d{:02}h", s / 86_400, s / 3_600 % 24),
    }
}

/// Seconds of `90s`, `10m`, `2h`, `3d`, `1h30m`: small units, no blanks, no fractions.
pub(super) fn compact_s(text: &str) -> Option<i64> {
    let known = |b: u8| b.is_ascii_digit() || matches!(b, b's' | b'm' | b'h' | b'd');
    // `ms` is a unit too, and not one of these.
    let is_long = text.as_bytes().windows(2).any(|pair| pair.iter().all(u8::is_ascii_lowercase));
    if !text.bytes().all(known) || is_long || whole(text).is_some() {
        return None;
    }
    i64::try_from(parse(text)?.as_secs()).ok()
}

/// Digits only: no sign, no fraction, no blanks.
pub(super) fn whole(text: &str) -> Option<i64> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_may_stand_alone_or_with_small_units() {
        for (text, read) in [
            ("0", Some(0)),
            ("90", Some(90)),
            ("007", Some(7)),
            ("0s", Some(0)),
            ("90s", Some(90)),
            ("10m", Some(600)),
            ("2h", Some(7_200)),
            ("3d", Some(259_200)),
            ("1h30m", Some(5_400)),
            ("30m1h", Some(5_400)),
            ("1h1h", Some(7_200)),
            ("9223372036854775807s", Some(i64::MAX)),
            ("106751991167d", Some(9_223_372_036_828_800)),
            ("9223372036854775808s", None),
            ("99999999999999999999d", None),
            ("213503982334602d", None),
            ("9223372036854775807s1s", None),
            ("", None),
            ("s", None),
            ("h5", None),
            ("5s3", None),
            ("1 h", None),
            ("1h 30m", None),
            ("1.5h", None),
            ("-1s", None),
            ("+1s", None),
            ("500ms", None),
            ("1hm", None),
            ("1w", None),
            ("1H", None),
            ("2hd", None),
            ("1day", None),
        ] {
            assert_eq!(seconds(text), read, "{text}");
        }
        assert_eq!(parse_s(" 5m "), Ok(300));
        assert!(parse_s("soon").is_err_and(|said| said.starts_with("\"soon\" is not a duration")));
    }

    #[test]
    fn with_units_much_is_understood_and_a_number_alone_is_not() {
        for (text, ms) in
            [("500ms", 500), ("5s", 5_000), ("1h 30m", 5_400_000), ("1w", 604_800_000)]
        {
            assert_eq!(parse(text), Some(Duration::from_millis(ms)), "{text}");
        }
        for text in ["", "30", "soon", "-1s"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn the_two_largest_units_are_enough_for_a_table() {
        for (seconds, text) in [
            (-5, "0s"),
            (59, "59s"),
            (60, "1m00s"),
            (187, "3m07s"),
            (3_599, "59m59s"),
            (3_720, "1h02m"),
            (86_399, "23h59m"),
            (183_600, "2d03h"),
        ] {
            assert_eq!(short(seconds), text);
        }
    }

    #[test]
    fn seconds_are_written_as_days_and_a_clock() {
        assert_eq!(format_dhms(93_784), "1-02:03:04");
        assert_eq!(format_dhms(-5), "0-00:00:00");
    }
}
