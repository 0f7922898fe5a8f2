//! *Purpose*: Slurm's ways of writing a time limit, both ways.
//!
//! *Owns*: [`parse`], [`parse_value`], [`parse_duration_s`], [`format_dhms`].
//!
//! *Promises*: seconds are kept, not rounded to minutes; `0`, fractions and negative numbers
//! are refused with a sentence; [`format_dhms`] is read back to the same seconds.
//!
//! *Not here*: the site's default and maximum (`kernel::job`).

use serde_json::Value;

use super::submit::Door;
use crate::kernel::job::LimitAsked;
use crate::text::quote::shorten;

const FORMS: &str = "write minutes (90), \"M:S\", \"H:M:S\", \"D-H\", \"D-H:M\", \"D-H:M:S\", \
                     \"90s\", \"10m\", \"2h\", \"3d\" or \"UNLIMITED\"";

/// Reads a JSON number of minutes, or text in any of the forms.
///
/// # Errors
/// A sentence for the person who wrote it.
pub fn parse_value(value: &Value, door: Door) -> Result<LimitAsked, String> {
    match value {
        Value::String(text) => parse(text, door),
        Value::Number(number) => match number.as_i64() {
            Some(minutes) => minutes_limit(minutes),
            None => Err(format!("{number} is not a whole number of minutes; {FORMS}")),
        },
        other => Err(format!("is {}; {FORMS}", super::fields::kind(other))),
    }
}

/// Reads a time limit as Slurm writes it; seconds are kept.
///
/// # Errors
/// A sentence for the person who wrote it.
pub fn parse(text: &str, door: Door) -> Result<LimitAsked, String> {
    let text = text.trim();
    if text.eq_ignore_ascii_case("UNLIMITED") || text.eq_ignore_ascii_case("INFINITE") {
        return Ok(LimitAsked::Unlimited);
    }
    let bad = || format!("\"{}\" is not a time limit; {FORMS}", shorten(text));
    if text.starts_with('-') {
        return Err(format!("\"{}\" is negative; {FORMS}", shorten(text)));
    }
    if let Ok(minutes) = text.parse::<i64>() {
        return minutes_limit(minutes);
    }
    if text.ends_with(|c: char| c.is_ascii_lowercase()) {
        return positive(suffixed_s(text).ok_or_else(bad)?);
    }
    let (days, clock) = match text.split_once('-') {
        Some((days, clock)) => (Some(whole(days).ok_or_else(bad)?), clock),
        None => (None, text),
    };
    let parts: Option<Vec<i64>> = clock.split(':').map(whole).collect();
    let parts = parts.ok_or_else(bad)?;
    let seconds = match (days, parts.as_slice()) {
        (None, [x, y]) if door == Door::Seed => {
            return Err(format!(
                "\"{x}:{y}\" has two readings, {x} hours {y} minutes and {x} minutes {y} seconds; \
                 write \"{x}:{y}:00\" or \"0:{x}:{y}\""
            ));
        }
        (None, [m, s]) => dhms(0, 0, *m, *s),
        (None, [h, m, s]) => dhms(0, *h, *m, *s),
        (Some(d), [h]) => dhms(d, *h, 0, 0),
        (Some(d), [h, m]) => dhms(d, *h, *m, 0),
        (Some(d), [h, m, s]) => dhms(d, *h, *m, *s),
        _ => return Err(bad()),
    };
    positive(seconds.ok_or_else(|| format!("\"{}\" is too long a time", shorten(text)))?)
}

/// Reads a duration of a setting: whole seconds, or `90s`, `10m`, `2h`, `1h30m`.
///
/// # Errors
/// A sentence for the person who wrote it.
pub fn parse_duration_s(text: &str) -> Result<i64, String> {
    let text = text.trim();
    whole(text).or_else(|| suffixed_s(text)).ok_or_else(|| {
        format!("\"{}\" is not a duration; write \"30s\", \"5m\" or \"1h\"", shorten(text))
    })
}

/// Seconds as `D-HH:MM:SS`; negative ones count as zero.
#[must_use]
pub fn format_dhms(seconds: i64) -> String {
    let s = seconds.max(0);
    format!("{}-{:02}:{:02}:{:02}", s / 86_400, s / 3600 % 24, s / 60 % 60, s % 60)
}

/// A limit as `D-HH:MM:SS`, or `UNLIMITED`.
#[must_use]
pub fn format_limit(limit_s: Option<i64>) -> String {
    limit_s.map_or_else(|| "UNLIMITED".to_owned(), format_dhms)
}

fn minutes_limit(minutes: i64) -> Result<LimitAsked, String> {
    if minutes < 0 {
        return Err(format!("{minutes} minutes is negative; {FORMS}"));
    }
    positive(minutes.checked_mul(60).ok_or_else(|| format!("{minutes} minutes is too long"))?)
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

/// Digits only: no sign, no fraction, no blanks.
fn whole(text: &str) -> Option<i64> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

/// `90s`, `10m`, `2h`, `3d`, `1h30m`.
fn suffixed_s(text: &str) -> Option<i64> {
    let mut seconds: i64 = 0;
    let mut digits = String::new();
    for c in text.chars() {
        if c.is_ascii_digit() {
            digits.push(c);
            continue;
        }
        let unit = match c {
            's' => 1,
            'm' => 60,
            'h' => 3600,
            'd' => 86_400,
            _ => return None,
        };
        seconds = seconds.checked_add(whole(&digits)?.checked_mul(unit)?)?;
        digits.clear();
    }
    (digits.is_empty() && !text.is_empty()).then_some(seconds)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

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
            assert_eq!(parse(text, Door::V1), Ok(LimitAsked::Seconds(seconds)), "{text}");
        }
        assert_eq!(parse("unlimited", Door::V1), Ok(LimitAsked::Unlimited));
        assert_eq!(parse_value(&json!(10), Door::V1), Ok(LimitAsked::Seconds(600)));
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
            assert!(parse(text, Door::V1).is_err(), "{text}");
        }
        for value in [json!(0), json!(-1), json!(1.5), json!(true), json!([1]), json!(u64::MAX)] {
            assert!(parse_value(&value, Door::V1).is_err(), "{value}");
        }
    }

    #[test]
    fn on_the_old_routes_x_colon_y_is_refused_with_both_readings() {
        let message = parse("10:30", Door::Seed).unwrap_err();
        assert!(message.contains("10 hours 30 minutes"), "{message}");
        assert!(message.contains("10 minutes 30 seconds"), "{message}");
        assert_eq!(parse("1:02:03", Door::Seed), Ok(LimitAsked::Seconds(3723)));
        assert_eq!(parse("1-2:03", Door::Seed), Ok(LimitAsked::Seconds(93_780)));
    }

    proptest! {
        #[test]
        fn any_text_is_answered(text in ".{0,40}") {
            let _ = parse(&text, Door::V1);
            let _ = parse(&text, Door::Seed);
            let _ = parse_duration_s(&text);
        }

        #[test]
        fn what_is_written_is_read_back(seconds in 1..=10 * 366 * 86_400i64) {
            let text = format_dhms(seconds);
            prop_assert_eq!(parse(&text, Door::Seed), Ok(LimitAsked::Seconds(seconds)));
        }
    }
}
