//! *Purpose*: what takes so much to find out that it is not asked on every draw.
//!
//! *Owns*: [`Lately`].
//!
//! *Promises*: an answer is at most [`ASKED`] old; what nobody asks for is not kept.
//!
//! *Not here*: what is asked (`web::board`).

use std::collections::HashMap;
use std::hash::Hash;
use std::time::{Duration, Instant};

use tokio::sync::Mutex;

use crate::clock;

/// Each thing is asked so often: for an answer the queue may be planned anew several times.
const ASKED: Duration = Duration::from_secs(10);

/// Answers, by what was asked.
pub struct Lately<K, V>(Mutex<HashMap<K, (Instant, V)>>);

impl<K, V> Default for Lately<K, V> {
    fn default() -> Lately<K, V> {
        Lately(Mutex::default())
    }
}

impl<K: Eq + Hash, V: Clone> Lately<K, V> {
    /// The latest answer, or a new one.
    pub async fn or(&self, key: K, ask: impl Future<Output = V>) -> V {
        let now = clock::monotonic();
        {
            let mut all = self.0.lock().await;
            all.retain(|_, (at, _)| now.duration_since(*at) < ASKED);
            if let Some((_, answer)) = all.get(&key) {
                return answer.clone();
            }
        }
        let answer = ask.await;
        self.0.lock().await.insert(key, (now, answer.clone()));
        answer
    }
}
