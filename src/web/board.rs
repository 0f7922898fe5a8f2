//! *Purpose*: what all who look at the first page share.
//!
//! *Owns*: [`Board`], [`Sight`].
//!
//! *Promises*: who may see the same is shown the same, made once: twenty open pages ask the kernel
//! and the database as often as one. Nobody looks, nothing is made.
//!
//! *Not here*: how it is drawn (`web::overview`).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Mutex;

use super::books::Books;
use super::slots::{Slots, owner};
use super::waits::{Change, changes};
use crate::api::App;
use crate::api::reads::{self, ApiError, Caller};
use crate::api::wire::array::ArrayCounts;
use crate::api::wire::job::Job;
use crate::api::wire::overview::Overview;
use crate::clock;
use crate::job::ids::{CommitNo, JobId, Uid};
use crate::kernel::access::Role;

/// What was made within this time is new: as often as pages are drawn.
const FRESH: Duration = Duration::from_millis(900);
/// After this time it is made anew though nothing was committed, for the loads of cores.
const LOADS: Duration = Duration::from_secs(4);
/// What would help a job is asked so often.
const TRIED: Duration = Duration::from_secs(10);
/// After this time nobody looks any more.
const FORGOTTEN: Duration = Duration::from_secs(30);

/// Who sees the same: one user in one role.
type Eyes = (Arc<str>, Option<Uid>, Role, bool);

/// What was made for somebody; who makes it holds it, so that others who see the same wait for him
/// and nobody else does.
type Place = Arc<Mutex<Option<Made>>>;

/// How things stand, to somebody.
pub struct Sight {
    /// What `GET /overview` says.
    pub overview: Overview,
    /// How the arrays stand of which tasks run, and those of whoever looks.
    pub arrays: BTreeMap<JobId, ArrayCounts>,
    /// The colours of what runs.
    pub slots: Slots,
}

struct Made {
    sight: Arc<Sight>,
    commit_no: CommitNo,
    at: Instant,
}

/// What became of changes that were tried for a job that waits.
pub type Tried = Arc<Vec<(Change, Job)>>;

/// How things stand, by who looks.
#[derive(Default)]
pub struct Board {
    /// What the audit said.
    pub books: Books,
    places: Mutex<HashMap<Eyes, Place>>,
    tried: Mutex<HashMap<(Eyes, JobId), (Instant, Tried)>>,
}

fn eyes(caller: &Caller) -> Eyes {
    let who = &caller.who;
    (Arc::clone(&who.name), who.acts_as, who.role, who.sees_own_only)
}

impl Board {
    /// How things stand, to this caller. Who comes while it is made waits for it.
    ///
    /// # Errors
    /// What the database says, and when the server is stopping.
    pub async fn sight(&self, app: &App, caller: &Caller) -> Result<Arc<Sight>, ApiError> {
        let place = self.place(eyes(caller)).await;
        let mut made = place.lock().await;
        let now = clock::monotonic();
        let commit_no = app.now().commit_no;
        let is_new = |made: &&Made| {
            let age = now.duration_since(made.at);
            age < FRESH || (age < LOADS && made.commit_no == commit_no)
        };
        if let Some(made) = made.as_ref().filter(is_new) {
            return Ok(Arc::clone(&made.sight));
        }
        let overview = reads::overview(app, caller).await?;
        let arrays: BTreeSet<JobId> = overview
            .running
            .iter()
            .chain(&overview.own)
            .filter_map(|job| job.array_job_id)
            .collect();
        let arrays = reads::array_counts(app, arrays.into_iter().collect()).await?;
        let before = made.as_ref().map(|made| made.sight.slots.clone()).unwrap_or_default();
        let slots = before.after(overview.running.iter().map(owner));
        let sight = Arc::new(Sight { overview, arrays, slots });
        *made = Some(Made { sight: Arc::clone(&sight), commit_no, at: now });
        Ok(sight)
    }

    /// What becomes of each of these changes to a job, each tried at most every [`TRIED`]: it is
    /// planned anew for each. What is refused is left out.
    pub async fn tried(&self, app: &App, caller: &Caller, job: &Job) -> Tried {
        let key = (eyes(caller), job.id);
        let now = clock::monotonic();
        {
            let mut all = self.tried.lock().await;
            all.retain(|_, (at, _)| now.duration_since(*at) < TRIED);
            if let Some((_, tried)) = all.get(&key) {
                return Arc::clone(tried);
            }
        }
        let mut tried = Vec::new();
        for change in changes(job) {
            let body = change.body.to_string().into_bytes();
            if let Ok(job) = reads::tried_change(app, caller, job.id.into(), &body).await {
                tried.push((change, job));
            }
        }
        let tried = Arc::new(tried);
        self.tried.lock().await.insert(key, (now, Arc::clone(&tried)));
        tried
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
