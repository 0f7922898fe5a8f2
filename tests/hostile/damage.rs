//! *Purpose*: somebody wrote into the database what is none of its column's kind.
//!
//! *Owns*: a start over it, and a server that meets it while it runs.
//!
//! *Promises*: row and column are named; nothing is started, nothing is ended, nothing is invented.
//!
//! *Not here*: every column (`store::body::tests::damage`), pages of the file (`database`).

use serde_json::Value;

use crate::common::{Server, until};
use crate::help::{Foreign, ends_as, refused};

fn spoil(server: &Server, statement: &str) {
    Foreign::open(&server.database()).does(statement);
}

#[test]
fn a_start_names_row_and_column_and_touches_no_job() {
    let mut server = Server::start();
    let running = server.run("sleep 60 & wait; exit 3");
    server.started(running);
    let waiting = server.submit(&serde_json::json!({
        "script": "exit 5", "held": true, "retry": {"max": 1}, "signal": "USR1@60",
    }));
    server.ended(server.run("exit 7"));
    let process = server.job(running)["allocation"]["process_id"].as_i64().unwrap();
    server.kill();
    let says = |column: &str, table: &str| format!("column \"{column}\" of table \"{table}\"");
    for (table, column, id, value) in [
        ("jobs", "state", running, "'XYZZY'"),
        ("jobs", "state", waiting, "'XYZZY'"),
        ("jobs", "state", waiting + 1, "'XYZZY'"),
        ("jobs", "cpus", waiting, "'two'"),
        ("jobs", "time_limit_s", running, "'x'"),
        ("jobs", "spec", waiting, "json_set(spec, '$.retry', 'x')"),
        ("jobs", "spec", waiting, "json_set(spec, '$.signal', 'x')"),
        ("jobs", "spec", running, "'{}'"),
        ("jobs", "labels", waiting, "'x'"),
    ] {
        let copy = "CREATE TABLE before AS SELECT * FROM jobs";
        spoil(&server, &format!("{copy}; UPDATE {table} SET {column} = {value} WHERE id = {id}"));
        let said = refused(&server);
        assert!(said.contains(&format!("job {id}: {}", says(column, table))), "{said}");
        assert!(said.contains(&server.database().display().to_string()), "{said}");
        let back = "DELETE FROM jobs; INSERT INTO jobs SELECT * FROM before; DROP TABLE before";
        spoil(&server, back);
        assert!(std::path::Path::new(&format!("/proc/{process}")).exists(), "it was ended");
    }
    server.up();
    assert_eq!(server.job(running)["state"], "RUNNING");
    assert_eq!(server.job(waiting)["state"], "PENDING");
    server.post(&format!("/api/v1/jobs/{running}/cancel"), &Value::Null).expect(202);
    ends_as(&server, running, "CANCELLED", Some("0:15"));
}

#[test]
fn a_running_server_answers_500_with_row_and_column_and_never_a_shorter_list() {
    let server = Server::start();
    let id = server.run("exit 3");
    server.ended(id);
    spoil(&server, &format!("UPDATE jobs SET state = 'XYZZY' WHERE id = {id}"));
    let paths = [
        format!("/api/v1/jobs/{id}"),
        format!("/api/v1/jobs/{id}/wait"),
        format!("/api/v1/jobs/{id}/stdout"),
        format!("/api/v1/jobs/{id}/attempts"),
        format!("/api/v1/jobs/query/{id}"),
        "/api/v1/jobs".to_owned(),
        "/api/v1/jobs?limit=1".to_owned(),
        "/api/v1/jobs?state=FAILED".to_owned(),
        "/api/v1/dashboard".to_owned(),
    ];
    for path in paths {
        let problem = server.get(&path).expect(500).json();
        let detail = problem["detail"].as_str().unwrap();
        let place = format!("job {id}: column \"state\" of table \"jobs\" holds \"XYZZY\"");
        assert!(detail.contains(&place), "{path}: {detail}");
    }
    spoil(&server, &format!("UPDATE jobs SET state = 'FAILED' WHERE id = {id}"));
    spoil(&server, "UPDATE events SET to_state = 'XYZZY' WHERE cause = 'exited'");
    let problem = server.get(&format!("/api/v1/jobs/{id}/events")).expect(500).json();
    assert!(problem["detail"].as_str().unwrap().contains("column \"to_state\""), "{problem}");
    assert_eq!(server.job(id)["state"], "FAILED");
    ends_as(&server, server.run("exit 4"), "FAILED", Some("4:0"));
}

#[test]
fn a_job_of_which_the_script_cannot_be_read_says_so_and_holds_nothing() {
    let server = Server::start();
    let id = server.submit(&serde_json::json!({"script": "exit 3", "held": true}));
    spoil(&server, &format!("UPDATE job_scripts SET environment = '[' WHERE job_id = {id}"));
    server.post(&format!("/api/v1/jobs/{id}/release"), &Value::Null).expect(200);
    let job = until("its end", || {
        let job = server.job(id);
        if job["end_time"].is_null() { Err(job.to_string()) } else { Ok(job) }
    });
    let error = job["error"].as_str().unwrap();
    let place = format!("job {id}: column \"environment\" of table \"job_scripts\"");
    assert!(error.contains(&place), "{job}");
    assert_eq!((&job["state"], &job["exit_code"]), (&"FAILED".into(), &Value::Null));
    assert_eq!(server.get("/api/v1/resources").json()["used_cpus"], 0);
    ends_as(&server, server.run("exit 4"), "FAILED", Some("4:0"));
}
