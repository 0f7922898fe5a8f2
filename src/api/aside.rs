//! *Purpose*: work that waits, on threads beside those that answer.
//!
//! *Owns*: [`aside`], and each user's part of these threads.
//!
//! *Promises*: whatever one user asks for, the work of another finds a thread. Who waits for a turn
//! of his own holds none.
//!
//! *Not here*: the threads (`crate::threads`), files that jobs can name, which have threads of
//! their own (`api::files`).

use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::task_local;

use super::error::ApiError;
use crate::panics;
use crate::threads;

task_local! {
    /// The turns of the user whose request this is.
    static TURNS: Arc<Semaphore>;
}

/// How much of somebody's work goes on at a time; `None`: as much as he asks for.
pub type Turns = Option<Arc<Semaphore>>;

/// Answers a request of somebody who has only so many turns on the threads for work that waits;
/// without turns, of somebody who may have them all.
pub async fn with_turns<T>(turns: Turns, answer: impl Future<Output = T>) -> T {
    match turns {
        Some(turns) => TURNS.scope(turns, answer).await,
        None => answer.await,
    }
}

/// Does work that owns no state on a blocking thread, when it is the turn of whoever asked. A bug
/// in it is one of the request.
///
/// # Errors
/// When the server is stopping.
pub async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ApiError> {
    let turn = match TURNS.try_with(Arc::clone) {
        Ok(turns) => Some(turns.acquire_owned().await),
        Err(_) => None,
    };
    let work = move || {
        let done = panics::harmless(work);
        drop(turn);
        done
    };
    match threads::shared().spawn_blocking(work).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(bug)) => bug.go_on(),
        Err(_) => Err(ApiError::unavailable("the server is stopping")),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::{Mutex, mpsc};

    use super::*;

    #[actix_rt::test]
    async fn whose_turns_are_taken_holds_no_thread_and_nobody_else_up() {
        let (hers, his) = (Arc::new(Semaphore::new(1)), Arc::new(Semaphore::new(1)));
        let (open, gate) = mpsc::channel::<()>();
        let gate = Arc::new(Mutex::new(gate));
        let asked = |n: usize| {
            let (turns, gate) = (Arc::clone(&hers), Arc::clone(&gate));
            let work = aside(move || gate.lock().unwrap().recv().is_err());
            actix_rt::spawn(async move { (n, with_turns(Some(turns), work).await) })
        };
        let asked: Vec<_> = (0..1_000).map(asked).collect();
        tokio::task::yield_now().await;
        assert_eq!(hers.available_permits(), 0, "her first waits on a thread");
        assert_eq!(with_turns(Some(his), aside(|| 7)).await.ok(), Some(7));
        assert_eq!(with_turns(None, aside(|| 7)).await.ok(), Some(7));
        drop(open);
        for one in asked {
            assert!(one.await.unwrap().1.is_ok());
        }
    }
}
