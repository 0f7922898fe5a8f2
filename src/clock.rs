//! *Purpose*: the only clock.
//!
//! *Owns*: the wall clock, the monotonic clock's waits are `actix_rt::time`; RFC 3339 text; the
//! calendar of this place.
//!
//! *Promises*: no other file asks what time it is (the tidy test looks).
//!
//! *Not here*: time as a value (`time`).

use chrono::{DateTime, Datelike, Days, Local, NaiveDate, SecondsFormat, TimeZone, Timelike, Utc};

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

/// A day and a time of day as a clock on the wall shows them here: in the zone that `TZ` or the
/// system names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "each is what a calendar calls so")]
pub struct LocalTime {
    pub year: i32,
    pub month: u32,
    pub day: u32,
    pub hour: u32,
    pub minute: u32,
    pub second: u32,
}

impl LocalTime {
    /// Of this moment.
    #[must_use]
    pub fn of(time: Time) -> LocalTime {
        let utc = DateTime::from_timestamp_micros(time.0).unwrap_or_default();
        let here = utc.with_timezone(&Local);
        LocalTime {
            year: here.year(),
            month: here.month(),
            day: here.day(),
            hour: here.hour(),
            minute: here.minute(),
            second: here.second(),
        }
    }

    /// When the day of this moment began: at midnight, or, where a clock is set forward then, with
    /// the first hour that the day has.
    #[must_use]
    pub fn day_of(time: Time) -> Time {
        let day = LocalTime { hour: 0, minute: 0, second: 0, ..LocalTime::of(time) };
        let hours = (0..24).map(|hour| LocalTime { hour, ..day });
        hours.into_iter().find_map(LocalTime::moment).unwrap_or(time)
    }

    /// The day of the week in three letters, as `Fri`; empty beyond the calendar.
    #[must_use]
    pub fn weekday(self) -> String {
        let date = NaiveDate::from_ymd_opt(self.year, self.month, self.day);
        date.map(|date| date.weekday().to_string()).unwrap_or_default()
    }

    /// The same time of day so many days later; `None` beyond the calendar.
    #[must_use]
    pub fn plus_days(self, days: u64) -> Option<LocalTime> {
        let date = NaiveDate::from_ymd_opt(self.year, self.month, self.day)?;
        let date = date.checked_add_days(Days::new(days))?;
        Some(LocalTime { year: date.year(), month: date.month(), day: date.day(), ..self })
    }

    /// The same time of day so many days earlier; `None` beyond the calendar.
    #[must_use]
    pub fn minus_days(self, days: u64) -> Option<LocalTime> {
        let date = NaiveDate::from_ymd_opt(self.year, self.month, self.day)?;
        let date = date.checked_sub_days(Days::new(days))?;
        Some(LocalTime { year: date.year(), month: date.month(), day: date.day(), ..self })
    }

    /// The moment; of two (a clock that was set back) the first, of none (one that was set forward,
    /// or a day that no month has) `None`.
    #[must_use]
    pub fn moment(self) -> Option<Time> {
        let date = NaiveDate::from_ymd_opt(self.year, self.month, self.day)?;
        let here = date.and_hms_opt(self.hour, self.minute, self.second)?;
        Local.from_local_datetime(&here).earliest().map(|t| Time(t.timestamp_micros()))
    }
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
    fn a_day_begins_before_all_of_it_and_after_the_one_before() {
        for hours in 0..24 * 400 {
            let time = Time(1_795_318_937_123_456 + hours * 3_600_000_000);
            let begin = LocalTime::day_of(time);
            let (day, before) = (LocalTime::of(time), LocalTime::of(Time(begin.0 - 1)));
            let first = LocalTime::of(begin);
            assert!(begin <= time, "{day:?}");
            assert_eq!((first.year, first.month, first.day), (day.year, day.month, day.day));
            assert_ne!((before.month, before.day), (day.month, day.day), "{first:?}");
        }
    }

    #[test]
    fn times_survive_text_to_the_microsecond() {
        let time = Time(1_795_318_937_123_456);
        assert_eq!(rfc3339(time), "2026-11-22T03:42:17.123456Z");
        assert_eq!(parse_rfc3339(&rfc3339(time)), Some(time));
        assert_eq!(parse_rfc3339("2026-11-22T04:42:17.123456+01:00"), Some(time));
        assert_eq!(parse_rfc3339("yesterday"), None);
    }
}
