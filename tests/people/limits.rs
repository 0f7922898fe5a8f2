//! *Purpose*: what one user may have, running and waiting.
//!
//! *Owns*: the cases about `[[user]]`.
//!
//! *Promises*: whatever one user has used up, another has his own.
//!
//! *Not here*: how often he may ask (`burden`), counting (`kernel::views::limits`).

use super::house::{ALICE, BOB, CAROL, House, houses};
use serde_json::{Value, json};

houses! {
    alice_has_only_so_many_jobs_waiting_and_bob_is_unaffected
        "[[user]]\nname = \"dbt-alice\"\nmax_queued_jobs = 3"
    alice_has_only_so_many_bytes_waiting_and_bob_is_unaffected
        "[[user]]\nname = \"*\"\nmax_queued_bytes = \"64K\""
    nobody_fills_the_memory_of_a_server_whose_settings_say_nothing ""
    alice_runs_only_so_much_whatever_account_she_names_and_bob_goes_by
        "[[user]]\nname = \"dbt-alice\"\nmax_running_cpus = 1"
    what_alice_has_waiting_counts_still_after_kill_9
        "[[user]]\nname = \"*\"\nmax_queued_jobs = 2\nmax_queued_bytes = \"2K\""
    a_directory_of_users_that_hangs_keeps_no_cpu_and_nobody_else ""
    limits_are_others_as_soon_as_the_settings_are_read_again
        "[[user]]\nname = \"*\"\nmax_queued_jobs = 1"
}

fn held(bytes: usize) -> Value {
    json!({"script": "#".repeat(bytes), "held": true})
}

/// What is refused of a job of this user: its field and why.
#[track_caller]
fn refused(house: &House, name: &str, job: &Value) -> (String, String) {
    let problem = house.post(name, "/api/v1/jobs", job).expect(422);
    let error = &problem["errors"][0];
    let text = |key: &str| error[key].as_str().unwrap_or_default().to_owned();
    (text("field"), text("message"))
}

fn limits(house: &House, name: &str) -> Value {
    house.ask(name, "GET /api/v1/me").expect(200)["limits"].clone()
}

/// A name service that does not answer of the user whose number stands in the file, as one over a
/// network may; the server is started with it from now on.
fn hanging_directory(house: &mut House) -> std::path::PathBuf {
    let path = |name: &str| house.home.path().join(name);
    let (source, library, hangs) = (path("hangs.c"), path("hangs.so"), path("hangs"));
    let text = format!(
        r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pwd.h>
#include <stdio.h>
#include <unistd.h>
static int hangs(uid_t uid) {{
    unsigned of = 0;
    FILE *file = fopen("{}", "r");
    if (!file) return 0;
    if (fscanf(file, "%u", &of) != 1) of = 0;
    fclose(file);
    return of == uid;
}}
int getpwuid_r(uid_t uid, struct passwd *one, char *text, size_t size, struct passwd **found) {{
    int (*real)(uid_t, struct passwd *, char *, size_t, struct passwd **) =
        dlsym(RTLD_NEXT, "getpwuid_r");
    while (hangs(uid)) usleep(10000);
    return real(uid, one, text, size, found);
}}
"#,
        hangs.display()
    );
    std::fs::write(&source, text).unwrap();
    let mut compiler = std::process::Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&source).arg("-ldl");
    assert!(compiler.status().unwrap().success());
    house.preload = Some(library);
    hangs
}

mod cases {
    use super::*;

