//! *Purpose*: every verb does what its name says.
//!
//! *Owns*: what is printed, `--json`, and what goes along with a submit.
//!
//! *Promises*: JSON of a verb is parsed and compared with the job.
//!
//! *Not here*: exit codes of jobs (`codes`), the server's own verbs (`serve`).

use serde_json::{Value, json};

use crate::common::{Server, until};
use crate::help::{call, client, finish, script};

cases! {
    a_script_is_submitted_from_a_file_and_from_standard_input => ["submit"],
    submit_sends_folder_and_variables_as_sbatch_does => ["submit"],
    every_flag_of_submit_reaches_the_job => ["submit", "show"],
    show_tells_what_a_job_used_of_what_it_asked => ["show"],
    a_key_submits_once => ["submit"],
    cancel_goes_on_past_a_job_that_is_not_there => ["cancel"],
    jobs_are_selected_by_what_they_are => ["cancel", "hold", "release", "wait", "logs", "show"],
    wait_ends_with_the_first_in_time_or_when_it_can_never_be =>  ["wait"],
    pending_jobs_are_held_released_and_changed => ["hold", "release", "update", "submit"],
    any_part_of_a_job_is_changed => ["update"],
    a_job_is_requeued_and_its_attempts_are_shown => ["requeue", "show", "submit"],
    a_running_job_is_sent_a_signal => ["signal", "submit"],
    a_running_job_is_suspended_and_goes_on => ["suspend", "unsuspend", "show", "queue"],
    a_server_is_drained_and_resumed => ["drain", "resume", "status", "queue"],
    status_and_audit_tell_the_server_s_numbers => ["status", "audit"],
    whoami_says_whom_the_server_takes_somebody_for => ["whoami"],
    history_tells_who_asked_for_what => ["history"],
    usage_adds_up_since_today_as_a_table_and_as_csv => ["usage"],
    token_tells_that_a_server_of_one_user_has_none_of_users => ["token"],
    partitions_are_listed => ["partitions"],
    completions_are_a_script_that_the_shell_reads => ["completions"],
    a_program_of_slurm_is_called_by_its_name => ["slurm"],
    every_query_verb_speaks_json => ["queue", "list", "show", "wait", "status", "audit", "cancel",
        "submit"],
    a_token_is_taken_from_variable_and_file => ["status"],
}

fn a_script_is_submitted_from_a_file_and_from_standard_input() {
    let server = Server::start();
    script(&server, "a.sh", "#!/bin/bash\n#SBATCH --mail-type=END\necho from file\n");
    let said = call(&server, &["submit", "a.sh"]).ends(0);
    assert_eq!(said.out, "Submitted job 1\n");
    assert!(said.err.contains("mail-type"), "warnings are remarks: {said:?}");
    let job = server.ended(1);
    assert_eq!((job["name"].as_str(), job["data_source"].as_str()), (Some("a.sh"), Some("CLI")));
    assert_eq!(job["user"], "me");
    assert_eq!(server.stdout(1), "from file\n");
    let said =
        finish(client(&server, &["submit", "--wait", "-"]), "echo from stdin; exit 6").ends(6);
    assert!(said.out.contains("Submitted job 2\n") && said.out.contains("FAILED 6:0"), "{said:?}");
    assert_eq!(server.stdout(2), "from stdin\n");
    let said = call(&server, &["submit", "no-such-script"]).ends(2);
    assert!(said.err.contains("no-such-script"), "{said:?}");
    script(&server, "blank.sh", " \n");
    let said = call(&server, &["submit", "blank.sh"]).ends(1);
    assert!(said.err.contains("script"), "a refusal names its field: {said:?}");
    assert_eq!(server.run("true"), 3);
}

fn a_program_of_slurm_is_called_by_its_name() {
    let server = Server::start();
    let said = call(&server, &["slurm", "sbatch", "--parsable", "-H", "--wrap", "true"]).ends(0);
    assert_eq!(said.out, "1\n");
    let said = call(&server, &["slurm", "squeue", "-h", "-o", "%i %t"]).ends(0);
    assert_eq!(said.out, "1 PD\n");
    for words in [&["slurm"][..], &["slurm", "qsub"]] {
        let said = call(&server, words).ends(2);
        assert!(said.err.contains("sbatch") && said.err.contains("install --dir"), "{said:?}");
    }
}

