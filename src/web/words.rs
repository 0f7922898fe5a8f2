//! *Purpose*: how pages say durations, sizes, times and states.
//!
//! *Owns*: those words.
//!
//! *Promises*: a state is said in sentence case, with the class that gives it its shape; what is
//! not known is said and is never 0.
//!
//! *Not here*: sentences about jobs (`observe`), the same words in the browser (`assets/app.js`).

use crate::api::wire::job::Job;
use crate::clock::{self, LocalTime};
use crate::job::state::StateWord;
use crate::time::{SECOND_US, Time};

/// Seconds of a minute, an hour, a day.
const UNITS: [(i64, &str); 3] = [(86_400, "d"), (3_600, "h"), (60, "m")];
/// Days that have passed since a moment, or will until it, with which the name of its day is clear.
const NAMED_DAYS: i64 = 6;
/// Names of months.
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
/// The steps of sizes.
const SIZES: [&str; 6] = ["B", "K", "M", "G", "T", "P"];

/// A duration in two units at the most: `2 h 18 m`, `45 s`.
pub fn duration(seconds: i64) -> String {
    let mut left = seconds.max(0);
    let mut said: Vec<String> = Vec::new();
    for (unit, name) in UNITS {
        if said.len() < 2 && left >= unit {
            said.push(format!("{} {name}", left / unit));
            left %= unit;
        } else if !said.is_empty() {
            break;
        }
    }
    if said.is_empty() { format!("{left} s") } else { said.join(" ") }
}

