//! *Purpose*: what a verb prints.
//!
//! *Owns*: results on stdout, remarks on stderr.
//!
//! *Promises*: what others wrote commands no terminal; a closed pipe is an end, not an error.
//!
//! *Not here*: tables (`cli::table`), what a terminal does with characters (`cli::terminal`).

use std::io::Write;

use super::error::CliError;
use super::terminal;

/// Prints a result for a person: what others wrote commands no terminal.
pub(super) fn say(text: &str) -> Result<(), CliError> {
    print(&terminal::shown(text))
}

/// Prints a result for a program, as it is.
pub(super) fn say_json(text: &str) -> Result<(), CliError> {
    print(text)
}

/// A reader that went away (`| head`) ends the program quietly.
pub(super) fn print(text: &str) -> Result<(), CliError> {
    let mut out = std::io::stdout().lock();
    let end = if text.ends_with('\n') { "" } else { "\n" };
    write!(out, "{text}{end}").and_then(|()| out.flush()).map_err(CliError::from_write)
}

/// Prints a remark to stderr; if nobody can read it, it is lost.
pub(super) fn remark(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{}", terminal::shown(text));
}