fn submit_sends_folder_and_variables_as_sbatch_does() {
    let server = Server::start();
    let folder = server.dir.path().join("here");
    std::fs::create_dir(&folder).unwrap();
    let lines = "pwd; echo \"${MINE-none} ${OTHER-none} ${DOWNBEAT_TOKEN-none} $DOWNBEAT_SERVER\"";
    script(&server, "e.sh", lines);
    for (id, flags, says) in [
        (1, vec![], "a b o none"),
        (2, vec!["--export", "ALL"], "a b o none"),
        (3, vec!["--export", "NONE"], "none none none"),
        (4, vec!["--export", "MINE,DOWNBEAT_TOKEN"], "a b none none"),
        (5, vec!["--export", "OTHER=x"], "none x none"),
    ] {
        let mut words = vec!["submit"];
        words.extend(flags);
        words.push("../e.sh");
        let mut command = client(&server, &words);
        command
            .current_dir(&folder)
            .env("MINE", "a b")
            .env("OTHER", "o")
            .env("DOWNBEAT_TOKEN", "t");
        finish(command, "").ends(0);
        server.ended(id);
        assert_eq!(
            server.stdout(id),
            format!("{}\n{says} {}\n", folder.display(), server.url),
            "{words:?}"
        );
    }
}

fn every_flag_of_submit_reaches_the_job() {
    let server = Server::start();
    script(&server, "f.sh", "true");
    let folder = server.dir.path().display().to_string();
    let line = "submit -J name -c 2 --mem 100 -t 1:30 -o o-%j -e e-%j -D . -A acct -p part \
                --priority -5 --label a=b --label c=d --comment remark --kill-grace 7s f.sh";
    let words: Vec<&str> = line.split_whitespace().collect();
    call(&server, &words).ends(0);
    let job = call(&server, &["show", "1", "--json"]).ends(0).json();
    for (field, value) in [
        ("name", json!("name")),
        ("cpus", json!(2)),
        ("memory_bytes", json!(100 << 20)),
        ("time_limit_s", json!(90)),
        ("standard_output", json!(format!("{folder}/o-1"))),
        ("standard_error", json!(format!("{folder}/e-1"))),
        ("working_directory", json!(folder)),
        ("account", json!("acct")),
        ("partition", json!("part")),
        ("priority", json!(-5)),
        ("labels", json!({"a": "b", "c": "d"})),
        ("comment", json!("remark")),
    ] {
        assert_eq!(job[field], value, "{field}");
    }
    assert_eq!(
        server.sql("SELECT json_extract(spec, '$.kill_grace_s') || '' AS line FROM jobs"),
        "7"
    );
    call(&server, &["submit", "--exclusive", "f.sh"]).ends(0);
    assert_eq!(server.job(2)["cpus"], 4);
}

fn a_key_submits_once() {
    let server = Server::start();
    script(&server, "k.sh", "true");
    for _ in 0..2 {
        let said = call(&server, &["submit", "--idempotency-key", "k", "k.sh"]).ends(0);
        assert_eq!(said.out, "Submitted job 1\n");
    }
    call(&server, &["submit", "--idempotency-key", "k", "-c", "2", "k.sh"]).ends(1);
    assert_eq!(server.sql("SELECT count(*) || '' AS line FROM jobs"), "1");
}

fn cancel_goes_on_past_a_job_that_is_not_there() {
    let server = Server::start();
    let ids = [server.run("sleep 600"), server.run("sleep 600")];
    for id in ids {
        server.started(id);
    }
    let said = call(&server, &["cancel", "1", "77", "2"]).ends(1);
    assert!(said.err.contains("77"), "{said:?}");
    assert!(said.out.contains("job 1 ") && said.out.contains("job 2 "), "{said:?}");
    for id in ids {
        assert_eq!(server.ended(id)["state"], "CANCELLED");
    }
    let said = call(&server, &["cancel", "1"]).ends(0);
    assert!(said.out.contains("ended already"), "{said:?}");
    // What waits has not ended before; neither have tasks that are no jobs of their own yet.
    server.submit(&json!({"script": "true", "held": true}));
    server.submit(&json!({"script": "true", "held": true, "array": "0-5"}));
    let waited = "is cancelled, it had not started (CANCELLED)\n";
    let said = call(&server, &["cancel", "3", "4_[3-4]", "4"]).ends(0);
    let each = ["3", "4_3", "4_4", "4"].map(|id| format!("job {id} {waited}"));
    assert_eq!(said.out, each.concat());
    let said = call(&server, &["cancel", "3", "4_3", "4"]).ends(0);
    let each = ["3", "4_3", "4"].map(|id| format!("job {id} had ended already (CANCELLED)\n"));
    assert_eq!(said.out, each.concat());
    server.is_clean();
}