/// A long time in its largest unit: `41 days`, `3 hours`.
pub fn since(seconds: i64) -> String {
    let units = [(86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second")];
    let unit = units.into_iter().find(|(unit, _)| seconds >= *unit);
    let (n, name) = unit.map_or((0, "second"), |(unit, name)| (seconds / unit, name));
    format!("{n} {name}{}", if n == 1 { "" } else { "s" })
}

/// How long something has run, as a clock: `3:21`, `9:41:12`, `1-03:12`.
pub fn ran(seconds: i64) -> String {
    let s = seconds.max(0);
    let (days, hours, minutes) = (s / 86_400, s / 3_600 % 24, s / 60 % 60);
    match (days, hours) {
        (0, 0) => format!("{minutes}:{:02}", s % 60),
        (0, _) => format!("{hours}:{minutes:02}:{:02}", s % 60),
        _ => format!("{days}-{hours:02}:{minutes:02}"),
    }
}

/// Bytes in the largest unit that leaves a digit: `96 G`, `1.5 T`.
pub fn size(bytes: u64) -> String {
    let mut amount = bytes as f64;
    let mut unit = 0;
    while amount >= 1024.0 && unit + 1 < SIZES.len() {
        amount /= 1024.0;
        unit += 1;
    }
    let digits = usize::from(amount < 10.0 && amount.fract() >= 0.05);
    format!("{amount:.digits$} {}", SIZES[unit])
}

/// A number with commas between thousands.
pub fn number(n: u64) -> String {
    let digits = n.to_string();
    let first = digits.len() % 3;
    let mut said = digits[..first].to_owned();
    for (i, digit) in digits[first..].chars().enumerate() {
        if i % 3 == 0 && !said.is_empty() {
            said.push(',');
        }
        said.push(digit);
    }
    said
}

/// As of when a page is drawn, and by whom its times are counted on.
#[derive(Clone, Copy, Debug)]
pub struct AsOf {
    /// That moment.
    pub now: Time,
    /// Whether it is told by the stream to a script that counts by itself: what only time changes
    /// is left out then, so that nothing is sent when nothing but time has passed.
    pub is_live: bool,
}

impl AsOf {
    /// How long something has run whose script counts from `since`; empty, it stands still.
    pub fn ran(self, since: &str, seconds: i64) -> String {
        if self.counts_from(since) { String::new() } else { ran(seconds) }
    }

    /// How long something has waited, likewise.
    pub fn waited(self, since: &str, seconds: i64) -> String {
        if self.counts_from(since) { String::new() } else { duration(seconds) }
    }

    /// How long ago something was.
    pub fn ago(self, at: Time) -> String {
        if self.is_live { String::new() } else { ago(at, self.now) }
    }

    /// How long it is until then.
    pub fn left(self, until: Time) -> String {
        if self.is_live { String::new() } else { duration(until.since_us(self.now) / SECOND_US) }
    }

    fn counts_from(self, since: &str) -> bool {
        self.is_live && !since.is_empty()
    }

    /// A moment of the wire as a clock shows it, when it is one.
    pub fn clock(self, text: Option<&str>) -> Option<Clock> {
        let at = moment(text)?;
        Some(Clock { iso: clock::rfc3339(at), said: clock_of(at, self.now) })
    }
}

/// A moment: for programs, and as a clock on the wall shows it.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    /// RFC 3339.
    pub iso: String,
    /// Today `16:51`, within a week `Fri 11:20`, else `28 Nov 11:20`.
    pub said: String,
}

/// The same to the second.
pub fn second_of(at: Time, now: Time) -> String {
    format!("{}:{:02}", clock_of(at, now), LocalTime::of(at).second)
}

/// A moment as a clock on the wall shows it.
pub fn clock_of(at: Time, now: Time) -> String {
    let (local, today) = (LocalTime::of(at), LocalTime::of(now));
    let clock = format!("{:02}:{:02}", local.hour, local.minute);
    let is_today = (local.year, local.month, local.day) == (today.year, today.month, today.day);
    let days = (at.since_us(now) / SECOND_US / 86_400).abs();
    let month = MONTHS.get(local.month.saturating_sub(1) as usize).copied().unwrap_or_default();
    match (is_today, days < NAMED_DAYS) {
        (true, _) => clock,
        (_, true) => format!("{} {clock}", local.weekday()),
        _ => format!("{} {month} {clock}", local.day),
    }
}

/// A time of the wire, which is RFC 3339.
pub fn moment(text: Option<&str>) -> Option<Time> {
    text.and_then(clock::parse_rfc3339)
}

/// How long ago something was: `2 m ago`.
pub fn ago(at: Time, now: Time) -> String {
    let seconds = now.since_us(at) / SECOND_US;
    if seconds < 5 { "now".to_owned() } else { format!("{} ago", duration(largest(seconds))) }
}

/// Only the largest unit of it: what is long ago needs no minutes.
fn largest(seconds: i64) -> i64 {
    let unit = UNITS.iter().map(|(unit, _)| *unit).find(|unit| seconds >= *unit);
    unit.map_or(seconds, |unit| seconds / unit * unit)
}

/// A state as its class and its word.
pub fn state(word: StateWord) -> (&'static str, &'static str) {
    match word {
        StateWord::Pending => ("pending", "Pending"),
        StateWord::Running => ("running", "Running"),
        StateWord::Completing => ("completing", "Completing"),
        StateWord::Completed => ("completed", "Completed"),
        StateWord::Failed => ("failed", "Failed"),
        StateWord::Cancelled => ("cancelled", "Cancelled"),
        StateWord::Timeout => ("timeout", "Timeout"),
        StateWord::OutOfMemory => ("oom", "Out of memory"),
        StateWord::NodeFail => ("lost", "Node fail"),
    }
}

/// The name of a job in the address of its page: `17`, or `17_4` for a task of an array.
pub fn path(job: &Job) -> String {
    match (job.array_job_id, job.array_task_id) {
        (Some(array), Some(task)) => format!("{array}_{task}"),
        _ => job.id.to_string(),
    }
}

/// What a job asks for: `16 CPU · 2 GPU · 128 G · 1 d`.
pub fn asks(job: &Job) -> String {
    let cpus = format!("{} CPU", job.cpus);
    let gpus = job.resources.get("gpu").map(|n| format!("{n} GPU"));
    let memory = job.memory_bytes.and_then(|n| u64::try_from(n).ok()).map(size);
    let limit = job.time_limit_s.map(duration);
    [Some(cpus), gpus, memory, limit].into_iter().flatten().collect::<Vec<_>>().join(" · ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_two_units_at_the_most() {
        let said = [0, 59, 60, 3_599, 8_280, 86_400, 97_200, 864_000].map(duration);
        let wanted = ["0 s", "59 s", "1 m", "59 m", "2 h 18 m", "1 d", "1 d 3 h", "10 d"];
        assert_eq!(said, wanted);
    }

    #[test]
    fn clocks_sizes_and_numbers_are_as_people_read_them() {
        assert_eq!([7, 201, 34_872, 97_960].map(ran), ["0:07", "3:21", "9:41:12", "1-03:12"]);
        let sizes = [0, 512, 1_536, 96 << 30, 1_649_267_441_664].map(size);
        assert_eq!(sizes, ["0 B", "512 B", "1.5 K", "96 G", "1.5 T"]);
        assert_eq!([0, 999, 1_000, 1_234_567].map(number), ["0", "999", "1,000", "1,234,567"]);
    }

    #[test]
    fn what_was_long_ago_is_said_in_one_unit() {
        let now = Time(1_795_318_937_000_000);
        let before = |s: i64| ago(Time(now.0 - s * SECOND_US), now);
        assert_eq!([3, 7, 125, 7_300].map(before), ["now", "7 s ago", "2 m ago", "2 h ago"]);
    }
}
