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
use super::lately::Lately;
use super::slots::{Slots, owner};
use super::waits::{Change, changes};
use crate::api::reads::{self, ApiError, Caller};
use crate::api::wire::array::ArrayCounts;
use crate::api::wire::efficiency::Efficiency;
use crate::api::wire::job::Job;
use crate::api::wire::job_usage::JobUsage;
use crate::api::wire::overview::Overview;
use crate::api::{App, Live};
use crate::clock;
use crate::job::ids::{CommitNo, JobId, Uid};
use crate::job::state::StateWord;
use crate::kernel::access::{Role, Via};

/// What was made within this time is new: as often as pages are drawn.
const FRESH: Duration = Duration::from_millis(900);
/// After this time it is made anew though nothing was committed, for the loads of cores.
const LOADS: Duration = Duration::from_secs(4);
/// After this time nobody looks any more.
const FORGOTTEN: Duration = Duration::from_secs(30);

/// Who sees the same: one user who is known in one way and has one role, of what accounts.
type Eyes = (Arc<str>, Option<Uid>, (Role, Via, bool), BTreeSet<Arc<str>>);

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
    by: Arc<Live>,
}

/// What became of changes that were tried for a job that waits.
pub type Tried = Arc<Vec<(Change, Job)>>;

/// How things stand, by who looks.
#[derive(Default)]
pub struct Board {
    /// What the audit said.
    pub books: Books,
    places: Mutex<HashMap<Eyes, Place>>,
    tried: Lately<(Eyes, JobId), Tried>,
    efficiency: Lately<(Eyes, JobId, u32, StateWord), Efficiency>,
}

fn eyes(caller: &Caller) -> Eyes {
    let who = &caller.who;
    let rights = (who.role, who.via, who.sees_own_only);
    (Arc::clone(&who.name), who.acts_as, rights, who.coordinates.clone())
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
        let (commit_no, by) = (app.now().commit_no, app.live());
        let is_new = |made: &&Made| {
            let age = now.duration_since(made.at);
            let is_new = age < FRESH || (age < LOADS && made.commit_no == commit_no);
            // Settings say who sees what.
            is_new && Arc::ptr_eq(&made.by, &by)
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
        *made = Some(Made { sight: Arc::clone(&sight), commit_no, at: now, by });
        Ok(sight)
    }

    /// What becomes of each of these changes to a job, each tried once in a while: it is planned
    /// anew for each. What is refused is left out.
    pub async fn tried(&self, app: &App, caller: &Caller, job: &Job) -> Tried {
        let try_all = async {
            let mut tried = Vec::new();
            for change in changes(job) {
                let body = change.body.to_string().into_bytes();
                if let Ok(job) = reads::tried_change(app, caller, job.id.into(), &body).await {
                    tried.push((change, job));
                }
            }
            Arc::new(tried)
        };
        self.tried.or((eyes(caller), job.id), try_all).await
    }

    /// What a job used of what it asked for, found out once in a while and when its state has
    /// changed: its advice is planned with, too.
    pub async fn efficiency(
        &self,
        app: &App,
        caller: &Caller,
        (job, usage): (&Job, &JobUsage),
    ) -> Efficiency {
        let key = (eyes(caller), job.id, job.attempt, job.state);
        self.efficiency.or(key, reads::efficiency(app, job, usage)).await
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
