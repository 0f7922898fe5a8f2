//! *Purpose*: the page of who used how much.
//!
//! *Owns*: [`UsagePage`]; by what and how far back it can be asked for.
//!
//! *Promises*: its numbers are those of `GET /usage`; it stands still, for they are added up anew
//! each time.
//!
//! *Not here*: adding up (`api::reads`).

use askama::Template;

use super::region::page;
use super::shell::Shell;
use super::words;
use crate::api::wire::usage::{UsageLine, UsageReport};
use crate::clock::{self, LocalTime};
use crate::time::Time;

/// Its address.
pub const PATH: &str = "/usage";
/// By what is added up.
const BY: [&str; 4] = ["user", "account", "name", "day"];
/// How far back, and so many days that is, this one among them.
const SPANS: [(&str, u64); 4] = [("1d", 1), ("7d", 7), ("30d", 30), ("365d", 365)];

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// By what.
    pub by: &'static str,
    /// How far back.
    pub span: (&'static str, u64),
}

impl Asked {
    /// What these parameters ask for.
    ///
    /// # Errors
    /// The parameter that is wrong, and why.
    pub fn parse(pairs: &[(String, String)]) -> Result<Asked, (String, String)> {
        let mut asked = Asked { by: BY[0], span: SPANS[1] };
        for (key, value) in pairs {
            let by = BY.into_iter().find(|by| *by == value.as_str());
            let span = SPANS.into_iter().find(|(span, _)| *span == value.as_str());
            match (key.as_str(), by, span) {
                ("by", Some(by), _) => asked.by = by,
                ("span", _, Some(span)) => asked.span = span,
                ("by", None, _) => {
                    return Err((key.clone(), format!("is none of {}", BY.join(", "))));
                }
                ("span", _, None) => {
                    let spans = SPANS.map(|(span, _)| span).join(", ");
                    return Err((key.clone(), format!("is none of {spans}")));
                }
                _ => return Err((key.clone(), "is not one of by, span".to_owned())),
            }
        }
        Ok(asked)
    }

    /// Its address.
    #[must_use]
    pub fn address(self) -> String {
        format!("{PATH}?by={}&span={}", self.by, self.span.0)
    }

    /// When the days of it begin, on the calendar of this place.
    #[must_use]
    pub fn days(self, now: Time) -> Vec<Time> {
        let today = LocalTime { hour: 0, minute: 0, second: 0, ..LocalTime::of(now) };
        let day = |back: u64| today.minus_days(back).and_then(LocalTime::moment);
        (0..self.span.1).rev().filter_map(day).collect()
    }
}

struct Choice {
    href: String,
    word: &'static str,
    current: bool,
}

struct Row {
    name: String,
    href: String,
    held: String,
    used: String,
    part: Option<u32>,
    gpu: String,
    memory: String,
    jobs: String,
    failed: String,
    wait: String,
}

/// The page of who used how much.
#[derive(Template)]
#[template(path = "usage.html", blocks = ["main"])]
pub struct UsagePage {
    shell: Shell,
    by: Vec<Choice>,
    spans: Vec<Choice>,
    head: &'static str,
    since: String,
    rows: Vec<Row>,
    left_off: u64,
}

impl UsagePage {
    /// What was used.
    #[must_use]
    pub fn new(shell: Shell, asked: Asked, report: &UsageReport, now: Time) -> UsagePage {
        let by = BY.into_iter().map(|by| Choice {
            href: Asked { by, ..asked }.address(),
            word: head(by),
            current: by == asked.by,
        });
        let spans = SPANS.into_iter().map(|span| Choice {
            href: Asked { span, ..asked }.address(),
            word: span.0,
            current: span == asked.span,
        });
        let since = words::moment(Some(&report.since));
        UsagePage {
            shell,
            by: by.collect(),
            spans: spans.collect(),
            head: head(asked.by),
            since: since.map(|since| words::clock_of(since, now)).unwrap_or_default(),
            rows: report.lines.iter().map(|line| row(asked.by, line)).collect(),
            left_off: report.left_off,
        }
    }
}

// No part changes by itself: it is drawn once.
page!(UsagePage {});

fn head(by: &str) -> &'static str {
    match by {
        "account" => "Account",
        "name" => "Name",
        "day" => "Day",
        _ => "User",
    }
}

fn row(by: &str, line: &UsageLine) -> Row {
    let hours = |hours: f64| match hours {
        0.0 => "0".to_owned(),
        hours if hours < 100.0 => format!("{hours:.2}"),
        hours => words::number(hours.round() as u64),
    };
    let wait = line.mean_wait_s.map(|s| words::duration(s.round() as i64));
    let name = match clock::parse_rfc3339(&line.name).filter(|_| by == "day") {
        Some(day) => {
            let day = LocalTime::of(day);
            format!("{}-{:02}-{:02}", day.year, day.month, day.day)
        }
        None if line.name.is_empty() => "none".to_owned(),
        None => line.name.clone(),
    };
    let leads = ["user", "account"].contains(&by) && !line.name.is_empty();
    let found = || format!("/jobs?{by}={}", super::shell::encoded(&line.name));
    Row {
        name,
        href: if leads { found() } else { String::new() },
        held: hours(line.cpu_hours),
        used: hours(line.cpu_used_hours),
        part: line.cpu_efficiency.map(|part| (100.0 * part).round() as u32),
        gpu: hours(line.gpu_hours),
        memory: hours(line.memory_gib_hours),
        jobs: words::number(line.jobs),
        failed: words::number(line.failed),
        wait: wait.unwrap_or_else(|| "not known".to_owned()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_is_its_address() {
        let pairs = |query: &[(&str, &str)]| -> Vec<(String, String)> {
            query.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
        };
        let asked = Asked::parse(&pairs(&[("span", "30d"), ("by", "day")])).unwrap();
        assert_eq!(asked.address(), "/usage?by=day&span=30d");
        assert_eq!(Asked::parse(&[]).unwrap().address(), "/usage?by=user&span=7d");
        for (wrong, field) in [(("by", "7d"), "by"), (("span", "user"), "span"), (("q", ""), "q")] {
            assert_eq!(Asked::parse(&pairs(&[wrong])).unwrap_err().0, field);
        }
        let now = Time(1_795_318_937_000_000);
        let days = asked.days(now);
        assert!(days.len() == 30 && days.is_sorted() && days[29] <= now, "{days:?}");
    }
}
