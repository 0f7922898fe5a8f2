//! *Purpose*: what happens while the demo runs, in the order in which it is heard.
//!
//! *Owns*: [`News`] and its two sources that are not the server's output: signals to the demo,
//! and the server's stream of transitions.
//!
//! *Promises*: one channel carries everything, so the demo waits in one place only and Ctrl-C
//! is heard wherever it waits.
//!
//! *Not here*: what is made of it (`demo`).

use std::io::{BufRead, BufReader};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::Duration;

use anyhow::{Context, Result};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::api::wire::v1::Event;
use crate::cli::client::Client;

/// Something that happened.
#[derive(Debug)]
pub(super) enum News {
    /// The server printed a line.
    ServerSaid(String),
    /// The server closed its output: it has ended.
    ServerSilent,
    /// A job changed.
    Changed(Event),
    /// The stream of changes is over; with why, if it should not be.
    StreamOver(Option<String>),
    /// Somebody wants the demo to end.
    Interrupted,
}

/// Turns SIGINT, SIGTERM and SIGHUP into news.
pub(super) fn signals(news: Sender<News>) -> Result<()> {
    let mut signals =
        Signals::new([SIGINT, SIGTERM, SIGHUP]).context("signals cannot be caught")?;
    std::thread::spawn(move || {
        for _ in &mut signals {
            let _ = news.send(News::Interrupted);
        }
    });
    Ok(())
}

/// Turns transitions into news from now on, until so many jobs have ended: the connection is
/// let go then, and the server need not wait for it when it stops.
pub(super) fn transitions(client: &Client, jobs: usize, news: Sender<News>) -> Result<()> {
    let stream = client.stream("/api/v1/events")?;
    std::thread::spawn(move || {
        let mut to_come = jobs;
        for line in BufReader::new(stream.reader).lines() {
            let told = match line {
                Ok(line) => match line.strip_prefix("data:") {
                    Some(data) => serde_json::from_str(data.trim()).map_err(|e| e.to_string()),
                    None => continue,
                },
                Err(error) => Err(error.to_string()),
            };
            let event: Event = match told {
                Ok(event) => event,
                Err(error) => return drop(news.send(News::StreamOver(Some(error)))),
            };
            to_come -= usize::from(event.to.is_final());
            if news.send(News::Changed(event)).is_err() || to_come == 0 {
                return drop(news.send(News::StreamOver(None)));
            }
        }
        let _ = news.send(News::StreamOver(Some("it ended early".to_owned())));
    });
    Ok(())
}

/// Why the demo ends before its jobs do.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Trouble {
    /// Somebody wanted it.
    #[error("interrupted")]
    Interrupted,
    /// The server is gone.
    #[error("the server ended by itself")]
    ServerGone,
    /// Nothing is heard of the jobs any more.
    #[error("the stream of transitions broke: {0}")]
    StreamBroke(String),
    /// Too long.
    #[error("nothing happened for {0} s")]
    Silence(u64),
}

/// The next news; bad news are errors.
pub(super) fn next(news: &Receiver<News>, within: Option<Duration>) -> Result<News, Trouble> {
    let next = match within {
        Some(within) => news.recv_timeout(within),
        None => news.recv().map_err(|_| RecvTimeoutError::Disconnected),
    };
    match next {
        Ok(News::Interrupted) => Err(Trouble::Interrupted),
        Ok(News::ServerSilent) | Err(RecvTimeoutError::Disconnected) => Err(Trouble::ServerGone),
        Ok(News::StreamOver(Some(why))) => Err(Trouble::StreamBroke(why)),
        Ok(news) => Ok(news),
        Err(RecvTimeoutError::Timeout) => {
            Err(Trouble::Silence(within.unwrap_or_default().as_secs()))
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn bad_news_end_the_wait_with_a_sentence() {
        let (tell, news) = std::sync::mpsc::channel();
        let told = |one: News| {
            tell.send(one).unwrap();
            next(&news, None)
        };
        assert!(told(News::ServerSaid("x".into())).is_ok());
        assert!(told(News::StreamOver(None)).is_ok());
        assert_eq!(told(News::Interrupted).unwrap_err(), Trouble::Interrupted);
        assert_eq!(told(News::ServerSilent).unwrap_err(), Trouble::ServerGone);
        let cut = told(News::StreamOver(Some("cut".into()))).unwrap_err();
        assert_eq!(cut.to_string(), "the stream of transitions broke: cut");
        assert_eq!(next(&news, Some(Duration::ZERO)).unwrap_err(), Trouble::Silence(0));
    }
}
