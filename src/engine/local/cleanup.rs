//! *Purpose*: the cleanup of ended attempts, done by threads that work on files anyway.
//!
//! *Owns*: the names of ended attempts whose folders no thread has taken back yet.
//!
//! *Promises*: each name in the queue is cleaned up: by a thread that is at work on the spool, or,
//! when there is none, by a new one.
//!
//! *Not here*: what taking back is (`folder_pool`).
//!
//! Why: under load an end and the launch that follows from it come together. Waking one thread for
//! both costs half of what two cost, and the launch, which somebody waits for, goes first.

use std::sync::{Arc, Mutex};

use tokio::sync::oneshot;

use super::attempts::held;

/// The names that wait for their cleanup.
#[derive(Debug, Default)]
pub struct CleanupQueue(Mutex<Pending>);

#[derive(Debug, Default)]
struct Pending {
    names: Vec<(String, oneshot::Sender<()>)>,
    workers: usize,
}

/// A thread that empties the queue before it ends; it must be run.
#[derive(Debug)]
#[must_use]
pub struct CleanupWorker(Arc<CleanupQueue>);

impl CleanupQueue {
    /// The calling thread works on files soon, and promises to run the worker afterwards.
    pub fn add_worker(self: &Arc<CleanupQueue>) -> CleanupWorker {
        held(&self.0).workers += 1;
        CleanupWorker(Arc::clone(self))
    }

    /// Adds a name. Answers when it is cleaned up, and a worker that the caller must give a thread
    /// if no other is at work.
    pub fn push(
        self: &Arc<CleanupQueue>,
        name: String,
    ) -> (oneshot::Receiver<()>, Option<CleanupWorker>) {
        let (done, wait) = oneshot::channel();
        let alone = {
            let mut pending = held(&self.0);
            pending.names.push((name, done));
            pending.workers == 0
        };
        (wait, alone.then(|| self.add_worker()))
    }
}

impl CleanupWorker {
    /// Empties the queue.
    pub fn run(self, clean: impl Fn(&str)) {
        loop {
            let (name, done) = {
                let mut pending = held(&self.0.0);
                match pending.names.pop() {
                    Some(next) => next,
                    None => {
                        pending.workers -= 1;
                        return;
                    }
                }
            };
            clean(&name);
            let _nobody_waits = done.send(());
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_cleaned_up_by_a_worker_at_work_or_by_a_new_one() {
        let queue = Arc::new(CleanupQueue::default());
        let (mut first, alone) = queue.push("a".to_owned());
        let alone = alone.expect("nobody is at work");
        let (mut second, other) = queue.push("b".to_owned());
        assert!(other.is_none(), "somebody is at work");
        let busy = queue.add_worker();
        let done = Mutex::new(Vec::new());
        alone.run(|name| held(&done).push(name.to_owned()));
        assert_eq!(*held(&done), ["b", "a"]);
        assert_eq!((first.try_recv(), second.try_recv()), (Ok(()), Ok(())));
        let (mut third, other) = queue.push("c".to_owned());
        assert!(other.is_none(), "the launch is not over");
        busy.run(|name| held(&done).push(name.to_owned()));
        assert_eq!(third.try_recv(), Ok(()));
        assert!(queue.push("d".to_owned()).1.is_some());
    }
}
