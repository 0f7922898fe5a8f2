//! *Purpose*: `squeue`.
//!
//! *Owns*: its options, the columns of jobs by letter and by name.
//!
//! *Promises*: a job is listed from the moment its submission was answered until
//! [`MIN_JOB_AGE_S`] after its end, live ones alone unless states are named.
//!
//! *Not here*: what a job's facts are (`slurm::facts`), steps (`squeue::steps`).
//!
//! Source: squeue(1) of Slurm 22.05, and what it answered.

mod asked;
pub mod steps;

use std::ffi::OsString;

use self::asked::{Asked, sort};
use super::columns::{self, Column, Pad};
use super::failure::Failure;
use super::getopt::Effect::{Does, Nothing as NoEffect, Refused};
use super::getopt::{Given, Grammar, Opt};
use super::jobs::{Named, Server, ids, left, words as list};
use super::say::{ONE_CLUSTER, ONE_NODE, output, remark};
use super::{help, iterate, json};
use crate::api::wire::sbatch::Takes::{Maybe, Nothing, Value};
use crate::api::wire::slurm::facts::{Facts, NULL, QOS};
use crate::api::wire::slurm::words::{self, SUSPENDED, moment, short, short_span};
use crate::api::wire::v1::{Job, StateWord, format_rfc3339};
use crate::slurm::owner::Owned;
use crate::{clock, people};

/// How long an ended job stays listed, seconds: as long as Slurm's default.
pub const MIN_JOB_AGE_S: i64 = 300;
/// States that are listed when none is named.
const LIVE: [StateWord; 3] = [StateWord::Pending, StateWord::Running, StateWord::Completing];
/// What is listed when no state is asked for.
const LISTED: [&str; 4] = ["PENDING", "RUNNING", SUSPENDED, "COMPLETING"];
const COMMAND: &str = "squeue";
/// Columns that are shown when nobody says which.
const USUAL: &str = "%.18i %.9P %.8j %.8u %.2t %.10M %.6D %R";
/// The same with `--long`.
const LONG: &str = "%.18i %.9P %.8j %.8u %.8T %.10M %.9l %.6D %R";
/// The same with `--start`.
const START: &str = "%.18i %.9P %.8j %.8u %.2t  %.19S %.6D %20Y %R";

/// Its options.
#[rustfmt::skip]
const OPTIONS: &[Opt] = &[
    ("account", Some('A'), Value, Does("Jobs of these accounts")),
    ("all", Some('a'), Nothing, NoEffect("jobs of all partitions are shown anyway")),
    ("array", Some('r'), Nothing, Does("Each task of an array in a line of its own")),
    ("array-unique", None, Nothing, NoEffect("what is left of an array is one line anyway")),
    ("clusters", Some('M'), Value, NoEffect(ONE_CLUSTER)),
    ("federation", None, Nothing, NoEffect(ONE_CLUSTER)),
    ("Format", Some('O'), Value, Does("Columns by their names: JobID:10,State")),
    ("format", Some('o'), Value, Does("Columns by their letters: %.10i %T")),
    ("help", None, Nothing, Does("This help")),
    ("hide", None, Nothing, NoEffect("no partition is hidden")),
    ("iterate", Some('i'), Value, Does("Again every so many seconds")),
    ("jobs", Some('j'), Value, Does("These jobs, with commas: 17,17_4")),
    ("json", None, Nothing, Does("As JSON")),
    ("licenses", Some('L'), Value, Refused("jobs are not found by their licences")),
    ("local", None, Nothing, NoEffect(ONE_CLUSTER)),
    ("long", Some('l'), Nothing, Does("More columns")),
    ("me", None, Nothing, Does("My jobs")),
    ("name", Some('n'), Value, Does("Jobs of these names")),
    ("noconvert", None, Nothing, NoEffect("sizes are written as they are")),
    ("nodelist", Some('w'), Value, NoEffect(ONE_NODE)),
    ("nodes", None, Value, NoEffect(ONE_NODE)),
    ("noheader", Some('h'), Nothing, Does("Without a head")),
    ("partition", Some('p'), Value, Does("Jobs of these partitions")),
    ("priority", Some('P'), Nothing, NoEffect("a job of several partitions is one line")),
    ("qos", Some('q'), Value, Does("Jobs of this quality of service; there is `normal` alone")),
    ("reservation", Some('R'), Value, Refused("this server has no reservations")),
    ("sibling", None, Nothing, NoEffect(ONE_CLUSTER)),
    ("sort", Some('S'), Value, Does("In this order: letters with commas, -M the largest first")),
    ("start", None, Nothing, Does("When those that wait are expected to start")),
    ("states", Some('t'), Value, Does("Jobs in these states, or `all`")),
    ("steps", Some('s'), Maybe, Does("Steps that run, or these of them: 17.0,17_4.batch")),
    ("usage", None, Nothing, Does("The shortest help")),
    ("user", Some('u'), Value, Does("Jobs of these users")),
    ("users", None, Value, Does("The same")),
    ("verbose", Some('v'), Nothing, NoEffect("nothing more is said")),
    ("version", Some('V'), Nothing, Does("Which version this is")),
    ("yaml", None, Nothing, Refused("write --json")),
];

