//! *Purpose*: lists of jobs.
//!
//! *Owns*: the columns of what runs, waits and ended; one job in full.
//!
//! *Promises*: a column that does not fit is cut and says so; what is not known is left empty.
//!
//! *Not here*: which jobs are rows (`top::rows`), how many lines there are (`top::draw`).

use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::super::times::in_sentence;
use super::rows::Row;
use super::state::State;
use super::words::{clock, elapsed, fit, grouped, memory, span};
use crate::api::wire::v1::{Job, StateWord};
use crate::clock::parse_rfc3339;

/// Columns of a bar of time.
const BAR: usize = 18;
/// The same where there is less room.
const BAR_NARROW: usize = 10;
/// Below so many columns there is no room for who it is nor for a bar.
pub(super) const NARROW: usize = 80;
/// Columns of a name there.
const NAME_SLIM: usize = 11;
/// Columns of a bar of work.
const BUSY: usize = 8;

/// So many of these lines, from the last on; the first is a head and stays.
pub(super) fn tail(mut lines: Vec<Line<'_>>, heads: usize, given: usize) -> Vec<Line<'_>> {
    if lines.len() > given && given > heads {
        lines.drain(heads..lines.len() - (given - heads));
    }
    lines.truncate(given);
    lines
}

/// So many of these lines, the first being a head; the last says how many are left out.
pub(super) fn cut(mut lines: Vec<Line<'_>>, given: usize) -> Vec<Line<'_>> {
    if lines.len() <= given || given < 2 {
        lines.truncate(given);
        return lines;
    }
    let left = lines.len() - given + 1;
    lines.truncate(given - 1);
    lines.push(Line::raw(format!("   {left} more")));
    lines
}

fn head(state: &State, text: &str, width: usize) -> Line<'static> {
    Line::styled(fit(text, width, state.marks.cut()), state.marks.head())
}

/// The style of a row, and the sign before it.
fn chosen(state: &State, row: &Row<'_>) -> (Style, &'static str) {
    let here = state.chosen.is_some_and(|chosen| row.all.iter().any(|job| job.id == chosen));
    if here { (state.marks.chosen(), ">") } else { (Style::new(), " ") }
}

/// What runs.
pub(super) fn running(state: &State, width: usize, is_wide: bool) -> Vec<Line<'static>> {
    let n = state.overview.as_ref().map_or(0, |overview| overview.resources.running_jobs);
    let title = format!("  RUNNING {}", grouped(n));
    let is_slim = width < NARROW;
    let columns = match is_wide {
        _ if is_slim => format!("{:<13} {:>3} BUSY {:>10} ENDS BY", "ID", "CPU", "TIME"),
        true => format!(
            "{:<14} {:<8} {:>4} {:>6}  {:<14} {:>10} {:<28} ENDS BY",
            "ID", "USER", "CPU", "MEM", "BUSY", "TIME", ""
        ),
        false => format!(
            "{:<13} {:<6} {:>3} {:<4} {:>10} {:<10} ENDS BY",
            "ID", "USER", "CPU", "BUSY", "TIME", ""
        ),
    };
    let title = fit(&title, if is_slim { 14 } else { 18 }, state.marks.cut());
    let mut lines = vec![head(state, &format!("{title} {columns}"), width)];
    for row in state.running() {
        let (style, sign) = chosen(state, &row);
        let text = match is_wide {
            _ if is_slim => slim_row(state, &row),
            true => wide_row(state, &row),
            false => narrow_row(state, &row),
        };
        let text = format!("{sign}{} {text}", state.letter(row.job));
        lines.push(Line::styled(fit(&text, width, state.marks.cut()), style));
    }
    if lines.len() == 1 {
        lines.push(Line::raw("   Nothing runs."));
    }
    lines
}

fn wide_row(state: &State, row: &Row<'_>) -> String {
    let (job, cut) = (row.job, state.marks.cut());
    let busy = busy(state, job)
        .map(|part| format!("{} {:>3} %", state.marks.busy(part, BUSY), (part * 100.0).round()));
    format!(
        "{} {} {} {:>4} {:>6}  {} {:>10} {} {:>9} {}",
        fit(&job.name, 15, cut),
        fit(&row.shown_id(), 14, cut),
        fit(&job.user, 8, cut),
        row.cpus(),
        memory(job.memory_bytes),
        fit(&busy.unwrap_or_default(), BUSY + 6, cut),
        elapsed(elapsed_s(state, job)),
        bar(state, job, BAR),
        job.time_limit_s.map(span).unwrap_or_default(),
        ends(state, job),
    )
}

