//! *Purpose*: exit codes tell a shell what became of a job.
//!
//! *Owns*: codes of `run`, `wait` and `submit --wait`, usage errors, an unreachable server.
//!
//! *Promises*: each code is made by a real job that ended so.
//!
//! *Not here*: what is printed (`verbs`).

use std::path::Path;

use crate::common::{Server, signal, until};
use crate::help::{binary, call, client, finish, script};

cases! {
    run_ends_with_its_command_s_code => ["run"],
    run_passes_words_and_both_streams_on => ["run"],
    a_cancelled_run_ends_with_125 => ["run", "cancel"],
    an_interrupted_run_cancels_its_job => ["run"],
    wait_ends_with_the_code_of_the_first_that_failed => ["wait"],
    a_lost_job_is_126 => ["wait"],
    a_launch_that_failed_is_127 => ["submit", "run"],
    wrong_usage_is_2 => ["queue", "submit", "run", "wait", "cancel", "show"],
    a_server_that_is_not_there_is_3 => ["status", "queue", "show", "cancel", "submit", "audit"],
}

fn run_ends_with_its_command_s_code() {
    let server = Server::start();
    for (words, code) in [
        (vec!["run", "--", "true"], 0),
        (vec!["run", "--", "sh", "-c", "exit 3"], 3),
        (vec!["run", "--", "sh", "-c", "exit 255"], 255),
        (vec!["run", "--", "sh", "-c", "kill -TERM $$"], 143),
        (vec!["run", "--", "sh", "-c", "kill -KILL $$"], 137),
        (vec!["run", "-t", "1s", "--kill-grace", "1s", "--", "sleep", "600"], 124),
    ] {
        call(&server, &words).ends(code);
    }
    server.is_clean();
}

fn run_passes_words_and_both_streams_on() {
    let server = Server::start();
    let words = ["run", "--", "printf", "%s|", "a b", "$HOME", "it's", "", "*"];
    assert_eq!(call(&server, &words).ends(0).out, "a b|$HOME|it's||*|");
    let said = call(&server, &["run", "--", "sh", "-c", "echo out; echo err >&2; pwd"]).ends(0);
    assert_eq!(said.out, format!("out\n{}\n", server.dir.path().display()));
    assert_eq!(said.err, "err\n");
    assert_eq!(server.job(2)["name"], "sh");
}

fn a_cancelled_run_ends_with_125() {
    let server = Server::start();
    let child = client(&server, &["run", "--", "sleep", "600"]).spawn().unwrap();
    until("its job", || {
        let answer = server.get("/api/v1/jobs/1");
        if answer.status == 200 { Ok(()) } else { Err(answer.text()) }
    });
    server.started(1);
    call(&server, &["cancel", "1"]).ends(0);
    assert_eq!(child.wait_with_output().unwrap().status.code(), Some(125));
    server.is_clean();
}

fn an_interrupted_run_cancels_its_job() {
    let server = Server::start();
    for (id, name) in [(1, "INT"), (2, "TERM")] {
        let child = client(&server, &["run", "--", "sleep", "600"]).spawn().unwrap();
        until("its job", || {
            let answer = server.get(&format!("/api/v1/jobs/{id}"));
            if answer.status == 200 { Ok(()) } else { Err(answer.text()) }
        });
        server.started(id);
        signal(child.id(), name);
        assert_eq!(child.wait_with_output().unwrap().status.code(), Some(125), "{name}");
        assert_eq!(server.ended(id)["state"], "CANCELLED", "{name}");
    }
    server.is_clean();
}

fn wait_ends_with_the_code_of_the_first_that_failed() {
    let server = Server::start();
    for text in ["true", "exit 4", "sleep 0.2; exit 5"] {
        server.run(text);
    }
    let said = call(&server, &["wait", "1", "2", "3"]).ends(4);
    let lines: Vec<&str> = said.out.lines().collect();
    assert_eq!(lines, ["job 1 COMPLETED 0:0", "job 2 FAILED 4:0", "job 3 FAILED 5:0"]);
    call(&server, &["wait", "3"]).ends(5);
    call(&server, &["wait", "1"]).ends(0);
    call(&server, &["wait", "77"]).ends(1);
}

fn a_lost_job_is_126() {
    let server = Server::start();
    let id = server.run("sleep 600");
    let pid = server.started(id)["allocation"]["process_id"].as_i64().unwrap();
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let parent = status.lines().find_map(|l| l.strip_prefix("PPid:")).unwrap().trim().to_owned();
    signal(parent.parse().unwrap(), "KILL");
    let said = call(&server, &["wait", "1"]).ends(126);
    assert!(said.out.contains("NODE_FAIL"), "{said:?}");
}

fn a_launch_that_failed_is_127() {
    let server = Server::start();
    script(&server, "bad.sh", "#!/no/such/interpreter\n");
    let said = call(&server, &["submit", "--wait", "bad.sh"]).ends(127);
    assert!(said.out.contains("/no/such/interpreter"), "{said:?}");
    let said = call(&server, &["run", "-D", "missing", "--", "true"]).ends(127);
    assert!(said.err.contains("working directory"), "{said:?}");
    server.is_clean();
}

fn wrong_usage_is_2() {
    let server = Server::start();
    for words in [
        vec!["frobnicate"],
        vec!["queue", "--limit", "0"],
        vec!["submit"],
        vec!["submit", "-t", "soon", "x.sh"],
        vec!["submit", "/dev/zero"],
        vec!["run"],
        vec!["run", "-c", "x", "--", "true"],
        vec!["wait"],
        vec!["cancel"],
        vec!["cancel", "x"],
        vec!["show", "x"],
        vec!["status", "--server", "https://h"],
    ] {
        let said = call(&server, &words).ends(2);
        assert!(!said.err.is_empty() && said.out.is_empty(), "{words:?}: {said:?}");
    }
    assert_eq!(server.run("true"), 1, "nothing was stored");
}

fn a_server_that_is_not_there_is_3() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("x.sh"), "true").unwrap();
    let ask = |folder: &Path, words: &[&str]| {
        let mut command = binary(folder, words);
        command.env("DOWNBEAT_SERVER", "http://127.0.0.1:1");
        let said = finish(command, "").ends(3);
        assert!(said.err.contains("http://127.0.0.1:1"), "{words:?}: {said:?}");
        assert!(said.out.is_empty(), "{words:?}: {said:?}");
    };
    for verb in ["status", "queue", "audit"] {
        ask(folder.path(), &[verb]);
    }
    for words in [["show", "1"], ["cancel", "1"], ["submit", "x.sh"]] {
        ask(folder.path(), &words);
    }
}
