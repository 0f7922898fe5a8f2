//! *Purpose*: what becomes of each option of sbatch.
//!
//! *Owns*: [`TABLE`], and how an option is found by a beginning of its name.
//!
//! *Promises*: whatever could change what runs, when, or what is kept of it is honoured or refused
//! by name; what changes none of that, or only how fast it runs, is passed over, and the reason is
//! said. An option that is not here is refused: nobody knows what it changes.
//!
//! *Not here*: reading values (`wire::sbatch`), how a command line explains them
//! (`cli::sbatch_options`).
//!
//! Source: sbatch(1) of Slurm 24.05.

use crate::text::quote::shorten;

/// Whether an option takes a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// Always; it may be the next word.
    Value,
    /// Only behind `=`, or behind the letter.
    Maybe,
    /// Never.
    Nothing,
}

/// What becomes of an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It does what it does in Slurm.
    Honoured,
    /// It is honoured as this one, of which it is another name.
    As(&'static str),
    /// The script is refused.
    Refused(&'static str),
    /// So it is unless its value is one of these, which ask for what is true here anyway.
    RefusedUnless(&'static [&'static str], &'static str),
    /// It changes nothing here: a warning.
    Harmless(&'static str),
}

/// An option: its long name, its letter, whether it takes a value, what becomes of it.
pub(super) type Entry = (&'static str, Option<char>, Takes, Fate);

const WHOLE_GPUS: &str =
    "GPUs are given whole, as many as --gpus asks for; how they are shared out is not chosen here.";
const NO_CHOICE_OF_CPUS: &str =
    "which CPUs of a machine a job gets, and how its tasks lie on them, cannot be chosen here.";
const NOT_KEPT: &str = "it is not kept; --comment and labels are.";
const ONE_NODE: &str = "this server is one node without a name or features to choose by";
const ONE_CLUSTER: &str = "this server is one cluster, which is called downbeat";
const FOR_SBATCH: &str = "it asks something of sbatch, not for the job; take it out of the script";
const AT_THE_CLIENT: &str = "it is about what the client prints or waits for.";
const ONE_NODE_ANYWAY: &str = "this server is one node, so it holds anyway.";

use Fate::{As, Harmless, Honoured, Refused, RefusedUnless};
use Takes::{Maybe, Nothing, Value};

/// Every option of sbatch.
#[rustfmt::skip]
pub(super) const TABLE: &[Entry] = &[
    ("account", Some('A'), Value, Honoured),
    ("array", Some('a'), Value, Honoured),
    ("begin", Some('b'), Value, Honoured),
    ("chdir", Some('D'), Value, Honoured),
    ("comment", None, Value, Honoured),
    ("mail-type", None, Value, Honoured),
    ("mail-user", None, Value, Honoured),
    ("cpus-per-gpu", None, Value, Honoured),
    ("cpus-per-task", Some('c'), Value, Honoured),
    ("deadline", None, Value, Honoured),
    ("dependency", Some('d'), Value, Honoured),
    ("error", Some('e'), Value, Honoured),
    ("exclude", Some('x'), Value, Honoured),
    ("exclusive", None, Maybe, Honoured),
    ("export", None, Value, Honoured),
    ("gpus", Some('G'), Value, Honoured),
    ("gpus-per-node", None, Value, As("gpus")),
    ("gpus-per-task", None, Value, Honoured),
    ("gres", None, Value, Honoured),
    ("hold", Some('H'), Nothing, Honoured),
    ("input", Some('i'), Value, Honoured),
    ("job-name", Some('J'), Value, Honoured),
    ("kill-on-invalid-dep", None, Value, Honoured),
    ("licenses", Some('L'), Value, Honoured),
    ("mem", None, Value, Honoured),
    ("mem-per-cpu", None, Value, Honoured),
    ("mem-per-gpu", None, Value, Honoured),
    ("mincpus", None, Value, Honoured),
    ("nice", None, Maybe, Honoured),
    ("no-requeue", None, Nothing, Honoured),
    ("nodelist", Some('w'), Value, Honoured),
    ("nodes", Some('N'), Value, Honoured),
    ("ntasks", Some('n'), Value, Honoured),
    ("ntasks-per-gpu", None, Value, Honoured),
    ("ntasks-per-node", None, Value, Honoured),
    ("open-mode", None, Value, Honoured),
    ("output", Some('o'), Value, Honoured),
    ("overcommit", Some('O'), Nothing, Honoured),
    ("partition", Some('p'), Value, Honoured),
    ("priority", None, Value, Honoured),
    ("requeue", None, Nothing, Honoured),
    ("signal", None, Value, Honoured),
    ("tasks-per-node", None, Value, As("ntasks-per-node")),
    ("time", Some('t'), Value, Honoured),
    ("tmp", None, Value, Honoured),

    ("gpus-per-socket", None, Value, RefusedUnless(&["0"], "GPUs are not counted per socket here")),
    ("tres-per-task", None, Value, Refused("ask for CPUs and --gpus-per-task")),
    ("bb", None, Value, Refused("this server has no burst buffers")),
    ("bbf", None, Value, Refused("this server has no burst buffers")),

    ("batch", None, Value, Refused(ONE_NODE)),
    ("cluster-constraint", None, Value, Refused(ONE_NODE)),
    ("clusters", Some('M'), Value, RefusedUnless(&["all", "downbeat"], ONE_CLUSTER)),
    ("constraint", Some('C'), Value, Refused(ONE_NODE)),
    ("nodefile", Some('F'), Value, Refused(ONE_NODE)),
    ("prefer", None, Value, Refused(ONE_NODE)),
    ("reboot", None, Nothing, Refused("no job may restart this machine")),
    ("reservation", None, Value, Refused("this server has no reservations")),
    ("core-spec", Some('S'), Value, Refused(NO_CHOICE_OF_CPUS)),
    ("thread-spec", None, Value, Refused(NO_CHOICE_OF_CPUS)),

    ("container", None, Value, Refused("this server starts no containers")),
    ("container-id", None, Value, Refused("this server starts no containers")),
    ("export-file", None, Value, Refused("the environment is sent with the job; use --export")),
    ("gid", None, Value, Refused("a job runs as the server's user")),
    ("uid", None, Value, Refused("a job runs as the server's user")),
    ("wrap", None, Value, Refused("the script is here already; put the command into it")),
    ("stepmgr", None, Nothing, Refused("this server has no steps")),
    ("segment", None, Value, Refused(ONE_NODE)),

    ("help", Some('h'), Nothing, Refused(FOR_SBATCH)),
    ("test-only", None, Nothing, Refused(FOR_SBATCH)),
    ("usage", None, Nothing, Refused(FOR_SBATCH)),
    ("version", Some('V'), Nothing, Refused(FOR_SBATCH)),

    ("cores-per-socket", None, Value, Harmless(NO_CHOICE_OF_CPUS)),
    ("cpu-freq", None, Value, Harmless("the speed of CPUs cannot be chosen here.")),
    ("distribution", Some('m'), Value, Harmless(NO_CHOICE_OF_CPUS)),
    ("extra-node-info", Some('B'), Value, Harmless(NO_CHOICE_OF_CPUS)),
    ("hint", None, Value, Harmless(NO_CHOICE_OF_CPUS)),
    ("mem-bind", None, Value, Harmless(NO_CHOICE_OF_CPUS)),
    ("ntasks-per-core", None, Value, Harmless(NO_CHOICE_OF_CPUS)),
    ("ntasks-per-socket", None, Value, Harmless(NO_CHOICE_OF_CPUS)),
    ("sockets-per-node", None, Value, Harmless(NO_CHOICE_OF_CPUS)),
    ("threads-per-core", None, Value, Harmless(NO_CHOICE_OF_CPUS)),
    ("gpu-bind", None, Value, Harmless(WHOLE_GPUS)),
    ("gpu-freq", None, Value, Harmless("the speed of GPUs cannot be chosen here.")),
    ("gres-flags", None, Value, Harmless(WHOLE_GPUS)),
    ("tres-bind", None, Value, Harmless(WHOLE_GPUS)),
    ("network", None, Value, Harmless(ONE_NODE_ANYWAY)),
    ("resv-ports", None, Maybe, Harmless("this server reserves no ports.")),
    ("qos", Some('q'), Value, Harmless("this server has no qualities of service; limits are of \
        partitions and accounts.")),
    ("get-user-env", None, Maybe, Harmless("the environment is that of whoever submits; \
        `#!/bin/bash -l` makes a login shell.")),
    ("propagate", None, Maybe, Harmless("the soft limits of whoever submits on the command line \
        go along anyway.")),
    ("extra", None, Value, Harmless(NOT_KEPT)),
    ("mcs-label", None, Value, Harmless(NOT_KEPT)),
    ("wckey", None, Value, Harmless(NOT_KEPT)),
    ("profile", None, Value, Harmless("no profile of a job is kept.")),
    ("acctg-freq", None, Value, Harmless("usage is read at the end of the job.")),
    ("contiguous", None, Nothing, Harmless(ONE_NODE_ANYWAY)),
    ("delay-boot", None, Value, Harmless("no node is started for a job.")),
    ("ignore-pbs", None, Nothing, Harmless("#PBS lines are never read.")),
    ("no-kill", Some('k'), Maybe, Harmless("the node that could fail is the only one.")),
    ("oversubscribe", Some('s'), Maybe, Harmless("it allows to share CPUs, and none are shared.")),
    ("share", None, Nothing, Harmless("it allows to share CPUs, and none are shared.")),
    ("spread-job", None, Nothing, Harmless(ONE_NODE_ANYWAY)),
    ("switches", None, Value, Harmless(ONE_NODE_ANYWAY)),
    ("time-min", None, Value, Harmless("the whole time limit is given.")),
    ("use-min-nodes", None, Nothing, Harmless(ONE_NODE_ANYWAY)),
    ("wait-all-nodes", None, Value, Harmless(ONE_NODE_ANYWAY)),
    ("parsable", None, Nothing, Harmless(AT_THE_CLIENT)),
    ("quiet", Some('Q'), Nothing, Harmless(AT_THE_CLIENT)),
    ("verbose", Some('v'), Nothing, Harmless(AT_THE_CLIENT)),
    ("wait", Some('W'), Nothing, Harmless(AT_THE_CLIENT)),
];

/// The option of this letter.
pub(super) fn by_letter(letter: char) -> Result<&'static Entry, String> {
    let found = TABLE.iter().find(|(_, own, ..)| *own == Some(letter));
    found.ok_or_else(|| unknown(&format!("-{letter}")))
}

/// The option of this name, or of the only one that begins so, as sbatch reads them.
pub(super) fn by_name(name: &str) -> Result<&'static Entry, String> {
    if let Some(exact) = TABLE.iter().find(|(own, ..)| *own == name) {
        return Ok(exact);
    }
    let begin = |entry: &&Entry| !name.is_empty() && entry.0.starts_with(name);
    let meant: Vec<&Entry> = TABLE.iter().filter(begin).collect();
    match meant[..] {
        [only] => Ok(only),
        [] => Err(unknown(&format!("--{name}"))),
        [..] => {
            let names: Vec<String> = meant.iter().map(|(name, ..)| format!("--{name}")).collect();
            Err(format!("--{name} may be {}; write it out", names.join(", ")))
        }
    }
}

fn unknown(option: &str) -> String {
    format!("{} is not an option of sbatch that is known here", shorten(option))
}
