//! *Purpose*: reads of files that a job can name, apart from everything else.
//!
//! *Owns*: [`Files`]: the threads for such reads, how many there are, and how long one is waited
//! for.
//!
//! *Promises*: a file system that hangs holds up those who ask for files of the same job, or of one
//! owner's many jobs, for a bounded time; the threads that answer and those that read the database
//! never touch such a file, not even to close it. Work whose asker has gone stops at the next
//! block.
//!
//! *Not here*: which file, and what is read of it (`api::log_stream`, `api::tail`).

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::error::ApiError;
use crate::job::ids::{JobId, Owner, Uid};
use crate::panics;
use crate::threads::{Apart, Turns};

/// Reads of one job's files at once: a hanging one takes no more threads than this.
const READS_OF_A_JOB: usize = 2;
/// Reads in all at once: sixteen jobs whose files hang, before others wait for a thread.
const READS_IN_ALL: usize = 32;
/// Reads of files of all jobs of one owner at once, on a server of all users: four users whose
/// files all hang, before others wait.
const READS_OF_AN_OWNER: usize = READS_IN_ALL / 4;
/// Threads: one for each read, and as many for files that hang while they are closed.
const THREADS: usize = 2 * READS_IN_ALL;
/// How long a read is waited for: longer than a busy disk takes, shorter than a person waits.
const WITHIN: Duration = Duration::from_secs(5);
/// So many of them are there from the start, whatever the machine is short of.
const THREADS_LEAST: usize = READS_OF_A_JOB;

/// The threads for files of jobs.
pub struct Files {
    threads: Apart,
    all: Arc<Semaphore>,
    of_job: Turns<JobId>,
    of_owner: Turns<Uid>,
}

impl Files {
    /// Some threads are there from now on, others are started when there is work for them.
    ///
    /// # Errors
    /// What the system says.
    pub fn start() -> io::Result<Files> {
        Ok(Files {
            threads: Apart::start("job-files", THREADS_LEAST, THREADS)?,
            all: Arc::new(Semaphore::new(READS_IN_ALL)),
            of_job: Turns::new(READS_OF_A_JOB),
            of_owner: Turns::new(READS_OF_AN_OWNER),
        })
    }

    /// Does work with the files of this job of this owner.
    ///
    /// # Errors
    /// 503 when it is not done in time.
    pub async fn read<T: Send + 'static>(
        &self,
        (job, owner): (JobId, Owner),
        work: impl FnOnce(&Asker) -> T + Send + 'static,
    ) -> Result<T, ApiError> {
        let turn = async {
            // One of the job's places first: who waits behind a hanging file holds no thread.
            let of_job = self.of_job.of(job).acquire_owned().await;
            let of_owner = match owner {
                Some(owner) => Some(self.of_owner.of(owner).acquire_owned().await),
                None => None,
            };
            (of_job, of_owner, Arc::clone(&self.all).acquire_owned().await)
        };
        let Ok(places) = timeout(WITHIN, turn).await else {
            return Err(late(job, "reads of them that began earlier have not ended"));
        };
        let asker = Asker(Arc::new(AtomicBool::new(true)));
        let leaves = Leaves(asker.clone());
        let done = self.threads.handle().spawn_blocking(move || {
            let done = panics::harmless(|| work(&asker));
            drop(places);
            done
        });
        let done = timeout(WITHIN, done).await;
        drop(leaves);
        match done {
            Ok(Ok(Ok(done))) => Ok(done),
            Ok(Ok(Err(bug))) => bug.go_on(),
            Ok(Err(_)) => Err(ApiError::unavailable("the server is stopping")),
            Err(_) => Err(late(job, "does their file system hang?")),
        }
    }

    /// A file of this job of this owner, that is closed on one of these threads, since closing may
    /// hang too.
    pub fn kept(&self, of: (JobId, Owner), file: File) -> Kept {
        Kept { of, file: Some(Arc::new(file)), handle: self.threads.handle().clone() }
    }
}

