//! *Purpose*: points in time as people write them.
//!
//! *Owns*: [`parse`], [`parse_past`], [`parse_back`], [`Zone`], [`FORMS`].
//!
//! *Promises*: RFC 3339, `now+` and a length of time, and where the reader's clock on the wall
//! counts what `sbatch --begin` takes: `16:00`, `tomorrow`, `2030-05-05T00:01`. A time without an
//! offset is never read as that of another zone. What is not understood is refused with the forms.
//!
//! *Not here*: time limits (`text::time_limit`), the clock (`crate::clock`).
//!
//! Source: sbatch(1), "--begin".

use std::cmp::Ordering;

use super::duration::{compact_s, whole};
use super::quote::shorten;
use crate::clock::{self, LocalTime};
use crate::time::Time;

/// The last microsecond that RFC 3339 can write: the end of the year 9999.
const LAST: Time = Time(253_402_300_799_999_999);

/// How a time is written, for refusals.
pub const FORMS: &str = "write 2026-11-22T16:00:00Z or now+2h";
/// The same where the reader's zone counts.
pub const LOCAL_FORMS: &str = "write 2026-11-22T16:00, 16:00, tomorrow or now+2h";

/// Whose clock a time without an offset is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Zone {
    /// The clock on the wall here: of people at a terminal, and of lines in a script.
    Local,
    /// Nobody's: it has to be said.
    Said,
}

/// Reads a time; `now+2h` counts from now.
///
/// # Errors
/// A sentence with the forms that are understood.
pub fn parse(text: &str, zone: Zone) -> Result<Time, String> {
    let text = text.trim();
    let forms = if zone == Zone::Local { LOCAL_FORMS } else { FORMS };
    let time = match (relative(text), clock::parse_rfc3339(text)) {
        (Some(seconds), _) => Some(clock::now().plus_s(seconds)),
        (None, Some(time)) => Some(time),
        (None, None) => match local(text, clock::now(), Facing::Ahead) {
            Some(Local::Moment(time)) if zone == Zone::Local => Some(time),
            Some(Local::Moment(_)) => {
                let shown = shorten(text);
                return Err(format!(
                    "\"{shown}\" says no zone; write 2026-11-22T16:00:00Z or +01:00"
                ));
            }
            Some(Local::Nowhen) => {
                return Err(format!("there is no {} on the clocks of this place", shorten(text)));
            }
            None => None,
        },
    };
    let time = time.ok_or_else(|| format!("\"{}\" is not a time; {forms}", shorten(text)))?;
    if !(Time(0)..=LAST).contains(&time) {
        return Err(format!("\"{}\" is not between the years 1970 and 9999", shorten(text)));
    }
    Ok(time)
}

/// How a time that has passed is written.
pub const PAST_FORMS: &str = "write yesterday, 16:00, 2026-11-22T16:00 or now-2h";

/// Reads a time that has passed, on the clock of this place: what [`parse`] reads, where a time of
/// day is the last such one and a day without a year is not one to come; `yesterday`, `now-2h`.
///
/// # Errors
/// A sentence with the forms that are understood.
pub fn parse_past(text: &str) -> Result<Time, String> {
    let text = text.trim();
    let now = clock::now();
    let back = text.strip_prefix("now").map(str::trim);
    let time = match (back, clock::parse_rfc3339(text)) {
        (Some(""), _) => Some(now),
        (Some(back), _) => {
            let seconds = back.strip_prefix('-').and_then(|back| length(back.trim()));
            seconds.map(|seconds| now.plus_s(-seconds))
        }
        (None, Some(time)) => Some(time),
        (None, None) => match local(text, now, Facing::Back) {
            Some(Local::Moment(time)) => Some(time),
            Some(Local::Nowhen) | None => None,
        },
    };
    let time = time.filter(|time| (Time(0)..=LAST).contains(time));
    time.ok_or_else(|| format!("\"{}\" is not a time; {PAST_FORMS}", shorten(text)))
}

/// How a time that has passed is written over REST.
pub const BACK_FORMS: &str = "write 2026-11-22T16:00:00Z, now-18h or -18h";

/// Reads a time that has passed, on nobody's clock: RFC 3339, `now`, `now-18h`, `-18h`.
///
/// # Errors
/// A sentence with the forms that are understood.
pub fn parse_back(text: &str) -> Result<Time, String> {
    let text = text.trim();
    let back = text.strip_prefix("now").unwrap_or(text).trim().strip_prefix('-');
    let time = match (text, back) {
        ("now", _) => Some(clock::now()),
        (_, Some(back)) => length(back.trim()).map(|seconds| clock::now().plus_s(-seconds)),
        (text, None) => clock::parse_rfc3339(text),
    };
    let time = time.filter(|time| (Time(0)..=LAST).contains(time));
    time.ok_or_else(|| format!("\"{}\" is not a time; {BACK_FORMS}", shorten(text)))
}

/// Seconds of `now`, `now+2h`, `now+90`, `now+5hours`, `now + 1 week`.
fn relative(text: &str) -> Option<i64> {
    let rest = text.strip_prefix("now")?.trim();
    if rest.is_empty() {
        return Some(0);
    }
    length(rest.strip_prefix('+')?.trim())
}

/// Seconds of `2h`, `90`, `5hours`, `1 week`.
fn length(length: &str) -> Option<i64> {
    if let Some(seconds) = compact_s(length) {
        return Some(seconds);
    }
    let unit = length.find(|c: char| !c.is_ascii_digit()).unwrap_or(length.len());
    let (count, unit) = length.split_at(unit);
    let unit = unit.trim().to_ascii_lowercase();
    let units =
        [("seconds", 1), ("minutes", 60), ("hours", 3_600), ("days", 86_400), ("weeks", 604_800)];
    let seconds = match &*unit {
        "" => 1,
        unit => units.into_iter().find(|(name, _)| name.starts_with(unit))?.1,
    };
    whole(count)?.checked_mul(seconds)
}

