//! *Purpose*: `downbeat show ID`.
//!
//! *Owns*: a job as `key: value` lines.
//!
//! *Promises*: what is not known is left out; why a job waits is a sentence.
//!
//! *Not here*: many jobs (`cli::queue`).

use super::client::{Client, Connect};
use super::{CliError, say, table};
use crate::api::wire::memory;
use crate::api::wire::time_limit::{format_dhms, format_limit};
use crate::api::wire::v1::{Job, JobId, Rank, RankParts, RankPolicy, StateWord};

/// Which job.
#[derive(clap::Args, Clone, Debug)]
pub struct ShowArgs {
    #[command(flatten)]
    connect: Connect,
    /// Print the server's JSON
    #[arg(long)]
    json: bool,
    /// The job
    #[arg(value_name = "ID")]
    id: JobId,
}

pub(super) fn run(args: &ShowArgs) -> Result<u8, CliError> {
    let client = Client::new(&args.connect)?;
    let (job, text) = client.job(args.id)?;
    if args.json {
        say(&text)?;
        return Ok(0);
    }
    say(&shown(&job, rank(&client, &job)?.as_ref()))?;
    Ok(0)
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

/// `1250 = priority 0 + partition 1000 + age 50 + fair share 200`; parts that are 0 are left out.
fn points(rank: &Rank) -> String {
    let RankParts { priority, partition, age, fair_share } = rank.parts;
    let parts = [("partition", partition), ("age", age), ("fair share", fair_share)];
    let more: Vec<String> = parts
        .iter()
        .filter(|(_, points)| *points != 0)
        .map(|(word, points)| format!(" + {word} {points}"))
        .collect();
    match more.is_empty() {
        true => rank.points.to_string(),
        false => format!("{} = priority {priority}{}", rank.points, more.concat()),
    }
}

fn ordered(rank: &Rank) -> String {
    let RankPolicy { order, value, waited_s, .. } = &rank.policy;
    let value = value.map(|value| format!(" {value:.3}")).unwrap_or_default();
    format!("{order}{value}, waited {}", format_dhms(*waited_s))
}

fn shown(job: &Job, rank: Option<&Rank>) -> String {
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let allocation = job.allocation.as_ref();
    let cpu_ids =
        allocation.map(|a| a.cpu_ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(","));
    let labels: Vec<String> = job.labels.iter().map(|(k, v)| format!("{k}={v}")).collect();
    let reason = match (&job.state_reason, &job.state_detail) {
        (Some(reason), Some(detail)) => Some(format!("{reason}: {detail}")),
        (reason, detail) => detail.clone().or_else(|| reason.clone()),
    };
    let starts_by = match (&job.estimated_start_time, &job.estimate_basis) {
        (Some(start), Some(basis)) => Some(format!("{start}, {basis}")),
        (None, Some(basis)) => Some(format!("unknown: {basis}")),
        _ => None,
    };
    let usage = job.usage.map(|u| {
        let (user, system, rss) = (u.user_cpu_s, u.system_cpu_s, u.max_rss_bytes);
        format!("{user:.2} s user, {system:.2} s system, {} MiB at most", rss.max(0) >> 20)
    });
    let mut lines = vec![
        ("job", Some(job.id.to_string())),
        ("name", some(&job.name)),
        ("state", Some(job.state.to_string())),
        ("reason", reason),
        ("position", job.position.map(|n| n.to_string())),
        ("starts by", starts_by),
        ("exit code", job.exit_code.clone()),
        ("error", job.error.clone()),
        ("user", some(&job.user)),
        ("account", some(&job.account)),
        ("partition", some(&job.partition)),
        ("priority", Some(job.priority.to_string())),
        ("points", rank.map(points)),
        ("ordered by", rank.map(ordered)),
        ("not before", job.begin_time.clone()),
        ("deadline", job.deadline.clone()),
        ("depends on", job.dependency.clone()),
        ("cpus", Some(job.cpus.to_string())),
        ("cpu ids", cpu_ids),
        ("process", allocation.and_then(|a| a.process_id).map(|p| p.to_string())),
        ("memory", job.memory_bytes.map(|bytes| memory::shown(bytes.unsigned_abs()))),
        ("time limit", Some(format_limit(job.time_limit_s))),
        ("elapsed", Some(format_dhms(job.elapsed_s))),
        ("submitted", Some(job.submit_time.clone())),
        ("eligible", job.eligible_time.clone()),
        ("started", job.start_time.clone()),
        ("ended", job.end_time.clone()),
        ("cpus released", allocation.and_then(|a| a.released_time.clone())),
        ("folder", job.working_directory.clone()),
        ("stdout", job.standard_output.clone()),
        ("stderr", job.standard_error.clone()),
        ("labels", some(&labels.join(", "))),
        ("comment", job.comment.clone()),
        ("came by", Some(job.data_source.word().to_owned())),
        ("attempt", Some(job.attempt.to_string())),
        ("usage", usage),
    ];
    lines.extend(job.warnings.iter().map(|w| ("warning", Some(w.clone()))));
    table::block(&lines)
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
        let rank = Rank { job_id: JobId(1), position: Some(1), points: 202, parts, policy };
        assert_eq!(points(&rank), "202 = priority 5 + age -3 + fair share 200");
        assert_eq!(ordered(&rank), "wfp3 0.250, waited 0-00:01:01");
        let plain = RankParts { priority: 7, partition: 0, age: 0, fair_share: 0 };
        assert_eq!(points(&Rank { points: 7, parts: plain, ..rank }), "7");
    }

    #[test]
    fn why_a_job_waits_is_a_sentence() {
        let mut job: Job = serde_json::from_str(&job("PENDING", None)).unwrap();
        job.state_reason = Some("Resources".into());
        job.state_detail = Some("4 CPUs are asked for, 1 is free.".into());
        let text = shown(&job, None);
        assert!(
            text.contains("reason:     Resources: 4 CPUs are asked for, 1 is free.\n"),
            "{text}"
        );
        assert!(!text.contains("exit code"), "{text}");
    }
}
