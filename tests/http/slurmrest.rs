//! *Purpose*: clients of Slurm's API find what they know.
//!
//! *Owns*: its routes in all versions: what they do, to whom, and what they refuse.
//!
//! *Promises*: what is refused has changed nothing.
//!
//! *Not here*: what they answer (`slurmrest_shapes`), published clients (`tests/clients`), what
//! becomes of each option (`tests/slurm`).

use std::time::{SystemTime, UNIX_EPOCH};

use downbeat::api::ROUTES;
use serde_json::{Value, json};

use crate::common::{Answer, Server};
use crate::help::keys;

pub const VERSIONS: [&str; 5] = ["v0.0.38", "v0.0.39", "v0.0.40", "v0.0.41", "v0.0.42"];
const TOKEN: &str = "a-token-of-this-test";

cases! {
    a_job_is_submitted_shown_listed_and_cancelled_in_every_version => [
        "POST /slurm/{version}/job/submit", "GET /slurm/{version}/job/{id}",
        "GET /slurm/{version}/jobs", "DELETE /slurm/{version}/job/{id}",
    ],
    a_description_asks_for_what_the_options_of_sbatch_ask => ["POST /slurm/{version}/job/submit"],
    each_version_s_forms_of_a_value_are_taken => ["POST /slurm/{version}/job/submit"],
    what_is_not_here_is_refused_by_name_and_changes_nothing => [
        "POST /slurm/{version}/job/submit",
    ],
    an_unknown_field_is_refused_at_first_and_passed_over_since => [
        "POST /slurm/{version}/job/submit",
    ],
    a_token_comes_in_slurm_s_header => ["GET /slurm/{version}/ping"],
    what_is_not_there_has_slurm_s_number => [
        "GET /slurm/{version}/job/{id}", "DELETE /slurm/{version}/job/{id}",
        "GET /slurm/{version}/node/{name}", "GET /slurm/{version}/partition/{name}",
    ],
    a_signal_goes_to_all_but_the_script_unless_that_is_said => [
        "DELETE /slurm/{version}/job/{id}",
    ],
    a_job_that_waits_is_changed => ["POST /slurm/{version}/job/{id}"],
    newer_clients_ask_for_states_alone_and_cancel_several => [
        "GET /slurm/{version}/jobs/state", "DELETE /slurm/{version}/jobs",
    ],
}

pub fn body(script: &str, job: Value) -> Value {
    json!({"script": format!("#!/bin/bash\n{script}\n"), "job": job})
}

/// Submits; answers the number.
#[track_caller]
pub fn submit(server: &Server, version: &str, body: &Value) -> i64 {
    let answer = server.post(&format!("/slurm/{version}/job/submit"), body).expect(200).json();
    assert_eq!(answer["errors"], json!([]), "{answer}");
    assert_eq!(answer["step_id"], "BATCH", "{answer}");
    answer["job_id"].as_i64().unwrap()
}

/// The only job of an answer.
#[track_caller]
pub fn one(answer: Answer) -> Value {
    let answer = answer.expect(200).json();
    assert_eq!(answer["errors"], json!([]), "{answer}");
    let jobs = answer["jobs"].as_array().unwrap();
    assert_eq!(jobs.len(), 1, "{answer}");
    jobs[0].clone()
}

pub fn show(server: &Server, version: &str, id: i64) -> Value {
    one(server.get(&format!("/slurm/{version}/job/{id}")))
}

/// What an error says: its number, its description, what it is about.
#[track_caller]
fn error(answer: Answer, status: u16) -> (i64, String, String) {
    let answer = answer.expect(status).json();
    keys(&answer["errors"][0], "description error_number error source");
    let text = |name: &str| answer["errors"][0][name].as_str().unwrap().to_owned();
    (answer["errors"][0]["error_number"].as_i64().unwrap(), text("description"), text("source"))
}

pub fn set(number: i64) -> Value {
    json!({"set": true, "infinite": false, "number": number})
}

fn nothing_is_stored(server: &Server) {
    assert_eq!(server.sql("SELECT count(*) || '' AS line FROM jobs"), "0");
}

