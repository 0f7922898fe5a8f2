//! *Purpose*: `sacct`.
//!
//! *Owns*: its options, its columns, the rows of batch steps, the window of time.
//!
//! *Promises*: a job is there as soon as its submission was answered, and as long as the server
//! keeps it; with `-j` no window hides it.
//!
//! *Not here*: what a job's facts are (`slurm::facts`).
//!
//! Source: sacct(1) of Slurm 22.05, and what it answered.

mod rows;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;

use self::rows::Row;
use super::columns::{Column, Pad, table};
use super::failure::Failure;
use super::getopt::Effect::{Does, Nothing as NoEffect, Refused};
use super::getopt::{Given, Grammar, Opt};
use super::jobs::{Named, Server, ids, words as list};
use super::say::{ONE_CLUSTER, ONE_NODE, output};
use super::{help, json};
use crate::api::wire::sbatch::Takes::{Nothing, Value};
use crate::api::wire::slurm::facts::{CLUSTER, Facts, QOS};
use crate::api::wire::slurm::words::{self, moment, span};
use crate::api::wire::v1::{Job, JobId, StateWord, format_rfc3339};
use crate::clock::{self, LocalTime};
use crate::slurm::owner::{Owned, user_named};
use crate::text::when;
use crate::time::Time;

const COMMAND: &str = "sacct";
/// Columns that are shown when nobody says which.
const USUAL: &str = "jobid,jobname,partition,account,alloccpus,state,exitcode";
/// The same with `--brief`.
const BRIEF: &str = "jobid,state,exitcode";
/// The same with `--long`, of what there is.
const LONG: &str = "jobid,jobidraw,jobname,partition,maxrss,ncpus,alloccpus,elapsed,state,\
                    exitcode,reqmem,alloctres";

#[rustfmt::skip]
const OPTIONS: &[Opt] = &[
    ("accounts", Some('A'), Value, Does("Jobs of these accounts")),
    ("allclusters", Some('L'), Nothing, NoEffect(ONE_CLUSTER)),
    ("allocations", Some('X'), Nothing, Does("Jobs alone, without their steps")),
    ("allusers", Some('a'), Nothing, NoEffect("whose jobs you may see are shown anyway")),
    ("array", None, Nothing, NoEffect("what is left of an array is one line")),
    ("brief", Some('b'), Nothing, Does("Id, state and code alone")),
    ("clusters", Some('M'), Value, NoEffect(ONE_CLUSTER)),
    ("completion", Some('c'), Nothing, NoEffect("ended jobs are among the others")),
    ("delimiter", None, Value, Does("What stands between columns with -p and -P")),
    ("duplicates", Some('D'), Nothing, Does("Earlier runs of jobs too, each a row of its own")),
    ("endtime", Some('E'), Value, Does("Jobs that had begun before")),
    ("federation", None, Nothing, NoEffect(ONE_CLUSTER)),
    ("format", Some('o'), Value, Does("These columns, with widths: JobID%20,State")),
    ("help", Some('h'), Nothing, Does("This help")),
    ("helpformat", Some('e'), Nothing, Does("The names of all columns")),
    ("jobs", Some('j'), Value, Does("These jobs: 17,17_4,17.batch")),
    ("json", None, Nothing, Does("As JSON")),
    ("local", None, Nothing, NoEffect(ONE_CLUSTER)),
    ("long", Some('l'), Nothing, Does("More columns")),
    ("name", None, Value, Does("Jobs of these names")),
    ("ncpus", Some('I'), Value, Refused("jobs are not found by their CPUs")),
    ("nnodes", Some('i'), Value, NoEffect(ONE_NODE)),
    ("noconvert", None, Nothing, NoEffect("sizes are written as they are")),
    ("nodelist", Some('N'), Value, NoEffect(ONE_NODE)),
    ("noheader", Some('n'), Nothing, Does("Without a head")),
    ("parsable", Some('p'), Nothing, Does("Columns with | between and behind")),
    ("parsable2", Some('P'), Nothing, Does("Columns with | between")),
    ("partition", Some('r'), Value, Does("Jobs of these partitions")),
    ("qos", Some('q'), Value, NoEffect("there is one quality of service")),
    ("starttime", Some('S'), Value, Does("Jobs that had not ended by then [default: midnight]")),
    ("state", Some('s'), Value, Does("Jobs in these states")),
    ("timelimit-min", Some('k'), Value, Refused("jobs are not found by their time limit")),
    ("truncate", Some('T'), Nothing, NoEffect("times are those of the job")),
    ("uid", None, Value, Does("Jobs of these users, by number")),
    ("units", None, Value, Does("Sizes in K, M, G or T")),
    ("usage", None, Nothing, Does("The shortest help")),
    ("user", Some('u'), Value, Does("Jobs of these users")),
    ("verbose", Some('v'), Nothing, NoEffect("nothing more is said")),
    ("version", Some('V'), Nothing, Does("Which version this is")),
    ("wckeys", Some('W'), Value, NoEffect("no such keys are kept")),
    ("whole-hetjob", None, Value, NoEffect("there are no jobs of several parts")),
    ("yaml", None, Nothing, Refused("write --json")),
];

