//! *Purpose*: keeps history bounded: jobs that ended long ago are forgotten.
//!
//! *Owns*: which jobs are old, and the removal of their folders.
//!
//! *Promises*: a job is forgotten no sooner than the retention after its end; its folder goes
//! before its rows, so that a crash in between leaves a row to come back to; one whose folder
//! cannot be removed keeps nobody else; small steps, since commits of others wait meanwhile; jobs
//! that have not ended are never touched.
//!
//! *Not here*: the rows (`store::write`), the counts (`kernel::commands::forget`), when
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
use crate::job::files::Places;
use crate::job::ids::JobId;
use crate::kernel::commands::forget::Old;
use crate::store::backend::Readers;
use crate::store::read::{self, Age};
use crate::time::Time;
use crate::trees;

/// Jobs of one step: a commit that deletes so many takes a few milliseconds.
const STEP: i64 = 100;
/// Steps of one sweep: two thousand jobs a second, more than a machine ends for long.
const STEPS_MAX: u32 = 200;

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
    readers: &Readers,
    forget: &Recipient<ForgetJobs>,
) -> Result<Forgot, String> {
    let mut forgot = Forgot::default();
    let Some(before) = retention.before() else { return Ok(forgot) };
    let mut behind = JobId(0);
    for _ in 0..STEPS_MAX {
        let found = ask(readers, move |conn| read::ages(conn, behind, STEP, before)).await?;
        let (page, read_at) = (found.value, found.commit_no);
        let Some(last) = page.last().copied() else { break };
        let old = |age: &&Age| age.ended.is_some_and(|end| end < before);
        let old = page.iter().filter(old);
        let mut old: Vec<Old> =
            old.map(|age| Old { job: age.job, word: age.state, array: age.array }).collect();
        if !old.is_empty() {
            let jobs = old.iter().map(|old| old.job).collect();
            let stuck = remove_folders(&retention.places, jobs).await?;
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

/// Removes the folders of these jobs; answers those of which something is left, and what.
async fn remove_folders(
    places: &Places,
    jobs: Vec<JobId>,
) -> Result<BTreeMap<JobId, String>, String> {
    let folders: Vec<_> = jobs.into_iter().map(|job| (job, places.own_folder(job))).collect();
    let removed = actix_rt::task::spawn_blocking(move || {
        let mut stuck = BTreeMap::new();
        for (job, folder) in folders {
            let parts = folder.parent().zip(folder.file_name().and_then(|name| name.to_str()));
            let Some((parent, name)) = parts else { continue };
            if let Err(why) = trees::remove(parent, name) {
                stuck.insert(job, why);
            }
        }
        stuck
    });
    removed.await.map_err(|e| e.to_string())
}
