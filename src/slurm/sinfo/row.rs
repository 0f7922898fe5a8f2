//! *Purpose*: the lines of `sinfo` and what stands in them.
//!
//! *Owns*: [`Row`]; every column, by its letter and by its names.
//!
//! *Promises*: what is not known here is what Slurm writes where nothing is set.
//!
//! *Not here*: which lines and columns are wanted (`sinfo`).

use crate::api::wire::slurm::facts::NULL;
use crate::api::wire::slurm::machine::Machine;
use crate::api::wire::slurm::words::short_span;
use crate::api::wire::v1::Partition;
use crate::slurm::columns::{self, Column, Pad};
use crate::slurm::help::LIKE;

/// All columns that have letters, as Slurm shows them when all are wanted.
const ALL: &str = "%a|%b|%c|%d|%e|%f|%g|%h|%l|%m|%n|%o|%p|%r|%s|%t|%u|%v|%w|%z|%A |%B |%C |%D |%E \
                   |%F |%G |%H |%I |%L |%M |%N |%O |%P |%R |%S |%T |%U |%V |%X |%Y |%Z ";

/// A line: a partition of the machine.
#[derive(Debug)]
pub struct Row {
    pub machine: Machine,
    pub partition: Partition,
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

    /// Allocated and idle.
    fn nodes_in_use(&self) -> &'static str {
        match self.machine.short_state() {
            "idle" => "0/1",
            "mix" | "alloc" => "1/0",
            _ => "0/0",
        }
    }

    /// The same, and others, and in all.
    fn nodes(&self) -> String {
        match self.nodes_in_use() {
            "0/0" => "0/0/1/1".to_owned(),
            known => format!("{known}/0/1"),
        }
    }

    fn name(&self) -> String {
        let star = if self.partition.default { "*" } else { "" };
        format!("{}{star}", self.partition.name)
    }

    /// What a partition's jobs suffer whose CPUs another one may take.
    fn preemption(&self) -> String {
        let own = &self.partition.name;
        let gives_way = self.machine.partitions.iter().any(|other| other.preempts.contains(own));
        if gives_way { "REQUEUE" } else { "OFF" }.to_owned()
    }

    /// The state without what is made of it for people: `idle+drain`.
    fn every_state(&self) -> String {
        match self.machine.drained {
            None => self.machine.state().to_owned(),
            Some(_) => {
                let open = Machine { drained: None, ..self.machine.clone() };
                format!("{}+drain", open.state())
            }
        }
    }

    fn gres_used(&self) -> String {
        let all = self.machine.counted();
        let all: Vec<String> = all.map(|one| format!("{}:{}", one.name, one.used)).collect();
        if all.is_empty() { NULL.to_owned() } else { all.join(",") }
    }
}

/// A column: its letter, its names with `-O`, its head, what stands in it.
type Fact = (Option<char>, &'static [&'static str], &'static str, fn(&Row) -> String);

