//! *Purpose*: under load CPUs are never given twice, and an ended job never holds any.
//!
//! *Owns*: overlap seen by the jobs themselves; a sampler of REST and database; left children.
//!
//! *Promises*: what is asserted is seen from outside the server.
//!
//! *Not here*: crashes under load (`tests/kills`).

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use crate::common::{Server, until};

cases! {
    four_cpus_never_run_more_than_four_cpus_of_jobs => ["POST /api/v1/jobs/batch",
        "GET /api/v1/jobs/{id}"],
    submits_between_plans_and_ends_are_always_answered => ["GET /api/v1/jobs/{id}/wait"],
    an_ended_job_holds_no_cpus_in_any_read => ["POST /api/v1/jobs"],
    a_child_in_another_session_is_gone_before_the_cpus_are_free => ["GET /api/v1/resources"],
}

fn four_cpus_never_run_more_than_four_cpus_of_jobs() {
    let server = Server::start();
    let marks = server.dir.path().join("marks");
    // One appended line is one write, so the order of lines is the order of things.
    let script = format!(
        "echo \"+ $DOWNBEAT_CPU_IDS\" >> '{0}'\nsleep 0.0$((RANDOM % 6))\n\
         echo \"- $DOWNBEAT_CPU_IDS\" >> '{0}'\n",
        marks.display()
    );
    let jobs: Vec<Value> =
        (0..60).map(|n| json!({"script": script, "cpus": ([1, 2, 1, 3, 4][n % 5])})).collect();
    server.post("/api/v1/jobs/batch", &json!({ "jobs": jobs })).expect(201);
    for id in 1..=60 {
        let job = server.ended(id);
        assert_eq!(job["exit_code"], "0:0", "{job}");
        assert_eq!(job["cpus"], job["allocation"]["cpu_ids"].as_array().unwrap().len());
    }
    let mut held: BTreeSet<String> = BTreeSet::new();
    let (mut most, mut lines) = (0, 0);
    for line in fs::read_to_string(&marks).unwrap().lines() {
        lines += 1;
        for cpu in line[2..].split(',') {
            if line.starts_with('+') {
                assert!(held.insert(cpu.to_owned()), "CPU {cpu} was given twice");
            } else {
                assert!(held.remove(cpu), "CPU {cpu} was given back twice");
            }
        }
        most = most.max(held.len());
        assert!(held.len() <= 4, "{held:?}");
    }
    assert_eq!((lines, held.len()), (120, 0));
    assert!(most > 1, "they ran side by side");
    server.is_clean();
}

/// A plan may come while a commit is in flight; whoever waits for whom, nobody waits for ever.
fn submits_between_plans_and_ends_are_always_answered() {
    let server = Server::start();
    server.ended(server.run("true"));
    std::thread::scope(|scope| {
        for client in 0..4_i64 {
            let server = &server;
            scope.spawn(move || {
                for n in 0..40 {
                    let body = json!({"script": "true", "cpus": (n + client) % 4 + 1});
                    let id = server.submit(&body);
                    if n % 8 == 0 {
                        server.ended(id);
                    }
                }
            });
        }
    });
    for id in 1..=161 {
        let job = server.get(&format!("/api/v1/jobs/{id}/wait")).expect(200).json();
        assert_eq!(job["state"], "COMPLETED", "{job}");
    }
    server.is_clean();
}

