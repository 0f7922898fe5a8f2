//! *Purpose*: signals that somebody sends to running jobs.
//!
//! *Owns*: `POST /jobs/{id}/signal`.
//!
//! *Promises*: each is counted where it arrives.
//!
//! *Not here*: the signal before the limit (`requeue`), crashes on the way (`tests/faults`).

use serde_json::{Value, json};

use crate::common::{Server, until};
use crate::help::{Gate, fields, problem};

cases! {
    a_signal_goes_to_whom_it_is_for => ["POST /api/v1/jobs/{id}/signal"],
    of_an_array_every_task_that_runs_hears_it => ["POST /api/v1/jobs/{id}/signal"],
    whoever_does_not_run_is_sent_nothing => ["POST /api/v1/jobs/{id}/signal"],
    a_signal_that_is_none_is_refused_by_its_part => ["POST /api/v1/jobs/{id}/signal"],
}

/// A script and another process that count what each of them hears, until the gate opens.
fn counts(gate: &Gate) -> String {
    format!(
        "trap 'echo script' USR1\n\
         bash -c 'trap \"echo other\" USR1; echo up; while :; do sleep 0.02; done' 2> /dev/null & other=$!\n\
         ({}) & gate=$!\n\
         while kill -0 $gate 2> /dev/null; do wait $gate; done\n\
         kill -9 $other",
        gate.wait()
    )
}

fn send(server: &Server, id: impl std::fmt::Display, body: &Value) -> crate::common::Answer {
    server.post(&format!("/api/v1/jobs/{id}/signal"), body)
}

fn a_signal_goes_to_whom_it_is_for() {
    let server = Server::start();
    let gate = Gate::new(&server);
    // What waits at the gate is one of the others, and would die of it.
    let gates = gate.wait();
    let script = counts(&gate).replace(&gates, &format!("trap '' USR1; {gates}"));
    let id = server.run(&script);
    let said = |wanted: &str| {
        until(wanted, || match server.stdout(id) {
            text if text == wanted => Ok(()),
            other => Err(other),
        });
    };
    said("up\n");
    let job = send(&server, id, &json!({"signal": "USR1"})).expect(202).json();
    assert_eq!((&job["id"], &job["state"]), (&json!(id), &json!("RUNNING")));
    said("up\nother\n");
    send(&server, id, &json!({"signal": 10, "to": "script"})).expect(202);
    said("up\nother\nscript\n");
    send(&server, id, &json!({"signal": "SIGUSR1", "to": "all"})).expect(202);
    until("both to hear", || match server.stdout(id).lines().count() {
        5 => Ok(()),
        count => Err(count.to_string()),
    });
    gate.open();
    assert_eq!(server.ended(id)["state"], "COMPLETED");
    let text = server.stdout(id);
    let count = |word| text.lines().filter(|line| *line == word).count();
    assert_eq!((count("script"), count("other")), (2, 2), "{text}");
    let events = server.get(&format!("/api/v1/jobs/{id}/events")).json();
    let causes = events.as_array().unwrap().iter().filter(|e| e["cause"] == "signal_asked");
    assert_eq!(causes.count(), 3, "{events}");
    let history = server.get("/api/v1/history?limit=1").json();
    let last = &history[0];
    assert_eq!((&last["verb"], &last["detail"]), (&json!("signal"), &json!("USR1 to all")));
    server.is_clean();
}

fn of_an_array_every_task_that_runs_hears_it() {
    let server = Server::start();
    let gate = Gate::new(&server);
    let script = "trap 'echo heard; kill $!; exit 0' USR1\necho up\nsleep 600 & wait";
    let id = server.submit(&json!({"script": script, "array": "0-2%2"}));
    let task = |n: u32, wanted: &str| {
        let path = format!("/api/v1/jobs/{id}_{n}/stdout");
        until(wanted, || match server.get(&path).text() {
            text if text == wanted => Ok(()),
            other => Err(other),
        });
    };
    task(0, "up\n");
    task(1, "up\n");
    let waits = problem(send(&server, format!("{id}_2"), &json!({"signal": "USR1"})), 409);
    assert!(waits["detail"].as_str().unwrap().contains("waits"), "{waits}");
    send(&server, format!("{id}_1"), &json!({"signal": "USR1", "to": "script"})).expect(202);
    task(1, "up\nheard\n");
    task(2, "up\n");
    send(&server, id, &json!({"signal": "USR1", "to": "script"})).expect(202);
    task(0, "up\nheard\n");
    task(2, "up\nheard\n");
    until("all to have ended", || {
        let array = server.get(&format!("/api/v1/jobs/{id}/array")).json();
        if array["completed"] == 3 { Ok(()) } else { Err(array.to_string()) }
    });
    let none = problem(send(&server, id, &json!({"signal": "USR1"})), 409);
    assert!(none["detail"].as_str().unwrap().contains("has no task that runs"), "{none}");
    gate.open();
}

fn whoever_does_not_run_is_sent_nothing() {
    let server = Server::start();
    let over = server.run("true");
    server.ended(over);
    let held = server.submit(&json!({"script": "true", "held": true}));
    for (id, state) in [(over, "COMPLETED"), (held, "PENDING")] {
        let refused = problem(send(&server, id, &json!({"signal": "USR1"})), 409);
        let detail = format!("job {id} is {state}; a signal is for a job that runs");
        assert_eq!((&refused["code"], &refused["detail"]), (&json!("job_state"), &json!(detail)));
    }
    problem(send(&server, 999, &json!({"signal": "USR1"})), 404);
    assert_eq!(server.sql("SELECT count(*) || '' AS line FROM signals"), "0");
}

fn a_signal_that_is_none_is_refused_by_its_part() {
    let server = Server::start();
    let gate = Gate::new(&server);
    let id = server.run(&gate.wait());
    server.started(id);
    for (body, field) in [
        (json!({}), "signal"),
        (json!({"signal": "USR3"}), "signal"),
        (json!({"signal": 0}), "signal"),
        (json!({"signal": 32}), "signal"),
        (json!({"signal": ["USR1"]}), "signal"),
        (json!({"signal": "USR1", "to": "everybody"}), "to"),
        (json!({"signal": "USR1", "too": "all"}), "too"),
    ] {
        let refused = problem(send(&server, id, &body), 422);
        assert_eq!(fields(&refused), [field], "{refused}");
    }
    gate.open();
    assert_eq!(server.ended(id)["state"], "COMPLETED");
}
