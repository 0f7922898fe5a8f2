//! *Purpose*: what a panic ends.
//!
//! *Owns*: the panic hook, and the mark of a thread that does harmless work.
//!
//! *Promises*: a panic ends the process at once, whichever thread it strikes, since what that
//! thread owned is half changed and boot is the repair. One kind of work is harmless: it owns
//! nothing that outlives it. A panic there ends that work alone, and whoever waited for it
//! gets a [`Bug`].
//!
//! *Not here*: which work is harmless. `api::auth` says it of a handler and of the body of its
//! answer, `api::app` of a read of the database, `api::files` of a read of a job's file. Actors,
//! the store's writer, the engine's threads and the step daemon never do.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

thread_local! {
    /// How many harmless works this thread is in.
    static HARMLESS: Cell<u32> = const { Cell::new(0) };
    /// What the last panic of harmless work said, and where it struck.
    static SAID: RefCell<String> = const { RefCell::new(String::new()) };
}

/// What a panic said that ended harmless work.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Bug(String);

impl Bug {
    /// Ends the harmless work that waited for this one, too.
    pub fn go_on(self) -> ! {
        resume_unwind(Box::new(self))
    }

    fn of(payload: Box<dyn Any + Send>) -> Bug {
        match payload.downcast::<Bug>() {
            Ok(bug) => *bug,
            Err(_) => Bug(SAID.with_borrow_mut(std::mem::take)),
        }
    }
}

/// Makes every panic from now on end the process, unless it strikes harmless work.
pub fn install() {
    let default = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if HARMLESS.get() > 0 {
            SAID.with_borrow_mut(|said| *said = panic.to_string());
            return;
        }
        default(panic);
        log::error!("A bug: {panic}. This process ends; jobs go on, the next start repairs.");
        std::process::abort();
    }));
}

/// Marks this thread until it is dropped, by a panic too.
struct Mark;

impl Mark {
    fn set() -> Mark {
        HARMLESS.set(HARMLESS.get() + 1);
        Mark
    }
}

impl Drop for Mark {
    fn drop(&mut self) {
        HARMLESS.set(HARMLESS.get() - 1);
    }
}

/// Does harmless work.
///
/// # Errors
/// What a panic in it said.
pub fn harmless<T>(work: impl FnOnce() -> T) -> Result<T, Bug> {
    let mark = Mark::set();
    // Whatever the work held is dropped with it, and what it shared with others guards itself:
    // a pooled connection of a panicking thread is thrown away, a watch channel is never half set.
    let done = catch_unwind(AssertUnwindSafe(work));
    drop(mark);
    done.map_err(Bug::of)
}

/// A future whose polls are harmless work.
pub struct Harmless<F>(Pin<Box<F>>);

impl<F: Future> Harmless<F> {
    /// Wraps it.
    pub fn new(work: F) -> Harmless<F> {
        Harmless(Box::pin(work))
    }
}

impl<F: Future> Future for Harmless<F> {
    type Output = Result<F::Output, Bug>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match harmless(|| self.0.as_mut().poll(cx)) {
            Ok(polled) => polled.map(Ok),
            Err(bug) => Poll::Ready(Err(bug)),
        }
    }
}
