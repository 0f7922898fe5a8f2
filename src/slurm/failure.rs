//! *Purpose*: how a command of Slurm fails.
//!
//! *Owns*: [`Failure`]: what stands on standard error, and the exit code.
//!
//! *Promises*: the sentence of real Slurm comes first, where there is one; what Downbeat knows
//! beyond it stands in lines of its own.
//!
//! *Not here*: which sentence a refusal deserves (the commands).

use crate::cli::CliError;

/// What a program ends with that has been asked something without sense.
pub const FAILED: u8 = 1;
/// The same of `sbatch`, `srun` and `salloc`, when an option makes no sense.
pub const BAD_OPTION: u8 = 255;

/// Why a command did not do what was asked.
#[derive(Debug, PartialEq, Eq)]
pub struct Failure {
    /// Lines for standard error, as they are.
    pub lines: Vec<String>,
    /// What the process ends with.
    pub code: u8,
}

impl Failure {
    /// One line, and exit code 1.
    pub fn new(line: impl Into<String>) -> Failure {
        Failure { lines: vec![line.into()], code: FAILED }
    }

    /// `COMMAND: error: …`, and exit code 1.
    #[must_use]
    pub fn error(command: &str, what: &str) -> Failure {
        Failure::new(format!("{command}: error: {what}"))
    }

    /// The same with this exit code.
    #[must_use]
    pub fn with_code(self, code: u8) -> Failure {
        Failure { code, ..self }
    }

    /// What Downbeat knows beyond it.
    #[must_use]
    pub fn and(mut self, line: impl Into<String>) -> Failure {
        self.lines.push(line.into());
        self
    }

    /// What our own client says, as this command says it. A reader that went away is no error.
    #[must_use]
    pub fn of(command: &str, error: &CliError) -> Failure {
        match error {
            CliError::Pipe => Failure { lines: Vec::new(), code: 0 },
            error => {
                let said = error.to_string();
                let lines = said.lines().map(|line| format!("{command}: error: {line}"));
                Failure { lines: lines.collect(), code: FAILED }
            }
        }
    }
}