fn a_job_is_submitted_shown_listed_and_cancelled_in_every_version() {
    let server = Server::start();
    for version in VERSIONS {
        let id = submit(&server, version, &body("sleep 600", json!({"name": version})));
        server.started(id);
        let job = show(&server, version, id);
        assert_eq!((&job["job_id"], &job["name"]), (&json!(id), &json!(version)));
        for path in ["jobs", "jobs/", "jobs?update_time=1"] {
            let all = server.get(&format!("/slurm/{version}/{path}")).expect(200).json();
            let own = all["jobs"].as_array().unwrap().iter().find(|job| job["job_id"] == id);
            assert_eq!(own.unwrap()["name"], version, "{all}");
        }
        let path = format!("/slurm/{version}/job/{id}");
        for _ in 0..2 {
            let answer = server.send("DELETE", &path, &[], b"").expect(200).json();
            assert_eq!(answer["errors"], json!([]), "{answer}");
        }
        assert_eq!(server.ended(id)["state"], "CANCELLED");
        // The version that was asked answers.
        let meta = &server.get(&path).expect(200).json()["meta"];
        assert_eq!(meta["plugin"]["name"], format!("Slurm OpenAPI {version}"), "{meta}");
    }
    let old = &server.get("/slurm/v0.0.38/ping").expect(200).json()["meta"]["Slurm"];
    assert_eq!(old["version"], json!({"major": 22, "minor": 5, "micro": 8}));
    let new = &server.get("/slurm/v0.0.42/ping").expect(200).json()["meta"]["slurm"];
    assert_eq!(new["version"], json!({"major": "24", "minor": "11", "micro": "0"}));
    server.is_clean();
}

fn a_description_asks_for_what_the_options_of_sbatch_ask() {
    let server = Server::start();
    let folder = server.dir.path().display().to_string();
    let job = json!({
        "name": "n", "account": "a", "comment": "c", "tasks": 2, "cpus_per_task": 1,
        "time_limit": 7, "memory_per_cpu": 10, "current_working_directory": folder,
        "standard_output": "o-%j", "standard_error": "e", "standard_input": "/dev/null",
        "environment": {"A": "b c", "PATH": "/bin:/usr/bin"}, "argv": ["name", "x", "y z"],
        "open_mode": "append", "requeue": true, "nice": 5, "signal": "B:USR1@60",
        "mail_type": "END,FAIL", "mail_user": "me@example.org",
    });
    let id = submit(&server, "v0.0.38", &body("echo \"$A $# $2 $SLURM_NTASKS\"", job));
    let job = server.ended(id);
    for (field, value) in [
        ("name", json!("n")),
        ("account", json!("a")),
        ("comment", json!("c")),
        ("cpus", json!(2)),
        ("ntasks", json!(2)),
        ("time_limit_s", json!(420)),
        ("memory_bytes", json!(20 << 20)),
        ("working_directory", json!(folder)),
        ("open_mode", json!("append")),
        ("priority", json!(-5)),
        ("signal", json!("B:USR1@60")),
        ("mail_type", json!("END,FAIL")),
        ("args", json!(["x", "y z"])),
        ("state", json!("COMPLETED")),
    ] {
        assert_eq!(job[field], value, "{field}: {job}");
    }
    assert!(job["retry"].is_object(), "{job}");
    let out = server.dir.path().join(format!("o-{id}"));
    assert_eq!(std::fs::read_to_string(out).unwrap(), "b c 2 y z 2\n");
    // What the body says wins over the script's lines, which fill what it leaves out.
    let script = "#SBATCH -J inside -c 2 -t 3\ntrue";
    let id = submit(&server, "v0.0.38", &body(script, json!({"name": "outside"})));
    let job = server.job(id);
    assert_eq!((&job["name"], &job["cpus"]), (&json!("outside"), &json!(2)), "{job}");
    // The same jobs for a list with one job, and for a script in the description.
    let listed = json!({"script": "#!/bin/sh\ntrue", "jobs": [{"name": "in a list"}]});
    assert_eq!(server.job(submit(&server, "v0.0.38", &listed))["name"], "in a list");
    let inside = json!({"job": {"script": "#!/bin/sh\ntrue", "name": "inside"}});
    assert_eq!(server.job(submit(&server, "v0.0.39", &inside))["name"], "inside");
}