/// Seconds with what is below one: `00:01.250`, `01:02:03`.
fn cpu_time(seconds: f64) -> String {
    let whole = seconds as i64;
    match whole {
        0..3_600 => {
            let millis = ((seconds - whole as f64) * 1_000.0) as i64;
            format!("{:02}:{:02}.{millis:03}", whole / 60, whole % 60)
        }
        whole => span(whole),
    }
}

/// A column: its name, its width, what stands in it.
type Fact = (&'static str, usize, fn(&Row) -> String);

/// Every column that has something to say.
#[rustfmt::skip]
const FACTS: &[Fact] = &[
    ("Account", 10, |row| row.job.account.clone()),
    ("AllocCPUS", 10, |row| match row.job.allocation {
        Some(_) => row.job.cpus.to_string(),
        None => "0".to_owned(),
    }),
    ("AllocNodes", 10, |row| u8::from(row.job.allocation.is_some()).to_string()),
    ("AllocTRES", 10, |row| match row.job.allocation {
        Some(_) => row.facts().tres(),
        None => String::new(),
    }),
    ("Cluster", 10, |_| CLUSTER.to_owned()),
    ("Comment", 14, |row| row.of_job(|f| f.0.comment.clone().unwrap_or_default())),
    ("CPUTime", 10, |row| span(row.facts().cpu_s())),
    ("CPUTimeRAW", 10, |row| row.facts().cpu_s().to_string()),
    ("DerivedExitCode", 15, |row| row.of_job(|f| f.exit_code())),
    ("Elapsed", 10, |row| span(row.job.elapsed_s)),
    ("ElapsedRaw", 10, |row| row.job.elapsed_s.to_string()),
    ("Eligible", 19, |row| moment(row.job.eligible_time.as_deref(), "Unknown")),
    ("End", 19, |row| moment(row.job.end_time.as_deref(), "Unknown")),
    ("ExitCode", 8, Row::exit_code),
    ("JobID", 12, |row| row.id(row.facts().id())),
    ("JobIDRaw", 12, |row| row.id(row.facts().raw_id())),
    ("JobName", 10, |row| match &row.step {
        Some(step) => step.name.clone(),
        None => row.job.name.clone(),
    }),
    ("MaxRSS", 10, Row::max_rss),
    ("NCPUS", 10, |row| row.job.cpus.to_string()),
    ("NNodes", 8, |_| "1".to_owned()),
    ("NodeList", 15, |row| match row.job.node {
        Some(_) => row.facts().nodes(),
        None => "None assigned".to_owned(),
    }),
    ("NTasks", 8, |row| match &row.step {
        Some(step) => step.tasks.to_string(),
        None => String::new(),
    }),
    ("Partition", 10, |row| row.of_job(|f| f.0.partition.clone())),
    ("Priority", 10, |row| row.of_job(|f| f.0.priority.to_string())),
    ("QOS", 10, |row| row.of_job(|_| QOS.to_owned())),
    ("Reason", 22, |row| row.of_job(|f| f.reason())),
    ("ReqCPUS", 8, |row| row.job.cpus.to_string()),
    ("ReqMem", 10, Row::memory),
    ("ReqNodes", 8, |_| "1".to_owned()),
    ("ReqTRES", 10, |row| row.of_job(|f| f.tres())),
    ("Restarts", 8, |row| row.of_job(|f| f.0.restart_count.to_string())),
    ("Start", 19, |row| match row.job.state {
        StateWord::Pending => "Unknown".to_owned(),
        _ => row.facts().start("Unknown"),
    }),
    ("State", 10, Row::state),
    ("Submit", 19, |row| moment(Some(&row.job.submit_time), "Unknown")),
    ("Suspended", 10, |row| span(row.job.suspended_s)),
    ("SystemCPU", 10, |row| cpu_time(row.job.usage.map_or(0.0, |usage| usage.system_cpu_s))),
    ("Timelimit", 10, |row| row.of_job(|f| f.limit(span))),
    ("TimelimitRaw", 12, |row| row.of_job(|f| f.limit(|seconds| (seconds / 60).to_string()))),
    ("TotalCPU", 10, |row| cpu_time(row.facts().used_cpu_s())),
    ("UID", 6, |row| row.of_job(|f| f.uid())),
    ("User", 9, |row| row.of_job(|f| f.user())),
    ("UserCPU", 10, |row| cpu_time(row.job.usage.map_or(0.0, |usage| usage.user_cpu_s))),
    ("WorkDir", 22, |row| row.of_job(|f| f.folder())),
];

/// Columns of Slurm that nothing is known for here: they are there, and empty.
const EMPTY: &[&str] = &[
    "AdminComment",
    "AssocID",
    "AveCPU",
    "AveCPUFreq",
    "AveDiskRead",
    "AveDiskWrite",
    "AvePages",
    "AveRSS",
    "AveVMSize",
    "BlockID",
    "Constraints",
    "ConsumedEnergy",
    "ConsumedEnergyRaw",
    "Container",
    "DBIndex",
    "Flags",
    "GID",
    "Group",
    "Layout",
    "MaxDiskRead",
    "MaxDiskReadNode",
    "MaxDiskReadTask",
    "MaxDiskWrite",
    "MaxDiskWriteNode",
    "MaxDiskWriteTask",
    "MaxPages",
    "MaxPagesNode",
    "MaxPagesTask",
    "MaxRSSNode",
    "MaxRSSTask",
    "MaxVMSize",
    "MaxVMSizeNode",
    "MaxVMSizeTask",
    "McsLabel",
    "MinCPU",
    "MinCPUNode",
    "MinCPUTask",
    "QOSRAW",
    "ReqCPUFreq",
    "ReqCPUFreqGov",
    "ReqCPUFreqMax",
    "ReqCPUFreqMin",
    "Reservation",
    "ReservationId",
    "Reserved",
    "ResvCPU",
    "ResvCPURAW",
    "SubmitLine",
    "SystemComment",
    "TRESUsageInAve",
    "TRESUsageInMax",
    "TRESUsageInTot",
    "TRESUsageOutAve",
    "TRESUsageOutMax",
    "TRESUsageOutTot",
    "WCKey",
    "WCKeyID",
];

/// The names of all columns, four in a line.
fn names() -> String {
    let mut names: Vec<&str> =
        FACTS.iter().map(|(name, ..)| *name).chain(EMPTY.iter().copied()).collect();
    names.sort_unstable_by_key(|name| name.to_ascii_lowercase());
    let line = |names: &[&str]| {
        let line: String = names.iter().map(|name| format!("{name:<20}")).collect();
        format!("{}\n", line.trim_end())
    };
    names.chunks(4).map(line).collect()
}

/// A column of the output, and whether it is as wide as it says.
fn column(word: &str, is_table: bool) -> Result<Column<Row>, Failure> {
    let (name, form) = word.split_once('%').unwrap_or((word, ""));
    let is_it = |own: &&str| own.eq_ignore_ascii_case(name);
    let found = FACTS.iter().find(|(own, ..)| is_it(own));
    let empty = || EMPTY.iter().copied().find(|own| is_it(own));
    let unknown = || Failure::error(COMMAND, &format!("Invalid field requested: \"{name}\""));
    let (head, usual, fact): Fact = match found {
        Some(fact) => *fact,
        None => (empty().ok_or_else(unknown)?, 10, |_| String::new()),
    };
    let (left, digits) = match form.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, form),
    };
    let width = digits.parse().unwrap_or(usual);
    // Ids stand at the left, as they always did.
    let left = left || (form.is_empty() && head.starts_with("JobID"));
    let pad = match is_table {
        true => Pad { width: Some(width), right: !left, cuts: true, ..Pad::default() },
        false => Pad::default(),
    };
    Ok(Column { head, pad, needs: "", fact })
}

