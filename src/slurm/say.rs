//! *Purpose*: what Slurm's programs say, and where.
//!
//! *Owns*: results on standard output, remarks on standard error.
//!
//! *Promises*: a reader that went away ends a program quietly.
//!
//! *Not here*: what is said (the programs).

use std::io::Write;

use super::failure::Failure;
use crate::cli::CliError;

/// Why an option about several clusters does nothing.
pub const ONE_CLUSTER: &str = "this server is the only cluster";
/// Why an option about nodes does nothing.
pub const ONE_NODE: &str = "this server is the only node";

/// Says something on standard error; if nobody can read it, it is lost.
pub fn remark(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

/// Says a result on standard output.
///
/// # Errors
/// When it cannot be written.
pub fn output(command: &str, text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    written.map_err(|error| Failure::of(command, &CliError::from_write(error)))
}
