//! *Purpose*: keeps history bounded: jobs that ended long ago are forgotten.
//!
//! *Owns*: which jobs are old; it has the engine remove their folders.
//!
//! *Promises*: a job is forgotten no sooner than the retention after its end; its folder goes
//! before its rows, so that a crash in between leaves a row to come back to; one whose folder
//! cannot be removed keeps nobody else; small steps, since commits of others wait meanwhile; jobs
//! that have not ended are never touched.
//!
//! *Not here*: the rows (`store::body::write`), the counts (`kernel::commands::forget`), when
//! (`actors::recovery`).
//!
//! **No index of ends is needed.** Ids rise with submission, and nobody ends before being
//! submitted: the walk over ended jobs begins at the lowest id and stops behind the first page
//! whose last job is too young.

pub mod leaps;

use std::collections::BTreeMap;

use actix::prelude::*;

use super::ask::ask;
use super::dials::Dialled;
use super::messages::ForgetJobs;
use crate::clock;
use crate::engine::{Engine, Person};
use crate::job::files::Places;
use crate::job::ids::{JobId, Owner};
use crate::kernel::commands::forget::Old;
use crate::store::backend::Readers;
use crate::store::read::Age;
use crate::time::Time;

/// Jobs of one step: a commit that deletes so many takes a few milliseconds.
const STEP: i64 = 100;
/// Steps of one sweep: two thousand jobs a second, more than a machine ends for long.
const STEPS_MAX: u32 = 200;

/// The group of somebody who only removes what is his: nobody's.
const NO_GROUP: u32 = 65_534;

/// How long, and where.
#[derive(Clone, Debug)]
pub struct Retention {
    /// Where it is looked up how long ended jobs are kept.
    pub dials: Dialled,
    /// The folders of jobs.
    pub places: Places,
    /// When the last commit of the server before this one was.
    pub last_commit: Option<Time>,
}

impl Retention {
    /// What ended before then is old now; `None`: nothing is.
    #[must_use]
    pub fn before(&self) -> Option<Time> {
        let keep_s = self.dials.borrow().keep_s?;
        Some(clock::now().plus_s(-i64::from(keep_s)))
    }
}

/// What was forgotten.
#[derive(Clone, Debug, Default)]
pub struct Forgot {
    /// How many jobs.
    pub count: usize,
    /// Jobs that are kept because something of their folder is left, and what.
    pub stuck: BTreeMap<JobId, String>,
}

/// Forgets what is old.
///
/// # Errors
/// What the database says; the next sweep goes on.
pub async fn forget_old(
    retention: &Retention,
    (readers, engine): (&Readers, &dyn Engine),
    forget: &Recipient<ForgetJobs>,
) -> Result<Forgot, String> {
    let mut forgot = Forgot::default();
    let Some(before) = retention.before() else { return Ok(forgot) };
    let mut behind = JobId(0);
    for _ in 0..STEPS_MAX {
        let found = ask(readers, move |db| db.ages(behind, STEP, before)).await?;
        let (page, read_at) = (found.value, found.commit_no);
        let Some(last) = page.last().copied() else { break };
        let old = |age: &&Age| age.ended.is_some_and(|end| end < before);
        let old: Vec<Age> = page.iter().filter(old).copied().collect();
        let owners: Vec<(JobId, Owner)> = old.iter().map(|age| (age.job, age.owner)).collect();
        let mut old: Vec<Old> = old
            .into_iter()
            .map(|age| Old { job: age.job, word: age.state, array: age.array })
            .collect();
        if !old.is_empty() {
            let stuck = remove_folders(&retention.places, engine, owners).await;
            old.retain(|old| !stuck.contains_key(&old.job));
            forgot.stuck.extend(stuck);
        }
        if !old.is_empty() {
            forgot.count += old.len();
            let forgotten =
                forget.send(ForgetJobs { jobs: old, read_at }).await.map_err(|e| e.to_string())?;
            forgotten.map_err(|e| e.to_string())?;
        }
        if page.len() < STEP as usize || last.submitted >= before {
            break;
        }
        behind = last.job;
    }
    Ok(forgot)
}

/// Removes the folders of these jobs, each first as its owner would; answers those of which
/// something is left, and what.
async fn remove_folders(
    places: &Places,
    engine: &dyn Engine,
    jobs: Vec<(JobId, Owner)>,
) -> BTreeMap<JobId, String> {
    let mut stuck = BTreeMap::new();
    for (job, owner) in jobs {
        let person = owner.filter(|uid| uid.0 != 0).map(|uid| Person {
            uid: uid.0,
            gid: NO_GROUP,
            groups: Vec::new(),
            name: format!("user {uid}"),
        });
        if let Err(why) = engine.remove_tree(person, places.own_folder(job)).await {
            stuck.insert(job, why);
        }
    }
    stuck
}
