//! *Purpose*: who brings what `top` shows: the server, the keyboard, signals.
//!
//! *Owns*: [`Desk`], its threads and the way to them.
//!
//! *Promises*: an overview is asked for when the server says that something happened, twice a
//! second at the most, and every few seconds in any case; a server that is away is asked again
//! after 1, 2, 4 and at most 8 s; a log that nobody shows any more is let go.
//!
//! *Not here*: what is made of it (`top::state`).

use std::io::{BufRead, BufReader};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, TrySendError, channel};
use std::time::Duration;

use ratatui::crossterm::event::{Event, read};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::super::client::Client;
use super::super::error::CliError;
use super::super::follow::{Heard, Stream, heard};
use super::history::BACK_S;
use super::orders::Order;
use crate::api::wire::v1::JobId;
use crate::clock::monotonic;

/// Where overviews are.
pub(super) const OVERVIEW: &str = "/api/v1/overview";
/// The least time between two overviews.
const APART: Duration = Duration::from_millis(500);
/// Loads change without an event, and whoever hears of his own jobs alone hears of no others.
const IN_ANY_CASE: Duration = Duration::from_secs(3);
/// Where it is told what was held when.
const SAMPLES: &str = "/api/v1/samples";
/// There is a new one each minute.
const SAMPLES_EVERY: Duration = Duration::from_secs(60);
/// The longest wait for a server that is away.
const AWAY_MAX: Duration = Duration::from_secs(8);
/// Lines of a log that were there before.
const LOG_TAIL: u64 = 200;

/// What came.
pub(super) enum News {
    /// Another overview.
    Overview(String),
    /// What was held lately.
    Samples(String),
    /// The last one holds.
    Same,
    /// The server does not answer.
    Away,
    /// A job wrote this.
    Log(JobId, Vec<u8>),
    /// What became of an order.
    Done(String),
    /// A key, or another size.
    Typed(Event),
    /// Somebody wants the program to end.
    End,
}

/// Where news come in and orders go out.
pub(super) struct Desk {
    pub(super) news: Receiver<News>,
    to: Sender<News>,
    client: Client,
    wake: SyncSender<()>,
    /// Which log is shown; another number lets the ones before go.
    log: Arc<AtomicU64>,
}

impl Desk {
    /// Starts those who bring news.
    pub(super) fn open(client: Client) -> Result<Desk, CliError> {
        let (to, news) = channel();
        let (wake, woken) = std::sync::mpsc::sync_channel(1);
        let signals = Signals::new([SIGTERM, SIGHUP, SIGINT]);
        let mut signals = signals.map_err(|error| CliError::Other(error.to_string()))?;
        let told = to.clone();
        spawn("signals", move || {
            if signals.forever().next().is_some() {
                // The receiver is gone when the program ends by itself.
                let _ended = told.send(News::End);
            }
        })?;
        let typed = to.clone();
        spawn("keys", move || {
            while let Ok(event) = read() {
                if typed.send(News::Typed(event)).is_err() {
                    return;
                }
            }
        })?;
        let (asking, answered) = (client.clone(), to.clone());
        spawn("overview", move || overviews(&asking, &woken, &answered))?;
        let (listening, waking) = (client.clone(), wake.clone());
        spawn("events", move || events(&listening, &waking))?;
        Ok(Desk { news, to, client, wake, log: Arc::default() })
    }

