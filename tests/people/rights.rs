//! *Purpose*: what users may do to jobs of others, and know of them.
//!
//! *Owns*: the cases about rights.
//!
//! *Promises*: what is refused has changed nothing.
//!
//! *Not here*: who somebody is (`identity`), the table of rights (`tests/kernel.rs`).

use super::house::{ALICE, BOB, CAROL, House, houses};
use serde_json::{Value, json};

houses! {
    bob_gives_no_orders_about_alice_s_job_and_reads_nothing_of_it ""
    a_coordinator_gives_orders_in_his_account_and_reads_no_output
        "[[account]]\nname = \"physics\"\nusers = [\"dbt-alice\"]\ncoordinators = [\"dbt-bob\"]"
    in_a_private_house_bob_finds_nothing_of_alice_at_any_door
        "[people]\nroot_jobs = true\nprivate = [\"jobs\"]"
    an_operator_gives_orders_about_all_jobs "[people]\noperators = [\"dbt-bob\"]"
    who_gives_no_orders_suspends_nobody_his_own_jobs_neither "[people]\noperators = [\"dbt-bob\"]"
    alice_releases_her_own_hold_and_not_that_of_an_operator "[people]\noperators = [\"dbt-bob\"]"
    what_an_operator_runs_again_and_holds_is_his_also_after_kill_9
        "[people]\noperators = [\"dbt-bob\"]"
    what_everybody_may_read_names_no_paths_and_no_tokens ""
    a_link_in_the_place_of_her_output_or_its_folder_shows_nothing_of_root_s ""
    an_old_job_is_forgotten_with_what_she_left_in_its_folder "retention = \"1s\""
}