/// A column: its letter, its names with `-O`, its head, of which fields of a job what stands in it
/// is made, and that.
type Fact = (Option<char>, &'static [&'static str], &'static str, &'static str, fn(&Job) -> String);

/// Every column.
#[rustfmt::skip]
const FACTS: &[Fact] = &[
    (Some('i'), &["JobArrayID"], "JOBID", "array_job_id,array_task_id,array_tasks",
        |job| Facts(job).id()),
    (Some('A'), &["JobID"], "JOBID", "", |job| Facts(job).raw_id()),
    (Some('F'), &["ArrayJobID"], "ARRAY_JOB_ID", "array_job_id", |job| Facts(job).array_id()),
    (Some('K'), &["ArrayTaskID"], "ARRAY_TASK_ID", "array_task_id,array_tasks",
        |job| Facts(job).tasks().unwrap_or_else(|| "N/A".to_owned())),
    (Some('t'), &["StateCompact"], "ST", "suspend_time",
        |job| short(Facts(job).state()).to_owned()),
    (Some('T'), &["State"], "STATE", "suspend_time", |job| Facts(job).state().to_owned()),
    (Some('j'), &["Name"], "NAME", "name", |job| job.name.clone()),
    (Some('u'), &["UserName"], "USER", "user", |job| Facts(job).user()),
    (Some('U'), &["UserID"], "UID", "uid,user", |job| Facts(job).uid()),
    (Some('P'), &["Partition"], "PARTITION", "partition", |job| job.partition.clone()),
    (Some('M'), &["TimeUsed"], "TIME", "elapsed_s", |job| short_span(job.elapsed_s)),
    (Some('l'), &["TimeLimit"], "TIME_LIMIT", "time_limit_s", |job| Facts(job).limit(short_span)),
    (Some('L'), &["TimeLeft"], "TIME_LEFT", "time_limit_s,elapsed_s", |job| Facts(job).time_left()),
    (Some('S'), &["StartTime"], "START_TIME", "start_time,estimated_start_time,end_time",
        |job| Facts(job).start("N/A")),
    (Some('e'), &["EndTime"], "END_TIME", "end_time,start_time,time_limit_s",
        |job| Facts(job).end("N/A")),
    (Some('V'), &["SubmitTime"], "SUBMIT_TIME", "submit_time",
        |job| moment(Some(&job.submit_time), "N/A")),
    (None, &["EligibleTime"], "ELIGIBLE_TIME", "eligible_time",
        |job| moment(job.eligible_time.as_deref(), "N/A")),
    (Some('D'), &["NumNodes"], "NODES", "", |_| "1".to_owned()),
    (Some('C'), &["NumCPUs"], "CPUS", "cpus", |job| job.cpus.to_string()),
    (None, &["NumTasks"], "TASKS", "ntasks", |job| Facts(job).tasks_count().to_string()),
    (Some('m'), &["MinMemory"], "MIN_MEMORY", "memory_bytes", |job| Facts(job).memory()),
    (Some('c'), &["MinCpus"], "MIN_CPUS", "cpus,ntasks,cpus_per_task",
        |job| Facts(job).cpus_per_task().to_string()),
    (None, &["cpus-per-task"], "CPUS_PER_TASK", "cpus,ntasks,cpus_per_task",
        |job| Facts(job).cpus_per_task().to_string()),
    (Some('N'), &["NodeList"], "NODELIST", "node", |job| Facts(job).nodes()),
    (Some('r'), &["Reason"], "REASON", "state_reason,exit_code", |job| Facts(job).reason()),
    (Some('R'), &["ReasonList"], "NODELIST(REASON)", "node,state_reason,exit_code",
        |job| Facts(job).nodes_or_reason()),
    (Some('B'), &["BatchHost"], "EXEC_HOST", "node",
        |job| job.node.clone().unwrap_or_else(|| "n/a".to_owned())),
    (Some('Z'), &["WorkDir"], "WORK_DIR", "working_directory", |job| Facts(job).folder()),
    (Some('a'), &["Account"], "ACCOUNT", "account", |job| Facts::or_null(Some(&job.account))),
    (Some('q'), &["QOS"], "QOS", "", |_| QOS.to_owned()),
    (Some('o'), &["Command"], "COMMAND", "", |_| NULL.to_owned()),
    (Some('k'), &["Comment"], "COMMENT", "comment", |job| Facts::or_null(job.comment.as_deref())),
    (Some('p'), &["Priority"], "PRIORITY", "priority", |job| job.priority.to_string()),
    (Some('Q'), &["PriorityLong"], "PRIORITY", "priority", |job| job.priority.to_string()),
    (Some('b'), &["tres-per-node", "Gres"], "TRES_PER_NODE", "resources", |job| Facts(job).gres()),
    (None, &["tres-alloc", "tres"], "TRES_ALLOC", "cpus,memory_bytes,resources",
        |job| Facts(job).tres()),
    (Some('W'), &["Licenses"], "LICENSES", "resources", |job| Facts(job).licenses()),
    (Some('f'), &["Feature"], "FEATURES", "", |_| NULL.to_owned()),
    (Some('E'), &["Dependency"], "DEPENDENCY", "dependency",
        |job| Facts::or_null(job.dependency.as_deref())),
    (Some('d'), &["MinTmpDisk"], "MIN_TMP_DISK", "", |_| "0".to_owned()),
    (Some('v'), &["Reservation"], "RESERVATION", "", |_| NULL.to_owned()),
    (Some('w'), &["WCKey"], "WCKEY", "", |_| NULL.to_owned()),
    (Some('x'), &["ExcNodes"], "EXC_NODES", "", |_| String::new()),
    (Some('n'), &["ReqNodes"], "REQ_NODES", "", |_| String::new()),
    (Some('Y'), &["SchedNodes"], "SCHEDNODES", "", |_| NULL.to_owned()),
    (Some('g'), &["GroupName"], "GROUP", "user", |job| Facts(job).user()),
    (Some('G'), &["GroupID"], "GROUP", "user", gid),
    (Some('h'), &["OverSubscribe"], "OVER_SUBSCRIBE", "", |_| "OK".to_owned()),
    (Some('H'), &["Sockets"], "SOCKETS_PER_NODE", "", |_| "*".to_owned()),
    (Some('I'), &["Cores"], "CORES_PER_SOCKET", "", |_| "*".to_owned()),
    (Some('J'), &["Threads"], "THREADS_PER_CORE", "", |_| "*".to_owned()),
    (Some('O'), &["Contiguous"], "CONTIGUOUS", "", |_| "0".to_owned()),
    (Some('s'), &["SelectJobInfo"], "", "", |_| String::new()),
    (Some('X'), &["CoreSpec"], "CORE_SPEC", "", |_| "N/A".to_owned()),
    (Some('y'), &["Nice"], "NICE", "", |_| "0".to_owned()),
    (Some('z'), &["SCT"], "S:C:T", "", |_| "*:*:*".to_owned()),
    (None, &["RestartCnt"], "RESTART_COUNT", "restart_count", |job| job.restart_count.to_string()),
    (None, &["exit_code"], "EXIT_CODE", "exit_code", |job| Facts(job).script_code()),
    (None, &["Cluster"], "CLUSTER", "", |_| crate::api::wire::slurm::facts::CLUSTER.to_owned()),
    (None, &["STDOUT"], "STDOUT", "stdout_path", |job| Facts::file(job.stdout_path.as_deref())),
    (None, &["STDERR"], "STDERR", "stderr_path", |job| Facts::file(job.stderr_path.as_deref())),
    (None, &["STDIN"], "STDIN", "standard_input", |job| Facts::file(job.standard_input.as_deref())),
];

