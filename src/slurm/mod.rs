//! *Purpose*: Slurm's programs, so that what was written for them works here as it is.
//!
//! *Owns*: which there are, and how the binary is called as one of them: by its own name, or as
//! `downbeat slurm NAME`.
//!
//! *Promises*: the sentences, columns, words and exit codes of Slurm 22.05; where they differ it is
//! on purpose, and `docs/slurm.md` says so. Nothing is done for one client alone. The server is
//! found as everywhere in Downbeat, by no variable of Slurm's, which tools remove.
//!
//! *Not here*: the server, which knows nothing of all this.

mod accounts;
mod columns;
mod failure;
mod getopt;
mod help;
mod hostlist;
mod install;
mod iterate;
mod jobs;
mod json;
mod machine;
mod owner;
mod sacct;
mod salloc;
mod say;
mod sbatch;
mod scancel;
mod scontrol;
mod seff;
mod show;
mod sinfo;
mod squeue;
mod srun;
mod terminal;
mod voice;

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::ExitCode;

use self::failure::Failure;
use self::say::remark;

/// What a program does with the words behind its name.
type Run = fn(Vec<OsString>) -> Result<u8, Failure>;

/// Every program.
const PROGRAMS: &[(&str, Run)] = &[
    ("sacct", sacct::run),
    ("sacctmgr", accounts::sacctmgr),
    ("salloc", salloc::run),
    ("sbatch", sbatch::run),
    ("scancel", scancel::run),
    ("scontrol", scontrol::run),
    ("seff", seff::run),
    ("sinfo", sinfo::run),
    ("squeue", squeue::run),
    ("srun", srun::run),
    ("sshare", accounts::sshare),
];

/// The names under which the binary is one of Slurm's programs.
fn names() -> impl Iterator<Item = &'static str> {
    PROGRAMS.iter().map(|(name, _)| *name)
}

/// Runs the program whose name this process was called by; `None` when it is called otherwise.
#[must_use]
pub fn called() -> Option<ExitCode> {
    let mut words = std::env::args_os();
    let name = words.next()?;
    let name = Path::new(&name).file_name()?.to_owned();
    Some(ended(program(&name)?(words.collect())))
}

fn program(name: &OsStr) -> Option<Run> {
    PROGRAMS.iter().find(|(own, _)| *own == name).map(|(_, run)| *run)
}

/// `downbeat slurm …`: a program by its name, or `install`.
#[must_use]
pub fn run(words: &[OsString]) -> ExitCode {
    let done = match words.split_first() {
        Some((name, rest)) if name == "install" => install::run(rest.to_vec(), names()),
        Some((name, rest)) => match program(name) {
            Some(run) => run(rest.to_vec()),
            None => Err(unknown(&name.to_string_lossy())),
        },
        None => Err(unknown("")),
    };
    ended(done)
}

fn unknown(name: &str) -> Failure {
    let names: Vec<&str> = names().collect();
    let known = format!("one of {}, or install --dir DIR", names.join(", "));
    let what = match name {
        "" => format!("downbeat slurm: name a program: {known}"),
        name => format!("downbeat slurm: \"{name}\" is no program of Slurm that is here; {known}"),
    };
    Failure::new(what).with_code(2)
}

fn ended(done: Result<u8, Failure>) -> ExitCode {
    match done {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            failure.lines.iter().for_each(|line| remark(line));
            ExitCode::from(failure.code)
        }
    }
}
