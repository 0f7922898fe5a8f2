//! *Purpose*: accounts with limits and shares, and what stands behind a place in the line.
//!
//! *Owns*: `[[account]]`, `[priority]`, the administrators' token.
//!
//! *Promises*: what was used and what runs is counted on after a kill of the server.
//!
//! *Not here*: the formulas (`kernel::parts::accounts`, `kernel::parts::priority`).

use serde_json::{Value, json};

use crate::common::Server;
use crate::help::{Gate, fields, keys, problem};
use crate::partitions::with_file;

cases! {
    an_account_has_no_more_than_its_limits => ["POST /api/v1/jobs", "GET /api/v1/jobs/{id}"],
    what_an_account_may_not_have_waiting_is_refused => ["POST /api/v1/jobs",
        "POST /api/v1/jobs/batch"],
    a_place_in_the_line_is_explained => ["GET /api/v1/jobs/{id}/priority"],
    what_accounts_have_is_listed => ["GET /api/v1/accounts"],
    usage_outlives_the_server => ["GET /api/v1/jobs/{id}/priority"],
    only_administrators_raise_priorities_and_drain => ["POST /api/v1/jobs",
        "PATCH /api/v1/jobs/{id}", "POST /api/v1/maintenance", "DELETE /api/v1/maintenance"],
}

fn of(account: &str, script: &str) -> Value {
    json!({"script": script, "account": account})
}

fn an_account_has_no_more_than_its_limits() {
    let mut server = with_file(
        "[[account]]\nname = \"physics\"\nmax_running_cpus = 2\n\
         [[account]]\nname = \"*\"\nmax_running_jobs = 1\n",
    );
    let gate = Gate::new(&server);
    let mut wide = of("physics", &gate.wait());
    wide["cpus"] = json!(2);
    let first = server.submit(&wide);
    server.started(first);
    let second = server.submit(&wide);
    let reason = |id| {
        let job = server.job(id);
        (job["state_reason"].clone(), job["state_detail"].as_str().unwrap().to_owned())
    };
    let (word, said) = reason(second);
    assert_eq!(word, "AssocGrpCpuLimit");
    assert_eq!(said, "account physics holds 2 of at most 2 CPUs, this needs 2");
    let other = server.submit(&of("art", &gate.wait()));
    server.started(other);
    let waits = server.submit(&of("art", "true"));
    let (word, said) = reason(waits);
    assert_eq!(
        (word, said),
        (json!("AssocGrpJobsLimit"), "account art runs 1 of at most 1 jobs".into())
    );
    let nobody = server.submit(&json!({"script": "true"}));
    assert_eq!(server.ended(nobody)["state"], "COMPLETED", "nobody behind is held up");
    wide["cpus"] = json!(3);
    let refused = problem(server.post("/api/v1/jobs", &wide), 422);
    assert_eq!(fields(&refused), ["cpus"]);
    assert!(refused["detail"].as_str().unwrap().contains("account physics may hold 2"));
    server.kill();
    server.up();
    let job = server.job(second);
    assert_eq!(job["state_reason"], "AssocGrpCpuLimit", "what runs counts after a kill: {job}");
    gate.open();
    for id in [first, second, other, waits] {
        assert_eq!(server.ended(id)["state"], "COMPLETED");
    }
    server.is_clean();
}

fn what_an_account_may_not_have_waiting_is_refused() {
    let server = with_file("[[account]]\nname = \"a\"\nmax_queued_jobs = 2\n");
    let held = json!({"script": "true", "account": "a", "held": true});
    let batch = |n: usize| server.post("/api/v1/jobs/batch", &json!({"jobs": vec![&held; n]}));
    let refused = problem(batch(3), 422);
    assert_eq!(fields(&refused), ["jobs[2].account"], "a batch counts whole");
    let array = json!({"script": "true", "account": "a", "held": true, "array": "0-2"});
    let refused = problem(server.post("/api/v1/jobs", &array), 422);
    assert_eq!(fields(&refused), ["account"], "every task of an array counts");
    assert_eq!(server.sql("SELECT count(*) || '' AS line FROM jobs"), "0");
    batch(2).expect(201);
    let refused = problem(server.post("/api/v1/jobs", &held), 422);
    assert_eq!(fields(&refused), ["account"]);
    let said = refused["errors"][0]["message"].as_str().unwrap();
    assert!(
        said.starts_with("account a may have 2 jobs waiting (max_queued_jobs) and has 2"),
        "{said}"
    );
    server.submit(&json!({"script": "true", "account": "b"}));
}