/// The number of its owner's group, or nobody's.
fn gid(job: &Job) -> String {
    let group = people::primary_group(&Facts(job).user());
    group.map_or_else(|| "4294967294".to_owned(), |(_, gid)| gid.to_string())
}

fn column(fact: &'static Fact, pad: Pad) -> Column<Job> {
    Column { head: fact.2, pad, needs: fact.3, fact: fact.4 }
}

fn unknown(what: &str) {
    remark(&format!("{COMMAND}: error: Invalid job format specification: {what}"));
}

fn by_letters(format: &str) -> Vec<Column<Job>> {
    let known = |letter, pad| {
        FACTS.iter().find(|(own, ..)| *own == Some(letter)).map(|fact| column(fact, pad))
    };
    columns::by_letters(format, known, |letter| unknown(&letter.to_string()))
}

fn by_names(names: &str) -> Vec<Column<Job>> {
    let known = |name: &str, pad| {
        let is_it = |fact: &&Fact| fact.1.iter().any(|own| own.eq_ignore_ascii_case(name));
        FACTS.iter().find(is_it).map(|fact| column(fact, pad)).into_iter().collect()
    };
    columns::by_names(names, known, unknown)
}

/// States that were asked for; `None` means all.
fn states(given: &Given) -> Result<Option<Vec<&'static str>>, Failure> {
    let mut states = Vec::new();
    let mut is_all = false;
    for word in given.all("states").flat_map(list) {
        match words::asked(word) {
            _ if word.eq_ignore_ascii_case("all") => is_all = true,
            Some(known) => states.extend(words::ours(known).map(|_| known)),
            None => {
                let valid = format!("Valid job states include: {}\n", words::all_states());
                let first = format!("Invalid job state specified: {word}");
                let failure = Failure::error(COMMAND, &first);
                return Err(failure.and(format!("{COMMAND}: error: {valid}")));
            }
        }
    }
    Ok(match (is_all, given.has("states")) {
        (true, _) => None,
        (false, true) => Some(states),
        (false, false) => Some(LISTED.to_vec()),
    })
}

