//! *Purpose*: what people read: lists, jobs, logs.
//!
//! *Owns*: what `queue`, `show` and `logs` print.
//!
//! *Promises*: what is printed is held against the job.
//!
//! *Not here*: verbs that change something (`verbs`).

use std::process::Stdio;

use serde_json::json;

use crate::common::{Server, until};
use crate::help::{call, client, script};

cases! {
    the_queue_shows_what_has_not_ended => ["queue", "list"],
    a_list_is_folded_sorted_filtered_and_shaped => ["queue"],
    show_tells_all_about_a_job => ["show"],
    logs_prints_follows_and_cuts => ["logs"],
    logs_says_whose_lines_it_shows_and_what_is_not_there => ["logs", "run", "submit"],
    what_was_forgotten_is_said_to_be => ["logs", "show"],
    show_takes_the_points_of_a_waiting_job_apart => ["show"],
    what_others_wrote_commands_no_terminal => ["show", "wait", "queue"],
}

fn the_queue_shows_what_has_not_ended() {
    let server = Server::start();
    server.ended(server.run("exit 3"));
    let id = server.submit(&json!({"script": "sleep 600", "exclusive": true, "name": "long"}));
    server.started(id);
    server
        .submit(&json!({"script": "true", "name": "waits", "account": "a", "labels": {"k": "v"}}));
    for verb in ["queue", "list"] {
        let said = call(&server, &[verb]).ends(0);
        assert!(said.out.contains("long") && said.out.contains("RUNNING"), "{said:?}");
        assert!(said.out.contains("waits") && said.out.contains("PENDING"), "{said:?}");
        assert!(said.out.contains("Resources"), "why it waits: {said:?}");
        assert!(!said.out.contains("FAILED"), "{said:?}");
        let all = call(&server, &[verb, "--all"]).ends(0);
        assert!(all.out.contains("FAILED") && all.out.contains("3:0"), "{all:?}");
    }
    for flags in [
        vec!["--state", "pending"],
        vec!["--account", "a"],
        vec!["--name", "waits"],
        vec!["--label", "k=v"],
    ] {
        let mut words = vec!["queue"];
        words.extend(flags);
        let said = call(&server, &words).ends(0);
        assert!(said.out.contains("waits") && !said.out.contains("long"), "{words:?}: {said:?}");
    }
    let said = call(&server, &["queue", "--limit", "1"]).ends(0);
    assert!(said.err.contains("more"), "a cut list says so: {said:?}");
    call(&server, &["queue", "--state", "ASLEEP"]).ends(2);
}

fn a_list_is_folded_sorted_filtered_and_shaped() {
    let server = Server::start();
    server.ended(server.submit(&json!({"script": "exit 3", "name": "old", "user": "ann"})));
    let running = json!({"script": "sleep 600", "array": "0-3", "cpus": 2, "name": "tasks"});
    server.submit(&running);
    until("two tasks run", || match server.get("/api/v1/jobs?state=RUNNING").json()["jobs"] {
        ref jobs if jobs.as_array().unwrap().len() == 2 => Ok(()),
        ref jobs => Err(jobs.to_string()),
    });
    server.submit(&json!({"script": "true", "name": "later", "held": true, "user": "ann"}));
    let lines = |words: &[&str]| {
        let said = call(&server, &[&["queue"], words].concat()).ends(0).out;
        let shown = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
        said.lines().map(shown).collect::<Vec<_>>()
    };
    let format = ["-o", "id,state,cpus,reason"];
    let tasks = "2_[0-3] RUNNING 4 2 PENDING, 2 RUNNING";
    let held = "5 PENDING 1 JobHeldUser";
    assert_eq!(lines(&format), ["ID STATE CPUS REASON", tasks, held]);
    assert_eq!(
        lines(&["-o", "id", "--tasks", "--sort", "id"]),
        ["ID", "2_[2-3]", "2_0", "2_1", "5"]
    );
    assert_eq!(lines(&["-o", "id", "--sort", "-id", "--all"]), ["ID", "5", "2_[0-3]", "1"]);
    assert_eq!(lines(&["-o", "id", "--user", "ann"]), ["ID", "5"]);
    assert_eq!(lines(&["-o", "id", "--me"]), ["ID"]);
    assert_eq!(lines(&["-o", "id", "--since", "yesterday"]), ["ID", "2_[0-3]", "5", "1"]);
    assert_eq!(lines(&["-o", "id", "--until", "yesterday"]), ["ID"]);
    assert_eq!(lines(&["-o", "id,exit", "-J", "o?d", "-a"]), ["ID EXIT", "1 3:0"]);
    assert_eq!(lines(&["-o", "id", "-p", "default", "-s", "failed"]), ["ID", "1"]);
    assert_eq!(
        lines(&["-o", "id,name", "5", "1", "2_1"]),
        ["ID NAME", "5 later", "1 old", "2_1 tasks"]
    );
    let json = call(&server, &["queue", "--json", "5", "2_1"]).ends(0).json();
    assert_eq!(json["jobs"].as_array().unwrap().len(), 2);
    let said = call(&server, &["queue", "77"]).ends(1);
    assert!(said.err.contains("77"), "{said:?}");
    for bad in [["-o", "size"], ["--sort", "size"], ["--since", "soon"]] {
        let said = call(&server, &[&["queue"], &bad[..]].concat()).ends(2);
        assert!(said.err.contains(bad[1]), "{said:?}");
    }
    call(&server, &["cancel", "2"]).ends(0);
}