fn of_those_who_wait_for_his_job_bob_sees_his_own(house: &House) {
    let own = house.submit(BOB, json!({"script": "true", "held": true}));
    let after = json!({"script": "true", "dependency": format!("afterok:{own}")});
    let (of_root, of_bob) = (house.submit("root", after.clone()), house.submit(BOB, after));
    let waiting = |name: &str| {
        let told = house.ask(name, &format!("GET /api/v1/jobs/{own}/dependents")).expect(200);
        let jobs = told["jobs"].as_array().unwrap().clone();
        jobs.iter().map(|job| job["id"].as_i64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!((waiting(BOB), waiting("root")), (vec![of_bob], vec![of_root, of_bob]));
}

const HELD: &str = "#!/bin/sh\n#SBATCH --comment=quiet\necho secret";

/// Every order about a job, with a body.
fn orders(id: &str) -> Vec<(String, &'static str)> {
    let path = |rest: &str| format!("{}/api/v1/jobs/{id}{rest}", "");
    vec![
        (format!("DELETE {}", path("")), ""),
        (format!("PATCH {}", path("")), r#"{"name":"his"}"#),
        (format!("POST {}", path("/cancel")), ""),
        (format!("POST {}", path("/hold")), ""),
        (format!("POST {}", path("/release")), ""),
        (format!("POST {}", path("/requeue")), ""),
        (format!("POST {}", path("/signal")), r#"{"signal":"TERM"}"#),
        (format!("POST /api/jobs/cancel/{id}"), ""),
    ]
}

/// Every question about a job's details.
fn questions(id: &str) -> Vec<String> {
    let rests = ["script", "stdout", "stderr", "events", "attempts", "usage", "efficiency"];
    rests.iter().map(|rest| format!("GET /api/v1/jobs/{id}/{rest}")).collect()
}

mod cases {
    use super::*;

    pub fn who_gives_no_orders_suspends_nobody_his_own_jobs_neither(house: House) {
        let id = house.submit(ALICE, json!({"script": "sleep 60"}));
        super::super::until_now("it runs", || {
            let job = house.ask("root", &format!("GET /api/v1/jobs/{id}")).expect(200);
            if job["state"] == "RUNNING" { Ok(()) } else { Err(job.to_string()) }
        });
        let order = |name: &str, verb: &str| {
            house.ask_with(name, &format!("POST /api/v1/jobs/{id}/{verb}"), "", "")
        };
        let by_bob = order(BOB, "suspend");
        if by_bob.status == 501 {
            return println!("SKIPPED who_gives_no_orders_suspends_nobody: {}", by_bob.json);
        }
        by_bob.expect(202);
        for verb in ["suspend", "unsuspend"] {
            let refused = order(ALICE, verb).expect(403);
            let detail = refused["detail"].as_str().unwrap();
            assert!(detail.contains("suspend"), "{refused}");
            order(CAROL, verb).expect(403);
        }
        order(BOB, "unsuspend").expect(202);
        order(ALICE, "cancel").expect(202);
    }

    pub fn what_an_operator_runs_again_and_holds_is_his_also_after_kill_9(mut house: House) {
        let id = house.submit(ALICE, json!({"script": "sleep 60"}));
        let order = |house: &House, name: &str, verb: &str| {
            house.ask_with(name, &format!("POST /api/v1/jobs/{id}/{verb}"), "", "")
        };
        super::super::until_now("it runs", || {
            let job = house.ask("root", &format!("GET /api/v1/jobs/{id}")).expect(200);
            if job["state"] == "RUNNING" { Ok(()) } else { Err(job.to_string()) }
        });
        order(&house, BOB, "requeue?hold=true").expect(202);
        let held = |house: &House| {
            super::super::until_now("it waits, held", || {
                let job = house.ask("root", &format!("GET /api/v1/jobs/{id}")).expect(200);
                if job["held_by"] == "operator" { Ok(()) } else { Err(job.to_string()) }
            });
        };
        held(&house);
        order(&house, ALICE, "release").expect(403);
        house.kill();
        house.up();
        held(&house);
        order(&house, ALICE, "release").expect(403);
        // Nor is it hers once it was cancelled and waits again.
        house.ask(ALICE, &format!("DELETE /api/v1/jobs/{id}")).expect(200);
        order(&house, ALICE, "requeue").expect(200);
        order(&house, ALICE, "release").expect(403);
        house.kill();
        house.up();
        order(&house, ALICE, "release").expect(403);
        order(&house, BOB, "release").expect(200);
        house.ask(ALICE, &format!("DELETE /api/v1/jobs/{id}"));
        house.ended(ALICE, id);
    }

    pub fn alice_releases_her_own_hold_and_not_that_of_an_operator(mut house: House) {
        let waiting = json!({"script": "true", "begin_time": "now+1h"});
        let id = house.submit(ALICE, waiting.clone());
        let order = |house: &House, who: &str, word: &str| {
            house.ask(who, &format!("POST /api/v1/jobs/{id}/{word}"))
        };
        let held = order(&house, ALICE, "hold").expect(200);
        assert_eq!(
            (&held["held_by"], &held["state_reason"]),
            (&json!("user"), &json!("JobHeldUser"))
        );
        let free = order(&house, ALICE, "release").expect(200);
        assert_eq!((&free["held"], &free["held_by"]), (&json!(false), &Value::Null));
        order(&house, ALICE, "hold").expect(200);
        let held = order(&house, BOB, "hold").expect(200);
        let by = (&held["held_by"], &held["state_reason"]);
        assert_eq!(by, (&json!("operator"), &json!("JobHeldAdmin")));
        for again in ["after she asked", "after she held it too", "after a restart"] {
            let refused = order(&house, ALICE, "release").expect(403);
            assert_eq!(refused["code"], "not_permitted", "{again}: {refused}");
            let job = house.ask(ALICE, &format!("GET /api/v1/jobs/{id}")).expect(200);
            assert_eq!(job["held_by"], "operator", "{again}");
            match again {
                "after she asked" => drop(order(&house, ALICE, "hold").expect(200)),
                "after she held it too" => {
                    house.down();
                    house.up();
                }
                _ => {}
            }
        }
        let free = order(&house, BOB, "release").expect(200);
        assert_eq!((&free["held"], &free["held_by"]), (&json!(false), &Value::Null));
        order(&house, ALICE, "hold").expect(200);
        order(&house, ALICE, "release").expect(200);
        let own = house.submit(BOB, waiting);
        let held = house.ask(BOB, &format!("POST /api/v1/jobs/{own}/hold")).expect(200);
        assert_eq!(held["held_by"], "user", "an operator's own job is held by its user");
        let array = house.submit(ALICE, json!({"script": "true", "array": "0-3", "held": true}));
        house.ask(BOB, &format!("POST /api/v1/jobs/{array}_2/hold")).expect(200);
        let task = format!("POST /api/v1/jobs/{array}_2/release");
        house.ask(ALICE, &task).expect(403);
        house.ask(ALICE, &format!("POST /api/v1/jobs/{array}_1/release")).expect(200);
    }

    pub fn bob_gives_no_orders_about_alice_s_job_and_reads_nothing_of_it(house: House) {
        let held = json!({"script": HELD, "held": true, "labels": {"k": "v"}, "name": "hers"});
        let id = house.submit(ALICE, held);
        let mut array = json!({"script": "true", "held": true, "array": "0-5"});
        let whole = house.submit(ALICE, array.take());
        let before = house.ask(ALICE, &format!("GET /api/v1/jobs/{id}")).bytes;
        for of in [id.to_string(), whole.to_string(), format!("{whole}_4")] {
            for (order, body) in orders(&of) {
                let answer = house.ask_with(BOB, &order, "", body);
                assert_eq!(answer.status, 403, "{order}: {}", answer.bytes);
                let code = &answer.json["code"];
                assert_eq!(code, "not_permitted", "{order}: {}", answer.bytes);
            }
            for question in questions(&of) {
                let answer = house.ask(BOB, &question);
                assert_eq!(answer.status, 403, "{question}: {}", answer.bytes);
            }
        }
        assert_eq!(house.ask(ALICE, &format!("GET /api/v1/jobs/{id}")).bytes, before);
        let seen = house.ask(BOB, &format!("GET /api/v1/jobs/{id}")).expect(200);
        let public = (&seen["name"], &seen["user"], &seen["state"], &seen["redacted"]);
        assert_eq!(public, (&json!("hers"), &json!(ALICE), &json!("PENDING"), &json!(true)));
        for hidden in ["comment", "working_directory", "stdout_path", "error", "dependency"] {
            assert_eq!(seen[hidden], Value::Null, "{hidden}");
        }
        assert_eq!((&seen["labels"], &seen["args"]), (&json!({}), &json!([])));
        let by_label = house.ask(BOB, "GET /api/v1/jobs?label=k:v").expect(200);
        assert_eq!(by_label["jobs"], json!([]), "what cannot be read cannot be found out");
        let own = house.ask(ALICE, "GET /api/v1/jobs?label=k:v").expect(200);
        assert_eq!(own["jobs"][0]["comment"], "quiet");
        assert_eq!(house.ask(BOB, "GET /api/v1/allocations").expect(200), json!([]));
        for of_the_server in
            ["POST /api/v1/maintenance", "GET /api/v1/audit", "GET /api/v1/history"]
        {
            assert_eq!(house.ask(BOB, of_the_server).status, 403, "{of_the_server}");
        }
        let raised = json!({"script": "true", "priority": 1});
        house.post(BOB, "/api/v1/jobs", &raised).expect(403);
    }

    pub fn a_coordinator_gives_orders_in_his_account_and_reads_no_output(house: House) {
        let of = |account: &str| json!({"script": HELD, "held": true, "account": account});
        let id = house.submit(ALICE, of("physics"));
        let other = house.submit(ALICE, of("art"));
        let refused = house.post(CAROL, "/api/v1/jobs", &of("physics")).expect(403);
        assert_eq!(refused["errors"][0]["field"], "account", "{refused}");
        let carols = house.submit(CAROL, of("art"));
        let into = json!({"account": "physics"}).to_string();
        let path = format!("PATCH /api/v1/jobs/{carols}");
        let refused = house.ask_with(CAROL, &path, "", &into).expect(403);
        assert_eq!(refused["errors"][0]["field"], "account", "{refused}");
        let script = house.ask(BOB, &format!("GET /api/v1/jobs/{id}/script"));
        assert_eq!(script.status, 200, "{}", script.bytes);
        house.ask(BOB, &format!("GET /api/v1/jobs/{id}/stdout")).expect(403);
        let raise = json!({"priority": 5}).to_string();
        house.ask_with(BOB, &format!("PATCH /api/v1/jobs/{id}"), "", &raise).expect(403);
        house.ask(BOB, &format!("POST /api/v1/jobs/{id}/release")).expect(200);
        house.ask(BOB, &format!("DELETE /api/v1/jobs/{other}")).expect(403);
        house.ended(ALICE, id);
        let asked = "SELECT group_concat(verb || ' ' || name) AS line FROM audit WHERE target = 1";
        assert_eq!(house.sql(asked), format!("submit {ALICE},release {BOB}"));
    }

    pub fn in_a_private_house_bob_finds_nothing_of_alice_at_any_door(house: House) {
        let body = json!({"script": "sleep 100", "name": "hers", "labels": {"k": "v"}});
        let id = house.submit(ALICE, body);
        house.ask(ALICE, &format!("GET /api/v1/jobs/{id}/wait?timeout_s=0")).expect(200);
        super::super::until_now("her job to run", || {
            let job = house.ask(ALICE, &format!("GET /api/v1/jobs/{id}")).expect(200);
            if job["state"] == "RUNNING" { Ok(()) } else { Err(job.to_string()) }
        });
        let missing = |of: &str| {
            let paths = [
                "",
                "/script",
                "/stdout",
                "/events",
                "/attempts",
                "/priority",
                "/array",
                "/dependents",
            ];
            let asked = paths.iter().map(|rest| format!("GET /api/v1/jobs/{of}{rest}"));
            let mut all: Vec<(String, &str)> = asked.map(|asked| (asked, "")).collect();
            all.extend(orders(of));
            all.push((format!("GET /api/v1/jobs/{of}/wait?timeout_s=0"), ""));
            all.push((format!("GET /jobs/query/{of}"), ""));
            let number = "X-Request-ID: same\r\n";
            let ask = |(asked, body): &(String, &str)| {
                let answer = house.ask_with(BOB, asked, number, body);
                (answer.status, answer.bytes.replace(of, "N"))
            };
            all.iter().map(ask).collect::<Vec<_>>()
        };
        let (hidden, none) = (missing(&id.to_string()), missing("987654"));
        assert_eq!(hidden, none, "hidden equals missing, byte for byte");
        assert!(hidden.iter().all(|(status, _)| *status == 404), "{hidden:?}");
        for list in ["", "?name=hers", "?label=k:v", "?user=dbt-alice", "?ids=1", "?sort=cpus"] {
            let page = house.ask(BOB, &format!("GET /api/v1/jobs{list}")).expect(200);
            assert_eq!(page["jobs"], json!([]), "{list}");
        }
        let dashboard = house.ask(BOB, "GET /api/v1/dashboard").expect(200);
        assert_eq!(dashboard["running_jobs"], json!([]));
        assert_eq!(dashboard["job_stats"]["running"], 1, "counts stay");
        of_those_who_wait_for_his_job_bob_sees_his_own(&house);
        let overview = house.ask(BOB, "GET /api/v1/overview").expect(200);
        assert_eq!((&overview["counts"], &overview["ended_today"]), (&json!(null), &json!(null)));
        let resources = house.ask(BOB, "GET /api/v1/resources").expect(200).to_string();
        assert!(!resources.contains(&format!("\"job_id\":{id}")), "{resources}");
        // Root asks too, so that somebody looks; his are numbers.
        super::super::until_now("loads", || {
            let all = house.ask("root", "GET /api/v1/resources").expect(200);
            if all["cpus"].to_string().contains("\"load\":null") {
                Err(all.to_string())
            } else {
                Ok(())
            }
        });
        let his = house.ask(BOB, "GET /api/v1/resources").expect(200);
        let hidden = his["cpus"].as_array().unwrap().iter().all(|cpu| cpu["load"].is_null());
        assert!(hidden, "of what she holds and of what is free alike: {his}");
        assert_eq!(house.ask(BOB, "GET /api/v1/allocations").expect(200), json!([]));
        let behind = json!({"script": "true", "dependency": format!("afterok:{id}")});
        let refused = house.post(BOB, "/api/v1/jobs", &behind).expect(422);
        let behind = json!({"script": "true", "dependency": "afterok:987654"});
        let unknown = house.post(BOB, "/api/v1/jobs", &behind).expect(422);
        let said = |of: &Value| of["errors"].to_string().replace(&id.to_string(), "N");
        assert_eq!(said(&refused), said(&unknown).replace("987654", "N"));
        // 200 when it has ended by now.
        assert!(
            [200, 202].contains(&house.ask(ALICE, &format!("DELETE /api/v1/jobs/{id}")).status)
        );
    }

    pub fn an_operator_gives_orders_about_all_jobs(house: House) {
        let me = house.ask(BOB, "GET /api/v1/me").expect(200);
        assert_eq!(me["role"], "operator");
        let id = house.submit(ALICE, json!({"script": HELD, "held": true}));
        for question in questions(&id.to_string()) {
            assert_eq!(house.ask(BOB, &question).status, 200, "{question}");
        }
        house.ask(BOB, &format!("DELETE /api/v1/jobs/{id}")).expect(200);
        let theirs = json!({"script": "true", "user": ALICE});
        house.post(BOB, "/api/v1/jobs", &theirs).expect(403);
        let drained = house.ask_with(BOB, "POST /api/v1/maintenance", "", "{}").expect(201);
        assert_eq!(drained["principal"], BOB);
    }

    pub fn what_everybody_may_read_names_no_paths_and_no_tokens(house: House) {
        let id = house.submit(ALICE, json!({"script": "true", "comment": "quiet-remark"}));
        house.ended(ALICE, id);
        for page in ["GET /metrics", "GET /api/v1/info", "GET /openapi.json"] {
            let text = house.ask(BOB, page).bytes;
            for secret in [ALICE, "quiet-remark", "dbt_"] {
                assert!(!text.contains(secret), "{page} names {secret}");
            }
        }
    }

    pub fn a_link_in_the_place_of_her_output_or_its_folder_shows_nothing_of_root_s(house: House) {
        let place = tempfile::tempdir().unwrap();
        super::super::mode(place.path(), 0o777);
        let folder = place.path().join("w");
        let script =
            format!("#!/bin/sh\n#SBATCH -o {0}/out\nmkdir -p {0}; echo hers", folder.display());
        let make = format!("mkdir {}", folder.display());
        let first = house.submit(ALICE, json!({"script": format!("#!/bin/sh\n{make}")}));
        house.ended(ALICE, first);
        let id = house.submit(ALICE, json!({"script": script}));
        house.ended(ALICE, id);
        let stdout = format!("GET /api/v1/jobs/{id}/stdout");
        assert_eq!(house.ask(ALICE, &stdout).bytes, "hers\n");
        let secret = std::fs::read_to_string("/etc/shadow").unwrap();
        let line = secret.lines().next().unwrap();
        let links = [
            format!("ln -sf /etc/shadow {}/out", folder.display()),
            format!(
                "mv {0} {0}.away; ln -s /etc {0}; ln -sf /etc/shadow {0}.away/out",
                folder.display()
            ),
        ];
        for link in links {
            let swap = house.submit(ALICE, json!({"script": format!("#!/bin/sh\n{link}")}));
            house.ended(ALICE, swap);
            for name in [ALICE, "root"] {
                for more in ["", "?tail=5", "?offset=0&limit=9", "?follow=true"] {
                    let answer = house.ask(name, &format!("{stdout}{more}"));
                    assert!(!answer.bytes.contains(line), "{name} {more}: {}", answer.bytes);
                }
            }
        }
    }

    pub fn an_old_job_is_forgotten_with_what_she_left_in_its_folder(house: House) {
        let script = "#!/bin/sh\nmkdir -p a/b; touch a/b/c; chmod 0 a; ln -s /etc etc; echo out\n\
                      mkdir many; cd many; seq 100000 | xargs touch; touch ../ready\n\
                      while [ -e ../ready ]; do sleep 0.1; done";
        let id = house.submit(ALICE, json!({"script": script}));
        let folder = house.home.path().join(format!("data/jobs/{id}"));
        let work = folder.join("work");
        super::super::until_now("the files to be there", || {
            work.join("ready").metadata().map(drop).map_err(|error| error.to_string())
        });
        // What is another's, in her folder.
        std::fs::create_dir(work.join("bobs")).unwrap();
        std::fs::write(work.join("bobs/file"), "his").unwrap();
        std::fs::remove_file(work.join("ready")).unwrap();
        house.ended(ALICE, id);
        assert!(folder.join("work/etc").symlink_metadata().is_ok());
        super::super::until_now("the job to be forgotten", || {
            match house.ask(ALICE, &format!("GET /api/v1/jobs/{id}")).status {
                404 => Ok(()),
                status => Err(status.to_string()),
            }
        });
        assert!(!folder.exists());
        assert!(std::path::Path::new("/etc/passwd").exists());
    }
}