/// Every column.
#[rustfmt::skip]
const FACTS: &[Fact] = &[
    (Some('a'), &["Available"], "AVAIL", |row| row.partition.state.clone()),
    (Some('A'), &["NodeAI"], "NODES(A/I)", |row| row.nodes_in_use().to_owned()),
    (None, &["AllocMem"], "ALLOCMEM",
        |row| (row.machine.resources.used_memory_bytes >> 20).to_string()),
    (Some('b'), &["Features_act"], "ACTIVE_FEATURES", |_| NULL.to_owned()),
    (Some('B'), &["MaxCPUsPerNode"], "MAX_CPUS_PER_NODE", |row| {
        row.partition.max_cpus_per_job.map_or_else(|| "UNLIMITED".to_owned(), |n| n.to_string())
    }),
    (Some('c'), &["CPUs"], "CPUS", |row| row.partition.total_cpus.to_string()),
    (Some('C'), &["CPUsState"], "CPUS(A/I/O/T)", Row::cpus),
    (None, &["Comment"], "COMMENT", |_| NULL.to_owned()),
    (Some('d'), &["Disk"], "TMP_DISK", |_| "0".to_owned()),
    (Some('D'), &["Nodes"], "NODES", |_| "1".to_owned()),
    (Some('e'), &["FreeMem"], "FREE_MEM", |row| {
        row.machine.resources.available_memory_bytes.map_or(0, |bytes| bytes >> 20).to_string()
    }),
    (Some('E'), &["Reason"], "REASON",
        |row| row.machine.drained.clone().unwrap_or_else(|| "none".to_owned())),
    (None, &["Extra"], "EXTRA", |_| NULL.to_owned()),
    (Some('f'), &["Features"], "AVAIL_FEATURES", |_| NULL.to_owned()),
    (Some('F'), &["NodeAIOT"], "NODES(A/I/O/T)", Row::nodes),
    (Some('g'), &["Groups"], "GROUPS", |_| "all".to_owned()),
    (Some('G'), &["Gres"], "GRES", |row| row.machine.gres()),
    (None, &["GresUsed"], "GRES_USED", Row::gres_used),
    (Some('h'), &["OverSubscribe", "Share"], "OVERSUBSCRIBE", |_| "NO".to_owned()),
    (Some('H'), &["Timestamp"], "TIMESTAMP", |_| "Unknown".to_owned()),
    (Some('I'), &["PriorityJobFactor"], "PRIO_JOB_FACTOR",
        |row| row.partition.priority_weight.to_string()),
    (Some('l'), &["Time"], "TIMELIMIT",
        |row| Machine::limit(&row.partition, "infinite", short_span)),
    (Some('L'), &["DefaultTime"], "DEFAULTTIME", |row| match row.partition.default_time_limit_s {
        Some(seconds) => short_span(i64::from(seconds)),
        None => "n/a".to_owned(),
    }),
    (Some('m'), &["Memory"], "MEMORY", |row| row.machine.memory_mib().to_string()),
    (Some('M'), &["PreemptMode"], "PREEMPT_MODE", Row::preemption),
    (Some('n'), &["NodeHost"], "HOSTNAMES", Row::node),
    (Some('N'), &["NodeList"], "NODELIST", Row::node),
    (Some('o'), &["NodeAddr"], "NODE_ADDR", Row::node),
    (Some('O'), &["CPUsLoad"], "CPU_LOAD", |_| "N/A".to_owned()),
    (Some('p'), &["PriorityTier"], "PRIO_TIER", |_| "1".to_owned()),
    (Some('P'), &["Partition"], "PARTITION", Row::name),
    (None, &["Port"], "PORT", |_| "0".to_owned()),
    (Some('r'), &["Root"], "ROOT", |_| "no".to_owned()),
    (Some('R'), &["PartitionName"], "PARTITION", |row| row.partition.name.clone()),
    (Some('s'), &["Size"], "JOB_SIZE", |_| "1".to_owned()),
    (Some('S'), &["AllocNodes"], "ALLOCNODES", |_| "all".to_owned()),
    (Some('t'), &["StateCompact"], "STATE", |row| row.machine.short_state().to_owned()),
    (Some('T'), &["StateLong"], "STATE", |row| row.machine.state().to_owned()),
    (None, &["StateComplete"], "STATECOMPLETE", Row::every_state),
    (Some('u'), &["User"], "USER", |_| "Unknown".to_owned()),
    (Some('U'), &["UserLong"], "USER", |_| "Unknown".to_owned()),
    (Some('v'), &["Version"], "VERSION", |_| LIKE.to_owned()),
    (Some('V'), &["Cluster"], "CLUSTER", |_| "N/A".to_owned()),
    (Some('w'), &["Weight"], "WEIGHT", |_| "1".to_owned()),
    (Some('X'), &["Sockets"], "SOCKETS", |row| row.partition.total_cpus.to_string()),
    (Some('Y'), &["Cores"], "CORES", |_| "1".to_owned()),
    (Some('z'), &["SocketCoreThread"], "S:C:T",
        |row| format!("{}:1:1", row.partition.total_cpus)),
    (Some('Z'), &["Threads"], "THREADS", |_| "1".to_owned()),
];

fn column(fact: &Fact, pad: Pad) -> Column<Row> {
    Column { head: fact.2, pad, needs: "", fact: fact.3 }
}

fn lettered(letter: char, pad: Pad) -> Option<Column<Row>> {
    FACTS.iter().find(|fact| fact.0 == Some(letter)).map(|fact| column(fact, pad))
}

fn named(name: &str, pad: Pad) -> Vec<Column<Row>> {
    if name.eq_ignore_ascii_case("all") {
        return by_letters(ALL, |_| {});
    }
    let is_it = |fact: &&Fact| fact.1.iter().any(|own| own.eq_ignore_ascii_case(name));
    FACTS.iter().find(is_it).map(|fact| column(fact, pad)).into_iter().collect()
}

/// The columns of `--format`.
pub fn by_letters(format: &str, unknown: impl Fn(char)) -> Vec<Column<Row>> {
    let format = if format.eq_ignore_ascii_case("%all") { ALL } else { format };
    columns::by_letters(format, lettered, unknown)
}

/// The columns of `--Format`.
pub fn by_names(names: &str, unknown: impl Fn(&str)) -> Vec<Column<Row>> {
    columns::by_names(names, named, unknown)
}