fn jobs_are_selected_by_what_they_are() {
    let server = Server::start();
    let submit = |body: serde_json::Value| server.submit(&body);
    submit(json!({"script": "echo one", "name": "a", "user": "me", "held": true}));
    submit(json!({"script": "echo two", "name": "ab", "user": "ann", "labels": {"k": "v"},
        "held": true}));
    submit(json!({"script": "sleep 600", "name": "b", "account": "lab", "user": "me"}));
    server.started(3);
    submit(json!({"script": "true", "array": "0-3%1", "name": "tasks", "held": true}));
    let said = |words: &[&str]| {
        let said = call(&server, words);
        let ids = said.out.lines().filter_map(|line| line.split(' ').nth(1));
        (said.code, ids.map(str::to_owned).collect::<Vec<_>>().join(" "))
    };
    let done = |ids: &str| (Some(0), ids.to_owned());
    assert_eq!(said(&["hold", "1-2"]), done("1 2"));
    assert_eq!(said(&["hold", "--name", "a*"]), done("1 2"));
    assert_eq!(said(&["hold", "--label", "k=v"]), done("2"));
    assert_eq!(said(&["hold", "--me"]), done("1"), "what runs cannot be held");
    assert_eq!(said(&["hold", "--all", "--user", "me", "1-3"]), done("1"));
    assert_eq!(said(&["hold", "--all"]), done("1 2 4"));
    assert_eq!(said(&["hold", "last"]), (Some(1), String::new()), "my last one runs");
    assert_eq!(said(&["release", "4_[1-2]"]), done("4_1 4_2"));
    call(&server, &["wait", "4_[1-2]"]).ends(0);
    // What is left of the array waits, and nothing else of it is cancelled.
    assert_eq!(said(&["cancel", "--state", "pending", "--name", "tasks"]), done("4_0 4_3"));
    assert_eq!(server.get("/api/v1/jobs/4_1").expect(200).json()["state"], "COMPLETED");
    let shown = call(&server, &["show", "--account", "lab"]).ends(0).out;
    assert!(shown.starts_with("job:") && shown.contains("lab"), "{shown}");
    assert_eq!(call(&server, &["show", "1-2"]).ends(0).out.matches("name:").count(), 2);
    call(&server, &["release", "1-2"]).ends(0);
    call(&server, &["wait", "1-2"]).ends(0);
    let logs = call(&server, &["logs", "1-2", "77"]).ends(1);
    assert_eq!(logs.out, "one\ntwo\n");
    assert!(logs.err.starts_with("==> job 1 <==\n==> job 2 <==\n"), "{logs:?}");
    assert_eq!(said(&["cancel", "--all"]), done("3"));
    assert_eq!(said(&["cancel", "--state", "pending"]), done(""), "nobody is an answer too");
    let bad = call(&server, &["cancel", "--name", "x", "4_1"]).ends(2);
    assert!(bad.err.contains("4_1"), "{bad:?}");
    for verb in ["cancel", "hold", "wait", "show", "logs", "requeue"] {
        let bad = call(&server, &[verb]).ends(2);
        assert!(bad.err.contains("--all"), "{bad:?}");
    }
}

