//! *Purpose*: ten thousand jobs change their mind at once.
//!
//! *Owns*: a long queue, cancelled over connections that stay open.
//!
//! *Promises*: all are CANCELLED, none ran, others are answered meanwhile.
//!
//! *Not here*: throughput (`benches`).

use std::time::{Duration, Instant};

use serde_json::json;

use crate::common::{Server, until};
use crate::help::{Marks, ends_as, until_file};

const JOBS: usize = 10_000;
const CLIENTS: usize = 8;
/// What somebody else waits for an answer meanwhile, on a busy machine with a debug build.
const ANSWER_MAX: Duration = Duration::from_secs(5);

#[test]
fn ten_thousand_jobs_are_cancelled_at_once_and_none_runs() {
    let server = Server::start();
    let marks = Marks::of(&server);
    let go = server.dir.path().join("go");
    let wait = until_file(&go);
    let blocker = server.submit(&json!({"script": marks.script("blocker", &wait, 5), "cpus": 4}));
    server.started(blocker);
    let one = json!({"script": marks.script("queued", "true", 1)});
    let jobs: Vec<_> = (0..JOBS).map(|_| one.clone()).collect();
    let began = Instant::now();
    let ids: Vec<i64> =
        server.post("/api/v1/jobs/batch", &json!({ "jobs": jobs })).expect(201).json()["job_ids"]
            .as_array()
            .unwrap()
            .iter()
            .map(|id| id.as_i64().unwrap())
            .collect();
    assert_eq!(ids.len(), JOBS);
    let submitted = began.elapsed();
    let began = Instant::now();
    let url = &server.url;
    let mut slowest = Duration::ZERO;
    std::thread::scope(|scope| {
        let clients: Vec<_> = ids
            .chunks(JOBS / CLIENTS)
            .map(|mine| {
                scope.spawn(move || {
                    let agent = ureq::agent();
                    for id in mine {
                        let url = format!("{url}/api/v1/jobs/{id}/cancel");
                        let answer = agent.post(&url).content_type("application/json").send("{}");
                        answer.unwrap().body_mut().read_to_string().unwrap();
                    }
                })
            })
            .collect();
        while clients.iter().any(|c| !c.is_finished()) {
            let asked = Instant::now();
            server.get("/api/v1/resources").expect(200);
            server.get("/api/v1/jobs?limit=10").expect(200);
            slowest = slowest.max(asked.elapsed());
        }
        for client in clients {
            client.join().unwrap();
        }
    });
    let cancelled = began.elapsed();
    println!(
        "{JOBS} jobs: submitted in {submitted:?}, cancelled in {cancelled:?} over {CLIENTS} \
         connections; others waited {slowest:?} at most"
    );
    assert!(slowest < ANSWER_MAX, "{slowest:?}");
    std::fs::write(go, "").unwrap();
    ends_as(&server, blocker, "FAILED", Some("5:0"));
    let count = |state: &str| {
        server.sql(&format!("SELECT COUNT(*) || '' AS line FROM jobs WHERE state = '{state}'"))
    };
    until("all to be cancelled", || match count("CANCELLED") {
        n if n == JOBS.to_string() => Ok(()),
        n => Err(n),
    });
    ends_as(&server, server.run("exit 6"), "FAILED", Some("6:0"));
    assert_eq!(marks.starts("queued"), 0, "a cancelled job ran");
    server.is_clean();
}
