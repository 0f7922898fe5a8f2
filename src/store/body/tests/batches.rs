//! *Purpose*: rows that are inserted together are the rows of each job.
//!
//! *Owns*: a submission of more jobs than one statement takes, no two alike.
//!
//! *Promises*: every row is looked at, those of the last, incomplete statement too.
//!
//! *Not here*: odd values of one job (`store::tests`).

use super::*;
use crate::store::record::{EventRecord, JobRecord};
use crate::store::rows::{EventRow, JobRow, records};
use crate::store::schema::{events, job_labels, job_scripts, jobs};

/// Twice what one statement takes, and some.
const JOBS: usize = 37;

fn request(n: usize) -> JobRequest {
    let mut request = JobRequest::new(format!("echo {n}"));
    request.environment = [("N".to_owned(), n.to_string())].into();
    request.labels = (0..n % 3).map(|k| (format!("key{k}"), n.to_string())).collect();
    request.priority = n as i64;
    if n.is_multiple_of(2) {
        request.name = Some(format!("job {n}"));
        request.working_directory = Some(format!("/home/{n}"));
        request.standard_output = Some("%j.out".to_owned());
        request.comment = Some("even".to_owned());
        request.memory_bytes = Some(n as i64 + 1);
    }
    request
}

#[test]
fn each_job_of_a_batch_has_its_own_rows() {
    let Some(mut world) = World::new() else { return };
    let checked = |n| Arc::new(JobSpec::try_from((request(n), &site())).unwrap());
    let specs: Vec<Arc<JobSpec>> = (0..JOBS).map(checked).collect();
    let (ids, step) =
        world.kernel.submit(specs.clone(), &DependencySnapshot::default(), &"me".into(), Time(1));
    world.commit(step);
    let conn = world.writer.connection().unwrap();

    let rows: Vec<JobRow> =
        jobs::table.order(jobs::id).select(JobRow::as_select()).load(conn).unwrap();
    let jobs: Vec<JobRecord> = records(rows).unwrap();
    let scripts: Vec<(i64, String, String)> =
        job_scripts::table.order(job_scripts::job_id).load(conn).unwrap();
    let each = || ids.iter().zip(&specs);
    let asked: Vec<JobRecord> =
        each().map(|(id, s)| JobRecord::submitted(*id, Time(1), s)).collect();
    assert_eq!(jobs, asked);
    let environment = |s: &JobSpec| serde_json::to_string(&s.environment).unwrap();
    let asked: Vec<(i64, String, String)> =
        each().map(|(id, s)| (id.0, s.script.clone(), environment(s))).collect();
    assert_eq!(scripts, asked);

    let rows: Vec<EventRow> = events::table.order(events::id).load(conn).unwrap();
    let events: Vec<EventRecord> = records(rows).unwrap();
    assert_eq!(events.len(), JOBS);
    for (event, id) in events.iter().zip(&ids) {
        assert_eq!((event.id.0, event.job, event.attempt, event.time), (id.0, *id, 0, Time(1)));
        assert_eq!((event.from, event.to), (None, StateWord::Pending));
        assert_eq!((event.cause.as_str(), event.principal.as_str()), ("submitted", "me"));
    }

    let mut asked: Vec<(String, String, i64)> = each()
        .flat_map(|(id, s)| s.labels.iter().map(|(k, v)| (k.clone(), v.clone(), id.0)))
        .collect();
    asked.sort();
    let mut labels: Vec<(String, String, i64)> = job_labels::table.load(conn).unwrap();
    labels.sort();
    assert_eq!(labels, asked);
}
