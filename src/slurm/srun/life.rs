//! *Purpose*: a step from its start to its end.
//!
//! *Owns*: the order of it: a number, CPUs, the word to the server, the tasks, the word again.
//!
//! *Promises*: a step holds its CPUs until its last task has ended.
//!
//! *Not here*: what was asked for (`srun::step`), starting the tasks and waiting for them
//! (`srun::tasks`).

use super::cpus::{self, OwnCpus};
use super::place::Place;
use super::record::Record;
use super::say::{COMMAND, error};
use super::step::{Sharing, Step};
use super::tasks::{self, End};
use crate::slurm::failure::Failure;
use crate::slurm::say::remark;

/// From the start of a step to its end: its exit code.
///
/// # Errors
/// When it could not be started.
pub fn run(step: &Step, place: &Place) -> Result<u8, Failure> {
    let no = cpus::next_step(&place.folder).map_err(|e| unkept(place, &e))?;
    let own = take_cpus(step, place)?;
    pin(step, place, own.as_ref());
    let record = Record::begin(step, place, no);
    let end = tasks::run(step, place, no);
    record.end(end.as_ref().unwrap_or(&End::NOT_STARTED));
    drop(own);
    Ok(end?.code)
}

fn unkept(place: &Place, why: &std::io::Error) -> Failure {
    let folder = place.folder.display();
    error(&format!("Unable to create step for job {}: {folder}: {why}", place.job))
}

fn take_cpus(step: &Step, place: &Place) -> Result<Option<OwnCpus>, Failure> {
    let Some(all) = place.cpus.filter(|_| step.sharing != Sharing::Overlapping) else {
        return Ok(None);
    };
    let mut waited = false;
    let busy = || {
        waited = true;
        let what = "step creation temporarily disabled, retrying (Requested nodes are busy)";
        if step.patience.is_none() && !step.quiet {
            remark(&format!("{COMMAND}: Job {} {what}", place.job));
        }
    };
    let counts = (step.cpus as usize, all as usize);
    let taken = cpus::take(&place.folder, counts, step.patience, busy);
    match taken.map_err(|e| unkept(place, &e))? {
        Some(own) => {
            if waited && !step.quiet {
                remark(&format!("{COMMAND}: Step created for job {}", place.job));
            }
            Ok(Some(own))
        }
        None => {
            let what =
                format!("Unable to create step for job {}: Requested nodes are busy", place.job);
            Err(error(&what))
        }
    }
}

/// Keeps this process, and so its tasks, to the CPUs of the step, where the job itself is kept to
/// as many as it has.
fn pin(step: &Step, place: &Place, own: Option<&OwnCpus>) {
    let Some(own) = own.filter(|_| step.sharing == Sharing::Own) else { return };
    let Ok(all) = rustix::thread::sched_getaffinity(None) else { return };
    let of_job: Vec<usize> =
        (0..rustix::thread::CpuSet::MAX_CPU).filter(|cpu| all.is_set(*cpu)).collect();
    if Some(of_job.len()) != place.cpus.map(|cpus| cpus as usize) {
        return;
    }
    let mut set = rustix::thread::CpuSet::new();
    own.which.iter().filter_map(|at| of_job.get(*at)).for_each(|cpu| set.set(*cpu));
    // Where it is not allowed tasks run on all CPUs of the job.
    let _kept = rustix::thread::sched_setaffinity(None, &set);
}
