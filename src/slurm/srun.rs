//! *Purpose*: `srun`.
//!
//! *Owns*: its options; whether it is called in a job, where it starts a step, or outside of one,
//! where it makes a job.
//!
//! *Promises*: a step never has more CPUs than its job; `srun` needs no variable of Slurm's but the
//! job's number.
//!
//! *Not here*: the tasks of a step (`srun::tasks`), its CPUs (`srun::cpus`), what the server is
//! told of it (`srun::record`).
//!
//! Source: srun(1) of Slurm 22.05, and what it answered.

mod cpus;
mod files;
mod heard;
mod life;
mod outside;
mod place;
mod programs;
mod pty;
mod record;
mod say;
mod step;
mod tasks;

use std::ffi::OsString;

use self::place::Place;
use self::say::{COMMAND, error};
use self::step::Step;
use super::failure::Failure;
use super::getopt::Effect::{Does, Nothing as NoEffect, Refused};
use super::getopt::{Given, Grammar, Opt};
use super::help;
use super::say::{ONE_CLUSTER, ONE_NODE, output};
use crate::api::wire::sbatch::Takes::{Maybe, Nothing, Value};

/// Why options about CPUs within a machine do nothing.
const ONE_MACHINE: &str = "Linux places the tasks on the step's CPUs";
/// Why options of the job do nothing for a step.
const OF_THE_JOB: &str = "it is the job's, and the step is within it";