/// The jobs that are listed.
fn found(given: &Given, server: &Server, fields: &str) -> Result<Vec<Job>, Failure> {
    let mut named: Vec<Named> = Vec::new();
    let words: Vec<&str> = given.all("jobs").flat_map(list).collect();
    for word in &words {
        let what = format!("Invalid job id: {word}");
        named.extend(ids(word).ok_or_else(|| server.error(&what))?);
    }
    let states = states(given)?;
    if states.as_ref().is_some_and(Vec::is_empty) {
        return Ok(Vec::new());
    }
    let now = clock::now();
    let since = format_rfc3339(now.plus_s(-MIN_JOB_AGE_S));
    let is_listed = |job: &Job| job.end_time.as_ref().is_none_or(|end| *end >= since);
    let mut jobs = if named.is_empty() {
        let ours: Option<Vec<StateWord>> =
            states.as_ref().map(|all| all.iter().filter_map(|word| words::ours(word)).collect());
        let is_wanted = |state: &StateWord| ours.as_ref().is_none_or(|all| all.contains(state));
        let live: Vec<StateWord> = LIVE.into_iter().filter(is_wanted).collect();
        let word = |state: &StateWord| ("state", state.word().to_owned());
        let mut jobs = Vec::new();
        if !live.is_empty() {
            jobs = server.all(&live.iter().map(word).collect::<Vec<_>>(), fields)?;
        }
        if ours.as_ref().is_none_or(|states| states.iter().any(|state| state.is_final())) {
            jobs.extend(server.all(&[("ended_since", since.clone())], fields)?);
        }
        jobs
    } else {
        let jobs: Vec<Job> = server.named(&named, fields)?.into_iter().filter(is_listed).collect();
        // One that nobody knows is an error; among several it is passed over.
        if jobs.is_empty() && words.len() == 1 {
            return Err(Failure::new("slurm_load_jobs error: Invalid job id specified"));
        }
        jobs
    };
    let asked = Asked::of(given);
    let of = |name: &'static str| given.all(name).flat_map(list).collect::<Vec<&str>>();
    let (names, accounts) = (of("name"), of("account"));
    let is_in = |list: &[&str], own: &str| list.is_empty() || list.contains(&own);
    jobs.retain(|job| {
        states.as_ref().is_none_or(|states| states.contains(&Facts(job).state()))
            && is_listed(job)
            && asked.is_it(job)
            && is_in(&names, &job.name)
            && is_in(&accounts, &job.account)
            && is_in(&of("qos"), QOS)
    });
    Ok(jobs)
}

