//! *Purpose*: who holds which core and which GPU.
//!
//! *Owns*: the lines of cores and of GPUs.
//!
//! *Promises*: a core has the letter of its holder, and how busy it is where the server tells;
//! where there are several NUMA nodes each begins a line.
//!
//! *Not here*: letters (`top::state`), how many lines there are (`top::draw`).

use std::collections::BTreeMap;

use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::lists::NARROW;
use super::state::State;
use super::words::fit;
use crate::api::wire::resources::UnitState;
use crate::api::wire::v1::{Cpu, JobId};

/// CPUs of a block of the map, between which a gap helps counting.
const BLOCK: usize = 8;
/// Columns before the cores of a node, with its name.
pub(super) const LABEL: usize = 10;

/// Each CPU with the letter of its holder, and its load where the server tells it; so many lines at
/// the most, and the GPUs.
pub(super) fn cores(
    state: &State,
    (width, is_wide): (usize, bool),
    most: usize,
) -> Vec<Line<'static>> {
    let Some(overview) = &state.overview else { return Vec::new() };
    let cpus = &overview.resources.cpus;
    let mut nodes: BTreeMap<Option<u32>, Vec<&Cpu>> = BTreeMap::new();
    // Where lines are few they are not spent on nodes.
    let node = |cpu: &Cpu| cpu.node.filter(|_| width >= NARROW);
    cpus.iter().for_each(|cpu| nodes.entry(node(cpu)).or_default().push(cpu));
    let has_label = is_wide && nodes.len() > 1;
    let has_load = cpus.iter().any(|cpu| cpu.load.is_some());
    let label = if has_label { LABEL } else { 1 };
    let block = BLOCK * if has_load { 3 } else { 2 } + 1;
    let of_line = BLOCK * (width.saturating_sub(label) / block).max(1);
    let mut lines: Vec<(Line<'static>, usize)> = Vec::new();
    for (node, own) in &nodes {
        for (n, some) in own.chunks(of_line).enumerate() {
            let head = match node.filter(|_| has_label && n == 0) {
                Some(node) => format!(" node {node}"),
                None => String::new(),
            };
            let mut spans = vec![Span::raw(fit(&head, label, ""))];
            spans.extend(some.iter().enumerate().flat_map(|(n, cpu)| one(state, n, cpu, has_load)));
            lines.push((Line::from(spans), some.len()));
        }
    }
    let left: usize = lines.iter().skip(most.max(1)).map(|(_, cpus)| cpus).sum();
    lines.truncate(most.max(1));
    let mut lines: Vec<Line<'static>> = lines.into_iter().map(|(line, _)| line).collect();
    if left > 0 {
        lines.push(Line::raw(format!("   {left} CPUs more")));
    }
    lines.extend(gpus(state, width, label));
    lines
}

/// One CPU, the so many of its line.
fn one(state: &State, n: usize, cpu: &Cpu, has_load: bool) -> Vec<Span<'static>> {
    let marks = state.marks;
    let doubted = state.overview.iter().flat_map(|overview| &overview.resources.held_back_cpus);
    let (letter, style) = match cpu.job_id {
        Some(job) => (state.letter_of(job).to_string(), holder_style(state, job)),
        None if doubted.into_iter().any(|id| *id == cpu.id) => ("!".to_owned(), marks.warning()),
        None => (marks.free().to_owned(), Style::new()),
    };
    let gap = if n > 0 && n.is_multiple_of(BLOCK) { " " } else { "" };
    let load = cpu.load.map_or(" ", |load| marks.load(load.into()));
    let load = if has_load { load } else { "" };
    vec![Span::raw(gap), Span::styled(letter, style), Span::raw(load), Span::raw(" ")]
}

fn holder_style(state: &State, job: JobId) -> Style {
    let chosen = state.row_of_chosen();
    match chosen.is_some_and(|row| row.all.iter().any(|own| own.id == job)) {
        true => state.marks.chosen(),
        false => Style::new(),
    }
}

/// GPUs with their holders, and how busy they are where the server tells it.
fn gpus(state: &State, width: usize, label: usize) -> Option<Line<'static>> {
    let resources = &state.overview.as_ref()?.resources;
    let gpu = resources.resources.iter().find(|one| one.name == "gpu")?;
    let busy = |id: u32| {
        let own = resources.gpus.iter().find(|one| one.index == id)?;
        let load = own.load.map(|load| format!(" {} %", load / 10));
        let user = own.outside.as_ref().and_then(|outside| outside.user.as_deref());
        let outside = user.map(|user| format!(" outside: {user}"));
        Some(load.into_iter().chain(outside).collect::<String>())
    };
    let unit = |unit: &UnitState| {
        let holder = match (unit.job_id, &unit.held_back) {
            (Some(job), _) => state.letter_of(job).to_string(),
            (None, Some(_)) => "!".to_owned(),
            (None, None) => state.marks.free().to_owned(),
        };
        format!("{} {holder}{}", unit.id, busy(unit.id).unwrap_or_default())
    };
    let units: Vec<String> = gpu.units.iter().map(unit).collect();
    let head = fit(" GPU", label.max(6), "");
    Some(Line::raw(fit(&format!("{head}{}", units.join("  ")), width, state.marks.cut())))
}
