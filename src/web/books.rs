//! *Purpose*: what the audit says, for all who look.
//!
//! *Owns*: [`Books`].
//!
//! *Promises*: pages have the books compared no oftener than the server does it by itself; nobody
//! looks, nothing is compared.
//!
//! *Not here*: the audit, and who may read it (`api::allocations`).

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Mutex;

use crate::api::App;
use crate::api::reads::{self, ApiError, Caller};
use crate::api::wire::report::Audit;
use crate::clock;

/// As old as what an audit said may be: the server's own sweeps are as far apart.
const FRESH: Duration = Duration::from_secs(10);

/// The latest that the audit said to a page.
#[derive(Default)]
pub struct Books(Mutex<Option<(Instant, Arc<Audit>)>>);

impl Books {
    /// What it says, at most 10 s old.
    ///
    /// # Errors
    /// 403, and 503 when it cannot be compared.
    pub async fn read(&self, app: &App, caller: &Caller) -> Result<Arc<Audit>, ApiError> {
        caller.may_know_the_server()?;
        let mut latest = self.0.lock().await;
        let now = clock::monotonic();
        if let Some((at, audit)) = latest.as_ref()
            && now.duration_since(*at) < FRESH
        {
            return Ok(Arc::clone(audit));
        }
        let audit = Arc::new(reads::audit(app, caller).await?);
        *latest = Some((now, Arc::clone(&audit)));
        Ok(audit)
    }
}