fn rank(server: &Server, id: i64) -> Value {
    server.get(&format!("/api/v1/jobs/{id}/priority")).expect(200).json()
}

fn a_place_in_the_line_is_explained() {
    let server = with_file(
        "[[partition]]\nname = \"low\"\n[[partition]]\nname = \"high\"\npriority_weight = 1000\n\
         [priority]\nage_weight = 50\nmax_age = \"1s\"\n",
    );
    let gate = Gate::new(&server);
    let first = gate.blocker(&server);
    let low = server.submit(&json!({"script": "true", "priority": 7}));
    let high = server.submit(&json!({"script": "true", "partition": "high"}));
    let seen = rank(&server, high);
    keys(&seen, "job_id position points parts policy");
    keys(&seen["parts"], "priority partition age fair_share");
    keys(&seen["policy"], "order value waited_s first_after_s");
    assert_eq!((&seen["position"], &seen["parts"]["partition"]), (&json!(1), &json!(1000)));
    assert_eq!((&seen["policy"]["order"], &seen["job_id"]), (&json!("wfp3"), &json!(high)));
    let behind = rank(&server, low);
    assert_eq!((&behind["position"], &behind["parts"]["priority"]), (&json!(2), &json!(7)));
    let sum: i64 = behind["parts"].as_object().unwrap().values().filter_map(Value::as_i64).sum();
    assert_eq!(behind["points"], sum);
    crate::common::until("age to count", || {
        let age = rank(&server, low)["parts"]["age"].clone();
        if age == 50 { Ok(()) } else { Err(age.to_string()) }
    });
    let held = server.submit(&json!({"script": "true", "held": true}));
    assert_eq!(rank(&server, held)["position"], Value::Null);
    problem(server.get(&format!("/api/v1/jobs/{first}/priority")), 409);
    problem(server.get("/api/v1/jobs/99/priority"), 404);
    gate.open();
    server.ended(high);
    server.ended(low);
}

fn usage_outlives_the_server() {
    let mut server = with_file("[priority]\nfair_share_weight = 1000\n");
    let mut greedy = of("greedy", "sleep 0.2");
    greedy["cpus"] = json!(4);
    server.ended(server.submit(&greedy));
    let gate = Gate::new(&server);
    gate.blocker(&server);
    let ids = [server.submit(&of("greedy", "true")), server.submit(&of("modest", "true"))];
    let shares = |server: &Server| ids.map(|id| rank(server, id)["parts"]["fair_share"].clone());
    let [greedy, modest] = shares(&server);
    assert!(greedy.as_i64() < Some(900), "{greedy}");
    assert_eq!(modest, 1000);
    assert_eq!(rank(&server, ids[1])["position"], 1, "whoever used less goes first");
    let used = "SELECT account || ' ' || (cpu_us > 500000) AS line FROM account_usage";
    assert_eq!(server.sql(used), "greedy 1");
    server.kill();
    server.up();
    let [greedy, modest] = shares(&server);
    assert!(greedy.as_i64() < Some(900), "{greedy}");
    assert_eq!(modest, 1000);
    gate.open();
    ids.iter().for_each(|id| drop(server.ended(*id)));
}