fn wait_ends_with_the_first_in_time_or_when_it_can_never_be() {
    let server = Server::start();
    let gate = server.dir.path().join("gate");
    let wait = format!("until [ -e '{}' ]; do sleep 0.02; done", gate.display());
    let late = server.run(&format!("{wait}; exit 5"));
    server.started(late);
    let failed = server.run("exit 3");
    let said = call(&server, &["wait", "--any", "1-2"]).ends(3);
    assert_eq!(said.out, "job 2 FAILED 3:0\n");
    let said = call(&server, &["wait", "--timeout", "1s", "1"]).ends(1);
    assert_eq!(said.err, "downbeat: job 1 has not ended in 1s\n");
    let depends = json!({"script": "true", "dependency": format!("afterok:{failed}")});
    server.submit(&depends);
    let said = call(&server, &["wait", "3"]).ends(1);
    assert!(said.err.contains("job 3 cannot start: job 2 did not end as it asked"), "{said:?}");
    // Also when that comes about while it is waited for.
    server.submit(&json!({"script": "true", "dependency": format!("afterok:{late}")}));
    let waiter = client(&server, &["wait", "4"]).spawn().unwrap();
    std::fs::write(gate, "").unwrap();
    let done = waiter.wait_with_output().unwrap();
    assert_eq!(done.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&done.stderr).contains("job 4 cannot start: job 1 did not"));
    call(&server, &["wait", "--timeout", "10m", "1"]).ends(5);
}

fn pending_jobs_are_held_released_and_changed() {
    let server = Server::start();
    script(&server, "a.sh", "true\n");
    let said = call(&server, &["submit", "--hold", "--time", "1h", "a.sh"]).ends(0);
    assert_eq!(said.out, "Submitted job 1\n");
    let said = call(&server, &["submit", "--test-only", "-d", "afterok:1", "a.sh"]).ends(0);
    assert!(said.out.contains("Dependency: waits for job 1"), "{said:?}");
    assert!(said.out.ends_with("Nothing was submitted.\n"), "{said:?}");
    call(&server, &["submit", "--begin", "never", "a.sh"]).ends(2);
    let flags = ["submit", "-d", "afterany:1", "--begin", "now+1h", "--deadline", "now+2h", "a.sh"];
    call(&server, &flags).ends(0);
    assert_eq!(server.job(2)["dependency"], "afterany:1");
    let said = call(&server, &["hold", "2", "77"]).ends(1);
    assert_eq!(said.out, "job 2 is held (PENDING JobHeldUser)\n");
    assert!(said.err.contains("77"), "{said:?}");
    let said = call(&server, &["update", "--priority", "-4", "-t", "5m", "1"]).ends(0);
    assert_eq!(said.out, "job 1 is changed (PENDING JobHeldUser)\n");
    let job = server.job(1);
    assert_eq!((&job["priority"], &job["time_limit_s"]), (&json!(-4), &json!(300)));
    let said = call(&server, &["update", "1"]).ends(2);
    assert!(said.err.contains("--priority"), "{said:?}");
    let said = call(&server, &["show", "1"]).ends(0);
    assert!(said.out.contains("`downbeat release 1`"), "{said:?}");
    call(&server, &["release", "1", "2"]).ends(0);
    assert_eq!(server.ended(1)["state"], "COMPLETED");
    call(&server, &["update", "--begin", "now", "2"]).ends(0);
    assert_eq!(server.ended(2)["state"], "COMPLETED");
    let said = call(&server, &["release", "--json", "1"]).ends(1);
    assert!(said.err.contains("only a job that waits or runs"), "{said:?}");
}

fn any_part_of_a_job_is_changed() {
    let server = Server::start();
    let first = server.submit(&json!({"script": "true", "held": true, "labels": {"a": "1"}}));
    let second =
        server.submit(&json!({"script": "true", "dependency": format!("afterok:{first}")}));
    let flags =
        "update --cpus 2 --mem 100 -J new -A physics --comment soon --label b=2 --unlabel a";
    let words: Vec<&str> = flags.split(' ').chain(["1"]).collect();
    let said = call(&server, &words).ends(0);
    assert_eq!(said.out, "job 1 is changed (PENDING JobHeldUser)\n");
    let job = server.job(first);
    assert_eq!((&job["cpus"], &job["memory_bytes"]), (&json!(2), &json!(100 << 20)));
    assert_eq!((&job["name"], &job["account"]), (&json!("new"), &json!("physics")));
    assert_eq!((&job["comment"], &job["labels"]), (&json!("soon"), &json!({"b": "2"})));
    call(&server, &["update", "-d", "none", "2"]).ends(0);
    assert_eq!(server.ended(second)["state"], "COMPLETED");
    let said = call(&server, &["update", "-d", "afterok:1", "1"]).ends(1);
    assert!(said.err.contains("would wait for itself"), "{said:?}");
    let running = server.run("exec sleep 600");
    server.started(running);
    let said = call(&server, &["update", "-t", "1h", "1", "3"]).ends(0);
    assert_eq!(said.out.lines().last(), Some("job 3 is changed (RUNNING)"));
    let said = call(&server, &["update", "--cpus", "1", "3"]).ends(1);
    assert!(said.err.contains("of a running job time_limit"), "{said:?}");
    call(&server, &["update", "--label", "no", "1"]).ends(2);
    call(&server, &["update", "--comment", "nobody"]).ends(2);
}