fn narrow_row(state: &State, row: &Row<'_>) -> String {
    let (job, cut) = (row.job, state.marks.cut());
    let busy = busy(state, job).map(|part| format!("{:.0}%", part * 100.0));
    format!(
        "{} {} {} {:>3} {:>4} {:>10} {} {}",
        fit(&job.name, 15, cut),
        fit(&row.shown_id(), 13, cut),
        fit(&job.user, 6, cut),
        row.cpus(),
        busy.unwrap_or_default(),
        elapsed(elapsed_s(state, job)),
        bar(state, job, BAR_NARROW),
        ends(state, job),
    )
}

/// Whose it is and a bar are left out before a figure is.
fn slim_row(state: &State, row: &Row<'_>) -> String {
    let (job, cut) = (row.job, state.marks.cut());
    let busy = busy(state, job).map(|part| format!("{:.0}%", part * 100.0));
    format!(
        "{} {} {:>3} {:>4} {:>10} {}",
        fit(&job.name, NAME_SLIM, cut),
        fit(&row.shown_id(), 13, cut),
        row.cpus(),
        busy.unwrap_or_default(),
        elapsed(elapsed_s(state, job)),
        ends(state, job),
    )
}

/// The part of its CPUs that it uses: by what was measured of it last, by the loads of these CPUs,
/// or by what it used in all, where the server tells any of it.
fn busy(state: &State, job: &Job) -> Option<f64> {
    if let Some(busy) = job.usage_now.and_then(|now| now.cpus_busy) {
        return Some(busy / f64::from(job.cpus.max(1)));
    }
    let cpus = state.overview.iter().flat_map(|overview| &overview.resources.cpus);
    let own = cpus.filter(|cpu| cpu.job_id == Some(job.id));
    let loads: Vec<f64> = own.filter_map(|cpu| cpu.load).map(f64::from).collect();
    if !loads.is_empty() {
        return Some(loads.iter().sum::<f64>() / 1_000.0 / loads.len() as f64);
    }
    let used = job.usage?;
    let held_s = elapsed_s(state, job).max(1) as f64 * f64::from(job.cpus.max(1));
    Some((used.user_cpu_s + used.system_cpu_s) / held_s)
}

/// Seconds that it has run, by now.
fn elapsed_s(state: &State, job: &Job) -> i64 {
    let told = state.overview.as_ref().and_then(|overview| parse_rfc3339(&overview.time));
    let runs = job.state == StateWord::Running && job.suspend_time.is_none();
    let since = told.filter(|_| runs && job.start_time.is_some());
    job.elapsed_s + since.map_or(0, |told| state.now.since_us(told).max(0) / 1_000_000)
}

fn bar(state: &State, job: &Job, columns: usize) -> String {
    let limit_s = job.time_limit_s.filter(|limit_s| *limit_s > 0);
    let part = limit_s.map(|limit_s| elapsed_s(state, job) as f64 / limit_s as f64);
    part.map_or_else(|| " ".repeat(columns), |part| state.marks.bar(part, columns))
}

fn ends(state: &State, job: &Job) -> String {
    if let Some(kill) = &job.kill_time {
        let left = parse_rfc3339(kill).map(|kill| kill.since_us(state.now) / 1_000_000);
        let left = left.filter(|left| *left > 0).map(|left| format!(" {left} s"));
        return format!("kill{}", left.unwrap_or_default());
    }
    if job.suspend_time.is_some() {
        return "suspended".to_owned();
    }
    job.expected_end_time.as_ref().map(|end| clock(state.now, end)).unwrap_or_default()
}