    pub fn alice_has_only_so_many_jobs_waiting_and_bob_is_unaffected(house: House) {
        let first = house.submit(ALICE, held(1));
        let array = json!({"script": "true", "held": true, "array": "1-2"});
        house.submit(ALICE, array.clone());
        let (field, why) = refused(&house, ALICE, &held(1));
        assert_eq!(field, "user");
        assert!(why.contains("user dbt-alice may have 3 jobs waiting (max_queued_jobs)"), "{why}");
        let (_, why) = refused(&house, ALICE, &json!({"script": "true", "account": "other"}));
        assert!(why.contains("and has 3"), "{why}");
        let batch = json!({"jobs": [held(1), held(1)]});
        house.post(ALICE, "/api/v1/jobs/batch", &batch).expect(422);
        let of = |name: &str| {
            house.sql(&format!("SELECT count(*) || '' AS line FROM jobs WHERE user = '{name}'"))
        };
        assert_eq!(of(ALICE), "2");
        for _ in 0..5 {
            house.submit(BOB, held(1));
        }
        assert_eq!(limits(&house, ALICE)["queued_jobs"], json!({"used": 3, "max": 3}));
        assert_eq!(limits(&house, BOB)["queued_jobs"], json!({"used": 5, "max": null}));
        let said = String::from_utf8(house.cli(ALICE, &["whoami"]).stdout).unwrap();
        assert!(said.contains("jobs that wait: 3 of at most 3;"), "{said}");
        house.ask(ALICE, &format!("DELETE /api/v1/jobs/{first}")).expect(200);
        house.submit(ALICE, held(1));
        // What is over waits again only where it may.
        let again = format!("POST /api/v1/jobs/{first}/requeue");
        let problem = house.ask(ALICE, &again).expect(422);
        assert_eq!(problem["errors"][0]["field"], "user");
    }

    pub fn alice_has_only_so_many_bytes_waiting_and_bob_is_unaffected(house: House) {
        let id = house.submit(ALICE, held(60 << 10));
        let (field, why) = refused(&house, ALICE, &held(5 << 10));
        assert_eq!(field, "user");
        let wanted = "may have 64 KiB of scripts and environments waiting (max_queued_bytes), has \
                      60 KiB and sent 5 KiB more";
        assert!(why.contains(wanted), "{why}");
        let environment = json!({"BIG": "x".repeat(5 << 10)});
        let job = json!({"script": "true", "environment": environment});
        let (_, why) = refused(&house, ALICE, &job);
        assert!(why.contains("max_queued_bytes"), "{why}");
        house.submit(BOB, held(60 << 10));
        assert_eq!(limits(&house, ALICE)["queued_bytes"], json!({"used": 61_440, "max": 65_536}));
        house.ask(ALICE, &format!("DELETE /api/v1/jobs/{id}")).expect(200);
        house.submit(ALICE, held(60 << 10));
    }

    pub fn nobody_fills_the_memory_of_a_server_whose_settings_say_nothing(house: House) {
        let large = held(4 << 20);
        let mut stored = 0;
        let why = loop {
            let answer = house.post(ALICE, "/api/v1/jobs", &large);
            if answer.status != 201 {
                break answer.expect(422);
            }
            stored += 1;
            assert!(stored <= 64, "more than 256 MiB wait");
        };
        assert_eq!(stored, 64, "{why}");
        assert!(why["detail"].as_str().unwrap().contains("256 MiB"), "{why}");
        house.submit(BOB, large);
        assert!(house.post(ALICE, "/api/v1/jobs", &held(1)).status == 422, "not one byte more");
    }

    pub fn alice_runs_only_so_much_whatever_account_she_names_and_bob_goes_by(house: House) {
        let sleeps = |account: &str| json!({"script": "sleep 60", "account": account});
        let first = house.submit(ALICE, sleeps("a"));
        let second = house.submit(ALICE, sleeps("b"));
        let (field, why) = refused(&house, ALICE, &json!({"script": "true", "cpus": 2}));
        assert_eq!(field, "cpus");
        assert!(why.contains("user dbt-alice may hold 1 at a time"), "{why}");
        let his = house.submit(BOB, json!({"script": "true"}));
        assert_eq!(house.ended(BOB, his)["state"], "COMPLETED");
        let waits = house.ask(ALICE, &format!("GET /api/v1/jobs/{second}")).expect(200);
        assert_eq!(waits["state"], "PENDING", "{waits}");
        assert_eq!(waits["state_reason"], "QOSMaxCpuPerUserLimit", "{waits}");
        let why = waits["state_detail"].as_str().unwrap_or_default();
        assert!(why.contains("user dbt-alice holds 1 of at most 1 CPU"), "{waits}");
        // 200 when it has ended by now.
        assert!(
            [200, 202].contains(&house.ask(ALICE, &format!("DELETE /api/v1/jobs/{first}")).status)
        );
        house.ended(ALICE, first);
        house.ask(ALICE, &format!("DELETE /api/v1/jobs/{second}"));
        house.ended(ALICE, second);
        assert_eq!(limits(&house, ALICE)["running_cpus"], json!({"used": 0, "max": 1}));
    }