fn a_job_is_requeued_and_its_attempts_are_shown() {
    let server = Server::start();
    script(&server, "a.sh", "exit $((4 - DOWNBEAT_ATTEMPT))\n");
    let flags = ["submit", "--retry", "1", "--retry-on", "exit_code:3", "--retry-delay", "0"];
    let mut words = flags.to_vec();
    words.extend(["-t", "1h", "--signal", "SIGUSR1@5", "a.sh"]);
    call(&server, &words).ends(0);
    let job = server.ended(1);
    assert_eq!((&job["attempt"], &job["exit_code"]), (&json!(2), &json!("2:0")), "{job}");
    let said = call(&server, &["show", "1"]).ends(0);
    for words in [
        "1 of 1 used, after exit_code:3; waits from 0 s to 3600 s",
        "1 FAILED 3:0, started ",
        "2 FAILED 2:0, started ",
        "of the last attempt alone",
        "USR1@5",
    ] {
        assert!(said.out.contains(words), "{words}: {said:?}");
    }
    let said = call(&server, &["requeue", "--hold", "1", "77"]).ends(1);
    assert_eq!(said.out, "job 1 is requeued (PENDING JobHeldUser)\n");
    assert!(said.err.contains("77"), "{said:?}");
    let said = call(&server, &["requeue", "1"]).ends(1);
    assert!(said.err.contains("waits already"), "{said:?}");
    let said = call(&server, &["show", "1"]).ends(0);
    assert!(said.out.contains("the next attempt writes its files anew"), "{said:?}");
    call(&server, &["release", "1"]).ends(0);
    assert_eq!(server.ended(1)["exit_code"], "1:0");
    let said = call(&server, &["requeue", "--json", "1"]).ends(0).json();
    assert_eq!((&said["id"], &said["restart_count"]), (&json!(1), &json!(3)));
    call(&server, &["submit", "--retry-on", "failed", "a.sh"]).ends(2);
}

fn a_running_job_is_sent_a_signal() {
    let server = Server::start();
    let text = "trap 'echo heard; kill $!; exit 3' TERM\necho up\nsleep 600 & wait\n";
    script(&server, "a.sh", text);
    call(&server, &["submit", "a.sh"]).ends(0);
    until("the trap", || match server.stdout(1).as_str() {
        "up\n" => Ok(()),
        other => Err(other.to_owned()),
    });
    let said = call(&server, &["signal", "--to", "script", "SIGTERM", "1", "77"]).ends(1);
    assert_eq!(said.out, "job 1 is sent SIGTERM: its script\n");
    assert!(said.err.contains("job 77"), "{said:?}");
    assert_eq!(server.ended(1)["exit_code"], "3:0");
    assert_eq!(server.stdout(1), "up\nheard\n");
    let said = call(&server, &["signal", "TERM", "1"]).ends(1);
    assert!(said.err.contains("is FAILED; a signal is for a job that runs"), "{said:?}");
    let said = call(&server, &["signal", "USR3", "1"]).ends(1);
    assert!(said.err.contains("\"USR3\" is not a signal"), "{said:?}");
    call(&server, &["signal", "--to", "them", "TERM", "1"]).ends(2);
}