/// The table with its two lines of heads, a blank behind each column.
fn as_table(mut columns: Vec<Column<Row>>, rows: &[Row], heads: bool) -> String {
    let rule: String = columns
        .iter()
        .map(|column| format!("{} ", "-".repeat(column.pad.width.unwrap_or_default())))
        .collect();
    columns.iter_mut().skip(1).for_each(|column| column.pad.before = " ".to_owned());
    super::columns::end_with(&mut columns, " ".to_owned());
    let body = table(&columns, rows, heads);
    match (heads, body.split_once('\n')) {
        (true, Some((first, rest))) => format!("{first}\n{rule}\n{rest}"),
        _ => body,
    }
}

/// The rows with something between the columns.
fn as_fields(mut columns: Vec<Column<Row>>, rows: &[Row], heads: bool, given: &Given) -> String {
    let between = given.value("delimiter").unwrap_or("|").to_owned();
    columns.iter_mut().skip(1).for_each(|column| column.pad.before = between.clone());
    if given.has("parsable") {
        super::columns::end_with(&mut columns, between);
    }
    table(&columns, rows, heads)
}

/// A point in time as it is typed; `now` and times of a day among them.
fn instant(text: &str) -> Result<Time, Failure> {
    let senseless = |_| Failure::new(format!("Invalid time specification (pos=0): {text}"));
    when::parse_past(text).map_err(senseless)
}