    /// Shows what this job prints, from its last lines on.
    pub(super) fn follow(&self, job: JobId) {
        let own = self.log.fetch_add(1, Ordering::SeqCst) + 1;
        let (shown, to, client) = (Arc::clone(&self.log), self.to.clone(), self.client.clone());
        let brought = spawn("log", move || {
            let is_shown = || shown.load(Ordering::SeqCst) == own;
            let gone = || CliError::Pipe;
            let what = (job.into(), Stream::Stdout);
            let ended = heard(&client, what, (Some(LOG_TAIL), false), &mut |heard| {
                let bytes = match heard {
                    Heard::Bytes(bytes) => bytes.to_vec(),
                    Heard::Anew(_) | Heard::Still => Vec::new(),
                };
                if !is_shown() {
                    return Err(gone());
                }
                to.send(News::Log(job, bytes)).map_err(|_| gone())
            });
            if let Err(error) = ended
                && is_shown()
            {
                let _gone = to.send(News::Log(job, format!("{error}\n").into_bytes()));
            }
        });
        if let Err(error) = brought {
            let _gone = self.to.send(News::Done(error.to_string()));
        }
    }

    /// No log is shown.
    pub(super) fn follow_none(&self) {
        self.log.fetch_add(1, Ordering::SeqCst);
    }

    /// Gives an order.
    pub(super) fn give(&self, order: Order) {
        let (to, client, wake) = (self.to.clone(), self.client.clone(), self.wake.clone());
        let given = spawn("order", move || {
            let _gone = to.send(News::Done(order.give(&client)));
            let _woken_already = wake.try_send(());
        });
        if let Err(error) = given {
            let _gone = self.to.send(News::Done(error.to_string()));
        }
    }
}

fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> Result<(), CliError> {
    let made = std::thread::Builder::new().name(format!("top-{name}")).spawn(body);
    made.map(drop).map_err(|error| CliError::Other(format!("no thread: {error}")))
}

/// Asks for overviews until nobody shows them, and for what was held once a minute.
fn overviews(client: &Client, woken: &Receiver<()>, to: &Sender<News>) {
    let (mut tag, mut away) = (None, Duration::ZERO);
    let (mut has_loads, mut sampled) = (false, None);
    loop {
        if sampled.is_none_or(|at| monotonic().duration_since(at) >= SAMPLES_EVERY) {
            // Without an answer there is no line of it; that the server is away is said below.
            if let Ok(answer) = client.get(&format!("{SAMPLES}?from=-{BACK_S}s"))
                && to.send(News::Samples(answer.text)).is_err()
            {
                return;
            }
            sampled = Some(monotonic());
        }
        let news = match client.get_unless(OVERVIEW, tag.as_deref()) {
            Ok((None, _)) => News::Same,
            Ok((Some(answer), newer)) => {
                tag = newer;
                has_loads = tells_loads(&answer.text);
                News::Overview(answer.text)
            }
            Err(_) => News::Away,
        };
        let is_away = matches!(news, News::Away);
        if to.send(news).is_err() {
            return;
        }
        away = if is_away { (away * 2).clamp(2 * APART, AWAY_MAX) } else { Duration::ZERO };
        std::thread::sleep(away.max(APART));
        match woken.recv_timeout(if is_away { Duration::ZERO } else { IN_ANY_CASE }) {
            Ok(()) => {}
            // Loads change without the server changing anything, and so under the same tag.
            Err(RecvTimeoutError::Timeout) if has_loads => tag = None,
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

/// Whether an overview tells how busy anything is.
fn tells_loads(text: &str) -> bool {
    const LOAD: &str = "\"load\":";
    let mut behind = text.match_indices(LOAD).map(|(at, _)| &text[at + LOAD.len()..]);
    behind.any(|value| value.starts_with(|first: char| first.is_ascii_digit()))
}

/// Wakes whoever asks for overviews at each event of the server.
fn events(client: &Client, wake: &SyncSender<()>) {
    loop {
        if let Ok(bytes) = client.stream("/api/v1/events") {
            for line in BufReader::new(bytes.reader).lines() {
                let Ok(line) = line else { break };
                let is_event = line.starts_with("data:");
                if is_event && matches!(wake.try_send(()), Err(TrySendError::Disconnected(()))) {
                    return;
                }
            }
        }
        if matches!(wake.try_send(()), Err(TrySendError::Disconnected(()))) {
            return;
        }
        std::thread::sleep(2 * APART);
    }
}
