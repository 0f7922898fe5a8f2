//! *Purpose*: shows that something is being waited for.
//!
//! *Owns*: [`Progress`], a spinner on stderr.
//!
//! *Promises*: off a terminal it prints nothing at all.
//!
//! *Not here*: results (stdout is the verbs').

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::ProgressBar;

use super::terminal::shown;

/// A spinner, or nothing.
pub(super) struct Progress(ProgressBar);

impl Progress {
    pub(super) fn start(message: String) -> Progress {
        if !std::io::stderr().is_terminal() {
            return Progress(ProgressBar::hidden());
        }
        let bar = ProgressBar::new_spinner();
        bar.set_message(shown(&message).into_owned());
        bar.enable_steady_tick(Duration::from_millis(120));
        Progress(bar)
    }

    pub(super) fn update(&self, message: String) {
        self.0.set_message(shown(&message).into_owned());
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