fn each_version_s_forms_of_a_value_are_taken() {
    let server = Server::start();
    let number = |n: i64| json!({"set": true, "infinite": false, "number": n});
    let epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() + 86_400;
    let job = json!({
        "hold": true, "time_limit": number(7), "memory_per_node": number(100), "tasks": 2,
        "environment": ["A=b", "C=d=e"], "nodes": "1-1", "minimum_nodes": 1, "minimum_cpus": 3,
        "begin_time": number(epoch as i64), "mail_type": ["END"], "open_mode": ["APPEND"],
        "kill_warning_signal": "USR1", "kill_warning_delay": number(30),
        "kill_warning_flags": ["BATCH_JOB"], "priority": {"set": false, "number": 0},
        "shared": [], "qos": "", "required_nodes": [], "x11": null,
    });
    let id = submit(&server, "v0.0.40", &body("true", job));
    let job = server.job(id);
    for (field, value) in [
        ("held", json!(true)),
        ("time_limit_s", json!(420)),
        ("memory_bytes", json!(100 << 20)),
        ("cpus", json!(3)),
        ("open_mode", json!("append")),
        ("signal", json!("B:USR1@30")),
    ] {
        assert_eq!(job[field], value, "{field}: {job}");
    }
    assert!(job["begin_time"].is_string(), "{job}");
    let begin = show(&server, "v0.0.38", id)["eligible_time"].as_u64().unwrap();
    assert_eq!(begin, epoch);
    let all =
        submit(&server, "v0.0.40", &body("true", json!({"hold": true, "exclusive": ["true"]})));
    assert_eq!(server.job(all)["cpus"], 4);
    let endless = json!({"hold": true, "time_limit": {"set": true, "infinite": true}});
    let endless = submit(&server, "v0.0.40", &body("true", endless));
    assert_eq!(server.job(endless)["time_limit_s"], Value::Null);
    let gres = json!({"hold": true, "tres_per_node": "gres/gpu:1"});
    let (_, said, about) =
        error(server.post("/slurm/v0.0.40/job/submit", &body("true", gres)), 400);
    assert_eq!(about, "job.tres_per_node", "there are no GPUs: {said}");
}

