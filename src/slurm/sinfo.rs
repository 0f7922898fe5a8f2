//! *Purpose*: `sinfo`.
//!
//! *Owns*: its options and its columns.
//!
//! *Promises*: a line for each partition of the one node that there is.
//!
//! *Not here*: what the machine's facts are (`slurm::machine`).
//!
//! Source: sinfo(1) of Slurm 22.05, and what it answered.

use std::ffi::OsString;

use super::columns::{self, Column, Pad};
use super::failure::Failure;
use super::getopt::Effect::{Does, Nothing as NoEffect, Refused};
use super::getopt::{Given, Grammar, Opt};
use super::help;
use super::jobs::{Server, words as list};
use super::machine;
use super::say::{ONE_CLUSTER, ONE_NODE, output};
use crate::api::wire::sbatch::Takes::{Nothing, Value};
use crate::api::wire::slurm::machine::Machine;
use crate::api::wire::slurm::words::short_span;
use crate::api::wire::v1::Partition;

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
    ("Format", Some('O'), Value, Refused("use --format")),
    ("future", Some('F'), Nothing, NoEffect(ONE_NODE)),
    ("help", None, Nothing, Does("This help")),
    ("hide", None, Nothing, NoEffect("no partition is hidden")),
    ("iterate", Some('i'), Value, Does("Again every so many seconds")),
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

/// A line: a partition of the machine.
#[derive(Debug)]
struct Row {
    machine: Machine,
    partition: Partition,
}

impl Row {
    fn node(&self) -> String {
        self.machine.resources.node.clone()
    }

    /// Allocated, idle, other, in all.
    fn cpus(&self) -> String {
        let Partition { total_cpus: total, available_cpus: free, .. } = self.partition;
        let idle = if self.machine.drained.is_some() { 0 } else { free };
        format!("{}/{idle}/{}/{total}", total - free, free - idle)
    }

    fn nodes(&self) -> String {
        match self.machine.short_state() {
            "idle" => "0/1/0/1",
            "mix" | "alloc" => "1/0/0/1",
            _ => "0/0/1/1",
        }
        .to_owned()
    }

    fn name(&self) -> String {
        let star = if self.partition.default { "*" } else { "" };
        format!("{}{star}", self.partition.name)
    }
}

type Fact = (char, &'static str, fn(&Row) -> String);

/// Every column by its letter.
#[rustfmt::skip]
const FACTS: &[Fact] = &[
    ('a', "AVAIL", |row| row.partition.state.clone()),
    ('B', "MAX_CPUS_PER_NODE", |row| match row.partition.max_cpus_per_job {
        Some(most) => most.to_string(),
        None => "UNLIMITED".to_owned(),
    }),
    ('c', "CPUS", |row| row.partition.total_cpus.to_string()),
    ('C', "CPUS(A/I/O/T)", Row::cpus),
    ('d', "TMP_DISK", |_| "0".to_owned()),
    ('D', "NODES", |_| "1".to_owned()),
    ('e', "FREE_MEM", |row| {
        row.machine.resources.available_memory_bytes.map_or(0, |bytes| bytes >> 20).to_string()
    }),
    ('E', "REASON", |row| row.machine.drained.clone().unwrap_or_else(|| "none".to_owned())),
    ('f', "AVAIL_FEATURES", |_| "(null)".to_owned()),
    ('F', "NODES(A/I/O/T)", Row::nodes),
    ('g', "GROUPS", |_| "all".to_owned()),
    ('G', "GRES", |row| row.machine.gres()),
    ('h', "OVERSUBSCRIBE", |_| "NO".to_owned()),
    ('l', "TIMELIMIT", |row| Machine::limit(&row.partition, "infinite", short_span)),
    ('L', "DEFAULTTIME", |row| match row.partition.default_time_limit_s {
        Some(seconds) => short_span(i64::from(seconds)),
        None => "n/a".to_owned(),
    }),
    ('m', "MEMORY", |row| row.machine.memory_mib().to_string()),
    ('n', "HOSTNAMES", Row::node),
    ('N', "NODELIST", Row::node),
    ('o', "NODE_ADDR", Row::node),
    ('O', "CPU_LOAD", |_| "N/A".to_owned()),
    ('p', "PRIO_TIER", |_| "1".to_owned()),
    ('P', "PARTITION", Row::name),
    ('r', "ROOT", |_| "no".to_owned()),
    ('R', "PARTITION", |row| row.partition.name.clone()),
    ('s', "JOB_SIZE", |_| "1".to_owned()),
    ('S', "ALLOWED_ALLOCATING_NODES", |_| "all".to_owned()),
    ('t', "STATE", |row| row.machine.short_state().to_owned()),
    ('T', "STATE", |row| row.machine.state().to_owned()),
    ('w', "WEIGHT", |_| "1".to_owned()),
    ('X', "SOCKETS", |row| row.partition.total_cpus.to_string()),
    ('Y', "CORES", |_| "1".to_owned()),
    ('z', "S:C:T", |row| format!("{}:1:1", row.partition.total_cpus)),
    ('Z', "THREADS", |_| "1".to_owned()),
];

fn column(letter: char, pad: Pad) -> Option<Column<Row>> {
    let (_, head, fact) = FACTS.iter().find(|(own, ..)| *own == letter)?;
    Some(Column { head, pad, needs: "", fact: *fact })
}

/// Which columns.
fn format(given: &Given, machine: &Machine) -> String {
    // With a blank behind the longest.
    let width = machine.resources.node.chars().count().max("NODELIST".len()) + 1;
    match given.value("format") {
        Some(format) => format.to_owned(),
        None if given.has("Node") => format!("%{width}N{BY_NODE}"),
        None if given.has("summarize") => SUMMARY.to_owned(),
        None if given.has("long") => LONG.to_owned(),
        None => USUAL.to_owned(),
    }
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
    let server = Server::of(COMMAND)?;
    let every = given.value("iterate").map(|text| {
        let wrong = || server.error(&format!("Invalid --iterate specification: {text}"));
        text.parse::<u64>().ok().filter(|seconds| *seconds > 0).ok_or_else(wrong)
    });
    let every = every.transpose()?;
    let wanted: Vec<&str> = given.all("partition").flat_map(list).collect();
    let states: Vec<String> =
        given.all("states").flat_map(list).map(str::to_ascii_lowercase).collect();
    loop {
        let machine = machine::of(&server)?;
        let columns = columns::by_letters(&format(&given, &machine), column);
        let is_wanted =
            |partition: &&Partition| wanted.is_empty() || wanted.contains(&partition.name.as_str());
        let own = [machine.state(), machine.short_state(), "all"];
        let in_state = states.is_empty() || states.iter().any(|word| own.contains(&word.as_str()));
        let rows: Vec<Row> = machine
            .partitions
            .iter()
            .filter(|_| in_state && !given.has("dead"))
            .filter(is_wanted)
            .map(|partition| Row { machine: machine.clone(), partition: partition.clone() })
            .collect();
        output(COMMAND, &columns::table(&columns, &rows, !given.has("noheader")))?;
        match every {
            None => return Ok(0),
            Some(seconds) => std::thread::sleep(std::time::Duration::from_secs(seconds)),
        }
    }
}
