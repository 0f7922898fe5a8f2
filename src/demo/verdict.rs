//! *Purpose*: whether all of it was right.
//!
//! *Owns*: [`Evidence`], what the server said of itself in the end; [`judge`].
//!
//! *Promises*: every complaint is a sentence that names the job or the CPU; no complaint means
//! that each job ended as expected, each CPU is free and was never held by two jobs at once,
//! and the audit agrees.
//!
//! *Not here*: how it is shown (`show`), processes and folders left behind (`server`).

use std::collections::BTreeMap;

use super::examples::Example;
use crate::api::wire::v1::{AllocationRow, Audit, CpuId, Job, JobId, Resources};
use crate::clock::parse_rfc3339;
use crate::time::Time;

/// What there is to judge.
#[derive(Clone, Debug)]
pub(super) struct Evidence {
    /// Each script and its job.
    pub jobs: Vec<(Example, Job)>,
    /// CPUs that the server was to hand out.
    pub cpus: u32,
    pub resources: Resources,
    pub allocations: Vec<AllocationRow>,
    pub audit: Audit,
}

/// Everything that is not as it should be.
pub(super) fn judge(evidence: &Evidence) -> Vec<String> {
    let mut wrong = Vec::new();
    for (example, job) in &evidence.jobs {
        if !example.expected.is_met_by(job) {
            let (file, expected) = (&example.file, &example.expected);
            let code = job.exit_code.as_deref().unwrap_or("without a code");
            let why = job.error.as_ref().map(|e| format!(" ({e})")).unwrap_or_default();
            let state = job.state;
            wrong.push(format!("{file} was to end {expected}, but ended {state} {code}{why}"));
        }
        wrong.extend(released(job, &evidence.allocations));
    }
    wrong.extend(ledger(&evidence.resources, evidence.cpus));
    wrong.extend(shared(&evidence.allocations));
    let audit = &evidence.audit;
    if !audit.consistent && audit.drift.is_empty() {
        wrong.push("the audit is not consistent and does not say why".to_owned());
    }
    wrong.extend(audit.drift.iter().map(|drift| format!("the audit says: {}", drift.message)));
    wrong
}

fn released(job: &Job, rows: &[AllocationRow]) -> Option<String> {
    let (id, name) = (job.id, &job.name);
    let own: Vec<&AllocationRow> = rows.iter().filter(|row| row.job_id == id).collect();
    let [row] = own.as_slice() else {
        return Some(format!("job {id} ({name}) has {} allocations; one was due", own.len()));
    };
    if !row.released || row.released_time.is_none() {
        return Some(format!("job {id} ({name}) has ended and its CPUs were not given back"));
    }
    if row.allocated_cpus != job.cpus || row.cpu_ids.len() != job.cpus as usize {
        return Some(format!(
            "job {id} ({name}) asked for {} CPUs and got {}: {:?}",
            job.cpus, row.allocated_cpus, row.cpu_ids
        ));
    }
    None
}

fn ledger(resources: &Resources, cpus: u32) -> Vec<String> {
    let mut wrong = Vec::new();
    for cpu in &resources.cpus {
        if let Some(job) = cpu.job_id {
            wrong.push(format!("CPU {} is still held by job {job}", cpu.id));
        }
    }
    let listed = u32::try_from(resources.cpus.len()).unwrap_or(u32::MAX);
    for (what, is, due) in [
        ("CPUs in all", resources.total_cpus, cpus),
        ("CPUs listed one by one", listed, cpus),
        ("used CPUs", resources.used_cpus, 0),
        ("free CPUs", resources.available_cpus, cpus),
        ("resource managers", resources.resource_managers, 1),
    ] {
        if is != due {
            wrong.push(format!("the ledger says {is} {what}; {due} is right"));
        }
    }
    for (what, is) in [("running", resources.running_jobs), ("pending", resources.pending_jobs)] {
        if is != 0 {
            wrong.push(format!("the server says that {is} jobs are {what}; none is"));
        }
    }
    wrong
}