fn what_is_not_here_is_refused_by_name_and_changes_nothing() {
    let server = Server::start();
    for (job, about) in [
        (json!({"constraints": "x"}), "job.constraints"),
        (json!({"reservation": "x"}), "job.reservation"),
        (json!({"container": "/x"}), "job.container"),
        (json!({"nodes": 2}), "job.nodes"),
        (json!({"nodes": [2, 4]}), "job.nodes"),
        (json!({"tasks": 99}), "job.tasks"),
        (json!({"tasks": 0}), "job.tasks"),
        (json!({"tasks": "many"}), "job.tasks"),
        (json!({"time_limit": "soon"}), "job.time_limit"),
        (json!({"time_limit": -1}), "job.time_limit"),
        (json!({"time_limit": [1]}), "job.time_limit"),
        (json!({"name": 7.5, "array": "x"}), "job.array"),
        (json!({"gpus": "1"}), "job.gpus"),
        (json!({"licenses": "matlab"}), "job.licenses"),
        (json!({"dependency": "afterok:99"}), "job.dependency"),
        (json!({"exclusive": "user"}), "job.exclusive"),
        (json!({"signal": "USR9"}), "job.signal"),
        (json!({"environment": [1]}), "job.environment[0]"),
        (json!({"argv": "x"}), "job.argv"),
        (json!({"hold": "yes"}), "job.hold"),
        (json!({"requeue": 1}), "job.requeue"),
        (json!({"standard_output": "/etc/passwd"}), "job.standard_output"),
        (json!({"current_working_directory": "relative"}), "job.current_working_directory"),
        (json!({"user_id": "root"}), "job.user_id"),
        (json!({"hetjob_group": 1}), "job.hetjob_group"),
        (json!({"kill_warning_delay": 30}), "job.kill_warning_delay"),
        (
            json!({"kill_warning_signal": "USR1", "kill_warning_flags": ["HURRY"]}),
            "job.kill_warning_flags",
        ),
    ] {
        for version in ["v0.0.38", "v0.0.42"] {
            let path = format!("/slurm/{version}/job/submit");
            let (number, said, source) = error(server.post(&path, &body("true", job.clone())), 400);
            assert_eq!((number, source.as_str()), (9001, about), "{job}: {said}");
            assert!(said.starts_with(about), "{said}");
        }
    }
    for (body, about) in [
        (json!({"job": {}}), "script"),
        (json!({"script": "true"}), "job"),
        (json!({"script": 7, "job": {}}), "script"),
        (json!({"script": "true", "job": []}), "job"),
        (json!({"script": "true", "jobs": [{}, {}]}), "jobs"),
        (json!({"script": "true", "job": {}, "more": 1}), "more"),
        (json!({"script": "#SBATCH --time=soon\ntrue", "job": {}}), "script"),
        (json!([]), "body"),
    ] {
        let (_, said, source) = error(server.post("/slurm/v0.0.38/job/submit", &body), 400);
        assert_eq!(source, about, "{body}: {said}");
    }
    let json = [("content-type", "application/json")];
    error(server.send("POST", "/slurm/v0.0.38/job/submit", &json, b"no json"), 400);
    error(server.send("POST", "/slurm/v0.0.38/job/submit", &[], b"{}"), 415);
    error(server.get("/slurm/v0.0.38/jobs?nope=1"), 400);
    error(server.get("/slurm/v0.0.38/jobs?update_time=soon"), 400);
    error(server.get("/slurmdb/v0.0.38/jobs?qos=x"), 400);
    error(server.get("/slurmdb/v0.0.38/jobs?state=ASLEEP"), 400);
    nothing_is_stored(&server);
}

fn an_unknown_field_is_refused_at_first_and_passed_over_since() {
    let server = Server::start();
    let unknown = body("true", json!({"nope": 1, "hold": true, "wckey": "k"}));
    let (_, said, about) = error(server.post("/slurm/v0.0.38/job/submit", &unknown), 400);
    assert_eq!(about, "job.nope", "{said}");
    nothing_is_stored(&server);
    let answer = server.post("/slurm/v0.0.39/job/submit", &unknown).expect(200).json();
    keys(&answer, "meta errors warnings job_id step_id job_submit_user_msg result");
    let said = answer["warnings"].to_string();
    assert!(said.contains("job.nope is not a known field"), "{said}");
    assert!(said.contains("job.wckey is not honoured here"), "{said}");
    // What has no place of its own in the oldest version is said as a message of the server.
    let harmless = body("true", json!({"hold": true, "wckey": "k"}));
    let answer = server.post("/slurm/v0.0.38/job/submit", &harmless).expect(200).json();
    keys(&answer, "meta errors job_id step_id job_submit_user_msg");
    assert!(answer["job_submit_user_msg"].as_str().unwrap().contains("job.wckey"), "{answer}");
}

