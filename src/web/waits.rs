//! *Purpose*: why a job waits, measured: what it needs beside what is free, what would help it, of
//! what its points are made.
//!
//! *Owns*: [`Need`], [`Change`], [`Help`], [`Point`].
//!
//! *Promises*: what would help is what the server answers when that change is tried, and is said
//! only where the job would start sooner.
//!
//! *Not here*: trying a change (`api`), how often (`web::board`).

use serde_json::{Value, json};

use super::words::{self, AsOf, Clock};
use crate::api::wire::job::Job;
use crate::api::wire::overview::Overview;
use crate::api::wire::rank::Rank;
use crate::job::state::StateWord;
use crate::time::{SECOND_US, Time};

/// Shorter limits that are tried, seconds: what people have patience for.
const LIMITS_S: [i64; 2] = [3_600, 600];

/// What it needs of one thing.
pub struct Need {
    /// Of what.
    pub name: String,
    /// How much.
    pub needs: String,
    /// How much of it is free.
    pub free: String,
    /// Whether that is enough.
    pub enough: bool,
    /// How much is free when it is to start; empty when nobody knows.
    pub then: String,
    /// Whether that is enough.
    pub enough_then: bool,
}

/// A change that would make it start sooner.
pub struct Help {
    /// Which.
    pub what: String,
    /// Whether it would start at once.
    pub now: bool,
    /// When it would.
    pub start: Clock,
}

/// What is tried.
#[derive(Clone)]
pub struct Change {
    /// In words.
    pub what: String,
    /// As the body of a PATCH.
    pub body: Value,
    is_both: bool,
}

impl Change {
    fn one(what: String, body: Value) -> Change {
        Change { what: format!("With {what}"), body, is_both: false }
    }

    fn and(self, other: Change) -> Change {
        let mut body = self.body;
        if let (Some(own), Some(others)) = (body.as_object_mut(), other.body.as_object()) {
            own.extend(others.clone());
        }
        let more = match other.what.strip_prefix("With ") {
            Some(more) => format!(" and {more}"),
            None => other.what.replacen('W', ", w", 1),
        };
        Change { what: self.what + &more, body, is_both: true }
    }
}

/// What its points are made of.
pub struct Point {
    /// Of what.
    pub name: String,
    /// How many.
    pub points: i64,
}

/// What a waiting job needs.
pub fn needs(job: &Job, all: &Overview) -> Vec<Need> {
    if job.state != StateWord::Pending {
        return Vec::new();
    }
    let held = &all.resources;
    let start = job.estimated_start_time.as_deref();
    // RFC 3339 of one form is in the order of time.
    let then = start
        .and_then(|start| all.forecast.free.iter().rev().find(|free| free.time.as_str() <= start));
    let (cpus, memory) =
        (u64::from(job.cpus), job.memory_bytes.and_then(|n| u64::try_from(n).ok()));
    let free = held.available_cpus.into();
    let of_cpus = then.map(|then| u64::from(then.cpus));
    let mut needs = vec![need("CPUs", cpus, (free, of_cpus), &|n| n.to_string())];
    for (name, asked) in &job.resources {
        let state = held.resources.iter().find(|one| one.name == *name);
        let free = state.and_then(|one| one.available);
        let of_gpus = then.and_then(|then| then.gpus).filter(|_| name == "gpu");
        let name = if name == "gpu" { "GPUs" } else { name };
        if let Some(free) = free {
            needs.push(need(name, *asked, (free, of_gpus), &|n| n.to_string()));
        }
    }
    if let (Some(memory), Some(free)) = (memory, held.available_memory_bytes) {
        let of_memory = then.and_then(|then| then.memory_bytes);
        needs.push(need("Memory", memory, (free, of_memory), &words::size));
    }
    needs
}

/// What is free at its start is told beside the job itself.
fn need(
    name: &str,
    needs: u64,
    (free, beside): (u64, Option<u64>),
    said: &dyn Fn(u64) -> String,
) -> Need {
    let then = beside.map(|beside| beside.saturating_add(needs));
    Need {
        name: name.to_owned(),
        needs: said(needs),
        free: said(free),
        enough: free >= needs,
        then: then.map(said).unwrap_or_default(),
        enough_then: then.is_some_and(|then| then >= needs),
    }
}

/// Changes that are worth a try, two together last.
pub fn changes(job: &Job) -> Vec<Change> {
    if job.state != StateWord::Pending || job.held || job.is_array() {
        return Vec::new();
    }
    let half = job.cpus / 2;
    let limit = LIMITS_S.into_iter().find(|s| job.time_limit_s.is_none_or(|own| own > *s));
    let cpus = (half > 0).then(|| {
        let word = if half == 1 { "CPU" } else { "CPUs" };
        Change::one(format!("{half} {word}"), json!({ "cpus": half }))
    });
    let limit = limit.map(|s| {
        let body = json!({ "time_limit": format!("{s}s") });
        Change::one(format!("a limit of {}", words::duration(s)), body)
    });
    let both = cpus.clone().zip(limit.clone()).map(|(one, other)| one.and(other));
    [cpus, limit, both].into_iter().flatten().collect()
}

