//! *Purpose*: what keys mean.
//!
//! *Owns*: [`key`], and the list of keys that is shown.
//!
//! *Promises*: a key by itself changes no job: each order is asked about, and only `y` gives it.
//!
//! *Not here*: giving orders (`top::orders`).

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::orders::{Deed, Order};
use super::state::{Mode, State};
use crate::api::wire::v1::{JobId, StateWord};

/// Rows of a page.
const PAGE: isize = 10;

/// Longest filter: a screen is no wider.
const FILTER_CHARS: usize = 60;

/// The keys, as they are listed.
pub(super) const KEYS: &[(&str, &str)] = &[
    ("↑ ↓  j k", "select"),
    ("PgUp PgDn", "ten rows"),
    ("Enter", "the job in full"),
    ("l", "follow what it prints"),
    ("/", "only jobs of these words"),
    ("m", "only mine"),
    ("a", "arrays task by task"),
    ("c", "cancel (asks)"),
    ("h", "hold, or release (asks)"),
    ("r", "run again (asks)"),
    ("+", "an hour more (asks)"),
    ("q  Esc", "close, quit"),
];

/// What a key asks the rest of the program for.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Wish {
    Nothing,
    Quit,
    Log(JobId),
    NoLog,
    Order(Order),
}

/// A key was pressed.
pub(super) fn key(state: &mut State, key: KeyEvent) -> Wish {
    if key.kind == KeyEventKind::Release {
        return Wish::Nothing;
    }
    if key.modifiers.contains(KeyModifiers::CONTROL) {
        return if key.code == KeyCode::Char('c') { Wish::Quit } else { Wish::Nothing };
    }
    match std::mem::take(&mut state.mode) {
        Mode::Reading => reading(state, key.code),
        Mode::Filter => {
            state.mode = filter(state, key.code);
            Wish::Nothing
        }
        Mode::Ask(order) => match key.code {
            KeyCode::Char('y' | 'Y') => Wish::Order(order),
            _ => Wish::Nothing,
        },
        Mode::Keys | Mode::Job => Wish::Nothing,
    }
}

fn reading(state: &mut State, code: KeyCode) -> Wish {
    state.said = None;
    match code {
        KeyCode::Up | KeyCode::Char('k') => state.go(-1),
        KeyCode::Down | KeyCode::Char('j') => state.go(1),
        KeyCode::PageUp => state.go(-PAGE),
        KeyCode::PageDown => state.go(PAGE),
        KeyCode::Home => state.go(isize::MIN),
        KeyCode::End => state.go(isize::MAX),
        KeyCode::Enter => state.mode = Mode::Job,
        KeyCode::Char('?') => state.mode = Mode::Keys,
        KeyCode::Char('/') => state.mode = Mode::Filter,
        KeyCode::Char('m') => state.is_mine = !state.is_mine,
        KeyCode::Char('a') => state.is_apart = !state.is_apart,
        KeyCode::Char('l') => return log(state),
        KeyCode::Char(letter @ ('c' | 'h' | 'r' | '+')) => ask(state, letter),
        KeyCode::Esc if state.log.is_some() => return close_log(state),
        KeyCode::Esc if !state.filter.is_empty() => state.filter.clear(),
        KeyCode::Esc | KeyCode::Char('q') => return Wish::Quit,
        _ => {}
    }
    Wish::Nothing
}

fn close_log(state: &mut State) -> Wish {
    state.log = None;
    Wish::NoLog
}

fn log(state: &mut State) -> Wish {
    let Some(job) = state.row_of_chosen().map(|row| row.job.id) else { return Wish::Nothing };
    if state.log.as_ref().is_some_and(|log| log.job == job) {
        return close_log(state);
    }
    state.open_log(job);
    Wish::Log(job)
}

fn ask(state: &mut State, letter: char) {
    let order = state.row_of_chosen().and_then(|row| match letter {
        'c' if !row.job.state.is_final() => Some(Order::new(Deed::Cancel, &row)),
        'h' if row.job.state == StateWord::Pending => {
            let deed = if row.job.held { Deed::Release } else { Deed::Hold };
            Some(Order::new(deed, &row))
        }
        'r' if row.job.state != StateWord::Pending => Some(Order::new(Deed::Again, &row)),
        '+' => Order::more_time(&row),
        _ => None,
    });
    match order {
        Some(order) => state.mode = Mode::Ask(order),
        None => state.said = Some("That does not go with this job".to_owned()),
    }
}

/// A letter of the filter, or its end.
fn filter(state: &mut State, code: KeyCode) -> Mode {
    match code {
        KeyCode::Enter => return Mode::Reading,
        KeyCode::Esc => {
            state.filter.clear();
            return Mode::Reading;
        }
        KeyCode::Backspace => drop(state.filter.pop()),
        KeyCode::Char(letter) if state.filter.chars().count() < FILTER_CHARS => {
            state.filter.push(letter);
        }
        _ => {}
    }
    Mode::Filter
}