/// Midnight, from when on jobs are listed if nobody says.
fn midnight() -> Time {
    LocalTime::day_of(clock::now())
}

/// Jobs, and whether steps alone are wanted of them.
fn found(given: &Given, server: &Server) -> Result<Vec<Job>, Failure> {
    let mut named: Vec<Named> = Vec::new();
    for word in given.all("jobs").flat_map(list) {
        let bad = || Failure::new(format!("{COMMAND}: fatal: Bad job/step specified: {word}"));
        named.extend(ids(word).ok_or_else(bad)?);
    }
    let mut states: Vec<&str> = Vec::new();
    for word in given.all("state").flat_map(list) {
        let what = format!("{COMMAND}: fatal: unrecognized job state value '{word}'");
        let known = words::asked(word).ok_or_else(|| Failure::new(what))?;
        states.extend(words::ours(known).map(|_| known));
    }
    if given.has("state") && states.is_empty() {
        return Ok(Vec::new());
    }
    let since = given.value("starttime").map(instant).transpose()?;
    let until = given.value("endtime").map(instant).transpose()?;
    let mut jobs = match named.is_empty() {
        false => server.named(&named, "")?,
        true => in_window(server, since.unwrap_or_else(midnight), given)?,
    };
    let of = |name: &'static str| given.all(name).flat_map(list).collect::<BTreeSet<&str>>();
    let (names, accounts, partitions) = (of("name"), of("accounts"), of("partition"));
    let uids = of("uid").into_iter().chain(of("user"));
    let users: BTreeSet<String> = uids.map(user_named).collect();
    let is_in = |set: &BTreeSet<&str>, own: &str| set.is_empty() || set.contains(own);
    let until = until.map(format_rfc3339);
    jobs.retain(|job| {
        (states.is_empty() || states.contains(&Facts(job).state()))
            && is_in(&names, &job.name)
            && is_in(&accounts, &job.account)
            && is_in(&partitions, &job.partition)
            && (users.is_empty() || users.contains(&Facts(job).user()))
            && (!named.is_empty() || until.as_ref().is_none_or(|until| job.submit_time <= *until))
    });
    jobs.sort_by_key(|job| (job.array_job_id.unwrap_or(job.id), job.array_task_id, job.id));
    Ok(jobs)
}