/// The same of a job that is not submitted yet, which may ask for less of anything: half of its
/// memory, and no GPUs.
pub fn alternatives(job: &Job) -> Vec<Change> {
    if job.state != StateWord::Pending || job.held || job.is_array() {
        return Vec::new();
    }
    let half = job.memory_bytes.and_then(|n| u64::try_from(n / 2).ok()).filter(|n| *n > 0);
    let memory =
        half.map(|half| Change::one(words::size(half), json!({ "memory": format!("{half}B") })));
    let has_gpus = job.resources.keys().any(|name| name == "gpu" || name.starts_with("gpu:"));
    let gpus = has_gpus.then(|| Change {
        what: "Without GPUs".to_owned(),
        body: json!({ "gpus": null }),
        is_both: false,
    });
    let both = memory.clone().zip(gpus.clone()).map(|(one, other)| one.and(other));
    let mut all: Vec<Change> = changes(job).into_iter().chain(memory).chain(gpus).collect();
    all.extend(both);
    // Two together stand behind each alone, with which they are compared.
    all.sort_by_key(|change| change.is_both);
    all
}

/// Those of the answers that would start sooner; two changes together only where that is sooner
/// than each of them.
pub fn helps(job: &Job, tried: &[(Change, Job)], at: AsOf) -> Vec<Help> {
    let start = words::moment(job.estimated_start_time.as_deref());
    let mut helps = Vec::new();
    let mut best = start;
    for (change, changed) in tried {
        let text = changed.estimated_start_time.as_deref();
        let Some(sooner) = words::moment(text) else { continue };
        let is_sooner = |than: Time| than.since_us(sooner) > SECOND_US;
        if (if change.is_both { best } else { start }).is_none_or(is_sooner) {
            best = Some(best.map_or(sooner, |best| best.min(sooner)));
            let start = at.clock(text).unwrap_or_default();
            helps.push(Help { what: change.what.clone(), now: sooner <= at.now, start });
        }
    }
    helps
}

/// Its points, where there are any and they are the reader's business.
pub fn points(job: &Job, rank: Option<&Rank>) -> Vec<Point> {
    let Some(parts) = rank.and_then(|rank| rank.parts) else { return Vec::new() };
    [
        ("Priority".to_owned(), parts.priority),
        (format!("Partition {}", job.partition), parts.partition),
        ("Age".to_owned(), parts.age),
        ("Fair share".to_owned(), parts.fair_share),
    ]
    .into_iter()
    .filter(|(_, points)| *points != 0)
    .map(|(name, points)| Point { name, points })
    .collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn job(fields: Value) -> Job {
        let mut all = json!({"id": 1, "name": "j", "account": "", "user": "u", "partition": "p",
            "state": "PENDING", "priority": 0, "cpus": 8, "time_limit_s": 86_400, "labels": {},
            "attempt": 0, "submit_time": "2026-11-24T10:00:00.000000Z", "elapsed_s": 0});
        all.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        serde_json::from_value(all).unwrap()
    }

    /// What is said of a job that starts at 16:00 when the changes start at these times.
    fn said(starts: [&str; 3]) -> Vec<(String, bool)> {
        let start =
            |clock: &str| json!({"estimated_start_time": format!("2026-11-24T{clock}:00.000000Z")});
        let waits = job(start("16:00"));
        let tried = changes(&waits).into_iter().zip(starts.map(|at| job(start(at))));
        let now = words::moment(Some("2026-11-24T12:00:00.000000Z")).unwrap();
        let helps = helps(&waits, &tried.collect::<Vec<_>>(), AsOf { now, is_live: false });
        helps.into_iter().map(|help| (help.what, help.now)).collect()
    }

    #[test]
    fn only_what_would_start_sooner_helps_and_two_changes_only_sooner_than_one() {
        let (cpus, limit) = ("With 4 CPUs".to_owned(), "With a limit of 1 h".to_owned());
        let both = "With 4 CPUs and a limit of 1 h".to_owned();
        assert_eq!(said(["16:00", "16:00", "16:00"]), []);
        assert_eq!(said(["12:00", "16:00", "12:00"]), [(cpus.clone(), true)]);
        assert_eq!(said(["15:00", "16:00", "12:00"]), [(cpus.clone(), false), (both, true)]);
        assert_eq!(said(["13:00", "13:00", "13:00"]), [(cpus, false), (limit, false)]);
    }

    #[test]
    fn what_is_not_submitted_yet_may_ask_for_less_of_anything() {
        let said = |fields| {
            let all = alternatives(&job(fields)).into_iter();
            all.map(|change| (change.what, change.body)).collect::<Vec<_>>()
        };
        let all = said(json!({"memory_bytes": 1_i64 << 38, "resources": {"gpu:a100": 2}}));
        let words: Vec<&str> = all.iter().map(|(what, _)| what.as_str()).collect();
        assert_eq!(
            words,
            [
                "With 4 CPUs",
                "With a limit of 1 h",
                "With 128 G",
                "Without GPUs",
                "With 4 CPUs and a limit of 1 h",
                "With 128 G, without GPUs"
            ]
        );
        assert_eq!(all[5].1, json!({"memory": "137438953472B", "gpus": null}));
        assert_eq!(said(json!({"cpus": 1, "time_limit_s": 60, "memory_bytes": 1})), []);
        assert_eq!(said(json!({"held": true, "memory_bytes": 1_i64 << 38})), []);
    }

    #[test]
    fn what_cannot_be_less_is_not_tried() {
        let tried = |fields| changes(&job(fields)).len();
        assert_eq!(tried(json!({"cpus": 1, "time_limit_s": 60})), 0);
        assert_eq!(tried(json!({"cpus": 1})), 1);
        assert_eq!(tried(json!({"held": true})), 0);
        assert_eq!(tried(json!({"state": "RUNNING"})), 0);
    }
}
