//! *Purpose*: `downbeat show ID`.
//!
//! *Owns*: a job as `key: value` lines.
//!
//! *Promises*: what is not known is left out; why a job waits is a sentence; times are those of the
//! clock of this place.
//!
//! *Not here*: many jobs (`cli::queue`).

use super::client::{Client, Connect};
use super::error::CliError;
use super::print::{remark, say, say_json};
use super::selection::{Act, Selection};
use super::wait::tally;
use super::{requeue, table, tasks, times};
use crate::api::wire::dependents::Dependents;
use crate::api::wire::job::Usage;
use crate::api::wire::v1::{
    ArrayState, Attempt, Efficiency, Job, JobRef, Rank, RankParts, RankPolicy, StateWord,
};
use crate::resources::allocation::Held;
use crate::resources::inventory;
use crate::text::cpu_list;
use crate::text::duration::format_dhms;
use crate::text::size;
use crate::text::time_limit::format_limit;

/// Which jobs.
#[derive(clap::Args, Clone, Debug)]
pub struct ShowArgs {
    #[command(flatten)]
    connect: Connect,
    /// Print the server's JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    selection: Selection,
}

/// Those that are named of who waits for a job.
const THEN: usize = 3;

/// Nobody is asked before jobs are looked at, and an array is shown as a whole.
pub(super) const LOOK: Act = Act { asks: None, states: &[], whole: true };

