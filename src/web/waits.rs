//! *Purpose*: why a job waits, measured: what it needs beside what is free, what would help it, of
//! what its points are made.
//!
//! *Owns*: [`Need`], [`Help`], [`changes`].
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
use crate::time::SECOND_US;

/// Shorter limits that are tried, seconds: what people have patience for.
const LIMITS_S: [i64; 2] = [3_600, 600];
/// Answers that are shown.
const SHOWN: usize = 3;

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

/// Changes that are worth a try, as the words for them and the body of a PATCH.
pub fn changes(job: &Job) -> Vec<(String, Value)> {
    if job.state != StateWord::Pending || job.held || job.is_array() {
        return Vec::new();
    }
    let half = job.cpus / 2;
    let limit = LIMITS_S.into_iter().find(|s| job.time_limit_s.is_none_or(|own| own > *s));
    let cpus = (half > 0).then(|| {
        let word = if half == 1 { "CPU" } else { "CPUs" };
        (format!("{half} {word}"), json!({ "cpus": half }))
    });
    let limit = limit.map(|s| {
        (format!("a limit of {}", words::duration(s)), json!({ "time_limit": format!("{s}s") }))
    });
    let both = cpus.clone().zip(limit.clone()).map(|((a, mut one), (b, other))| {
        if let (Some(one), Some(other)) = (one.as_object_mut(), other.as_object()) {
            one.extend(other.clone());
        }
        (format!("{a} and {b}"), one)
    });
    let with = |(what, body): (String, Value)| (format!("With {what}"), body);
    [cpus, limit, both].into_iter().flatten().map(with).collect()
}

/// Those of the answers that would start sooner.
pub fn helps(job: &Job, tried: &[(String, Job)], at: AsOf) -> Vec<Help> {
    let start = words::moment(job.estimated_start_time.as_deref());
    let help = |(what, changed): &(String, Job)| {
        let sooner = words::moment(changed.estimated_start_time.as_deref())?;
        let helps = start.is_none_or(|start| start.since_us(sooner) > SECOND_US);
        let clock = at.clock(changed.estimated_start_time.as_deref()).unwrap_or_default();
        helps.then(|| Help { what: what.clone(), now: sooner <= at.now, start: clock })
    };
    tried.iter().filter_map(help).take(SHOWN).collect()
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
