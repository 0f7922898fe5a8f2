//! *Purpose*: who somebody is to a server of all users, and whose his jobs are.
//!
//! *Owns*: the cases about identity and admission.
//!
//! *Promises*: nothing that a request says about its sender makes him another.
//!
//! *Not here*: what he may do (`rights`).

use super::house::{ALICE, BOB, CAROL, House, houses};
use serde_json::json;

houses! {
    alice_is_who_the_kernel_says_and_her_job_runs_as_her ""
    without_peer_data_and_token_every_route_but_health_answers_401 ""
    a_body_that_names_another_user_is_refused_naming_the_field ""
    root_of_alice_s_user_namespace_is_alice ""
    no_header_makes_somebody_of_a_sender ""
    the_same_idempotency_key_of_two_users_makes_two_jobs ""
    a_singleton_waits_for_no_job_of_another_user ""
    root_has_no_jobs_and_submits_for_others ""
    who_is_not_allowed_has_no_jobs_and_those_that_wait_are_held
        "[people]\ndeny_users = [\"dbt-carol\"]"
    a_server_of_one_user_does_not_take_over_jobs_of_others ""
    a_working_directory_on_alice_s_mount_that_root_cannot_enter_runs_with_its_output_there ""
}

/// A mount that goes with the test, also when that fails.
struct Mounted(String);

impl Drop for Mounted {
    fn drop(&mut self) {
        let _gone = std::process::Command::new("umount").args(["--lazy", &self.0]).status();
    }
}

const WHO: &str = "#!/bin/sh\nid -u; id -g; id -G; echo $USER $HOME $PATH; echo ${SECRET-none}";

fn number(name: &str, flag: &str) -> String {
    let said = std::process::Command::new("id").args([flag, name]).output().unwrap();
    String::from_utf8(said.stdout).unwrap().trim().to_owned()
}

mod cases {
    use super::*;