fn show_tells_all_about_a_job() {
    let server = Server::start();
    server.ended(server.submit(&json!({"script": "exit 3", "name": "n", "time_limit": 1})));
    let said = call(&server, &["show", "1"]).ends(0);
    for words in ["FAILED", "3:0", "0-00:01:00", "name", "cpus"] {
        assert!(said.out.contains(words), "{words}: {said:?}");
    }
    assert!(said.out.contains("jobs/1/stdout\n"), "where its output lies: {said:?}");
    assert!(said.out.contains(", and then its output is removed too\n"), "{said:?}");
    let said = call(&server, &["show", "77"]).ends(1);
    assert!(said.err.contains("77"), "{said:?}");
    call(&server, &["show", "x"]).ends(2);
}

fn logs_prints_follows_and_cuts() {
    let server = Server::start();
    let gate = server.dir.path().join("gate");
    let wait = format!("until [ -e '{}' ]; do sleep 0.02; done", gate.display());
    let id = server.run(&format!("echo one; echo err >&2; {wait}; echo two; echo three"));
    until("the first line", || match server.stdout(id).as_str() {
        "one\n" => Ok(()),
        other => Err(other.to_owned()),
    });
    assert_eq!(call(&server, &["logs", "1"]).ends(0).out, "one\n");
    let follower = client(&server, &["logs", "-f", "1"]).stdout(Stdio::piped()).spawn().unwrap();
    std::fs::write(gate, "").unwrap();
    let done = follower.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&done.stdout), "one\ntwo\nthree\n");
    assert_eq!(done.status.code(), Some(0));
    assert_eq!(call(&server, &["logs", "--stderr", "1"]).ends(0).out, "err\n");
    assert_eq!(call(&server, &["logs", "--tail", "2", "1"]).ends(0).out, "two\nthree\n");
    assert_eq!(call(&server, &["logs", "-f", "-n", "1", "1"]).ends(0).out, "three\n");
    call(&server, &["logs", "77"]).ends(1);
}