/// Those that had not ended by then: live ones, and what has ended since.
fn in_window(server: &Server, since: Time, given: &Given) -> Result<Vec<Job>, Failure> {
    let one = |name: &'static str| given.value(name).filter(|value| !value.contains(','));
    let mut pairs: Vec<(&str, String)> = Vec::new();
    for (option, parameter) in
        [("name", "name"), ("accounts", "account"), ("partition", "partition")]
    {
        pairs.extend(one(option).map(|value| (parameter, value.to_owned())));
    }
    let live = [StateWord::Pending, StateWord::Running, StateWord::Completing];
    let mut of_live = pairs.clone();
    of_live.extend(live.map(|state| ("state", state.word().to_owned())));
    let mut jobs = server.all(&of_live, "")?;
    pairs.push(("ended_since", format_rfc3339(since)));
    jobs.extend(server.all(&pairs, "")?);
    // One that ended between the two questions is in both.
    let mut seen = BTreeSet::new();
    jobs.retain(|job| seen.insert(job.id));
    Ok(jobs)
}

/// `sacct`.
///
/// # Errors
/// What it says on standard error.
pub fn run(typed: Vec<OsString>) -> Result<u8, Failure> {
    let grammar = Grammar { command: COMMAND, options: OPTIONS, ends_with_a_word: false };
    let given = grammar.read(typed)?;
    if let Some(text) = help::asked(&grammar, &given) {
        return output(COMMAND, &text).map(|()| 0);
    }
    if given.has("helpformat") {
        return output(COMMAND, &names()).map(|()| 0);
    }
    let is_table = !given.has("parsable") && !given.has("parsable2");
    let usual = match (given.has("brief"), given.has("long")) {
        (true, _) => BRIEF,
        (_, true) => LONG,
        _ => USUAL,
    };
    let mut columns = Vec::new();
    for word in list(given.value("format").unwrap_or(usual)) {
        match word.eq_ignore_ascii_case("all") {
            false => columns.push(column(word, is_table)?),
            true => {
                for (name, ..) in FACTS {
                    columns.push(column(name, is_table)?);
                }
            }
        }
    }
    let unit = given.value("units").and_then(|unit| unit.chars().next());
    let unit = unit.map(|unit| unit.to_ascii_uppercase());
    let server = Server::of(COMMAND)?;
    let jobs = found(&given, &server)?;
    if given.has("json") {
        let started: Vec<JobId> = jobs.iter().map(|job| job.id).collect();
        return output(COMMAND, &json::accounting(&jobs, &server.steps(&started)?)).map(|()| 0);
    }
    let wanted: Vec<&str> = given.all("jobs").flat_map(list).collect();
    let steps_alone = !wanted.is_empty() && wanted.iter().all(|word| word.contains('.'));
    let shows_steps = !given.has("allocations");
    let started: Vec<JobId> =
        jobs.iter().filter(|job| job.start_time.is_some()).map(|job| job.id).collect();
    let mut steps = if shows_steps { server.steps(&started)? } else { BTreeMap::new() };
    let mut rows = Vec::new();
    for job in jobs {
        let steps = steps.remove(&job.id).unwrap_or_default();
        let of_steps = if shows_steps { Row::of_steps(&job, &steps, unit) } else { Vec::new() };
        if given.has("duplicates") && !steps_alone {
            let runs = server.past_runs(&job)?;
            rows.extend(runs.iter().map(|run| Row::of_past(&job, run, unit)));
        }
        rows.extend((!steps_alone).then(|| Row::of_job_itself(job, unit)));
        rows.extend(of_steps);
    }
    if steps_alone {
        rows.retain(|row| wanted.iter().any(|word| row.is_step_of(word)));
    }
    let heads = !given.has("noheader");
    let text = match is_table {
        true => as_table(columns, &rows, heads),
        false => as_fields(columns, &rows, heads, &given),
    };
    output(COMMAND, &text).map(|()| 0)
}