#[rustfmt::skip]
const OPTIONS: &[Opt] = &[
    ("account", Some('A'), Value, NoEffect(OF_THE_JOB)),
    ("accel-bind", None, Value, NoEffect(ONE_MACHINE)),
    ("acctg-freq", None, Value, NoEffect("the kernel counts, nobody samples")),
    ("bcast", None, Maybe, Refused("there is one machine; name the program where it stands")),
    ("begin", Some('b'), Value, NoEffect(OF_THE_JOB)),
    ("chdir", Some('D'), Value, Does("The folder in which tasks run")),
    ("cluster-constraint", None, Value, NoEffect(ONE_CLUSTER)),
    ("clusters", Some('M'), Value, NoEffect(ONE_CLUSTER)),
    ("comment", None, Value, NoEffect(OF_THE_JOB)),
    ("compress", None, Maybe, NoEffect("nothing is sent")),
    ("constraint", Some('C'), Value, NoEffect(ONE_NODE)),
    ("contiguous", None, Nothing, NoEffect(ONE_NODE)),
    ("core-spec", Some('S'), Value, NoEffect(OF_THE_JOB)),
    ("cores-per-socket", None, Value, NoEffect(ONE_MACHINE)),
    ("cpu-bind", None, Value, NoEffect(ONE_MACHINE)),
    ("cpu-freq", None, Value, NoEffect("clocks of CPUs are the machine's")),
    ("cpus-per-gpu", None, Value, Refused("write --cpus-per-task")),
    ("cpus-per-task", Some('c'), Value, Does("CPUs of each task; the step keeps to its own then")),
    ("deadline", None, Value, NoEffect(OF_THE_JOB)),
    ("delay-boot", None, Value, NoEffect("no node is booted")),
    ("dependency", Some('d'), Value, NoEffect(OF_THE_JOB)),
    ("disable-status", Some('X'), Nothing, NoEffect("an interrupt goes to the tasks at once")),
    ("distribution", Some('m'), Value, NoEffect(ONE_MACHINE)),
    ("epilog", None, Value, Refused("no program is run behind a step")),
    ("error", Some('e'), Value, Does("Where the errors of tasks go: %j, %s, %t; none; a task")),
    ("exact", None, Nothing, Does("The step keeps to as many CPUs as it needs")),
    ("exclude", Some('x'), Value, NoEffect(ONE_NODE)),
    ("exclusive", None, Maybe, Does("The step keeps to CPUs that no other step of the job has")),
    ("export", None, Value, Does("Variables of the tasks: ALL, NONE, NAME, NAME=VALUE")),
    ("extra-node-info", Some('B'), Value, NoEffect(ONE_MACHINE)),
    ("get-user-env", None, Maybe, NoEffect(OF_THE_JOB)),
    ("gpu-bind", None, Value, Refused("a step sees the GPUs of its job; set CUDA_VISIBLE_DEVICES")),
    ("gpu-freq", None, Value, NoEffect("clocks of GPUs are the machine's")),
    ("gpus", Some('G'), Value, NoEffect("a step sees the GPUs of its job")),
    ("gpus-per-node", None, Value, NoEffect("a step sees the GPUs of its job")),
    ("gpus-per-socket", None, Value, NoEffect("a step sees the GPUs of its job")),
    ("gpus-per-task", None, Value, Refused("tasks see all GPUs; divide CUDA_VISIBLE_DEVICES")),
    ("gres", None, Value, NoEffect("a step has what its job has")),
    ("gres-flags", None, Value, NoEffect("a step has what its job has")),
    ("help", None, Nothing, Does("This help")),
    ("hint", None, Value, NoEffect(ONE_MACHINE)),
    ("hold", Some('H'), Nothing, NoEffect(OF_THE_JOB)),
    ("immediate", Some('I'), Maybe, Does("Give up when CPUs are busy for so many seconds")),
    ("input", Some('i'), Value, Does("What tasks read: all, none, the number of a task, a file")),
    ("interactive", None, Nothing, NoEffect("the shell of salloc is no step")),
    ("job-name", Some('J'), Value, Does("The name of the step")),
    ("jobid", None, Value, Does("The job that it is called in; no other")),
    ("kill-on-bad-exit", Some('K'), Maybe, Does("One task that fails ends the others")),
    ("label", Some('l'), Nothing, Does("Each line begins with the number of its task")),
    ("licenses", Some('L'), Value, NoEffect(OF_THE_JOB)),
    ("mail-type", None, Value, NoEffect(OF_THE_JOB)),
    ("mail-user", None, Value, NoEffect(OF_THE_JOB)),
    ("mcs-label", None, Value, NoEffect(OF_THE_JOB)),
    ("mem", None, Value, NoEffect(OF_THE_JOB)),
    ("mem-bind", None, Value, NoEffect(ONE_MACHINE)),
    ("mem-per-cpu", None, Value, NoEffect(OF_THE_JOB)),
    ("mem-per-gpu", None, Value, NoEffect(OF_THE_JOB)),
    ("mincpus", None, Value, NoEffect(OF_THE_JOB)),
    ("mpi", None, Value, Does("none; what starts MPI is refused: call mpirun")),
    ("msg-timeout", None, Value, NoEffect("nothing is sent")),
    ("multi-prog", None, Nothing, Does("A file says which task runs what: 0 PROGRAM, 1-2, *")),
    ("network", None, Value, NoEffect(ONE_NODE)),
    ("nice", None, Maybe, NoEffect(OF_THE_JOB)),
    ("no-allocate", Some('Z'), Nothing, Refused("it would be a job beside all others")),
    ("no-kill-on-hangup", None, Nothing, Does("With --pty: it goes on without its terminal")),
    ("no-kill", Some('k'), Maybe, NoEffect(ONE_NODE)),
    ("nodefile", Some('F'), Value, NoEffect(ONE_NODE)),
    ("nodelist", Some('w'), Value, NoEffect(ONE_NODE)),
    ("nodes", Some('N'), Value, Does("1: there is one node")),
    ("ntasks", Some('n'), Value, Does("How many tasks; as many as the job has without")),
    ("ntasks-per-core", None, Value, NoEffect(ONE_MACHINE)),
    ("ntasks-per-gpu", None, Value, Refused("say how many tasks there are: --ntasks")),
    ("ntasks-per-node", None, Value, Does("The same as --ntasks, of one node")),
    ("ntasks-per-socket", None, Value, NoEffect(ONE_MACHINE)),
    ("open-mode", None, Value, Does("append or truncate: what becomes of files that are there")),
    ("output", Some('o'), Value, Does("Where the output of tasks goes: %j, %s, %t; none; a task")),
    ("overcommit", Some('O'), Nothing, Does("More tasks than CPUs")),
    ("overlap", None, Nothing, Does("Beside other steps, on their CPUs")),
    ("oversubscribe", Some('s'), Nothing, Does("The same as --overlap")),
    ("partition", Some('p'), Value, NoEffect(OF_THE_JOB)),
    ("power", None, Value, NoEffect("power is the machine's")),
    ("preserve-env", Some('E'), Nothing, NoEffect("the numbers of nodes and tasks are the step's")),
    ("priority", None, Value, NoEffect(OF_THE_JOB)),
    ("profile", None, Value, NoEffect("nobody samples")),
    ("prolog", None, Value, Refused("no program is run before a step")),
    ("propagate", None, Maybe, NoEffect("tasks have the limits of the script")),
    ("pty", None, Nothing, Does("The first task has a terminal, with which it ends")),
    ("qos", Some('q'), Value, NoEffect(OF_THE_JOB)),
    ("quiet", Some('Q'), Nothing, Does("Say nothing of tasks that fail")),
    ("quit-on-interrupt", None, Nothing, NoEffect("an interrupt goes to the tasks at once")),
    ("reboot", None, Nothing, NoEffect(OF_THE_JOB)),
    ("relative", Some('r'), Value, NoEffect(ONE_NODE)),
    ("reservation", None, Value, NoEffect(OF_THE_JOB)),
    ("send-libs", None, Maybe, NoEffect("nothing is sent")),
    ("slurmd-debug", None, Value, NoEffect("there is no slurmd")),
    ("sockets-per-node", None, Value, NoEffect(ONE_MACHINE)),
    ("spread-job", None, Nothing, NoEffect(ONE_NODE)),
    ("switches", None, Value, NoEffect(ONE_NODE)),
    ("task-epilog", None, Value, Refused("no program is run behind a task")),
    ("task-prolog", None, Value, Refused("no program is run before a task")),
    ("test-only", None, Nothing, Refused("it is about jobs; write sbatch --test-only")),
    ("thread-spec", None, Value, NoEffect(OF_THE_JOB)),
    ("threads", Some('T'), Value, NoEffect("nothing is sent")),
    ("threads-per-core", None, Value, NoEffect(ONE_MACHINE)),
    ("time", Some('t'), Value, Does("How long the step may run")),
    ("time-min", None, Value, NoEffect(OF_THE_JOB)),
    ("tmp", None, Value, NoEffect(OF_THE_JOB)),
    ("uid", None, Value, Refused("a step runs as its job's user")),
    ("gid", None, Value, Refused("a step runs as its job's user")),
    ("unbuffered", Some('u'), Nothing, NoEffect("nothing is ever held back")),
    ("usage", None, Nothing, Does("The shortest help")),
    ("use-min-nodes", None, Nothing, NoEffect(ONE_NODE)),
    ("verbose", Some('v'), Nothing, Does("Say what is done")),
    ("version", Some('V'), Nothing, Does("Which version this is")),
    ("wait", Some('W'), Value, Does("Seconds from the first task's end to that of the others")),
    ("wckey", None, Value, NoEffect("no such keys are kept")),
    ("whole", None, Nothing, Does("The step takes all CPUs of the job")),
];