fn a_running_job_is_suspended_and_goes_on() {
    let server = Server::start();
    let id = server.run("sleep 600").to_string();
    server.started(1);
    let said = call(&server, &["suspend", &id, "77"]);
    if said.err.contains("no job can be suspended") {
        return println!("SKIPPED a_running_job_is_suspended_and_goes_on: {}", said.err);
    }
    let said = said.ends(1);
    let wanted = "job 1 is suspended; it keeps its CPUs, and its time limit stands still\n";
    assert_eq!(said.out, wanted);
    assert!(said.err.contains("job 77"), "{said:?}");
    let said = call(&server, &["show", &id]).ends(0);
    assert!(said.out.contains("RUNNING") && said.out.contains("It is suspended since"), "{said:?}");
    let said = call(&server, &["queue"]).ends(0);
    assert!(said.out.contains("Suspended"), "{said:?}");
    let said = call(&server, &["unsuspend", &id]).ends(0);
    assert_eq!(said.out, "job 1 goes on\n");
    let said = call(&server, &["unsuspend", &id]).ends(1);
    assert!(said.err.contains("is not suspended"), "{said:?}");
    call(&server, &["cancel", &id]).ends(0);
    server.ended(1);
    let said = call(&server, &["suspend", &id]).ends(1);
    assert!(said.err.contains("only a job that runs can be suspended"), "{said:?}");
}

fn a_server_is_drained_and_resumed() {
    let server = Server::start();
    let said = call(&server, &["drain", "--reason", "new disks"]).ends(0);
    assert!(said.out.starts_with("window 1: no job may run from "), "{said:?}");
    assert!(said.out.ends_with(" until `downbeat resume`: new disks\n"), "{said:?}");
    let id = server.run("true");
    let said = call(&server, &["queue"]).ends(0);
    assert!(said.out.contains("ReqNodeNotAvail"), "{said:?}");
    let said = call(&server, &["show", &id.to_string()]).ends(0);
    assert!(said.out.contains(": the server is drained (new disks) since "), "{said:?}");
    let said = call(&server, &["status"]).ends(0);
    assert!(said.out.contains("maintenance: window 1:"), "{said:?}");
    call(&server, &["drain", "--from", "now+1h", "--until", "now"]).ends(1);
    let said = call(&server, &["resume"]).ends(0);
    assert_eq!(said.out, "window 1 is over; jobs start again\n");
    assert_eq!(server.ended(id)["state"], "COMPLETED");
    let said = call(&server, &["resume"]).ends(0);
    assert_eq!(said.out, "the server was not drained\n");
    call(&server, &["resume", "7"]).ends(1);
    call(&server, &["drain", "--from", "tomorrow"]).ends(0);
    let said = call(&server, &["resume", "1"]).ends(0);
    assert_eq!(said.out, "window 1 had not begun; it is taken back\n");
}

fn whoami_says_whom_the_server_takes_somebody_for() {
    let server = Server::start();
    let said = call(&server, &["whoami", "--json"]).ends(0).json();
    let uid = rustix::process::geteuid().as_raw();
    assert_eq!((&said["uid"], &said["via"]), (&json!(uid), &json!("tcp")), "{said}");
    let said = call(&server, &["whoami"]).ends(0).out;
    let name = format!("({uid}), administrator, at {}", server.url);
    assert!(said.contains(&name), "{said}");
}

fn show_tells_what_a_job_used_of_what_it_asked() {
    let server = Server::start();
    let id = server.submit(&json!({"script": "true", "cpus": 4, "memory": "8G"}));
    server.ended(id);
    let line = |name: &str| {
        let said = call(&server, &["show", &id.to_string()]).ends(0).out;
        let line = said.lines().find(|line| line.starts_with(name)).map(str::to_owned);
        line.map(|line| line.split_once(':').unwrap().1.trim().to_owned())
    };
    assert!(line("used of asked").unwrap().contains(" of 4 CPUs, "), "{:?}", line("used of asked"));
    assert_eq!(line("advice"), None, "it ran too short");
    let set = "start_time = end_time - 100000000, user_cpu_us = 90000000, system_cpu_us = 0";
    server.sql(&format!("UPDATE jobs SET {set} WHERE id = {id} RETURNING '' AS line"));
    let series = r#"{"start":0,"step_s":10,"cpus_busy":[950],"rss_bytes":[5],"gpu_load":[null]}"#;
    server.sql(&format!(
        "REPLACE INTO attempt_usage VALUES ({id}, 1, '{series}') RETURNING '' AS line"
    ));
    assert!(line("used of asked").unwrap().starts_with("0.9 of 4 CPUs, "));
    let advice = line("advice").unwrap();
    assert!(advice.ends_with("; `--memory 128M` would be enough"), "{advice}");
}