/// What waits.
pub(super) fn waiting(state: &State, width: usize, is_wide: bool) -> Vec<Line<'static>> {
    let is_slim = width < NARROW;
    let n = state.overview.as_ref().map_or(0, |overview| overview.resources.pending_jobs);
    let title = format!("  WAITING {}", grouped(n));
    let columns = match is_wide {
        true => "ID             USER     ASKS                   STARTS BY  WHY",
        false if is_slim => "ID            STARTS BY  WHY",
        false => "ID            USER   STARTS BY  WHY",
    };
    let title = fit(&title, if is_slim { 15 } else { 19 }, state.marks.cut());
    let mut lines = vec![head(state, &format!("{title} {columns}"), width)];
    let cut = state.marks.cut();
    for row in state.waiting() {
        let (style, sign) = chosen(state, &row);
        let job = row.job;
        let place = job.position.map(|place| place.to_string()).unwrap_or_default();
        let start = job.estimated_start_time.as_ref().map(|start| clock(state.now, start));
        let (id, user, asks) = match is_wide {
            true => (14, 8, format!("{} ", fit(&asks(job), 22, cut))),
            false => (13, 6, String::new()),
        };
        let whose = if is_slim { String::new() } else { format!("{} ", fit(&job.user, user, cut)) };
        let text = format!(
            "{sign}{place:>2} {} {} {whose}{asks}{} {}",
            fit(&job.name, if is_slim { NAME_SLIM } else { 15 }, cut),
            fit(&row.shown_id(), id, cut),
            fit(&start.unwrap_or_default(), 10, cut),
            why(job, is_wide),
        );
        lines.push(Line::styled(fit(&text, width, cut), style));
    }
    lines
}

fn asks(job: &Job) -> String {
    let mut all = vec![format!("{} CPU", job.cpus)];
    all.extend(job.resources.iter().map(|(name, n)| format!("{n} {name}")));
    all.extend(Some(memory(job.memory_bytes)).filter(|text| !text.is_empty()));
    all.extend(job.time_limit_s.map(span));
    all.join(" ")
}

/// The sentence without what every one of its kind begins with.
fn why(job: &Job, is_wide: bool) -> String {
    let sentence = in_sentence(job.state_detail.as_deref().unwrap_or_default());
    let sentence = sentence.strip_prefix("is next; ").unwrap_or(&sentence);
    match (is_wide, &job.state_reason) {
        (true, Some(word)) => format!("{word}: {sentence}"),
        _ => sentence.to_owned(),
    }
}

/// What ended.
pub(super) fn ended(state: &State, width: usize) -> Vec<Line<'static>> {
    let (marks, cut) = (state.marks, state.marks.cut());
    let rows = state.ended();
    if rows.is_empty() {
        return Vec::new();
    }
    let mut lines = vec![head(state, "  ENDED", width)];
    for row in rows {
        let (style, sign) = chosen(state, &row);
        let job = row.job;
        let over = job.end_time.as_deref().and_then(parse_rfc3339);
        let ago = over.map(|end| {
            let span = span(state.now.since_us(end) / 1_000_000);
            // The larger unit is enough.
            let words: Vec<&str> = span.split(' ').take(2).collect();
            format!("{} ago", words.join(" "))
        });
        let text = format!(
            " {} {} {} {} {:>6} {:>8} {:>9}",
            fit(&job.name, 15, cut),
            fit(&row.shown_id(), 13, cut),
            fit(&job.user, 6, cut),
            fit(job.state.word(), 13, cut),
            job.exit_code.as_deref().unwrap_or("?"),
            span(job.elapsed_s),
            ago.unwrap_or_default(),
        );
        let text = fit(&text, width.saturating_sub(2), cut);
        lines.push(Line::from(vec![
            Span::styled(sign, style),
            Span::styled(marks.state(job.state), marks.colour(job.state)),
            Span::styled(text, style),
        ]));
    }
    lines
}

/// The job that is chosen, line by line.
pub(super) fn job(state: &State) -> Vec<String> {
    let Some(row) = state.row_of_chosen() else { return vec!["No job is chosen.".to_owned()] };
    let job = row.job;
    let known = |label: &str, text: Option<String>| {
        text.filter(|text| !text.is_empty()).map(|text| format!("{label:<9} {text}"))
    };
    let time = |time: &Option<String>| time.as_ref().map(|time| clock(state.now, time));
    let sentence = job.state_detail.as_deref().map(in_sentence);
    let lines = [
        Some(format!("{} {}", row.shown_id(), job.name)),
        known("state", Some(format!("{} {}", state.marks.state(job.state), job.state.word()))),
        known("why", sentence),
        known("user", Some(job.user.clone())),
        known("account", Some(job.account.clone())),
        known("partition", Some(job.partition.clone())),
        known("asks", Some(asks(job))),
        known("started", time(&job.start_time)),
        known("starts by", time(&job.estimated_start_time)),
        known("ends by", time(&job.expected_end_time)),
        known("ended", time(&job.end_time)),
        known("code", job.exit_code.clone()),
        known("error", job.error.clone()),
    ];
    lines.into_iter().flatten().collect()
}
