//! *Purpose*: what all who look at the first page share.
//!
//! *Owns*: [`Board`].
//!
//! *Promises*: who may see the same is shown the same, made once: twenty open pages ask the kernel
//! and the database as often as one. Nobody looks, nothing is made.
//!
//! *Not here*: how it is drawn (`web::overview`).

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Mutex;

use super::books::Books;
use crate::api::App;
use crate::api::reads::{self, ApiError, Caller};
use crate::api::wire::overview::Overview;
use crate::clock;
use crate::job::ids::{CommitNo, Uid};
use crate::kernel::access::Role;

/// What was made within this time is new: as often as pages are drawn.
const FRESH: Duration = Duration::from_millis(900);
/// After this time it is made anew though nothing was committed, for the loads of cores.
const LOADS: Duration = Duration::from_secs(4);
/// After this time nobody looks any more.
const FORGOTTEN: Duration = Duration::from_secs(30);

/// Who sees the same: one user in one role.
type Eyes = (Arc<str>, Option<Uid>, Role, bool);

/// What was made for somebody; who makes it holds it, so that others who see the same wait for him
/// and nobody else does.
type Place = Arc<Mutex<Option<Made>>>;

struct Made {
    overview: Arc<Overview>,
    commit_no: CommitNo,
    at: Instant,
}

/// How things stand, by who looks.
#[derive(Default)]
pub struct Board {
    /// What the audit said.
    pub books: Books,
    places: Mutex<HashMap<Eyes, Place>>,
}

impl Board {
    /// How things stand, to this caller. Who comes while it is made waits for it.
    ///
    /// # Errors
    /// What the database says, and when the server is stopping.
    pub async fn overview(&self, app: &App, caller: &Caller) -> Result<Arc<Overview>, ApiError> {
        let who = &caller.who;
        let eyes = (Arc::clone(&who.name), who.acts_as, who.role, who.sees_own_only);
        let place = self.place(eyes).await;
        let mut made = place.lock().await;
        let now = clock::monotonic();
        let commit_no = app.now().commit_no;
        let is_new = |made: &&Made| {
            let age = now.duration_since(made.at);
            age < FRESH || (age < LOADS && made.commit_no == commit_no)
        };
        if let Some(made) = made.as_ref().filter(is_new) {
            return Ok(Arc::clone(&made.overview));
        }
        let overview = Arc::new(reads::overview(app, caller).await?);
        *made = Some(Made { overview: Arc::clone(&overview), commit_no, at: now });
        Ok(overview)
    }

    /// His place; those that nobody looks at any more go.
    async fn place(&self, eyes: Eyes) -> Place {
        let mut places = self.places.lock().await;
        let now = clock::monotonic();
        places.retain(|_, place| {
            let is_old = |made: &Made| now.duration_since(made.at) >= FORGOTTEN;
            // One that is held is being made.
            !place.try_lock().is_ok_and(|made| made.as_ref().is_none_or(is_old))
        });
        Arc::clone(places.entry(eyes).or_default())
    }
}
