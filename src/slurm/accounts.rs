//! *Purpose*: `sacctmgr` and `sshare`, which other programs look into.
//!
//! *Owns*: the little that there is to say: accounts stand in the settings file.
//!
//! *Promises*: whoever asks gets an empty table and exit code 0; whoever wants to change something
//! is told where that is done.
//!
//! *Not here*: accounts (`config::named`).

use std::ffi::OsString;

use super::failure::Failure;
use super::getopt::Effect::{Does, Nothing as NoEffect};
use super::getopt::{Grammar, Opt};
use super::help;
use super::say::{ONE_CLUSTER, output};
use crate::api::wire::sbatch::Takes::{Nothing, Value};

#[rustfmt::skip]
const OPTIONS: &[Opt] = &[
    ("accounts", Some('A'), Value, NoEffect("downbeat usage tells of accounts")),
    ("all", Some('a'), Nothing, NoEffect("there is nothing to show")),
    ("associations", Some('s'), Nothing, NoEffect("there is nothing to show")),
    ("clusters", Some('M'), Value, NoEffect(ONE_CLUSTER)),
    ("format", Some('o'), Value, NoEffect("there is nothing to show")),
    ("help", Some('h'), Nothing, Does("This help")),
    ("immediate", Some('i'), Nothing, NoEffect("nothing is changed here")),
    ("noheader", Some('n'), Nothing, NoEffect("there is nothing to show")),
    ("parsable", Some('p'), Nothing, NoEffect("there is nothing to show")),
    ("parsable2", Some('P'), Nothing, NoEffect("there is nothing to show")),
    ("quiet", Some('Q'), Nothing, NoEffect("little is said anyway")),
    ("readonly", Some('r'), Nothing, NoEffect("nothing is changed here")),
    ("usage", None, Nothing, Does("The shortest help")),
    ("users", Some('u'), Value, NoEffect("downbeat usage tells of users")),
    ("verbose", Some('v'), Nothing, NoEffect("nothing more is said")),
    ("version", Some('V'), Nothing, Does("Which version this is")),
];

/// `sacctmgr`.
///
/// # Errors
/// What it says on standard error.
pub fn sacctmgr(typed: Vec<OsString>) -> Result<u8, Failure> {
    const CHANGES: [&str; 8] =
        ["add", "create", "modify", "delete", "remove", "archive", "load", "dump"];
    let grammar = Grammar { command: "sacctmgr", options: OPTIONS, ends_with_a_word: false };
    let given = grammar.read(typed)?;
    if let Some(text) = help::asked(&grammar, &given) {
        return output("sacctmgr", &text).map(|()| 0);
    }
    match given.words.first() {
        Some(word) if CHANGES.contains(&word.as_str()) => Err(Failure::error(
            "sacctmgr",
            "accounts and limits stand in the server's settings file ([[account]], [[user]])",
        )),
        _ => Ok(0),
    }
}

/// `sshare`.
///
/// # Errors
/// What it says on standard error.
pub fn sshare(typed: Vec<OsString>) -> Result<u8, Failure> {
    let grammar = Grammar { command: "sshare", options: OPTIONS, ends_with_a_word: false };
    let given = grammar.read(typed)?;
    match help::asked(&grammar, &given) {
        Some(text) => output("sshare", &text).map(|()| 0),
        None => Ok(0),
    }
}
