//! *Purpose*: what was held, what will be, and what could be had now.
//!
//! *Owns*: the line of history.
//!
//! *Promises*: what is left of the bar was measured, what is right of it is planned, and a column
//! is as long on either side; what is not known is left empty.
//!
//! *Not here*: who asks for it (`top::news`).

use ratatui::text::Line;

use super::map::LABEL;
use super::state::State;
use super::words::{clock, fit, span};
use crate::api::wire::forecast::Earliest;
use crate::clock::parse_rfc3339;
use crate::time::{SECOND_US, Time};

/// How far back it goes, seconds: a night and the day before.
pub(super) const BACK_S: i64 = 18 * 3_600;
/// The words behind it.
const WORDS: &str = "  held, planned on the right";
/// The most columns of what was: half an hour each.
const PAST_MAX: usize = 36;
/// So many columns of what was for each of what is planned.
const PLANNED: usize = 3;
/// With fewer columns nobody sees anything.
const PAST_MIN: usize = 12;

/// What was held lately and what is planned, where that is known, and what could be had now.
pub(super) fn line(state: &State, width: usize) -> Option<Line<'static>> {
    let past = held(state, PAST_MAX);
    past.iter().any(Option::is_some).then_some(())?;
    let opening = opening(state).unwrap_or_default();
    let beside = LABEL + 1 + WORDS.len() + 6 + opening.len();
    let columns = width.saturating_sub(beside) * PLANNED / (PLANNED + 1);
    let columns = columns.min(PAST_MAX);
    if columns < PAST_MIN {
        return None;
    }
    let height = |part: &Option<f64>| {
        part.map_or(" ", |part| state.marks.load((part * 1_000.0).round() as u64))
    };
    let past: String = held(state, columns).iter().map(height).collect();
    let planned = planned(state, columns / PLANNED, BACK_S / columns as i64);
    let planned: String = planned.iter().map(height).collect();
    let label = fit(&format!(" {}", span(BACK_S)), LABEL, "");
    let bar = state.marks.now();
    let text = format!("{label}{past}{bar}{planned}{WORDS}      {opening}");
    Some(Line::raw(fit(text.trim_end(), width, state.marks.cut())))
}

/// What could be had now, alone on its line.
pub(super) fn openings(state: &State, width: usize) -> Option<Line<'static>> {
    let text = format!(" {}", opening(state)?);
    Some(Line::raw(fit(&text, width, state.marks.cut())))
}

/// The part of its CPUs that was held, in so many columns until now.
fn held(state: &State, columns: usize) -> Vec<Option<f64>> {
    let Some(samples) = &state.samples else { return vec![None; columns] };
    let Some(start) = parse_rfc3339(&samples.start) else { return vec![None; columns] };
    let (column_us, step_us) = (BACK_S * SECOND_US / columns as i64, samples.step_s * SECOND_US);
    let begin = state.now.0 - BACK_S * SECOND_US;
    let all = f64::from(samples.cpus_total.max(1));
    let step_at = |at: i64| (at - start.0).div_euclid(step_us.max(1));
    let column = |n: usize| {
        let from = begin + n as i64 * column_us;
        let known = (step_at(from)..=step_at(from + column_us - 1))
            .filter_map(|step| *samples.cpus_held.get(usize::try_from(step).ok()?)?);
        let (sum, n) = known.fold((0.0, 0_u32), |(sum, n), held| (sum + held, n + 1));
        (n > 0).then(|| sum / f64::from(n) / all)
    };
    (0..columns).map(column).collect()
}

/// The part of its CPUs that is going to be held, in so many columns of so many seconds each.
fn planned(state: &State, columns: usize, column_s: i64) -> Vec<Option<f64>> {
    let Some(overview) = &state.overview else { return Vec::new() };
    let all = f64::from(overview.resources.total_cpus.max(1));
    let free: Vec<(Time, u32)> = overview
        .forecast
        .free
        .iter()
        .filter_map(|step| Some((parse_rfc3339(&step.time)?, step.cpus)))
        .collect();
    let column = |n: usize| {
        let at = state.now.plus_s(n as i64 * column_s);
        let step = free.iter().take_while(|(from, _)| *from <= at).last();
        step.map(|(_, free)| 1.0 - f64::from(*free) / all)
    };
    (0..columns).map(column).collect()
}

/// What could be had now.
fn opening(state: &State) -> Option<String> {
    let overview = state.overview.as_ref()?;
    let forecast = &overview.forecast;
    let now = parse_rfc3339(&forecast.time)?;
    let at_once = |one: &&Earliest| {
        let start = one.start_time.as_deref().and_then(parse_rfc3339);
        start.is_some_and(|start| start <= now)
    };
    let mut all = forecast.earliest.iter().filter(|one| one.gpus == 0).filter(at_once);
    let text = match all.next_back() {
        Some(one) => {
            let unit = if one.cpus == 1 { "CPU" } else { "CPUs" };
            let long = one.limit_s.map(|s| format!(" up to {}", span(s))).unwrap_or_default();
            format!("now: {} {unit}{long}", one.cpus)
        }
        None => {
            let first = forecast.earliest.iter().find(|one| one.gpus == 0)?;
            let start = first.start_time.as_ref()?;
            format!("next: 1 CPU at {}", clock(state.now, start))
        }
    };
    Some(text)
}