fn only_administrators_raise_priorities_and_drain() {
    let mut server = Server::unstarted(&["--cpus", "4"]);
    server.env.push(("DOWNBEAT_ADMIN_TOKEN".to_owned(), "the-admins".to_owned()));
    server.env.push(("DOWNBEAT_TOKEN".to_owned(), "everybody".to_owned()));
    server.up();
    let send = |token: &str, method: &str, path: &str, body: &Value| {
        let bearer = format!("Bearer {token}");
        let headers = [("content-type", "application/json"), ("authorization", &bearer)];
        let body = if body.is_null() { String::new() } else { body.to_string() };
        server.send(method, path, &headers, body.as_bytes())
    };
    let job = |priority: i64| json!({"script": "true", "held": true, "priority": priority});
    let ask = |method: &str, path: &str, body: Value, done: u16| {
        let said = problem(send("everybody", method, path, &body), 403);
        assert!(said["detail"].as_str().unwrap().contains("administrators' token"), "{said}");
        send("the-admins", method, path, &body).expect(done).json()
    };
    let said = problem(send("everybody", "POST", "/api/v1/jobs", &job(1)), 403);
    assert!(said["detail"].as_str().unwrap().contains("priority above 0"), "{said}");
    send("everybody", "POST", "/api/v1/jobs", &job(-3)).expect(201);
    ask("POST", "/api/v1/jobs", job(5), 201);
    ask("POST", "/api/v1/jobs/batch", json!({"jobs": [job(0), job(5)]}), 201);
    ask("PATCH", "/api/v1/jobs/1", json!({"priority": -2}), 200);
    send("everybody", "PATCH", "/api/v1/jobs/2", &json!({"priority": 4})).expect(200);
    ask("PATCH", "/api/v1/jobs/2", json!({"priority": 5}), 200);
    let array = json!({"script": "true", "held": true, "array": "0-1", "priority": -1});
    let array = send("everybody", "POST", "/api/v1/jobs", &array).expect(201).json();
    let task = format!("/api/v1/jobs/{}_1", array["id"]);
    send("everybody", "PATCH", &task, &json!({"priority": -5})).expect(200);
    ask("PATCH", &task, json!({"priority": -2}), 200);
    send("everybody", "POST", "/api/v1/jobs/1/release", &json!({})).expect(200);
    let window = ask("POST", "/api/v1/maintenance", json!({}), 201);
    ask("DELETE", &format!("/api/v1/maintenance/{}", window["id"]), Value::Null, 200);
    ask("POST", "/api/v1/maintenance", json!({}), 201);
    ask("DELETE", "/api/v1/maintenance", Value::Null, 200);
    let info = send("everybody", "GET", "/api/v1/info", &Value::Null).expect(200);
    let shown = info.json()["configuration"]["admin_token"]["value"].clone();
    assert_eq!(shown, "***");
    assert!(!info.text().contains("the-admins") && !server.log().contains("the-admins"));
    problem(send("nobody", "GET", "/api/v1/jobs", &Value::Null), 401);
}

fn what_accounts_have_is_listed() {
    let server = with_file(
        "[priority]\nfair_share_weight = 1000\n[[account]]\nname = \"physics\"\nshares = 3\n\
         max_running_cpus = 2\n",
    );
    let gate = Gate::new(&server);
    let mut wide = of("physics", &gate.wait());
    (wide["cpus"], wide["memory"]) = (json!(2), json!("64M"));
    server.started(server.submit(&wide));
    let mut held = of("art", "true");
    (held["held"], held["array"]) = (json!(true), json!("0-4"));
    server.submit(&held);
    let list = |query: &str| {
        let lines = server.get(&format!("/api/v1/accounts{query}")).expect(200).json();
        lines.as_array().unwrap().clone()
    };
    let lines = list("");
    let names: Vec<&Value> = lines.iter().map(|line| &line["name"]).collect();
    assert_eq!(json!(names), json!(["art", "physics"]));
    keys(
        &lines[0],
        "name shares cpu_hours share_factor cpus gpus memory_bytes running waiting \
        limits",
    );
    assert_eq!((&lines[0]["waiting"], &lines[0]["running"]), (&json!(5), &json!(0)));
    let physics = &lines[1];
    assert_eq!((&physics["cpus"], &physics["running"]), (&json!(2), &json!(1)));
    assert_eq!((&physics["memory_bytes"], &physics["shares"]), (&json!(64 << 20), &json!(3)));
    assert_eq!(physics["limits"]["running_cpus"], json!({"used": 2, "max": 2}));
    assert_eq!(physics["limits"]["queued_jobs"], json!({"used": 0, "max": null}));
    assert!(physics["share_factor"].as_f64().unwrap() < 1.0, "{physics}");
    assert_eq!(lines[0]["share_factor"], 1.0, "nothing was used");
    let users = list("?by=user");
    assert_eq!((users.len(), &users[0]["waiting"]), (1, &json!(5)), "users are not told apart");
    assert_eq!((&users[0]["shares"], &users[0]["cpu_hours"]), (&Value::Null, &Value::Null));
    assert_eq!(list("?limit=1").len(), 1);
    assert_eq!(fields(&problem(server.get("/api/v1/accounts?by=x"), 400)), ["by"]);
    gate.open();
}