/// What no read may ever show.
fn sample(server: &Server) -> usize {
    let list = server.get("/api/v1/jobs?limit=1000").expect(200).json();
    let mut seen = 0;
    for job in list["jobs"].as_array().unwrap() {
        let ended = !matches!(job["state"].as_str(), Some("PENDING" | "RUNNING" | "COMPLETING"));
        let pending = job["state"] == "PENDING";
        assert_eq!(ended, job["end_time"].is_string(), "{job}");
        match &job["allocation"] {
            Value::Null => assert!(pending || job["state"] == "CANCELLED", "{job}"),
            allocation => {
                assert_eq!(ended, allocation["released"] == true, "{job}");
                assert_eq!(ended, allocation["released_time"].is_string(), "{job}");
                seen += usize::from(!ended);
            }
        }
    }
    let wrong = server.sql(
        "SELECT j.id || ' ' || j.state || ' released ' || a.released AS line FROM jobs j \
         JOIN resource_allocations a ON a.job_id = j.id WHERE \
         (j.state NOT IN ('PENDING','RUNNING','COMPLETING')) <> a.released OR \
         a.released <> (a.released_time IS NOT NULL) OR \
         (j.state NOT IN ('PENDING','RUNNING','COMPLETING')) <> (j.end_time IS NOT NULL)",
    );
    assert_eq!(wrong, "", "in the database");
    let holders = server.sql(
        "SELECT h.job_id || ' ' || j.state AS line FROM held_units h JOIN jobs j ON j.id = h.job_id \
         WHERE j.state NOT IN ('RUNNING','COMPLETING')",
    );
    assert_eq!(holders, "", "held in the database");
    let now = server.get("/api/v1/resources").expect(200).json();
    let held = now["cpus"].as_array().unwrap().iter().filter(|c| !c["job_id"].is_null()).count();
    assert_eq!(now["used_cpus"], held, "{now}");
    assert_eq!(now["available_cpus"], 4 - held, "{now}");
    seen
}

fn an_ended_job_holds_no_cpus_in_any_read() {
    let server = Server::start();
    let over = AtomicBool::new(false);
    let (samples, live) = std::thread::scope(|scope| {
        let sampler = scope.spawn(|| {
            let (mut samples, mut live) = (0, 0);
            while !over.load(Ordering::SeqCst) {
                live += sample(&server);
                samples += 1;
            }
            (samples, live)
        });
        let work = || {
            let mut ids = Vec::new();
            for n in 0..90 {
                let body = match n % 9 {
                    0 => json!({"script": "exit 3"}),
                    1 => json!({"script": "#!/no/such/thing"}),
                    2 => json!({"script": "sleep 60", "kill_grace_s": 1}),
                    3 => json!({"script": "kill -9 $$", "cpus": 2}),
                    4 => json!({"script": "setsid sleep 60 & exit 0"}),
                    5 => json!({"script": "sleep 0.1", "cpus": 4}),
                    _ => json!({"script": "true"}),
                };
                let id = server.submit(&body);
                if n % 9 == 2 || n % 9 == 8 {
                    server.send("DELETE", &format!("/api/v1/jobs/{id}"), &[], b"");
                }
                ids.push(id);
            }
            for id in ids {
                server.ended(id);
            }
        };
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        over.store(true, Ordering::SeqCst);
        let sampled = sampler.join().unwrap();
        done.unwrap();
        sampled
    });
    sample(&server);
    assert!(samples >= 10 && live > 0, "{samples} samples saw {live} live jobs");
    server.is_clean();
}

fn a_child_in_another_session_is_gone_before_the_cpus_are_free() {
    let server = Server::start();
    for (round, trap) in ["", "trap '' TERM HUP;"].into_iter().enumerate() {
        let mark = server.dir.path().join(format!("child-{round}"));
        let script = format!(
            "setsid bash -c \"echo \\$\\$ > '{0}'; {trap} while :; do sleep 0.05; done\" &\n\
             until [ -s '{0}' ]; do sleep 0.01; done\nexit 0\n",
            mark.display()
        );
        let id = server.submit(&json!({"script": script, "cpus": 2, "kill_grace_s": 1}));
        let child = until("the child", || {
            let text = fs::read_to_string(&mark).unwrap_or_default();
            text.trim().parse::<u32>().map_err(|e| e.to_string())
        });
        until("the CPUs", || {
            let now = server.get("/api/v1/resources").expect(200).json();
            if now["used_cpus"] == 0 { Ok(()) } else { Err(now.to_string()) }
        });
        assert!(!Path::new(&format!("/proc/{child}")).exists(), "CPUs are free, {child} lives");
        let job = server.ended(id);
        assert_eq!(
            (&job["state"], &job["exit_code"]),
            (&json!("COMPLETED"), &json!("0:0")),
            "{job}"
        );
        server.is_clean();
    }
}
