//! *Purpose*: keeps history bounded: jobs that ended long ago are forgotten.
//!
//! *Owns*: which jobs are old, and the removal of their folders.
//!
//! *Promises*: a job is forgotten no sooner than the retention after its end; its folder goes
//! before its rows, so that a crash in between leaves a row to come back to; small steps, since
//! commits of others wait meanwhile; jobs that have not ended are never touched.
//!
//! *Not here*: the rows (`store::write`), the counts (`kernel::mend`), when (`actors::recovery`).
//!
//! **No index of ends is needed.** Ids rise with submission, and nobody ends before being
//! submitted: the walk over ended jobs begins at the lowest id and stops behind the first page
//! whose last job is too young.

use std::io;

use actix::prelude::*;

use super::messages::ForgetJobs;
use super::recovery::ask;
use crate::clock;
use crate::kernel::ids::JobId;
use crate::kernel::mend::Old;
use crate::kernel::places::Places;
use crate::store::backend::Readers;
use crate::store::read::{self, Age};

/// Jobs of one step: a commit that deletes so many takes a few milliseconds.
const STEP: i64 = 100;
/// Steps of one sweep: two thousand jobs a second, more than a machine ends for long.
const STEPS_MAX: u32 = 200;

/// How long, and where.
#[derive(Clone, Debug)]
pub struct Retention {
    /// How long ended jobs are kept, seconds; `None` keeps them for ever.
    pub keep_s: Option<u32>,
    /// The folders of jobs.
    pub places: Places,
}

/// Forgets what is old; answers how many jobs that were.
///
/// # Errors
/// What the database or a folder says; the next sweep goes on.
pub async fn forget_old(
    retention: &Retention,
    readers: &Readers,
    forget: &Recipient<ForgetJobs>,
) -> Result<usize, String> {
    let Some(keep_s) = retention.keep_s else { return Ok(0) };
    let before = clock::now().plus_s(-i64::from(keep_s));
    let (mut behind, mut count) = (JobId(0), 0);
    for _ in 0..STEPS_MAX {
        let found = ask(readers, move |conn| read::ages(conn, behind, STEP, before)).await?;
        let (page, read_at) = (found.value, found.commit_no);
        let Some(last) = page.last().copied() else { break };
        let old = |age: &&Age| age.ended.is_some_and(|end| end < before);
        let old = page.iter().filter(old);
        let old: Vec<Old> =
            old.map(|age| Old { job: age.job, word: age.state, array: age.array }).collect();
        if !old.is_empty() {
            count += old.len();
            remove_folders(&retention.places, old.iter().map(|old| old.job).collect()).await?;
            let forgotten =
                forget.send(ForgetJobs { jobs: old, read_at }).await.map_err(|e| e.to_string())?;
            forgotten.map_err(|e| e.to_string())?;
        }
        if page.len() < STEP as usize || last.submitted >= before {
            break;
        }
        behind = last.job;
    }
    Ok(count)
}

async fn remove_folders(places: &Places, jobs: Vec<JobId>) -> Result<(), String> {
    let folders: Vec<_> = jobs.into_iter().map(|job| places.own_folder(job)).collect();
    let removed = actix_rt::task::spawn_blocking(move || {
        for folder in folders {
            match std::fs::remove_dir_all(&folder) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => {
                    return Err(format!("the folder {}: {e}", folder.display()));
                }
                _ => {}
            }
        }
        Ok(())
    });
    removed.await.map_err(|e| e.to_string())?
}