fn usage_adds_up_since_today_as_a_table_and_as_csv() {
    let server = Server::start();
    let said = call(&server, &["usage"]).ends(0).out;
    assert!(said.starts_with("nothing was used from "), "{said}");
    let id = server.submit(&json!({"script": "true", "user": "o,ne", "account": "a"}));
    server.ended(id);
    let said = call(&server, &["usage", "--since", "now-1h"]).ends(0).out;
    assert!(said.contains("CPU H") && said.contains("o,ne"), "{said}");
    assert!(said.lines().all(|line| line.chars().count() <= 80), "{said}");
    let said = call(&server, &["usage", "--csv"]).ends(0).out;
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines.len(), 2, "{said}");
    assert!(lines[0].starts_with("user,cpu_hours,gpu_hours,jobs,"), "{said}");
    assert!(lines[1].starts_with("\"o,ne\",0.0000"), "{said}");
    let said = call(&server, &["usage", "--by", "account", "--since", "yesterday", "--json"]);
    let said = said.ends(0).json();
    assert_eq!((&said["by"], &said["lines"][0]["name"]), (&json!("account"), &json!("a")));
    call(&server, &["usage", "--since", "soon"]).ends(2);
    let by_day = call(&server, &["usage", "--by", "day", "--json"]).ends(0).json();
    let days = by_day["lines"].as_array().unwrap();
    assert!(!days.is_empty() && days.len() <= 2, "midnight may have passed: {by_day}");
    let shown = call(&server, &["usage", "--by", "day"]).ends(0).out;
    let date = shown.lines().last().unwrap().split_whitespace().next().unwrap();
    assert!(date.len() == 10 && date.starts_with("20"), "{shown}");
    let by_name = call(&server, &["usage", "--by", "name", "--csv"]).ends(0).out;
    assert!(by_name.starts_with("name,cpu_hours,") && by_name.contains("\njob,"), "{by_name}");
    call(&server, &["usage", "--by", "colour"]).ends(2);
}

fn token_tells_that_a_server_of_one_user_has_none_of_users() {
    let server = Server::start();
    assert_eq!(call(&server, &["token", "list"]).ends(0).out, "there are no tokens\n");
    assert_eq!(call(&server, &["token", "list", "--json"]).ends(0).json(), json!([]));
    let said = call(&server, &["token", "create", "--name", "laptop"]).ends(1);
    assert!(said.err.contains("DOWNBEAT_TOKEN") && said.out.is_empty(), "{said:?}");
    // Of a whole text the number is taken; the secret is not said again.
    let said = call(&server, &["token", "revoke", "dbt_0123456789ab_secret"]).ends(1);
    assert!(said.err.contains("no token \"0123456789ab\""), "{said:?}");
    assert!(!said.err.contains("secret"), "{said:?}");
    call(&server, &["token", "revoke", "../jobs/1"]).ends(2);
}

fn history_tells_who_asked_for_what() {
    let server = Server::start();
    let said = call(&server, &["history"]).ends(0).out;
    assert_eq!(said, "nobody has asked for anything that is remembered\n");
    let job = server.submit(&json!({"script": "true", "held": true}));
    call(&server, &["hold", &job.to_string()]).ends(0);
    call(&server, &["cancel", &job.to_string()]).ends(0);
    // What changes nothing is no change.
    call(&server, &["cancel", &job.to_string()]);
    call(&server, &["drain", "--reason", "new disks"]).ends(0);
    let uid = rustix::process::geteuid().as_raw();
    let said = call(&server, &["history", "--json"]).ends(0).json();
    let told = |one: &Value| format!("{} {} {}", one["verb"], one["job_id"], one["uid"]);
    let all: Vec<String> = said.as_array().unwrap().iter().map(told).collect();
    let want = |verb: &str, job: &str| format!("\"{verb}\" {job} {uid}");
    let (one, none) = (job.to_string(), "null".to_owned());
    let wanted = [("drain", &none), ("cancel", &one), ("hold", &one), ("submit", &one)];
    assert_eq!(all, wanted.map(|(verb, job)| want(verb, job)), "{said}");
    let ids: Vec<&str> =
        said.as_array().unwrap().iter().map(|e| e["request_id"].as_str().unwrap()).collect();
    assert!(ids.iter().all(|id| !id.is_empty()), "{said}");
    let said = call(&server, &["history"]).ends(0).out;
    let last = said.lines().last().unwrap();
    assert!(last.contains("drain (new disks)") && last.contains(&format!("({uid})")), "{said}");
    let of = |more: &[&str]| {
        let words: Vec<&str> = ["history", "--json"].iter().chain(more).copied().collect();
        call(&server, &words).ends(0).json().as_array().unwrap().len()
    };
    assert_eq!(of(&["--job", &one]), 3);
    assert_eq!((of(&["-n", "1"]), of(&["--user", "nobody-here"])), (1, 0));
}