/// What a text is on the clock and the calendar of this place.
enum Local {
    Moment(Time),
    /// A day that no month has, or an hour that the clocks leave out.
    Nowhen,
}

/// Which of the moments is meant that a text without a day, or without a year, may name.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Facing {
    /// The next.
    Ahead,
    /// The last.
    Back,
}

fn local(text: &str, now: Time, facing: Facing) -> Option<Local> {
    let here = LocalTime::of(now);
    let lower = text.to_ascii_lowercase();
    let mut parts = lower.match_indices(['t', ' ']).map(|(at, _)| lower.split_at(at));
    let (day, clock) = match parts.find(|(day, _)| day_of(day, here, facing).is_some()) {
        Some((day, clock)) => (Some(day), Some(clock[1..].trim())),
        None if day_of(&lower, here, facing).is_some() => (Some(&*lower), None),
        None => (None, Some(&*lower)),
    };
    let [hour, minute, second] = clock.map_or(Some([0, 0, 0]), time_of_day)?;
    let at = |day: LocalTime| LocalTime { hour, minute, second, ..day };
    let moment = match day {
        Some(day) => at(day_of(day, here, facing)?).moment(),
        // Ahead a time of day that has passed is that of tomorrow; back, one that is to come is
        // that of yesterday.
        None => {
            let today = at(here).moment();
            match (today.filter(|time| (*time > now) == (facing == Facing::Ahead)), facing) {
                (Some(time), _) => Some(time),
                (None, Facing::Ahead) => here.plus_days(1).and_then(|day| at(day).moment()),
                (None, Facing::Back) => here.minus_days(1).and_then(|day| at(day).moment()),
            }
        }
    };
    Some(moment.map_or(Local::Nowhen, Local::Moment))
}

/// `2030-05-05`, `0505`, `050530`, `05/05`, `05/05/30`, `05.05.30`, `today`, `tomorrow`; back,
/// `yesterday`.
fn day_of(text: &str, here: LocalTime, facing: Facing) -> Option<LocalTime> {
    match text {
        "today" => return Some(here),
        "yesterday" if facing == Facing::Back => return here.minus_days(1),
        "tomorrow" => return here.plus_days(1),
        _ => {}
    }
    let number = |text: &str| whole(text).and_then(|n| u32::try_from(n).ok());
    if let [year, month, day] = text.split('-').collect::<Vec<_>>()[..] {
        let is_right =
            year.len() == 4 && [1, 2].contains(&month.len()) && [1, 2].contains(&day.len());
        let year = number(year).filter(|_| is_right).and_then(|y| i32::try_from(y).ok())?;
        return Some(LocalTime { year, month: number(month)?, day: number(day)?, ..here });
    }
    let parts: Vec<&str> = match text.len() {
        4 | 6 if whole(text).is_some() => {
            (0..text.len() / 2).map(|n| &text[2 * n..2 * n + 2]).collect()
        }
        _ => text.split(['/', '.']).collect(),
    };
    let (month, day, year) = match parts[..] {
        [month, day] => (month, day, None),
        [month, day, year] => (month, day, Some(year)),
        _ => return None,
    };
    let (month, day) = (number(month)?, number(day)?);
    let year = match year {
        Some(year) if year.len() == 2 => 2000 + i32::try_from(number(year)?).ok()?,
        Some(year) if year.len() == 4 => i32::try_from(number(year)?).ok()?,
        Some(_) => return None,
        // Ahead a day that has passed is that of next year; back, one to come that of the last.
        None => match ((month, day).cmp(&(here.month, here.day)), facing) {
            (Ordering::Less, Facing::Ahead) => here.year + 1,
            (Ordering::Greater, Facing::Back) => here.year - 1,
            _ => here.year,
        },
    };
    Some(LocalTime { year, month, day, ..here })
}

/// `16:00`, `16:00:30`, `4:00pm`, `noon`, `midnight`, `teatime`.
fn time_of_day(text: &str) -> Option<[u32; 3]> {
    match text {
        "midnight" => return Some([0, 0, 0]),
        "elevenses" => return Some([11, 0, 0]),
        "noon" => return Some([12, 0, 0]),
        "fika" => return Some([15, 0, 0]),
        "teatime" => return Some([16, 0, 0]),
        _ => {}
    }
    let (clock, half) = match (text.strip_suffix("am"), text.strip_suffix("pm")) {
        (Some(clock), _) => (clock.trim(), Some(0)),
        (_, Some(clock)) => (clock.trim(), Some(12)),
        _ => (text, None),
    };
    let part = |text: &str| {
        let number = whole(text).filter(|_| [1, 2].contains(&text.len()))?;
        u32::try_from(number).ok()
    };
    let (hour, minute, second) = match clock.split(':').collect::<Vec<_>>()[..] {
        [hour, minute] => (part(hour)?, part(minute)?, 0),
        [hour, minute, second] => (part(hour)?, part(minute)?, part(second)?),
        [hour] if half.is_some() => (part(hour)?, 0, 0),
        _ => return None,
    };
    let hour = match half {
        Some(half) if (1..=12).contains(&hour) => hour % 12 + half,
        Some(_) => return None,
        None => hour,
    };
    (hour < 24 && minute < 60 && second < 60).then_some([hour, minute, second])
}

#[cfg(test)]
#[path = "when/tests.rs"]
#[allow(clippy::unwrap_used)]
mod tests;