fn a_token_comes_in_slurm_s_header() {
    let mut server = Server::unstarted(&["--cpus", "4"]);
    server.env.push(("DOWNBEAT_TOKEN".to_owned(), TOKEN.to_owned()));
    server.up();
    let header = "x-slurm-user-token";
    for route in ROUTES.iter().filter(|route| !route.is_documented()) {
        let path = route.path.replace("{version}", "v0.0.40").replace("{id}", "1");
        for token in ["", "wrong"] {
            let json = [("content-type", "application/json"), (header, token)];
            let refused = server.send(route.method, &path, &json, b"{}").expect(401);
            assert_eq!(refused.text(), "Authentication failure", "{path}");
        }
    }
    let named = [(header, TOKEN), ("x-slurm-user-name", "anybody")];
    server.send("GET", "/slurm/v0.0.38/ping", &named, b"").expect(200);
    let bearer = format!("Bearer {TOKEN}");
    server.send("GET", "/slurm/v0.0.38/ping", &[("authorization", &bearer)], b"").expect(200);
    // It is a header of these routes alone.
    server.send("GET", "/api/v1/jobs", &[(header, TOKEN)], b"").expect(401);
    nothing_is_stored(&server);
    // Who needs no token there needs none here; but whom the server knows, it knows.
    let open = Server::start();
    open.send("GET", "/slurm/v0.0.38/ping", &[(header, "any")], b"").expect(200);
    let uid = rustix::process::geteuid().as_raw().to_string();
    let me = std::process::Command::new("id").args(["-un", &uid]).output().unwrap();
    let me = String::from_utf8(me.stdout).unwrap();
    let as_me = [("x-slurm-user-name", me.trim())];
    open.send("GET", "/slurm/v0.0.38/ping", &as_me, b"").expect(200);
    let as_other = [("x-slurm-user-name", "somebody-else")];
    let refused = open.send("GET", "/slurm/v0.0.38/ping", &as_other, b"").expect(401);
    assert_eq!(refused.text(), "Authentication failure");
}

fn what_is_not_there_has_slurm_s_number() {
    let server = Server::start();
    for version in VERSIONS {
        for method in ["GET", "DELETE"] {
            for id in ["999", "999_1", "abc"] {
                let path = format!("/slurm/{version}/job/{id}");
                let (number, said, _) = error(server.send(method, &path, &[], b""), 500);
                assert_eq!(number, 2017, "{method} {path}: {said}");
            }
        }
        let change = server.post(&format!("/slurm/{version}/job/999"), &json!({"name": "n"}));
        assert_eq!(error(change, 500).0, 2017);
        let (node, partition) = ("node/nope", "partition/nope");
        assert_eq!(error(server.get(&format!("/slurm/{version}/{node}")), 500).0, 2018);
        assert_eq!(error(server.get(&format!("/slurm/{version}/{partition}")), 500).0, 2000);
        // Of history nothing is found, which is an answer.
        let none = server.get(&format!("/slurmdb/{version}/job/999")).expect(200).json();
        assert_eq!((&none["jobs"], &none["errors"][0]["error_number"]), (&json!([]), &json!(9003)));
    }
    for path in ["/slurm/v0.0.37/jobs", "/slurm/v0.0.99/ping", "/slurm/v0.0.38/nope", "/slurm/x"] {
        assert!(server.get(path).expect(404).text().starts_with("Unable to find"), "{path}");
    }
    server.get("/slurm/v0.0.40/jobs/state").expect(404);
}

fn a_signal_goes_to_all_but_the_script_unless_that_is_said() {
    let server = Server::start();
    let script = "trap 'echo script' USR1\nbash -c 'trap \"echo other\" USR1; echo up; \
                  while :; do sleep 0.02; done' &\nwhile :; do wait; done";
    let id = submit(&server, "v0.0.40", &body(script, json!({})));
    server.says(id, "up\n");
    let path = format!("/slurm/v0.0.40/job/{id}");
    let send = |query: &str| server.send("DELETE", &format!("{path}?{query}"), &[], b"");
    send("signal=USR1").expect(200);
    server.says(id, "up\nother\n");
    send("signal=SIGUSR1&flags=BATCH_JOB").expect(200);
    server.says(id, "up\nother\nscript\n");
    let (number, said, about) = error(send("signal=NOPE"), 400);
    assert_eq!((number, about.as_str()), (9000, "signal"), "{said}");
    error(send("flags=NOPE"), 400);
    error(send("nope=1"), 400);
    assert_eq!(server.job(id)["state"], "RUNNING");
    send("signal=KILL").expect(200);
    assert_eq!(server.ended(id)["state"], "CANCELLED");
    assert_eq!(error(send("signal=USR1"), 500).0, 2020);
}