fn late(job: JobId, why: &str) -> ApiError {
    let seconds = WITHIN.as_secs();
    ApiError::unavailable(format!("the files of job {job} did not answer in {seconds} s: {why}"))
}

/// Whether somebody still waits for the work.
#[derive(Clone)]
pub struct Asker(Arc<AtomicBool>);

impl Asker {
    /// Whether it is worth going on.
    #[must_use]
    pub fn waits(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Says so when the asker goes: his request was dropped, or it is too late.
struct Leaves(Asker);

impl Drop for Leaves {
    fn drop(&mut self) {
        self.0.0.store(false, Ordering::Relaxed);
    }
}

/// An open file of a job.
pub struct Kept {
    of: (JobId, Owner),
    file: Option<Arc<File>>,
    handle: Handle,
}

impl Kept {
    /// Whose it is.
    #[must_use]
    pub fn of(&self) -> (JobId, Owner) {
        self.of
    }

    /// The file, for work on these threads.
    pub fn file(&self) -> Option<Arc<File>> {
        self.file.clone()
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        if let Some(file) = self.file.take() {
            drop(self.handle.spawn_blocking(move || drop(file)));
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::Mutex;
    use std::sync::mpsc;

    use super::*;

    #[actix_rt::test]
    async fn a_job_whose_files_hang_holds_up_its_own_readers_alone_and_for_a_bounded_time() {
        let files = Arc::new(Files::start().unwrap());
        let (go, wait) = mpsc::channel::<()>();
        let wait = Arc::new(Mutex::new(wait));
        let hangs = |files: Arc<Files>, wait: Arc<Mutex<mpsc::Receiver<()>>>| async move {
            files.read((JobId(1), None), move |_| wait.lock().unwrap().recv()).await
        };
        let readers: Vec<_> =
            (0..4).map(|_| actix_rt::spawn(hangs(Arc::clone(&files), Arc::clone(&wait)))).collect();
        assert_eq!(files.read((JobId(2), None), |_| 7).await.unwrap(), 7);
        for reader in readers {
            let refused = reader.await.unwrap().unwrap_err();
            assert_eq!(refused.status, 503);
            assert!(refused.detail.starts_with("the files of job 1 did not answer in 5 s"));
        }
        drop(go);
        assert_eq!(files.read((JobId(1), None), |asker| asker.waits()).await.ok(), Some(true));
    }

    #[actix_rt::test]
    async fn an_owner_whose_files_all_hang_holds_up_his_own_readers_alone() {
        let files = Arc::new(Files::start().unwrap());
        let (go, wait) = mpsc::channel::<()>();
        let wait = Arc::new(Mutex::new(wait));
        let hangs = |job| {
            let (files, wait) = (Arc::clone(&files), Arc::clone(&wait));
            async move {
                files.read((job, Some(Uid(1))), move |_| wait.lock().unwrap().recv().is_err()).await
            }
        };
        let jobs = 1..=2 * READS_IN_ALL as i64;
        let hers: Vec<_> = jobs.map(|job| actix_rt::spawn(hangs(JobId(job)))).collect();
        tokio::task::yield_now().await;
        assert_eq!(files.read((JobId(100), Some(Uid(2))), |_| 7).await.unwrap(), 7);
        drop(go);
        for read in hers {
            assert!(read.await.unwrap().unwrap(), "until the gate was gone");
        }
    }

    #[actix_rt::test]
    async fn work_whose_asker_has_gone_is_told_so() {
        let files = Files::start().unwrap();
        let (seen, sees) = mpsc::channel();
        let work = files.read((JobId(1), None), move |asker| {
            seen.send(true).unwrap();
            while asker.waits() {
                std::thread::yield_now();
            }
            seen.send(false).unwrap();
        });
        drop(timeout(Duration::from_millis(1), work).await);
        while sees.recv().unwrap() {}
    }
}