/// Variables that are options of everybody who calls it.
const VARIABLES: &[(&str, &str)] = &[
    ("SRUN_CPUS_PER_TASK", "cpus-per-task"),
    ("SRUN_EXPORT_ENV", "export"),
    ("SLURM_KILL_BAD_EXIT", "kill-on-bad-exit"),
    ("SLURM_LABELIO", "label"),
    ("SLURM_OPEN_MODE", "open-mode"),
    ("SLURM_STDERRMODE", "error"),
    ("SLURM_STDINMODE", "input"),
    ("SLURM_STDOUTMODE", "output"),
    ("SLURM_WAIT", "wait"),
];

/// `srun`.
///
/// # Errors
/// What it says on standard error.
pub fn run(typed: Vec<OsString>) -> Result<u8, Failure> {
    let grammar = Grammar { command: COMMAND, options: OPTIONS, ends_with_a_word: true };
    let mut given = grammar.read(typed)?;
    if let Some(text) = help::asked(&grammar, &given) {
        return output(COMMAND, &text).map(|()| 0);
    }
    take_variables(&mut given);
    if given.words.is_empty() {
        return Err(Failure::new("srun: fatal: No command given to execute."));
    }
    if given.words.iter().any(|word| word == ":") {
        let what = "several programs in one step (\":\") are not honoured here: call srun for each";
        return Err(error(what));
    }
    match Place::here(&given)? {
        Some(place) => life::run(&Step::of(&given, &place)?, &place),
        None => outside::run(&given),
    }
}

/// What variables say goes before what was typed, so that this is the later one.
fn take_variables(given: &mut Given) {
    let set = VARIABLES.iter().filter_map(|(variable, option)| {
        let value = std::env::var(variable).ok()?;
        Some((*option, Some(value)))
    });
    let before: Vec<_> = set.collect();
    given.options.splice(0..0, before);
}
