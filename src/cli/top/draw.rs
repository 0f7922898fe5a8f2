//! *Purpose*: the screen.
//!
//! *Owns*: who gets how many lines: numbers, cores, what runs, what waits, a log, what ended, in
//! this order; the line of numbers and the foot.
//!
//! *Promises*: nothing is drawn beyond the screen; below 60 columns or 15 lines only numbers and
//! what runs are shown; what others wrote is seen and never obeyed.
//!
//! *Not here*: rows of jobs (`top::lists`), the cores (`top::map`), what was held
//! (`top::history`).

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Clear, Paragraph};

use super::input::KEYS;
use super::marks::Marks;
use super::state::{Mode, State};
use super::words::{clock, fit, grouped};
use super::{history, lists, map};
use crate::api::wire::overview::EndedToday;
use crate::api::wire::v1::StateWord;

/// Below so many columns or lines there is room for little.
const SMALL: (u16, u16) = (60, 15);
/// From so many columns on there is room for all columns of a list.
const WIDE: u16 = 100;
/// From so many lines on lists stand apart.
const AIRY: usize = 30;
/// Which of the parts is the log: of it the last lines are shown.
const LOG: usize = 2;

/// Lines of one part, with the least and the most that it takes.
struct Part<'a> {
    lines: Vec<Line<'a>>,
    least: usize,
}

/// Draws it all.
pub(super) fn screen(state: &State, frame: &mut Frame<'_>) {
    let area = frame.area();
    if area.width == 0 || area.height == 0 {
        return;
    }
    let is_wide = area.width >= WIDE;
    let width = usize::from(area.width);
    let mut lines = vec![numbers(state, width)];
    let room = usize::from(area.height).saturating_sub(2);
    if area.width < SMALL.0 || area.height < SMALL.1 {
        lines.extend(lists::running(state, width, is_wide).into_iter().take(room));
    } else {
        lines.extend(parts(state, (width, is_wide), room));
    }
    lines.truncate(room + 1);
    lines.resize(usize::from(area.height).saturating_sub(1), Line::default());
    if area.height > 1 {
        lines.push(foot(state, width));
    }
    frame.render_widget(Paragraph::new(lines), area);
    match &state.mode {
        Mode::Keys => over(frame, area, &keys(state)),
        Mode::Job => over(frame, area, &lists::job(state)),
        _ => {}
    }
}

/// What stands between the numbers and the foot.
fn parts(state: &State, (width, is_wide): (usize, bool), room: usize) -> Vec<Line<'_>> {
    let mut map = maintenance(state, width);
    // Where there is room a blank line tells lists apart.
    let gap = usize::from(room >= AIRY);
    map.extend(map::cores(state, (width, is_wide), room / 4));
    let history = if is_wide && gap > 0 { history::line(state, width) } else { None };
    map.extend(history.or_else(|| history::openings(state, width)));
    if gap == 0 {
        map.push(Line::default());
    }
    let map_room = map.len().min(room);
    let list = |lines: Vec<Line<'static>>, least: usize| match lines.is_empty() {
        true => Part { lines, least: 0 },
        false => {
            let blank = std::iter::repeat_n(Line::default(), gap);
            let least = if least == 0 { 0 } else { least + gap };
            Part { lines: blank.chain(lines).collect(), least }
        }
    };
    let all = [
        list(lists::running(state, width, is_wide), 3),
        list(lists::waiting(state, width, is_wide), 3),
        list(log(state, width), 3),
        list(lists::ended(state, width), 0),
    ];
    let given = shared(&all, room - map_room);
    map.truncate(map_room);
    for (n, (part, given)) in all.into_iter().zip(given).enumerate() {
        map.extend(match n {
            LOG => lists::tail(part.lines, 1 + gap, given),
            _ => lists::cut(part.lines, given),
        });
    }
    map
}

/// How many lines each part gets of so many: first each its least, then in order what it wants; a
/// log takes what is left.
fn shared(all: &[Part<'_>], mut room: usize) -> Vec<usize> {
    let mut given: Vec<usize> = Vec::new();
    for part in all {
        let own = part.lines.len().min(part.least).min(room);
        room -= own;
        given.push(own);
    }
    for (part, own) in all.iter().zip(&mut given) {
        // No list takes so much that the others have nothing but their least.
        let more = (part.lines.len() - *own).min(room.div_ceil(2).max(1)).min(room);
        *own += more;
        room -= more;
    }
    for (part, own) in all.iter().zip(&mut given) {
        let more = (part.lines.len() - *own).min(room);
        *own += more;
        room -= more;
    }
    given
}

fn numbers(state: &State, width: usize) -> Line<'static> {
    let marks = state.marks;
    let Some(overview) = &state.overview else { return Line::from("no answer yet") };
    let resources = &overview.resources;
    let mut left = vec![
        Span::styled(
            format!(" {}  ", fit(&resources.node, 12, marks.cut()).trim_end()),
            marks.head(),
        ),
        Span::raw(format!("CPU {}/{}", resources.used_cpus, resources.total_cpus)),
    ];
    if let Some(gpu) = resources.resources.iter().find(|one| one.name == "gpu") {
        left.push(Span::raw(format!("  GPU {}/{}", gpu.used, gpu.total.unwrap_or(0))));
    }
    if let Some(total) = resources.total_memory_bytes {
        let giga = |bytes: u64| bytes >> 30;
        let used = resources.used_memory_bytes;
        left.push(Span::raw(format!("  {}/{} G", giga(used), giga(total))));
    }
    let counts = [
        (StateWord::Running, resources.running_jobs),
        (StateWord::Pending, resources.pending_jobs),
    ];
    for (word, n) in counts {
        let text = format!("  {} {}", marks.state(word), grouped(n));
        left.push(Span::styled(text, marks.colour(word)));
    }
    let right = match state.is_away {
        true => Span::styled(format!("reconnecting, as of {} ", state.heard), marks.warning()),
        false => Span::styled(format!("{} {} ", marks.live(), state.heard), marks.good()),
    };
    let most = width.saturating_sub(right.width() + 1);
    let mut used = 0;
    // What does not fit is left out whole, the last first.
    left.retain(|span| {
        used += span.width();
        used <= most
    });
    let room = most.saturating_sub(used);
    left.extend(overview.ended_today.iter().flat_map(|ended| ended_today(ended, marks, room)));
    let used: usize = left.iter().map(Span::width).sum();
    let gap = width.saturating_sub(used + right.width());
    left.push(Span::raw(" ".repeat(gap)));
    left.push(right);
    Line::from(left)
}

