//! *Purpose*: what was held and waited, and what is planned, as charts.
//!
//! *Owns*: [`Charts`], [`SPANS`].
//!
//! *Promises*: a chart stands still until its next step begins, so an idle page is sent nothing;
//! what is not known is a gap.
//!
//! *Not here*: paths (`web::chart`), how they are laid out (the page's template).

use super::chart::{self, Scale, WIDTH};
use super::words;
use crate::api::wire::forecast::{Forecast, FreeFrom};
use crate::api::wire::overview::Overview;
use crate::api::wire::samples::Samples;
use crate::time::{SECOND_US, Time};

/// What part of a chart is the future: a third of the past.
const AHEAD: i64 = 3;

/// One of the charts of the first page.
#[derive(Default)]
pub struct Chart {
    /// What stands at its top.
    pub top: String,
    /// All of it in a sentence.
    pub label: String,
    /// Its path.
    pub path: String,
}

/// How far back charts go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// As an address has it.
    pub word: &'static str,
    /// As people say it.
    pub said: &'static str,
    /// Steps of so many seconds: some three pixels wide.
    pub step_s: i64,
}

/// The spans that there are; the first is meant where none is named.
pub const SPANS: [Span; 3] = [
    Span { word: "18h", said: "18 h", step_s: 300 },
    Span { word: "7d", said: "7 d", step_s: 3_600 },
    Span { word: "30d", said: "30 d", step_s: 4 * 3_600 },
];

/// What the charts show.
pub struct Charts {
    /// CPUs held until now.
    pub held: Chart,
    /// CPUs that will be held.
    pub planned: Chart,
    /// Jobs that waited.
    pub waited: Chart,
    /// Where now is.
    pub now_x: String,
    /// Times below.
    pub ticks: Vec<String>,
}

impl Charts {
    /// How things stand and stood. Now is where its step ends, so that a picture stands still until
    /// the next one: what holds now lasts to there.
    #[must_use]
    pub fn of(all: &Overview, samples: &Samples, now: Time) -> Charts {
        let start = words::moment(Some(&samples.start)).unwrap_or(now).0 / SECOND_US;
        let step_s = samples.step_s.max(1);
        let begun = now.0 / SECOND_US / step_s * step_s;
        let now_s = begun + step_s;
        let until = now_s + (now_s - start) / AHEAD;
        let total = f64::from(all.resources.total_cpus);
        let steps = |values: &[Option<f64>], now: u64| {
            let mut steps = steps(values, start, step_s);
            steps.retain(|(at, _)| *at < begun);
            steps.push((begun, Some(now as f64)));
            steps
        };
        let held = steps(&samples.cpus_held, all.resources.used_cpus.into());
        let waited = steps(&samples.pending, all.resources.pending_jobs);
        let most = waited.iter().filter_map(|(_, n)| *n).fold(1.0, f64::max);
        let scale = |top| Scale { from: start, until, top };
        let planned = planned(&all.forecast, all.resources.total_cpus, (now_s, until));
        let tick =
            |n: i64| words::clock_of(Time((start + (until - start) * n / 4) * SECOND_US), now);
        Charts {
            held: Chart {
                top: format!("{total}"),
                label: said("CPUs held", &held, all.resources.used_cpus.into()),
                path: chart::area(&held, now_s, scale(total)),
            },
            planned: Chart { path: chart::area(&planned, until, scale(total)), ..Chart::default() },
            waited: Chart {
                top: words::number(most.ceil() as u64),
                label: said("Jobs waiting", &waited, all.resources.pending_jobs),
                path: chart::area(&waited, now_s, scale(most)),
            },
            now_x: format!("{:.1}", scale(total).x(now_s).min(WIDTH)),
            ticks: (0..=4).map(tick).collect(),
        }
    }
}

fn steps(values: &[Option<f64>], start: i64, step_s: i64) -> Vec<(i64, Option<f64>)> {
    let at = |(n, value): (usize, &Option<f64>)| (start + n as i64 * step_s, *value);
    values.iter().enumerate().map(at).collect()
}

/// What is held when all that runs and waits lasts as long as it may.
fn planned(
    forecast: &Forecast,
    total: u32,
    (now_s, until_s): (i64, i64),
) -> Vec<(i64, Option<f64>)> {
    let step = |free: &FreeFrom| {
        let at = words::moment(Some(&free.time))?.0 / SECOND_US;
        Some((at.max(now_s), Some(f64::from(total.saturating_sub(free.cpus)))))
    };
    forecast.free.iter().filter_map(step).filter(|(at, _)| *at < until_s).collect()
}

/// A chart in a sentence, for who does not see it.
fn said(what: &str, steps: &[(i64, Option<f64>)], now: u64) -> String {
    let known = || steps.iter().filter_map(|(_, value)| *value);
    let least = known().fold(f64::INFINITY, f64::min);
    let most = known().fold(0.0, f64::max);
    if least > most {
        return format!("{what}: {now} now; what was before is not known");
    }
    format!("{what}: {least:.0} to {most:.0} in the time shown, {now} now")
}
