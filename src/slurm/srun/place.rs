//! *Purpose*: the job in which `srun` is called.
//!
//! *Owns*: [`Place`].
//!
//! *Promises*: the job's number is enough; what else variables do not say the server is asked.
//!
//! *Not here*: what the step is (`srun::step`).

use std::path::PathBuf;

use super::say::{COMMAND, error};
use crate::api::wire::v1::Job;
use crate::slurm::failure::Failure;
use crate::slurm::getopt::Given;
use crate::slurm::jobs::Server;

/// The job around a step.
#[derive(Debug)]
pub struct Place {
    /// Its number.
    pub job: i64,
    /// Which run of it this is, as far as it is known.
    pub attempt: Option<u32>,
    /// Its CPUs; `None` where nobody says.
    pub cpus: Option<u32>,
    /// Its tasks.
    pub tasks: u32,
    /// Its name.
    pub name: String,
    /// The number of its array, and its own in it.
    pub task: Option<(i64, u32)>,
    /// What the machine is called.
    pub node: String,
    /// Where steps of this run of the job find each other.
    pub folder: PathBuf,
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|text| !text.is_empty())
}

fn number<T: std::str::FromStr>(name: &str) -> Option<T> {
    variable(name)?.parse().ok()
}

impl Place {
    /// The job that this process is in; `None` when it is in none.
    ///
    /// # Errors
    /// When another one was asked for.
    pub fn here(given: &Given) -> Result<Option<Place>, Failure> {
        let job: Option<i64> = number("SLURM_JOB_ID").or_else(|| number("SLURM_JOBID"));
        let Some(job) = job else {
            return match given.value("jobid") {
                None => Ok(None),
                Some(other) => Err(elsewhere(other, "it is called outside of it")),
            };
        };
        if let Some(other) = given.value("jobid").filter(|id| *id != job.to_string()) {
            return Err(elsewhere(other, &format!("it is called in {job}")));
        }
        let mut place = Place {
            job,
            attempt: number("DOWNBEAT_ATTEMPT"),
            cpus: number("SLURM_CPUS_ON_NODE"),
            tasks: number("SLURM_NTASKS").unwrap_or(1),
            name: variable("SLURM_JOB_NAME").unwrap_or_default(),
            task: number("SLURM_ARRAY_JOB_ID").zip(number("SLURM_ARRAY_TASK_ID")),
            node: variable("SLURMD_NODENAME").unwrap_or_else(host),
            folder: folder(job),
        };
        if place.cpus.is_none() || place.name.is_empty() {
            place.ask();
        }
        Ok(Some(place))
    }

    /// What the server knows of it. Without an answer a step goes on with what there is.
    fn ask(&mut self) {
        let Ok(server) = Server::of(COMMAND) else { return };
        let answer = server.client.get(&format!("/api/v1/jobs/{}", self.job));
        let Ok(job) = answer.and_then(|answer| answer.parse::<Job>()) else { return };
        self.cpus = self.cpus.or(Some(job.cpus));
        if self.name.is_empty() {
            self.name.clone_from(&job.name);
        }
        self.task = self.task.or_else(|| job.array_job_id.map(|id| id.0).zip(job.array_task_id));
    }
}

fn elsewhere(job: &str, why: &str) -> Failure {
    error(&format!("Unable to create step for job {job}: {why}"))
}

fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// A folder that goes with the job: in its own folder for what it needs while it runs.
fn folder(job: i64) -> PathBuf {
    let name = variable("DOWNBEAT_KEY").unwrap_or_else(|| job.to_string());
    std::env::temp_dir().join(format!(".downbeat-steps.{name}"))
}
