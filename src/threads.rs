//! *Purpose*: threads that exist from the start.
//!
//! *Owns*: how runtimes are made whose work waits for files and the database, and which of them the
//! whole process shares for that; [`Apart`], threads for work that may hang; [`Turns`], how
//! much of the same may.
//!
//! *Promises*: a machine that has no more threads to give, because a job has taken them all, ends
//! no server: those that there are do the work, and none of them ends for want of it. Work that
//! hangs in threads of [`Apart`] holds up no end of the process.
//!
//! *Not here*: what is done on them (`api::app`, `api::files`, `engine`), the threads of actors and
//! connections, which actix starts once.

use std::collections::HashMap;
use std::hash::Hash;
use std::io;
use std::sync::mpsc;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::Duration;

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::Semaphore;

/// How long a thread waits for work: for ever, as far as a clock can count that.
const FOREVER: Duration = Duration::from_secs(u32::MAX as u64);
/// How long the threads may take to be there.
const START_BOUND: Duration = Duration::from_secs(5);

/// The threads that the process shares.
static SHARED: OnceLock<Handle> = OnceLock::new();

/// A runtime of one thread with others beside it for work that waits: `least` of them are there
/// when this returns, and never end.
///
/// # Errors
/// When the system has not so many threads to give.
pub fn runtime(name: &str, least: usize, most: usize) -> io::Result<Runtime> {
    // Without a single thread tokio gives up by a panic; this is an error.
    let trial = std::thread::Builder::new().name(name.to_owned()).spawn(|| {})?;
    let _ended = trial.join();
    let runtime = Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(most.max(least))
        .thread_keep_alive(FOREVER)
        .thread_name(name)
        .build()?;
    let (here, all_here) = mpsc::channel();
    let (go, gate) = mpsc::channel::<()>();
    let gate = Arc::new(Mutex::new(gate));
    for _ in 0..least {
        let (here, gate) = (here.clone(), Arc::clone(&gate));
        runtime.handle().spawn_blocking(move || {
            let _nobody_counts = here.send(());
            // Until nobody holds the other end.
            let _opened = gate.lock().unwrap_or_else(PoisonError::into_inner).recv();
        });
    }
    let counted = (0..least).try_for_each(|_| all_here.recv_timeout(START_BOUND));
    drop(go);
    counted
        .map_err(|_| io::Error::other(format!("fewer than {least} threads could be started")))?;
    Ok(runtime)
}

/// Threads for work that may hang for ever, such as a look at somebody else's file system.
#[derive(Debug)]
pub struct Apart {
    handle: Handle,
    /// Taken only when it ends.
    runtime: Option<Runtime>,
}

impl Apart {
    /// `least` threads are there from now on, others, up to `most`, are started when there is work
    /// for them.
    ///
    /// # Errors
    /// When the system has not so many threads to give.
    pub fn start(name: &str, least: usize, most: usize) -> io::Result<Apart> {
        let runtime = runtime(name, least, most)?;
        Ok(Apart { handle: runtime.handle().clone(), runtime: Some(runtime) })
    }

    /// Where work is given to them.
    #[must_use]
    pub fn handle(&self) -> &Handle {
        &self.handle
    }
}

impl Drop for Apart {
    fn drop(&mut self) {
        // What hangs must not hold up the end of the server.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// How much of the same goes on at a time: of each key so much, whoever hangs.
#[derive(Debug)]
pub struct Turns<K> {
    each: usize,
    /// Held for a look only.
    of: Mutex<HashMap<K, Weak<Semaphore>>>,
}

impl<K: Eq + Hash> Turns<K> {
    /// So many of each at a time.
    #[must_use]
    pub fn new(each: usize) -> Turns<K> {
        Turns { each, of: Mutex::default() }
    }

    /// Where the turn of one is waited for.
    pub fn of(&self, key: K) -> Arc<Semaphore> {
        let mut of = self.of.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(turns) = of.get(&key).and_then(Weak::upgrade) {
            return turns;
        }
        of.retain(|_, turns| turns.strong_count() > 0);
        let turns = Arc::new(Semaphore::new(self.each));
        of.insert(key, Arc::downgrade(&turns));
        turns
    }
}

/// From now on work of the whole process that waits is done beside this runtime.
pub fn share(handle: Handle) {
    let _the_first_is_kept = SHARED.set(handle);
}

/// The runtime beside which work that waits is done: the shared one, else that of the caller.
#[must_use]
pub fn shared() -> Handle {
    SHARED.get().cloned().unwrap_or_else(Handle::current)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_hangs_apart_is_not_waited_for() {
        let (open, gate) = mpsc::channel::<()>();
        let apart = Apart::start("apart", 1, 1).unwrap();
        let (begun, begins) = mpsc::channel();
        drop(apart.handle().spawn_blocking(move || {
            let _tested = begun.send(());
            gate.recv()
        }));
        begins.recv().unwrap();
        drop(apart);
        assert!(open.send(()).is_ok(), "it hangs still");
    }

    #[test]
    fn the_threads_are_there_before_there_is_work() {
        let threads = || {
            std::fs::read_dir("/proc/self/task")
                .unwrap()
                .filter(|entry| {
                    let name = entry.as_ref().unwrap().path().join("comm");
                    std::fs::read_to_string(name).is_ok_and(|name| name.trim() == "from-the-start")
                })
                .count()
        };
        let runtime = runtime("from-the-start", 3, 3).unwrap();
        assert_eq!(threads(), 3);
        let done = runtime.block_on(runtime.handle().spawn_blocking(|| 7)).unwrap();
        assert_eq!((done, threads()), (7, 3), "no other was started for it");
    }
}
