//! *Purpose*: `sinfo`.
//!
//! *Owns*: its options.
//!
//! *Promises*: a line for each partition of the one node that there is, as far as what is shown of
//! them differs.
//!
//! *Not here*: its columns (`sinfo::row`), what the machine's facts are (`slurm::machine`).
//!
//! Source: sinfo(1) of Slurm 22.05, and what it answered.

mod row;

use std::collections::BTreeSet;
use std::ffi::OsString;

use self::row::Row;
use super::columns::{self, Column};
use super::failure::Failure;
use super::getopt::Effect::{Does, Nothing as NoEffect};
use super::getopt::{Given, Grammar, Opt};
use super::jobs::{Server, words as list};
use super::say::{ONE_CLUSTER, ONE_NODE, output, remark};
use super::{help, iterate, json, machine};
use crate::api::wire::sbatch::Takes::{Nothing, Value};
use crate::api::wire::slurm::machine::Machine;

const COMMAND: &str = "sinfo";
const USUAL: &str = "%9P %.5a %.10l %.6D %.6t %N";
/// The same with `--Node`, behind the node, whose column is as wide as its name.
const BY_NODE: &str = " %.6D %.9P %6t";
const SUMMARY: &str = "%9P %.5a %.10l %.16F %N";
const LONG: &str = "%9P %.5a %.10l %.10s %.4r %.8h %.10g %.6D %.11T %N";

#[rustfmt::skip]
const OPTIONS: &[Opt] = &[
    ("all", Some('a'), Nothing, NoEffect("no partition is hidden")),
    ("clusters", Some('M'), Value, NoEffect(ONE_CLUSTER)),
    ("dead", Some('d'), Nothing, Does("Nodes that do not answer: none")),
    ("exact", Some('e'), Nothing, NoEffect(ONE_NODE)),
    ("federation", None, Nothing, NoEffect(ONE_CLUSTER)),
    ("format", Some('o'), Value, Does("Columns by their letters: %P %t")),
    ("Format", Some('O'), Value, Does("Columns by their names: NodeHost:20,StateLong")),
    ("future", Some('F'), Nothing, NoEffect(ONE_NODE)),
    ("help", None, Nothing, Does("This help")),
    ("hide", None, Nothing, NoEffect("no partition is hidden")),
    ("iterate", Some('i'), Value, Does("Again every so many seconds")),
    ("json", None, Nothing, Does("As JSON")),
    ("list-reasons", Some('R'), Nothing, NoEffect("downbeat status says why nothing starts")),
    ("local", None, Nothing, NoEffect(ONE_CLUSTER)),
    ("long", Some('l'), Nothing, Does("More columns")),
    ("noconvert", None, Nothing, NoEffect("sizes are written as they are")),
    ("Node", Some('N'), Nothing, Does("A line for each node")),
    ("nodes", Some('n'), Value, NoEffect(ONE_NODE)),
    ("noheader", Some('h'), Nothing, Does("Without a head")),
    ("partition", Some('p'), Value, Does("These partitions")),
    ("responding", Some('r'), Nothing, Does("Nodes that answer: all")),
    ("sort", Some('S'), Value, NoEffect("partitions stand as the settings name them")),
    ("states", Some('t'), Value, Does("Nodes in these states")),
    ("summarize", Some('s'), Nothing, Does("Counts of nodes")),
    ("usage", None, Nothing, Does("The shortest help")),
    ("verbose", Some('v'), Nothing, NoEffect("nothing more is said")),
    ("version", Some('V'), Nothing, Does("Which version this is")),
];

fn by_letters(format: &str) -> Vec<Column<Row>> {
    let unknown = |letter| remark(&format!("Invalid node format specification: {letter}"));
    row::by_letters(format, unknown)
}

/// The columns that somebody named.
fn named(given: &Given) -> Option<Vec<Column<Row>>> {
    let unknown = |name: &str| {
        remark(&format!("{COMMAND}: error: Invalid job format specification: {name}"));
    };
    let names = given.value("Format").map(|names| row::by_names(names, unknown));
    names.or_else(|| given.value("format").map(by_letters))
}

/// Those that are shown where nobody names any.
fn usual(given: &Given, machine: &Machine) -> Vec<Column<Row>> {
    // With a blank behind the longest.
    let width = machine.resources.node.chars().count().max("NODELIST".len()) + 1;
    match (given.has("Node"), given.has("summarize"), given.has("long")) {
        (true, ..) => by_letters(&format!("%{width}N{BY_NODE}")),
        (_, true, _) => by_letters(SUMMARY),
        (_, _, true) => by_letters(LONG),
        _ => by_letters(USUAL),
    }
}

/// The lines that are wanted. What only a column would tell apart that is not shown is one line.
fn rows(given: &Given, machine: &Machine, columns: &[Column<Row>]) -> Vec<Row> {
    let names: Vec<&str> = given.all("partition").flat_map(list).collect();
    let states: Vec<String> =
        given.all("states").flat_map(list).map(str::to_ascii_lowercase).collect();
    let own = [machine.state(), machine.short_state(), "all"];
    let in_state = states.is_empty() || states.iter().any(|word| own.contains(&word.as_str()));
    if !in_state || given.has("dead") {
        return Vec::new();
    }
    let is_wanted = |name: &str| names.is_empty() || names.contains(&name);
    let partitions = machine.partitions.iter().filter(|one| is_wanted(&one.name));
    let rows = partitions.map(|one| Row { machine: machine.clone(), partition: one.clone() });
    let mut seen = BTreeSet::new();
    rows.filter(|row| seen.insert(columns::line(columns, row))).collect()
}

/// `sinfo`.
///
/// # Errors
/// What it says on standard error.
pub fn run(typed: Vec<OsString>) -> Result<u8, Failure> {
    let grammar = Grammar { command: COMMAND, options: OPTIONS, ends_with_a_word: false };
    let given = grammar.read(typed)?;
    if let Some(text) = help::asked(&grammar, &given) {
        return output(COMMAND, &text).map(|()| 0);
    }
    if given.has("long") && (given.has("format") || given.has("Format")) {
        let what = "Options -o(--format) and -l(--long) are mutually exclusive";
        return Err(Failure::new(format!(
            "{COMMAND}: fatal: {what}. Please remove one and retry."
        )));
    }
    let named = named(&given);
    let server = Server::of(COMMAND)?;
    iterate::shown(COMMAND, &given, || {
        let machine = machine::of(&server)?;
        if given.has("json") {
            return output(COMMAND, &json::nodes(&machine));
        }
        let usual = if named.is_none() { usual(&given, &machine) } else { Vec::new() };
        let columns = named.as_deref().unwrap_or(&usual);
        let rows = rows(&given, &machine, columns);
        output(COMMAND, &columns::table(columns, &rows, !given.has("noheader")))
    })
}