pub(super) fn run(args: &ShowArgs) -> Result<u8, CliError> {
    let client = Client::new(&args.connect)?;
    let mut code = 0;
    for (n, id) in args.selection.jobs(&client, LOOK)?.into_iter().enumerate() {
        match one(&client, args, id) {
            Ok(text) if args.json => say_json(&text)?,
            Ok(text) if n > 0 => say(&format!("\n{text}"))?,
            Ok(text) => say(&text)?,
            // One that is not there does not keep the others from being shown.
            Err(error @ CliError::Refused { .. }) => {
                remark(&format!("downbeat: {error}"));
                code = 1;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(code)
}

/// A job in full, as it is asked for.
fn one(client: &Client, args: &ShowArgs, id: JobRef) -> Result<String, CliError> {
    let (job, text) = tasks::known(client, id)?;
    if args.json {
        return Ok(text);
    }
    let whole = id.task.is_none() && job.is_array();
    let array = whole.then(|| client.array(job.id)).transpose()?;
    let attempts: Vec<Attempt> = match requeue::is_worth_a_list(&job) {
        true => client.get(&format!("/api/v1/jobs/{}/attempts", job.id))?.parse()?,
        false => Vec::new(),
    };
    let (rank, efficiency) = (rank(client, &job)?, efficiency(client, &job)?);
    let then = dependents(client, id, &job)?;
    let more = More { array, attempts, rank, efficiency, then };
    Ok(shown(&job, &more))
}

/// What is asked for besides the job itself.
#[derive(Default)]
struct More {
    array: Option<ArrayState>,
    attempts: Vec<Attempt>,
    rank: Option<Rank>,
    efficiency: Option<Efficiency>,
    then: Option<Dependents>,
}

/// Where it stands in the line, if it waits; it may have been started by now.
fn rank(client: &Client, job: &Job) -> Result<Option<Rank>, CliError> {
    if job.state != StateWord::Pending {
        return Ok(None);
    }
    match client.get(&format!("/api/v1/jobs/{}/priority", job.id)) {
        Ok(answer) => answer.parse().map(Some),
        Err(CliError::Refused { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// What it used of what it asked for, if it was started and that is the asker's business.
fn efficiency(client: &Client, job: &Job) -> Result<Option<Efficiency>, CliError> {
    if job.attempt == 0 || job.redacted {
        return Ok(None);
    }
    match client.get(&format!("/api/v1/jobs/{}/efficiency", job.id)) {
        Ok(answer) => answer.parse().map(Some),
        // It was forgotten meanwhile, or the server is an older one.
        Err(CliError::Refused { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Who waits for it, while it is not over.
fn dependents(client: &Client, id: JobRef, job: &Job) -> Result<Option<Dependents>, CliError> {
    if job.state.is_final() {
        return Ok(None);
    }
    match client.get(&format!("/api/v1/jobs/{id}/dependents")) {
        Ok(answer) => answer.parse().map(Some),
        // It was forgotten meanwhile, or the server is an older one.
        Err(CliError::Refused { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// `4153 eval-ckpt, 4160 report and 5 more wait for it`.
fn who_waits(of: &Dependents) -> Option<String> {
    let first = of.jobs.iter().take(THEN).map(|job| format!("{} {}", job.shown_id(), job.name));
    let first = first.collect::<Vec<_>>().join(", ");
    let more = of.jobs.len().saturating_sub(THEN);
    Some(match (of.jobs.len(), of.has_more) {
        (0, _) => return None,
        (_, true) => format!("{first} and more than {more} more wait for it"),
        (1, false) => format!("{first} waits for it"),
        (n, false) if n > THEN => format!("{first} and {more} more wait for it"),
        _ => format!("{first} wait for it"),
    })
}

/// What it used, how much that was of what it asked for, and what would have been enough.
fn usage(job: &Job, of: Option<&Efficiency>) -> [(&'static str, Option<String>); 3] {
    [
        ("usage", job.usage.map(used)),
        ("used of asked", of.and_then(of_asked)),
        ("advice", of.and_then(|of| of.advice.clone())),
    ]
}

/// `1.2 of 16 CPUs, 3 GiB of 64 GiB, 0.0 of 2 GPUs`; what is not known is left out.
fn of_asked(of: &Efficiency) -> Option<String> {
    let cpus = of.cpu.used.map(|used| {
        let asked = of.cpu.asked;
        format!("{used:.1} of {asked} CPU{}", if asked == 1 { "" } else { "s" })
    });
    let asked = of.memory.asked_bytes.and_then(|bytes| u64::try_from(bytes).ok());
    let memory = of.memory.used_bytes.zip(asked);
    let memory = memory.map(|(used, of)| format!("{} of {}", size::shown(used), size::shown(of)));
    let gpus = of.gpu.and_then(|gpu| gpu.used.map(|used| (used, gpu.asked)));
    let gpus = gpus.map(|(used, asked)| {
        format!("{used:.1} of {asked} GPU{}", if asked == 1 { "" } else { "s" })
    });
    let all: Vec<String> = [cpus, memory, gpus].into_iter().flatten().collect();
    (!all.is_empty()).then(|| all.join(", "))
}

/// `1250 = priority 0 + partition 1000 + age 50 + fair share 200`; parts that are 0 are left out.
fn points(rank: &Rank) -> Option<String> {
    let (points, parts) = (rank.points?, rank.parts?);
    let RankParts { priority, partition, age, fair_share } = parts;
    let parts = [("partition", partition), ("age", age), ("fair share", fair_share)];
    let more: Vec<String> = parts
        .iter()
        .filter(|(_, points)| *points != 0)
        .map(|(word, points)| format!(" + {word} {points}"))
        .collect();
    Some(match more.is_empty() {
        true => points.to_string(),
        false => format!("{points} = priority {priority}{}", more.concat()),
    })
}

fn ordered(rank: &Rank) -> String {
    let RankPolicy { order, value, waited_s, .. } = &rank.policy;
    let value = value.map(|value| format!(" {value:.3}")).unwrap_or_default();
    format!("{order}{value}, waited {}", format_dhms(*waited_s))
}

/// What it asks for beside CPUs and memory, and what it got of that.
fn resources(job: &Job) -> (String, String) {
    let asked = job.resources.iter().map(|(name, amount)| named(name, *amount));
    let held = job.allocation.iter().flat_map(|allocation| &allocation.resources);
    let given = held.map(|(name, held)| match held {
        Held::Units(units) => format!("{name} {}", cpu_list::format(units.iter().map(|u| u.0))),
        Held::Amount(amount) => named(name, *amount),
    });
    (asked.collect::<Vec<_>>().join(", "), given.collect::<Vec<_>>().join(", "))
}

/// `2 gpu`, `10 GiB scratch`.
fn named(name: &str, amount: u64) -> String {
    format!("{} {name}", inventory::amount(name, amount))
}

/// Where a stream lies; of an older server what was asked for.
fn output(asked: Option<&String>, path: Option<&String>) -> Option<String> {
    path.or(asked).cloned()
}

/// When the job is forgotten, and what goes with it.
fn kept(job: &Job, until: &str) -> String {
    // Standard error without a path of its own goes where standard output does.
    let apart = job.standard_error.is_none() && job.stderr_path != job.stdout_path;
    let own = job.standard_output.is_none() || apart;
    let output = if own { ", and then its output is removed too" } else { "" };
    format!("{}{output}", times::here(until))
}

fn used(usage: Usage) -> String {
    let Usage { user_cpu_s: user, system_cpu_s: system, max_rss_bytes: rss } = usage;
    format!("{user:.2} s user, {system:.2} s system, {} MiB at most", rss.max(0) >> 20)
}

/// Why it stands as it does: a word and a sentence, as far as there are any.
fn reason(job: &Job) -> Option<String> {
    let detail = job.state_detail.as_deref().map(times::in_sentence);
    match (&job.state_reason, detail) {
        (Some(reason), Some(detail)) => Some(format!("{reason}: {detail}")),
        (reason, detail) => detail.or_else(|| reason.clone()),
    }
}

fn shown(job: &Job, more: &More) -> String {
    let (array, rank) = (more.array.as_ref(), more.rank.as_ref());
    let at = |time: &Option<String>| time.as_deref().map(times::here);
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let allocation = job.allocation.as_ref();
    let cpu_ids =
        allocation.map(|a| a.cpu_ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(","));
    let labels: Vec<String> = job.labels.iter().map(|(k, v)| format!("{k}={v}")).collect();
    let (asked, given) = resources(job);
    let starts_by = match (&job.estimated_start_time, &job.estimate_basis) {
        (Some(start), Some(basis)) => Some(format!("{}, {basis}", times::here(start))),
        (None, Some(basis)) => Some(format!("unknown: {basis}")),
        _ => None,
    };
    let mut lines = vec![
        ("job", Some(job.shown_id())),
        ("job id", job.array_task_id.map(|_| job.id.to_string())),
        ("array", array.map(|array| format!("{}: {}", array.tasks, tally(array)))),
        ("name", some(&job.name)),
        ("state", Some(job.state.to_string())),
        ("reason", reason(job)),
        ("position", job.position.map(|n| n.to_string())),
        ("starts by", starts_by),
        ("exit code", job.exit_code.clone()),
        ("error", job.error.clone()),
        ("user", some(&job.user)),
        ("account", some(&job.account)),
        ("partition", some(&job.partition)),
        ("priority", Some(job.priority.to_string())),
        ("points", rank.and_then(points)),
        ("ordered by", rank.map(ordered)),
        ("not before", at(&job.begin_time)),
        ("deadline", at(&job.deadline)),
        ("depends on", job.dependency.clone()),
        ("then", more.then.as_ref().and_then(who_waits)),
        ("cpus", Some(job.cpus.to_string())),
        ("cpu ids", cpu_ids),
        ("process", allocation.and_then(|a| a.process_id).map(|p| p.to_string())),
        ("memory", job.memory_bytes.map(|bytes| size::shown(bytes.unsigned_abs()))),
        ("resources", some(&asked)),
        ("given", some(&given)),
        ("time limit", Some(format_limit(job.time_limit_s))),
        ("elapsed", Some(format_dhms(job.elapsed_s))),
        ("suspended", Some(format_dhms(job.suspended_s)).filter(|_| job.suspended_s > 0)),
        ("submitted", Some(times::here(&job.submit_time))),
        ("eligible", at(&job.eligible_time)),
        ("started", at(&job.start_time)),
        ("ended", at(&job.end_time)),
        ("cpus released", allocation.and_then(|a| at(&a.released_time))),
        ("folder", job.working_directory.clone()),
        ("stdout", output(job.standard_output.as_ref(), job.stdout_path.as_ref())),
        ("stderr", output(job.standard_error.as_ref(), job.stderr_path.as_ref())),
        ("kept until", job.kept_until.as_ref().map(|until| kept(job, until))),
        ("labels", some(&labels.join(", "))),
        ("comment", job.comment.clone()),
        ("mail", mail(job)),
        ("came by", Some(job.data_source.word().to_owned())),
        ("restarts", Some(job.restart_count.to_string()).filter(|_| job.restart_count > 0)),
        ("retries", job.retry.as_ref().map(requeue::retries)),
        ("signal", job.signal.clone()),
        ("open mode", Some(job.open_mode.clone()).filter(|mode| mode == "append")),
    ];
    lines.extend(usage(job, more.efficiency.as_ref()));
    match &more.attempts[..] {
        [] => lines.push(("attempt", Some(job.attempt.to_string()))),
        attempts => lines.extend(requeue::lines(job, attempts)),
    }
    lines.extend(job.warnings.iter().map(|w| ("warning", Some(w.clone()))));
    table::block(&lines)
}

/// What mail is wanted, and by whom.
fn mail(job: &Job) -> Option<String> {
    let wanted = job.mail_type.as_ref()?;
    let user = job.mail_user.as_ref().map_or(String::new(), |user| format!(" to {user}"));
    Some(format!("{wanted}{user}; none is sent"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::wait::tests::job;
    use super::*;

    #[test]
    fn points_are_taken_apart() {
        let parts = RankParts { priority: 5, partition: 0, age: -3, fair_share: 200 };
        let policy = RankPolicy {
            order: "wfp3".into(),
            value: Some(0.25),
            waited_s: 61,
            first_after_s: None,
        };
        let rank = Rank {
            job_id: crate::api::wire::v1::JobId(1),
            position: Some(1),
            points: Some(202),
            parts: Some(parts),
            policy,
        };
        assert_eq!(points(&rank).as_deref(), Some("202 = priority 5 + age -3 + fair share 200"));
        assert_eq!(ordered(&rank), "wfp3 0.250, waited 0-00:01:01");
        let plain = RankParts { priority: 7, partition: 0, age: 0, fair_share: 0 };
        let plain = Rank { points: Some(7), parts: Some(plain), ..rank.clone() };
        assert_eq!(points(&plain).as_deref(), Some("7"));
        assert_eq!(points(&Rank { points: None, ..rank }), None, "it is not his business");
    }

    #[test]
    fn who_waits_for_it_is_said_with_how_many_more() {
        let mut one: Job = serde_json::from_str(&job("PENDING", None)).unwrap();
        one.name = "a".to_owned();
        let said =
            |n: usize, has_more| who_waits(&Dependents { jobs: vec![one.clone(); n], has_more });
        let id = one.shown_id();
        assert_eq!(said(0, false), None);
        assert_eq!(said(1, false), Some(format!("{id} a waits for it")));
        let three = format!("{id} a, {id} a, {id} a");
        assert_eq!(said(5, false), Some(format!("{three} and 2 more wait for it")));
        assert_eq!(said(100, true), Some(format!("{three} and more than 97 more wait for it")));
    }

    #[test]
    fn why_a_job_waits_is_a_sentence() {
        let mut job: Job = serde_json::from_str(&job("PENDING", None)).unwrap();
        job.state_reason = Some("Resources".into());
        job.state_detail = Some("4 CPUs are asked for, 1 is free.".into());
        let text = shown(&job, &More::default());
        assert!(
            text.contains("reason:     Resources: 4 CPUs are asked for, 1 is free.\n"),
            "{text}"
        );
        assert!(!text.contains("exit code"), "{text}");
    }
}