fn a_job_that_waits_is_changed() {
    let server = Server::start();
    let first = body("true", json!({"name": "n", "hold": true, "time_limit": 5, "tasks": 2}));
    let id = submit(&server, "v0.0.38", &first);
    let path = |version: &str| format!("/slurm/{version}/job/{id}");
    let change = json!({"name": "new", "time_limit": 7, "comment": "c", "tasks": 1,
        "memory_per_node": 100, "environment": {}, "open_mode": "append"});
    server.post(&path("v0.0.38"), &change).expect(200);
    let job = server.job(id);
    assert_eq!((&job["name"], &job["time_limit_s"]), (&json!("new"), &json!(420)), "{job}");
    assert_eq!((&job["cpus"], &job["memory_bytes"]), (&json!(1), &json!(100 << 20)), "{job}");
    let newer = json!({"time_limit": {"set": true, "number": 9}, "wckey": "k", "nope": 1});
    let answer = server.post(&path("v0.0.40"), &newer).expect(200).json();
    assert_eq!(answer["results"][0]["job_id"], id, "{answer}");
    assert!(answer["warnings"].to_string().contains("nope is not a known field"), "{answer}");
    let before = server.job(id);
    for (change, about) in [
        (json!({"nope": 1}), "nope"),
        (json!({"array": "1-2"}), "array"),
        (json!({"script": "true"}), "script"),
        (json!({"constraints": "x"}), "constraints"),
        (json!({"time_limit": "soon"}), "time_limit"),
        (json!({"tasks": 99}), "tasks"),
        (json!({"hold": 1}), "hold"),
        (json!({"deadline": "2020-01-01T00:00:00Z"}), "deadline"),
        (json!({}), "body"),
    ] {
        let (number, said, source) = error(server.post(&path("v0.0.38"), &change), 400);
        assert_eq!((number, source.as_str()), (9001, about), "{change}: {said}");
    }
    assert_eq!(server.job(id), before, "nothing was changed");
    server.post(&path("v0.0.38"), &json!({"hold": false})).expect(200);
    assert_eq!(server.ended(id)["state"], "COMPLETED");
    assert_eq!(error(server.post(&path("v0.0.38"), &json!({"name": "x"})), 500).0, 2020);
}

fn newer_clients_ask_for_states_alone_and_cancel_several() {
    let server = Server::start();
    let ids = [1, 2].map(|_| submit(&server, "v0.0.41", &body("true", json!({"hold": true}))));
    let all = server.get("/slurm/v0.0.41/jobs/state/").expect(200).json();
    let state = |id: i64| {
        let unset = json!({"set": false, "infinite": false, "number": 0});
        json!({"job_id": id, "job_state": ["PENDING"], "state": ["PENDING"],
            "array_job_id": set(0), "array_task_id": unset})
    };
    assert_eq!(all["jobs"], json!([state(ids[0]), state(ids[1])]));
    let one = server.get(&format!("/slurm/v0.0.42/jobs/state?job_id={}", ids[1])).expect(200);
    assert_eq!(one.json()["jobs"], json!([state(ids[1])]));
    let json = [("content-type", "application/json")];
    let send = |body: &Value| {
        server.send("DELETE", "/slurm/v0.0.41/jobs/", &json, body.to_string().as_bytes())
    };
    error(send(&json!({})), 400);
    error(send(&json!({"jobs": ["x"]})), 400);
    error(send(&json!({"jobs": ["1"], "user_id": "root"})), 400);
    error(send(&json!({"jobs": ["1"], "signal": ["USR1"]})), 400);
    error(send(&json!({"jobs": ["1"], "signal": "NOSUCH"})), 400);
    assert_eq!(server.job(ids[0])["state"], "PENDING", "nothing was cancelled");
    let answer = send(&json!({"jobs": [ids[0].to_string(), ids[1], "999"]})).expect(200).json();
    let codes: Vec<&Value> = [0, 1, 2].map(|n| &answer["status"][n]["error"]["code"]).to_vec();
    assert_eq!(codes, [&json!(0), &json!(0), &json!(2017)], "{answer}");
    for id in ids {
        assert_eq!(server.ended(id)["state"], "CANCELLED");
    }
    let old = server.send("DELETE", "/slurm/v0.0.38/jobs", &json, b"{\"jobs\":[1]}");
    assert_eq!(old.status, 404);
}