fn status_and_audit_tell_the_server_s_numbers() {
    let server = Server::start();
    let id = server.submit(&json!({"script": "sleep 600", "cpus": 3}));
    server.started(id);
    let said = call(&server, &["status"]).ends(0);
    assert!(said.out.contains("3 of 4") && said.out.contains("1 running"), "{said:?}");
    assert!(said.out.contains("ready") && said.out.contains(&server.url), "{said:?}");
    let said = call(&server, &["audit"]).ends(0);
    assert!(said.out.starts_with("consistent"), "{said:?}");
}

fn partitions_are_listed() {
    let server = Server::start();
    let said = call(&server, &["partitions"]).ends(0);
    let line: Vec<&str> = said.out.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!(line, ["default*", "up", "0-3", "4", "4", "0", "0", "UNLIMITED", "-"]);
    let json = call(&server, &["partitions", "--json"]).ends(0).json();
    assert_eq!(json, server.get("/api/v1/partitions").expect(200).json());
}

fn completions_are_a_script_that_the_shell_reads() {
    let server = Server::start();
    let said = call(&server, &["completions", "bash"]).ends(0);
    assert!(said.out.contains("downbeat") && said.out.contains("idempotency-key"), "{}", said.out);
    script(&server, "completions.bash", &said.out);
    let read = std::process::Command::new("bash")
        .arg("-n")
        .arg(server.dir.path().join("completions.bash"))
        .status();
    assert!(read.unwrap().success());
    call(&server, &["completions", "cmd.exe"]).ends(2);
}

fn every_query_verb_speaks_json() {
    let server = Server::start();
    script(&server, "j.sh", "exit 0");
    let job = call(&server, &["submit", "--json", "j.sh"]).ends(0).json();
    assert_eq!(job["id"], 1);
    let ended = call(&server, &["wait", "--json", "1"]).ends(0).json();
    assert_eq!(ended["state"], "COMPLETED");
    let waited = call(&server, &["submit", "--json", "--wait", "j.sh"]).ends(0).json();
    assert_eq!(waited["exit_code"], "0:0");
    for verb in ["queue", "list"] {
        assert_eq!(call(&server, &[verb, "--json"]).ends(0).json()["jobs"], json!([]));
        let all = call(&server, &[verb, "--json", "--all"]).ends(0).json();
        assert_eq!(all["jobs"].as_array().unwrap().len(), 2);
    }
    assert_eq!(call(&server, &["show", "--json", "1"]).ends(0).json(), server.job(1));
    assert_eq!(call(&server, &["cancel", "--json", "1"]).ends(0).json()["state"], "COMPLETED");
    let status = call(&server, &["status", "--json"]).ends(0).json();
    assert_eq!((&status["total_cpus"], &status["job_stats"]["completed"]), (&json!(4), &json!(2)));
    assert_eq!(call(&server, &["audit", "--json"]).ends(0).json()["consistent"], true);
}

fn a_token_is_taken_from_variable_and_file() {
    let mut server = Server::unstarted(&["--cpus", "4"]);
    server.env.push(("DOWNBEAT_TOKEN".to_owned(), "right".to_owned()));
    server.up();
    let said = call(&server, &["status"]).ends(1);
    assert!(said.err.contains("DOWNBEAT_TOKEN"), "it says how: {said:?}");
    let mut command = client(&server, &["status"]);
    command.env("DOWNBEAT_TOKEN", "right");
    finish(command, "").ends(0);
    script(&server, "token", "right\n");
    call(&server, &["status", "--token-file", "token"]).ends(0);
    let mut command = client(&server, &["status", "--token-file", "token"]);
    command.env("DOWNBEAT_TOKEN", "wrong");
    finish(command, "").ends(0);
    script(&server, "token", "wrong\n");
    call(&server, &["status", "--token-file", "token"]).ends(1);
}
