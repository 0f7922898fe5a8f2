//! *Purpose*: moments, for people.
//!
//! *Owns*: [`here`], [`short`], [`in_sentence`].
//!
//! *Promises*: a person reads the time on the clock of this place; JSON keeps RFC 3339 in UTC.
//! What is not understood is shown as it came.
//!
//! *Not here*: how times are read (`text::when`), JSON.

use crate::clock::{self, LocalTime};
/// How months are called in short.
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// `2026-11-27 16:04:05`, on the clock of this place.
pub(super) fn here(rfc3339: &str) -> String {
    let Some(time) = clock::parse_rfc3339(rfc3339) else { return rfc3339.to_owned() };
    let LocalTime { year, month, day, hour, minute, second } = LocalTime::of(time);
    format!("{year}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}")
}

/// `16:04` of today, `Nov 26 16:04` of this year, `2025-11-26` of another.
pub(super) fn short(rfc3339: &str) -> String {
    match clock::parse_rfc3339(rfc3339) {
        Some(time) => beside(LocalTime::of(time), LocalTime::of(clock::now())),
        None => rfc3339.to_owned(),
    }
}

fn beside(time: LocalTime, now: LocalTime) -> String {
    let LocalTime { year, month, day, hour, minute, .. } = time;
    if (year, month, day) == (now.year, now.month, now.day) {
        return format!("{hour:02}:{minute:02}");
    }
    let name = MONTHS.get(month.saturating_sub(1) as usize);
    match name.filter(|_| year == now.year) {
        Some(name) => format!("{name} {day:02} {hour:02}:{minute:02}"),
        None => format!("{year}-{month:02}-{day:02}"),
    }
}

/// A sentence of the server with the times in it as this place has them.
pub(super) fn in_sentence(text: &str) -> String {
    let as_read = |word: &str| {
        let (time, behind) = match word.find('Z') {
            Some(at) => word.split_at(at + 1),
            None => return word.to_owned(),
        };
        match clock::parse_rfc3339(time) {
            Some(_) => format!("{}{behind}", here(time)),
            None => word.to_owned(),
        }
    };
    text.split(' ').map(as_read).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_as_short_as_it_can_be() {
        let now = LocalTime { year: 2026, month: 11, day: 27, hour: 16, minute: 4, second: 5 };
        assert_eq!(beside(LocalTime { hour: 3, ..now }, now), "03:04");
        assert_eq!(beside(LocalTime { day: 2, ..now }, now), "Nov 02 16:04");
        assert_eq!(beside(LocalTime { year: 2025, ..now }, now), "2025-11-27");
        assert_eq!(short("soon"), "soon");
    }

    #[test]
    fn times_inside_of_a_sentence_are_read_and_nothing_else_is() {
        let time = "2026-11-22T03:42:17.123456Z";
        let said = in_sentence(&format!("tries again at {time}, in zone Z; z"));
        assert_eq!(said, format!("tries again at {}, in zone Z; z", here(time)));
    }
}