/// Of which fields the list is made; none named means all.
fn fields(given: &Given, columns: &[Column<Job>]) -> String {
    /// What it is ordered, filtered and told apart by.
    const ALWAYS: &str = "end_time,array_job_id,array_task_id,array_tasks,position,suspend_time";
    if given.has("json") || given.has("sort") {
        return String::new();
    }
    let filters = [
        ("me", "user"),
        ("user", "user"),
        ("users", "user"),
        ("name", "name"),
        ("partition", "partition"),
        ("account", "account"),
    ];
    let filters =
        filters.into_iter().filter(|(option, _)| given.has(option)).map(|(_, field)| field);
    let columns = columns.iter().map(|column| column.needs).filter(|needs| !needs.is_empty());
    let all: Vec<&str> = std::iter::once(ALWAYS).chain(filters).chain(columns).collect();
    all.join(",")
}

/// Each task of what is left of an array by itself.
fn task_by_task(jobs: Vec<Job>) -> Vec<Job> {
    let each = |job: Job| match left(&job) {
        tasks if tasks.is_empty() => vec![job],
        tasks => tasks,
    };
    jobs.into_iter().flat_map(each).collect()
}

/// A key of an order: what its letter shows, numbers as numbers.
fn key(job: &Job, letter: char) -> (f64, String) {
    let fact = FACTS.iter().find(|(own, ..)| *own == Some(letter));
    let text = fact.map(|fact| fact.4(job)).unwrap_or_default();
    match letter {
        'i' | 'A' => (job.id.0 as f64, String::new()),
        't' | 'T' => (job.state as u8 as f64, String::new()),
        'M' => (job.elapsed_s as f64, String::new()),
        'l' => (job.time_limit_s.unwrap_or(i64::MAX) as f64, String::new()),
        'C' | 'p' | 'Q' | 'D' | 'U' => (text.parse().unwrap_or(0.0), String::new()),
        _ => (0.0, text),
    }
}

/// `squeue`.
///
/// # Errors
/// What it says on standard error.
pub fn run(typed: Vec<OsString>) -> Result<u8, Failure> {
    let grammar = Grammar { command: COMMAND, options: OPTIONS, ends_with_a_word: false };
    let given = grammar.read(typed)?;
    if let Some(text) = help::asked(&grammar, &given) {
        return output(COMMAND, &text).map(|()| 0);
    }
    let heads = !given.has("noheader");
    if given.has("steps") && !given.has("json") {
        let columns = steps::columns(COMMAND, &given);
        let server = Server::of(COMMAND)?;
        return iterate::shown(COMMAND, &given, || {
            output(COMMAND, &columns::table(&columns, &steps::found(&given, &server)?, heads))
        });
    }
    let columns = match (given.value("Format"), given.value("format")) {
        (Some(names), _) => by_names(names),
        (None, Some(letters)) => by_letters(letters),
        (None, None) if given.has("start") => by_letters(START),
        (None, None) if given.has("long") => by_letters(LONG),
        (None, None) => by_letters(USUAL),
    };
    let server = Server::of(COMMAND)?;
    iterate::shown(COMMAND, &given, || {
        let mut jobs = found(&given, &server, &fields(&given, &columns))?;
        if given.has("start") {
            jobs.retain(|job| job.state == StateWord::Pending);
        }
        // Those that wait first, as they stand in the line.
        jobs.sort_by_key(|job| (job.state, job.position.unwrap_or(u64::MAX), job.id));
        if let Some(order) = given.value("sort") {
            sort(&mut jobs, order, key);
        }
        if given.has("json") {
            return output(COMMAND, &json::jobs(&jobs));
        }
        let jobs = if given.has("array") { task_by_task(jobs) } else { jobs };
        output(COMMAND, &columns::table(&columns, &jobs, heads))
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn letters_and_names_make_columns() {
        let job: Job =
            serde_json::from_str(&crate::cli::wait::tests::job("RUNNING", None)).unwrap();
        let shown = |format: &str| columns::table(&by_letters(format), [job.clone()].iter(), true);
        assert_eq!(shown("%i<>%.4t|%%"), format!("JOBID<>  ST|%\n{}<>   R|%\n", job.id));
        assert_eq!(shown("%6i|%2T"), format!("JOBID |ST\n{:<6}|RU\n", job.id));
        let names = by_names("JobID:5,state:.8");
        let table = columns::table(&names, [job.clone()].iter(), false);
        assert_eq!(table, format!("{:<5} RUNNING\n", job.id));
    }
}
