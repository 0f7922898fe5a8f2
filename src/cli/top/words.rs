//! *Purpose*: texts of a screen.
//!
//! *Owns*: how text is fitted into columns, how times, numbers and sizes are written.
//!
//! *Promises*: what others wrote is seen and never obeyed.
//!
//! *Not here*: where they stand (`top::draw`, `top::lists`).

use crate::clock::{LocalTime, parse_rfc3339};
use crate::text::quote::escaped;
use crate::text::size;
use crate::time::Time;

/// So much text in just so many columns.
pub(super) fn fit(text: &str, columns: usize, cut: &str) -> String {
    let text = escaped(text, |_| false);
    let wide = |c: char| unicode_width::UnicodeWidthChar::width(c).unwrap_or(0);
    let full: usize = text.chars().map(wide).sum();
    let mut out = String::new();
    let (mut used, most) = (0, if full > columns { columns.saturating_sub(1) } else { columns });
    for c in text.chars() {
        if used + wide(c) > most {
            break;
        }
        used += wide(c);
        out.push(c);
    }
    if full > columns && columns > 0 {
        out.push_str(cut);
        used += 1;
    }
    out.push_str(&" ".repeat(columns.saturating_sub(used)));
    out
}

/// `12,345`.
pub(super) fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `16:51` of today, `Fri 11:20` beyond.
pub(super) fn clock(now: Time, rfc3339: &str) -> String {
    let Some(time) = parse_rfc3339(rfc3339) else { return rfc3339.to_owned() };
    let (at, today) = (LocalTime::of(time), LocalTime::of(now));
    let (hour, minute) = (at.hour, at.minute);
    if (at.year, at.month, at.day) == (today.year, today.month, today.day) {
        return format!("{hour:02}:{minute:02}");
    }
    format!("{} {hour:02}:{minute:02}", weekday(at))
}

/// Zeller's congruence.
fn weekday(at: LocalTime) -> &'static str {
    const NAMES: [&str; 7] = ["Sat", "Sun", "Mon", "Tue", "Wed", "Thu", "Fri"];
    let (year, month) = match at.month {
        1 | 2 => (i64::from(at.year) - 1, i64::from(at.month) + 12),
        month => (i64::from(at.year), i64::from(month)),
    };
    let day = i64::from(at.day) + 13 * (month + 1) / 5 + year + year / 4 - year / 100 + year / 400;
    NAMES[day.rem_euclid(7) as usize]
}

/// How long something has run: `1-03:12:40`, `9:41:12`, `3:21`.
pub(super) fn elapsed(seconds: i64) -> String {
    let s = seconds.max(0);
    let (days, hours, minutes, seconds) = (s / 86_400, s / 3_600 % 24, s / 60 % 60, s % 60);
    match (days, hours) {
        (0, 0) => format!("{minutes}:{seconds:02}"),
        (0, _) => format!("{hours}:{minutes:02}:{seconds:02}"),
        _ => format!("{days}-{hours:02}:{minutes:02}:{seconds:02}"),
    }
}

/// A length of time in two units at the most, without what is zero: `2 d`, `2 h 18 m`, `45 s`.
pub(super) fn span(seconds: i64) -> String {
    let s = seconds.max(0);
    let units = [(s / 86_400, "d"), (s / 3_600 % 24, "h"), (s / 60 % 60, "m"), (s % 60, "s")];
    let first = units.iter().position(|(n, _)| *n > 0).unwrap_or(units.len() - 1);
    let some = units.iter().skip(first).take(2).enumerate();
    let told = some.filter(|(at, (n, _))| *at == 0 || *n > 0);
    told.map(|(_, (n, unit))| format!("{n} {unit}")).collect::<Vec<_>>().join(" ")
}

/// A line without what a terminal would obey and nobody reads: colours, and whatever else is
/// written as they are.
pub(super) fn plain(line: &str) -> String {
    let mut out = String::new();
    let mut rest = line;
    while let Some(at) = rest.find("\u{1b}[") {
        out.push_str(&rest[..at]);
        let behind = &rest[at + 2..];
        let end = behind.find(|c: char| ('@'..='~').contains(&c));
        rest = end.map_or("", |end| &behind[end + 1..]);
    }
    out.push_str(rest);
    escaped(&out, |_| false).into_owned()
}

/// The size of memory that a job asks for.
pub(super) fn memory(bytes: Option<i64>) -> String {
    let bytes = bytes.and_then(|bytes| u64::try_from(bytes).ok());
    bytes.map(size::format).unwrap_or_default()
}
