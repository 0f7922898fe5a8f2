//! *Purpose*: one's own terminal while another one stands in for it.
//!
//! *Owns*: [`RawMode`], in which every key is passed on as it is.
//!
//! *Promises*: the terminal is as it was when the mode ends, and when [`restore`] is called by
//! who ends this process at once.
//!
//! *Not here*: what is done with the keys (`slurm::terminal`).

use std::sync::{Mutex, PoisonError};

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};

/// As it was.
static BEFORE: Mutex<Option<Termios>> = Mutex::new(None);

/// Until it is dropped, every key is passed on as it is.
pub struct RawMode;

impl RawMode {
    /// Begins it, on the terminal of standard input. On anything else nothing is changed.
    #[must_use]
    pub fn begin() -> RawMode {
        let stdin = rustix::stdio::stdin();
        if let Ok(before) = tcgetattr(stdin) {
            let mut raw = before.clone();
            raw.make_raw();
            *BEFORE.lock().unwrap_or_else(PoisonError::into_inner) = Some(before);
            let _not_raw_if_not = tcsetattr(stdin, OptionalActions::Now, &raw);
        }
        RawMode
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        restore();
    }
}

/// Makes the terminal as it was.
pub fn restore() {
    let before = BEFORE.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(before) = before {
        let _gone_if_not = tcsetattr(rustix::stdio::stdin(), OptionalActions::Now, &before);
    }
}