/// How many ended today and how, as far as there is room: where it is little, those that did not
/// complete.
fn ended_today(ended: &EndedToday, marks: Marks, room: usize) -> Vec<Span<'static>> {
    let sign = |word, n| format!(" {} {}", marks.state(word), grouped(n));
    let bad = Span::styled(sign(StateWord::Failed, ended.other), marks.bad());
    let all = match ended.is_more {
        true => {
            let most = grouped(ended.completed + ended.other);
            vec![Span::raw(format!("  today more than {most}"))]
        }
        false => {
            let good = Span::styled(sign(StateWord::Completed, ended.completed), marks.good());
            vec![Span::raw("  today"), good, bad.clone()]
        }
    };
    let little = vec![Span::raw(" "), bad];
    let fits = |spans: &Vec<Span>| spans.iter().map(Span::width).sum::<usize>() <= room;
    match (fits(&all), !ended.is_more && fits(&little)) {
        (true, _) => all,
        (false, true) => little,
        (false, false) => Vec::new(),
    }
}

fn maintenance(state: &State, width: usize) -> Vec<Line<'static>> {
    let marks = state.marks;
    let windows = state.overview.iter().flat_map(|overview| &overview.maintenance).take(1);
    let told = windows.map(|window| {
        let from = clock(state.now, &window.start_time);
        let until = window.end_time.as_ref().map(|end| format!(" to {}", clock(state.now, end)));
        let until = until.unwrap_or_default();
        let what = if window.active { "Drained since" } else { "Maintenance" };
        let text = format!(" {what} {from}{until} {}", window.reason);
        Line::styled(fit(&text, width, marks.cut()), marks.warning())
    });
    told.collect()
}

fn log(state: &State, width: usize) -> Vec<Line<'static>> {
    let marks = state.marks;
    let Some(log) = &state.log else { return Vec::new() };
    let title = format!("{} {} stdout ", marks.rule().repeat(3), log.job);
    let rest = width.saturating_sub(title.chars().count());
    let head = Line::styled(format!("{title}{}", marks.rule().repeat(rest)), marks.head());
    let line = |text: &String| Line::raw(fit(&format!(" {text}"), width, marks.cut()));
    let silent = log.lines.is_empty().then(|| Line::styled(" (nothing yet)", marks.faint()));
    [head].into_iter().chain(silent).chain(log.lines.iter().map(line)).collect()
}

fn foot(state: &State, width: usize) -> Line<'static> {
    let marks = state.marks;
    let line = |text: String, style| Line::styled(fit(&text, width, marks.cut()), style);
    match (&state.mode, &state.said) {
        (Mode::Ask(order), _) => line(format!(" {}", order.question()), marks.warning()),
        (Mode::Filter, _) => line(format!(" / {}_", state.filter), marks.head()),
        (_, Some(said)) => line(format!(" {said}"), marks.warning()),
        _ => {
            let mine = if state.is_mine { "m all" } else { "m mine" };
            let filter = match state.filter.as_str() {
                "" => "/ filter".to_owned(),
                words => format!("/ {words}"),
            };
            let most = format!(" {}  Enter job  l log  {filter}  {mine}  c cancel", marks.arrows());
            let more = "  h hold  r again  + more time  a arrays";
            let right = "? keys  q quit ";
            let room = width.saturating_sub(right.len() + 1);
            let left = format!("{most}{more}");
            let left = if left.chars().count() <= room { left } else { most };
            line(format!("{}{right}", fit(&left, room + 1, marks.cut())), marks.faint())
        }
    }
}

fn keys(state: &State) -> Vec<String> {
    let arrows = |keys: &str| keys.replace("↑ ↓", state.marks.arrows());
    KEYS.iter().map(|(keys, what)| format!("{:<10}  {what}", arrows(keys))).collect()
}

/// Some lines over all else.
fn over(frame: &mut Frame<'_>, area: Rect, lines: &[String]) {
    let widest = lines.iter().map(|line| line.chars().count()).max().unwrap_or(0) + 4;
    let width = u16::try_from(widest).unwrap_or(u16::MAX).min(area.width);
    let height = u16::try_from(lines.len() + 2).unwrap_or(u16::MAX).min(area.height);
    let (x, y) = ((area.width - width) / 2, (area.height - height) / 2);
    let place = Rect { x, y, width, height };
    let inner = usize::from(width).saturating_sub(4);
    let line = |text: &String| Line::raw(format!("  {}", fit(text, inner, "~")));
    let mut all = vec![Line::default()];
    all.extend(lines.iter().map(line));
    frame.render_widget(Clear, place);
    frame.render_widget(Paragraph::new(all).style(Style::new()), place);
}