    pub fn what_alice_has_waiting_counts_still_after_kill_9(mut house: House) {
        house.submit(ALICE, held(1_000));
        house.submit(CAROL, held(2_000));
        house.kill();
        house.up();
        let (_, why) = refused(&house, CAROL, &held(100));
        assert!(why.contains("max_queued_bytes"), "{why}");
        house.submit(ALICE, held(1_000));
        let (_, why) = refused(&house, ALICE, &held(1));
        assert!(why.contains("max_queued_jobs"), "{why}");
        assert_eq!(limits(&house, ALICE)["queued_bytes"], json!({"used": 2_000, "max": 2_048}));
    }

    pub fn a_directory_of_users_that_hangs_keeps_no_cpu_and_nobody_else(mut house: House) {
        let id = house.submit(ALICE, json!({"script": "true", "held": true, "cpus": 2}));
        house.down();
        let hangs = hanging_directory(&mut house);
        house.up();
        let uid = house.sql(&format!("SELECT uid || '' AS line FROM jobs WHERE id = {id}"));
        std::fs::write(&hangs, uid).unwrap();
        house.ask("root", &format!("POST /api/v1/jobs/{id}/release")).expect(200);
        // Root may look as often as he likes.
        let job = || house.ask("root", &format!("GET /api/v1/jobs/{id}")).expect(200);
        let put_off = super::super::until_now("it is put off", || {
            let job = job();
            if job["state_reason"] == "UserUnknown" { Ok(job) } else { Err(job.to_string()) }
        });
        assert_eq!(put_off["state"], "PENDING", "{put_off}");
        let why = put_off["state_detail"].as_str().unwrap();
        let wanted = format!(
            "nobody could say who {ALICE} is (the directory of users does not answer: not within 5 s); tries again at "
        );
        assert!(why.starts_with(&wanted), "{why}");
        let his = house.submit(BOB, json!({"script": "true", "cpus": 2}));
        assert_eq!(house.ended(BOB, his)["state"], "COMPLETED");
        assert_eq!(house.ask(ALICE, "GET /api/v1/me").status, 503);
        // Nor does it hold up the end of a server.
        house.down();
        std::fs::remove_file(&hangs).unwrap();
        house.up();
        let now = json!({"begin_time": "now"});
        house
            .ask_with(ALICE, &format!("PATCH /api/v1/jobs/{id}"), "", &now.to_string())
            .expect(200);
        assert_eq!(house.ended(ALICE, id)["state"], "COMPLETED");
        let attempts = house.ask(ALICE, &format!("GET /api/v1/jobs/{id}/attempts")).expect(200);
        let words = |n: usize| attempts[n]["state"].clone();
        assert_eq!([words(0), words(1)], [json!("USER_UNKNOWN"), json!("COMPLETED")], "{attempts}");
    }

    pub fn limits_are_others_as_soon_as_the_settings_are_read_again(mut house: House) {
        house.submit(ALICE, held(1));
        refused(&house, ALICE, &held(1));
        house.settings = "[[user]]\nname = \"dbt-alice\"\nmax_queued_jobs = 2".to_owned();
        house.read_again();
        house.submit(ALICE, held(1));
        refused(&house, ALICE, &held(1));
        house.submit(BOB, held(1));
        house.submit(BOB, held(1));
    }
}