    pub fn a_working_directory_on_alice_s_mount_that_root_cannot_enter_runs_with_its_output_there(
        house: House,
    ) {
        let may = |test: &str, path: &str| house.run(ALICE, "test", &[test, path]).status.success();
        if !may("-x", "/usr/bin/bindfs") || !may("-w", "/dev/fuse") {
            return println!("ABSENT bindfs, or the right of users to mount with /dev/fuse");
        }
        let hers = tempfile::tempdir().unwrap();
        super::super::mode(hers.path(), 0o777);
        let path = |name: &str| hers.path().join(name).display().to_string();
        let (below, mount) = (path("below"), path("mount"));
        assert!(house.run(ALICE, "mkdir", &[&below, &mount]).status.success());
        let mounted = house.run(ALICE, "bindfs", &["--no-allow-other", &below, &mount]);
        assert!(mounted.status.success(), "{mounted:?}");
        let _gone_with_the_test = Mounted(mount.clone());
        let refused = std::fs::read_dir(&mount).unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::PermissionDenied, "root cannot enter it");
        let job = json!({"script": "pwd; echo made > made", "working_directory": mount,
            "standard_output": "out"});
        let id = house.submit(ALICE, job);
        let ended = house.ended(ALICE, id);
        assert_eq!(ended["state"], "COMPLETED", "{ended}");
        let text = |name: &str| std::fs::read_to_string(format!("{below}/{name}")).unwrap();
        assert_eq!((text("made"), text("out")), ("made\n".to_owned(), format!("{mount}\n")));
        let read = house.ask(ALICE, &format!("GET /api/v1/jobs/{id}/stdout"));
        assert_eq!(read.bytes, format!("{mount}\n"), "read as her");
    }

    pub fn alice_is_who_the_kernel_says_and_her_job_runs_as_her(house: House) {
        let me = house.ask(ALICE, "GET /api/v1/me").expect(200);
        let uid: u32 = number(ALICE, "-u").parse().unwrap();
        let (who, how) = ((&me["user"], &me["uid"]), (&me["role"], &me["via"]));
        assert_eq!(who, (&json!(ALICE), &json!(uid)), "{me}");
        assert_eq!(how, (&json!("user"), &json!("socket")), "{me}");
        let id = house.submit(ALICE, json!({"script": WHO}));
        let job = house.ended(ALICE, id);
        assert_eq!((&job["user"], &job["uid"]), (&json!(ALICE), &json!(uid)), "{job}");
        let said = house.ask(ALICE, &format!("GET /api/v1/jobs/{id}/stdout")).bytes;
        let (gid, groups) = (number(ALICE, "-g"), number(ALICE, "-G"));
        let path = "/usr/local/bin:/usr/bin:/bin";
        let wanted = format!("{uid}\n{gid}\n{groups}\n{ALICE} /home/{ALICE} {path}\nnone\n");
        assert_eq!(said, wanted);
        let uids =
            format!("SELECT group_concat(DISTINCT uid) AS line FROM events WHERE job_id = {id}");
        assert_eq!(house.sql(&uids), uid.to_string());
        let asked = "SELECT verb || ' ' || name || ' ' || via AS line FROM audit";
        assert_eq!(house.sql(asked), format!("submit {ALICE} socket"));
    }

    pub fn without_peer_data_and_token_every_route_but_health_answers_401(house: House) {
        for request in [
            "GET /api/v1/jobs",
            "GET /api/v1/me",
            "GET /api/v1/info",
            "GET /metrics",
            "GET /openapi.json",
            "GET /api/v1/events",
            "DELETE /api/v1/jobs/1",
            "GET /nowhere",
        ] {
            let answer = house.over_tcp(request, "", "");
            assert_eq!(answer.status, 401, "{request}: {}", answer.bytes);
        }
        let submit = house.over_tcp("POST /api/v1/jobs", "", r#"{"script":"true"}"#);
        assert_eq!(submit.status, 401);
        assert_eq!(house.over_tcp("GET /health/live", "", "").status, 200);
        assert_eq!(house.sql("SELECT count(*) || '' AS line FROM jobs"), "0");
    }

    pub fn a_body_that_names_another_user_is_refused_naming_the_field(house: House) {
        for name in [BOB, "root", "nobody-at-all"] {
            let flat = json!({"script": "true", "user": name});
            let refused = house.post(ALICE, "/api/v1/jobs", &flat).expect(403);
            assert_eq!(refused["errors"][0]["field"], "user", "{refused}");
            let nested = json!({"job": {"user": name}, "script": "true"});
            house.post(ALICE, "/api/v1/jobs", &nested).expect(403);
            let own = json!({"script": "true"});
            let batch = json!({"jobs": [own, flat]});
            let refused = house.post(ALICE, "/api/v1/jobs/batch", &batch).expect(422);
            assert_eq!(refused["errors"][0]["field"], "jobs[1].user", "{refused}");
            let said = house.cli(ALICE, &["submit", "--run-as", name, "--wrap", "true"]);
            assert_eq!(said.status.code(), Some(1), "{said:?}");
        }
        assert_eq!(house.sql("SELECT count(*) || '' AS line FROM jobs"), "0");
        let own = json!({"script": "true", "user": ALICE});
        let id = house.submit(ALICE, own);
        let principal = format!("SELECT principal AS line FROM events WHERE job_id = {id} LIMIT 1");
        assert_eq!(house.sql(&principal), ALICE);
    }

    pub fn root_of_alice_s_user_namespace_is_alice(house: House) {
        let ask = "import socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
s.sendall(b'GET /api/v1/me HTTP/1.0\\r\\nHost: localhost\\r\\n\\r\\n')
print(b''.join(iter(lambda: s.recv(4096), b'')).decode())";
        let socket = house.socket().display().to_string();
        let words = ["--map-root-user", "python3", "-c", ask, &socket];
        let said = house.run(ALICE, "unshare", &words);
        if !said.status.success() {
            let why = String::from_utf8_lossy(&said.stderr);
            assert!(why.contains("unshare"), "it is the namespace that is refused: {why}");
            println!("ABSENT namespaces of users: {}", why.trim());
            return;
        }
        let said = String::from_utf8_lossy(&said.stdout);
        let me: serde_json::Value =
            serde_json::from_str(said.split("\r\n\r\n").nth(1).unwrap()).unwrap();
        let uid: u32 = number(ALICE, "-u").parse().unwrap();
        assert_eq!((&me["user"], &me["uid"]), (&json!(ALICE), &json!(uid)), "{me}");
        assert_eq!(me["role"], "user");
        // His client cannot tell there who root is, and sends nothing.
        let client =
            [&["--map-root-user", env!("CARGO_BIN_EXE_downbeat")], &["drain"][..]].concat();
        let drain = house.run(ALICE, "unshare", &client);
        assert!(!drain.status.success(), "{drain:?}");
    }

    pub fn no_header_makes_somebody_of_a_sender(house: House) {
        let headers = "X-Forwarded-User: root\r\nX-Remote-User: root\r\nForwarded: for=root\r\n\
                       Authorization: Basic cm9vdDpyb290\r\n";
        let me = house.ask_with(ALICE, "GET /api/v1/me", headers, "").expect(200);
        assert_eq!((&me["user"], &me["role"]), (&json!(ALICE), &json!("user")));
        assert_eq!(house.over_tcp("GET /api/v1/me", headers, "").status, 401);
        let query = house.over_tcp("GET /api/v1/me?token=x&access_token=x", "", "");
        assert_eq!(query.status, 401);
    }

    pub fn the_same_idempotency_key_of_two_users_makes_two_jobs(house: House) {
        let body = json!({"script": "true", "held": true}).to_string();
        let key = "Idempotency-Key: same\r\n";
        let made = |name| house.ask_with(name, "POST /api/v1/jobs", key, &body);
        let (one, two) = (made(ALICE).expect(201), made(BOB).expect(201));
        assert_ne!(one["id"], two["id"]);
        assert_eq!((&one["user"], &two["user"]), (&json!(ALICE), &json!(BOB)));
        assert_eq!(made(ALICE).expect(200)["id"], one["id"]);
    }

    pub fn a_singleton_waits_for_no_job_of_another_user(house: House) {
        let named =
            |script: &str| json!({"script": script, "name": "x", "dependency": "singleton"});
        let first = house.submit(ALICE, named("sleep 100"));
        let other = house.submit(BOB, named("true"));
        assert_eq!(house.ended(BOB, other)["state"], "COMPLETED");
        let own = house.submit(ALICE, named("true"));
        let job = house.ask(ALICE, &format!("GET /api/v1/jobs/{own}")).expect(200);
        assert_eq!(job["state_reason"], "Dependency", "{job}");
        // 200 when it has ended by now.
        assert!(
            [200, 202].contains(&house.ask(ALICE, &format!("DELETE /api/v1/jobs/{first}")).status)
        );
    }

    pub fn root_has_no_jobs_and_submits_for_others(house: House) {
        let refused = house.post("root", "/api/v1/jobs", &json!({"script": "true"})).expect(403);
        assert!(refused["detail"].as_str().unwrap().contains("--run-as"), "{refused}");
        let said = house.cli("root", &["submit", "--run-as", ALICE, "--wrap", "id -un", "--wait"]);
        assert_eq!(said.status.code(), Some(0), "{said:?}");
        assert_eq!(house.ask(ALICE, "GET /api/v1/jobs/1/stdout").bytes, format!("{ALICE}\n"));
        let named = "SELECT name || ' ' || uid || ' ' || role AS line FROM audit";
        assert_eq!(house.sql(named), "root 0 admin");
        assert_eq!(house.sql("SELECT user AS line FROM jobs"), ALICE);
    }

    pub fn who_is_not_allowed_has_no_jobs_and_those_that_wait_are_held(mut house: House) {
        let refused = house.post(CAROL, "/api/v1/jobs", &json!({"script": "true"})).expect(403);
        assert_eq!(refused["errors"][0]["field"], "user", "{refused}");
        assert_eq!(house.ask(CAROL, "GET /api/v1/me").status, 200, "she is still known");
        let id = house.submit(ALICE, json!({"script": "true", "begin_time": "now+1h"}));
        house.down();
        house.settings = format!("[people]\ndeny_users = [\"{ALICE}\"]");
        house.up();
        let free = json!({"begin_time": null}).to_string();
        let path = format!("PATCH /api/v1/jobs/{id}");
        house.ask_with("root", &path, "", &free).expect(200);
        let look = || house.ask("root", &format!("GET /api/v1/jobs/{id}")).expect(200);
        super::super::until_now("the job to be held", || {
            let job = look();
            if job["held"] == true { Ok(()) } else { Err(job.to_string()) }
        });
        assert_eq!(look()["state"], "PENDING");
        let runs = house.ask("root", &format!("GET /api/v1/jobs/{id}/attempts")).expect(200);
        assert!(runs[0]["error"].as_str().unwrap().contains("may have no jobs here"), "{runs}");
    }

    pub fn a_server_of_one_user_does_not_take_over_jobs_of_others(mut house: House) {
        let id = house.submit(ALICE, json!({"script": "true", "held": true}));
        house.down();
        let why = house.start_as(&["--people", "one"]).unwrap_err();
        assert!(why.contains("1 jobs of other users wait or run here"), "{why}");
        house.up();
        house.ask(ALICE, &format!("DELETE /api/v1/jobs/{id}")).expect(200);
        house.down();
        let (_, mut one) = house.start_as(&["--people", "one"]).unwrap();
        super::super::signal(one.id(), "TERM");
        one.wait().unwrap();
        let mode = super::super::rights(&house.home.path().join("data")).2;
        assert_eq!(mode, 0o700, "it is closed to others again");
    }
}