fn logs_says_whose_lines_it_shows_and_what_is_not_there() {
    let server = Server::start();
    let logs = |words: &[&str]| {
        let said = call(&server, &[&["logs"], words].concat()).ends(0);
        (said.out, said.err)
    };
    let pair = |out: &str, err: &str| (out.to_owned(), err.to_owned());
    server.ended(server.run("echo one; echo two >&2"));
    assert_eq!(logs(&["1"]), pair("one\n", "==> stdout <==\n==> stderr <==\ntwo\n"));
    assert_eq!(logs(&["--stdout", "1"]), pair("one\n", ""));
    assert_eq!(logs(&["--stderr", "1"]), pair("two\n", ""));
    let followed = logs(&["-f", "1"]);
    assert_eq!(followed.0, "one\n");
    assert!(followed.1.contains("two\n"), "{followed:?}");
    server.ended(server.run("echo two >&2"));
    assert_eq!(logs(&["2"]), pair("", "two\n"));
    assert_eq!(logs(&["-f", "2"]), pair("", "two\n"));
    server.ended(server.run("true"));
    assert_eq!(logs(&["3"]), pair("", "downbeat: job 3 wrote nothing\n"));
    assert_eq!(logs(&["-f", "3"]), pair("", "downbeat: job 3 wrote nothing\n"));
    server.submit(&json!({"script": "true", "held": true}));
    let held = "downbeat: job 4 has not started (PENDING JobHeldUser): is held; `downbeat release \
                4` lets it go\n";
    assert_eq!(logs(&["4"]), pair("", held));
    // One file for both, by whatever names.
    script(&server, "both.sh", "echo out; echo err >&2");
    std::os::unix::fs::symlink("f", server.dir.path().join("g")).unwrap();
    for flags in [vec!["-o", "f"], vec!["-o", "f", "-e", "f"], vec!["-o", "f", "-e", "g"]] {
        let said = call(&server, &[&["run"], &flags[..], &["--", "sh", "both.sh"]].concat());
        let said = said.ends(0);
        assert_eq!((said.out.as_str(), said.err.as_str()), ("out\nerr\n", ""), "{flags:?}");
        let said = call(&server, &[&["submit", "--wait"], &flags[..], &["both.sh"]].concat());
        let id = said.out.lines().next().unwrap().rsplit(' ').next().unwrap().to_owned();
        assert_eq!(logs(&[&id]), pair("out\nerr\n", ""), "{flags:?}");
        assert_eq!(logs(&["-f", &id]), pair("out\nerr\n", ""), "{flags:?}");
    }
    let said = call(&server, &["run", "-o", "/dev/null", "--", "echo", "x"]).ends(0);
    assert_eq!(said.out, "");
    let (_, err) = logs(&["11"]);
    assert!(err.contains("stdout of job 11 goes to /dev/null"), "{err}");
    // The tasks of an array, one after another.
    server.ended(server.submit(&json!({"script": "echo t$SLURM_ARRAY_TASK_ID", "array": "0-2"})));
    call(&server, &["wait", "12"]).ends(0);
    for flags in [vec!["12"], vec!["-f", "12"]] {
        let labels = "==> job 12_0 <==\n==> job 12_1 <==\n==> job 12_2 <==\n";
        assert_eq!(logs(&flags), pair("t0\nt1\nt2\n", labels));
    }
}

fn what_was_forgotten_is_said_to_be() {
    let mut server = Server::unstarted(&["--cpus", "4", "--retention", "1s"]);
    server.up();
    let id = server.run("true");
    server.submit(&json!({"script": "true", "held": true}));
    until("the job is forgotten", || match server.get(&format!("/api/v1/jobs/{id}")).status {
        404 => Ok(()),
        other => Err(other.to_string()),
    });
    for verb in ["logs", "show"] {
        let said = call(&server, &[verb, "1"]).ends(1);
        assert!(said.err.contains("is forgotten") && said.err.contains("1s"), "{said:?}");
        let said = call(&server, &[verb, "77"]).ends(1);
        assert!(!said.err.contains("forgotten"), "{said:?}");
    }
}

fn show_takes_the_points_of_a_waiting_job_apart() {
    let server = Server::start();
    let id = server.submit(&json!({"script": "true", "held": true, "priority": 3}));
    let said = call(&server, &["show", &id.to_string()]).ends(0);
    assert!(said.out.contains("points:     3\n"), "{said:?}");
    assert!(said.out.contains("ordered by: wfp3 0.000, waited 0-00:00:0"), "{said:?}");
    let over = server.ended(server.run("true"))["id"].to_string();
    assert!(!call(&server, &["show", &over]).ends(0).out.contains("points:"));
}

fn what_others_wrote_commands_no_terminal() {
    let server = Server::start();
    let id = server.run("#!/tmp/\u{1b}]0;PWN\u{7}\u{1b}[2J\u{202e}\u{9b}/x\ntrue").to_string();
    server.ended(1);
    for (words, code) in
        [(vec!["show", &id], 0), (vec!["wait", &id], 127), (vec!["queue", "--all"], 0)]
    {
        let said = call(&server, &words).ends(code);
        for acts in ['\u{1b}', '\u{7}', '\u{202e}', '\u{9b}'] {
            assert!(!said.out.contains(acts) && !said.err.contains(acts), "{words:?}: {said:?}");
        }
    }
    let shown = call(&server, &["show", &id]).ends(0).out;
    assert!(shown.contains("/tmp/\\u{1b}]0;PWN\\u{7}"), "{shown}");
    let json = call(&server, &["show", "--json", &id]).ends(0).out;
    let error = serde_json::from_str::<serde_json::Value>(&json).unwrap()["error"].clone();
    assert!(error.as_str().unwrap().contains('\u{1b}'), "JSON says it as it is: {error}");
}