/// CPUs that two jobs held at the same time.
fn shared(rows: &[AllocationRow]) -> Vec<String> {
    let mut held: BTreeMap<CpuId, Vec<(Time, Time, JobId)>> = BTreeMap::new();
    for row in rows {
        let until = row.released_time.as_deref().and_then(parse_rfc3339).unwrap_or(Time(i64::MAX));
        let Some(since) = parse_rfc3339(&row.allocation_time) else { continue };
        for cpu in &row.cpu_ids {
            held.entry(*cpu).or_default().push((since, until, row.job_id));
        }
    }
    let mut wrong = Vec::new();
    for (cpu, mut spans) in held {
        spans.sort();
        for pair in spans.windows(2) {
            if let [(_, until, one), (since, _, other)] = pair
                && since < until
            {
                wrong.push(format!("CPU {cpu} was held by jobs {one} and {other} at once"));
            }
        }
    }
    wrong
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::demo::examples::built_in;

    fn row(id: i64, cpus: &[u32], since: u32, until: u32) -> Value {
        json!({"id": id, "job_id": id, "attempt": 1, "allocated_cpus": cpus.len(),
            "cpu_ids": cpus, "process_id": 7, "released": true,
            "allocation_time": format!("2026-11-22T00:00:{since:02}.000000Z"),
            "released_time": format!("2026-11-22T00:00:{until:02}.000000Z")})
    }

    /// One job on one of two CPUs, after which all is well.
    fn good() -> Evidence {
        let example = built_in().unwrap().into_iter().find(|e| e.file == "fails.sh").unwrap();
        let job = json!({"id": 1, "name": "fails", "account": "", "user": "", "partition": "d",
            "state": "FAILED", "priority": 0, "cpus": 1, "labels": {}, "data_source": "CLI",
            "submit_time": "", "elapsed_s": 0, "attempt": 1, "exit_code": "3:0"});
        Evidence {
            jobs: vec![(example, serde_json::from_value(job).unwrap())],
            cpus: 2,
            resources: serde_json::from_value(json!({"total_cpus": 2, "used_cpus": 0,
                "available_cpus": 2, "utilization": 0.0, "running_jobs": 0, "pending_jobs": 0,
                "cpus": [{"id": 0, "job_id": null}, {"id": 1, "job_id": null}],
                "resource_managers": 1}))
            .unwrap(),
            allocations: vec![serde_json::from_value(row(1, &[0], 0, 1)).unwrap()],
            audit: serde_json::from_value(
                json!({"consistent": true, "drift": [], "commit_no": 1, "checked_at": ""}),
            )
            .unwrap(),
        }
    }

    fn complaints(spoil: impl FnOnce(&mut Evidence)) -> String {
        let mut evidence = good();
        spoil(&mut evidence);
        judge(&evidence).join("\n")
    }

    #[test]
    fn what_is_right_gives_no_complaint() {
        assert_eq!(complaints(|_| {}), "");
    }

    #[test]
    fn each_thing_that_can_be_wrong_is_named() {
        let found = complaints(|e| e.jobs[0].1.exit_code = Some("4:0".into()));
        assert_eq!(found, "fails.sh was to end FAILED 3:0, but ended FAILED 4:0");
        let found = complaints(|e| e.allocations[0].released = false);
        assert!(found.contains("were not given back"), "{found}");
        let found = complaints(|e| e.allocations.clear());
        assert!(found.contains("has 0 allocations"), "{found}");
        let found = complaints(|e| e.allocations[0].cpu_ids.clear());
        assert!(found.contains("asked for 1 CPUs"), "{found}");
        let found = complaints(|e| e.resources.cpus[1].job_id = Some(JobId(9)));
        assert_eq!(found, "CPU 1 is still held by job 9");
        let found = complaints(|e| e.resources.used_cpus = 1);
        assert_eq!(found, "the ledger says 1 used CPUs; 0 is right");
        let found = complaints(|e| e.resources.resource_managers = 2);
        assert!(found.contains("2 resource managers"), "{found}");
        let found = complaints(|e| e.resources.pending_jobs = 1);
        assert!(found.contains("1 jobs are pending"), "{found}");
        assert!(!complaints(|e| e.audit.consistent = false).is_empty());
        assert!(!complaints(|e| e.cpus = 3).is_empty());
    }

    #[test]
    fn a_cpu_that_two_jobs_held_at_once_is_found_and_one_handed_on_is_not() {
        let found = |until| {
            complaints(|e| {
                let rows = json!([row(1, &[0], 0, until), row(2, &[0], 3, 4)]);
                e.allocations = serde_json::from_value(rows).unwrap();
            })
        };
        assert_eq!(found(3), "");
        assert_eq!(found(4), "CPU 0 was held by jobs 1 and 2 at once");
    }
}
