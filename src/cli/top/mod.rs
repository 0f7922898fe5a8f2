//! *Purpose*: `downbeat top`, the server on one screen.
//!
//! *Owns*: the terminal while it is shown, and the loop that draws.
//!
//! *Promises*: the terminal is as before when it ends, however it ends; nothing is drawn unless
//! something came or a second passed; a server that is away is said, and asked for again.
//!
//! *Not here*: what is known (`top::state`), what is drawn (`top::draw`), what keys mean
//! (`top::input`), who brings news (`top::news`).

mod draw;
mod history;
mod input;
mod lists;
mod map;
mod marks;
mod news;
mod orders;
mod rows;
mod state;
mod words;

use std::io::IsTerminal;
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

use ratatui::crossterm::cursor::Show;
use ratatui::crossterm::event::Event;
use ratatui::crossterm::execute;

use self::input::Wish;
use self::marks::Marks;
use self::news::{Desk, News};
use self::state::State;
use super::client::{Client, Connect};
use super::error::CliError;
use crate::fault;

/// The clock and what has run so far go on by the second.
const TICK: Duration = Duration::from_secs(1);

/// How it is shown.
#[derive(clap::Args, Clone, Debug)]
pub struct TopArgs {
    #[command(flatten)]
    connect: Connect,
    /// Letters instead of signs, for terminals that have no others [default: as the locale says]
    #[arg(long)]
    ascii: bool,
    /// Only my own jobs to begin with
    #[arg(long)]
    me: bool,
}

/// `downbeat top`.
pub(super) fn run(args: &TopArgs) -> Result<u8, CliError> {
    may_draw()?;
    let client = Client::new(&args.connect)?;
    // The first answer, before the screen is taken: a wrong address is said as by any verb.
    let first = client.get(news::OVERVIEW)?;
    let mut state = State::new(Marks::new(args.ascii || !has_signs(), has_colours()), args.me);
    state.take(&first.text).map_err(not_understood)?;
    let mut desk = Desk::open(client)?;
    show_cursor_after_a_bug();
    let mut terminal = ratatui::try_init().map_err(no_terminal)?;
    let done = show(&mut terminal, &mut state, &mut desk);
    ratatui::restore();
    done.map(|()| 0)
}

/// A bug ends the process before the terminal, as ratatui has it, shows its cursor again. Its own
/// hook is before this one, and does the rest.
fn show_cursor_after_a_bug() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        // There may be no terminal any more.
        let _shown = execute!(std::io::stdout(), Show);
        before(panic);
    }));
}

fn show(
    terminal: &mut ratatui::DefaultTerminal,
    state: &mut State,
    desk: &mut Desk,
) -> Result<(), CliError> {
    loop {
        state.now = crate::clock::now();
        fault::bug(fault::BUG_IN_TOP);
        terminal.draw(|frame| draw::screen(state, frame)).map_err(no_terminal)?;
        let first = match desk.news.recv_timeout(TICK) {
            Ok(news) => news,
            Err(RecvTimeoutError::Timeout) => continue,
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
        };
        // All that is there already belongs to one frame.
        let mut next = Some(first);
        while let Some(news) = next {
            if hear(news, state, desk)? == Wish::Quit {
                return Ok(());
            }
            next = desk.news.try_recv().ok();
        }
    }
}

fn hear(news: News, state: &mut State, desk: &mut Desk) -> Result<Wish, CliError> {
    let wish = match news {
        News::Overview(text) => {
            state.take(&text).map_err(not_understood)?;
            Wish::Nothing
        }
        News::Samples(text) => {
            state.take_samples(&text).map_err(not_understood)?;
            Wish::Nothing
        }
        News::Same => {
            state.is_live();
            Wish::Nothing
        }
        News::Away => {
            state.is_away();
            Wish::Nothing
        }
        News::Log(of, bytes) => {
            state.log_says(of, &bytes);
            Wish::Nothing
        }
        News::Done(sentence) => {
            state.said = Some(sentence);
            Wish::Nothing
        }
        News::Typed(Event::Key(key)) => input::key(state, key),
        News::Typed(_) => Wish::Nothing,
        News::End => Wish::Quit,
    };
    match &wish {
        Wish::Log(job) => desk.follow(*job),
        Wish::NoLog => desk.follow_none(),
        Wish::Order(order) => desk.give(order.clone()),
        Wish::Nothing | Wish::Quit => {}
    }
    Ok(wish)
}

/// Colours are left out where the variable says so (no-color.org).
fn has_colours() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Signs are left out where the locale has none, as that of C has not (setlocale(3)).
fn has_signs() -> bool {
    let mut said = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().filter_map(std::env::var_os);
    let locale = said.find(|value| !value.is_empty()).unwrap_or_default();
    let locale = locale.to_string_lossy().to_ascii_lowercase();
    locale.contains("utf-8") || locale.contains("utf8")
}

/// Whether this is a terminal that can be drawn upon.
fn may_draw() -> Result<(), CliError> {
    let instead = "`downbeat queue --watch` lists jobs without one";
    let terminal = std::env::var("TERM").unwrap_or_default();
    if terminal.is_empty() || terminal == "dumb" {
        let said = if terminal.is_empty() { "is not set" } else { "is dumb" };
        let sentence = format!("top draws on the whole terminal, and TERM {said}; {instead}");
        return Err(CliError::Usage(sentence));
    }
    if !(std::io::stdout().is_terminal() && std::io::stdin().is_terminal()) {
        let sentence = format!("top needs a terminal to draw on; {instead}");
        return Err(CliError::Usage(sentence));
    }
    Ok(())
}

fn not_understood(error: serde_json::Error) -> CliError {
    CliError::Other(format!("the server's answer is not understood: {error}"))
}

fn no_terminal(error: std::io::Error) -> CliError {
    CliError::Other(format!("the terminal cannot be drawn upon: {error}"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
