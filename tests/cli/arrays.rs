//! *Purpose*: job arrays on the command line.
//!
//! *Owns*: `--array`, `17_4` and `17_[3-5]` as ids, what the verbs say of an array.
//!
//! *Promises*: an array is waited for as one job is.
//!
//! *Not here*: what the server does with it (`tests/http`).

use crate::common::{Server, until};
use crate::help::{call, script};

cases! {
    an_array_is_submitted_shown_and_waited_for => ["submit", "queue", "show", "wait", "logs"],
    some_tasks_are_cancelled_and_held => ["cancel", "hold", "release", "update"],
}

fn an_array_is_submitted_shown_and_waited_for() {
    let server = Server::start();
    script(&server, "a.sh", "echo task $SLURM_ARRAY_TASK_ID; exit $SLURM_ARRAY_TASK_ID\n");
    let said = call(&server, &["submit", "-a", "0-3%2", "-H", "a.sh"]).ends(0);
    assert_eq!(said.out, "Submitted job 1\n");
    let said = call(&server, &["queue"]).ends(0);
    assert!(said.out.contains("1_[0-3%2]"), "{said:?}");
    let said = call(&server, &["show", "1"]).ends(0);
    assert!(said.out.contains("0-3%2: 4 PENDING"), "{said:?}");
    call(&server, &["release", "1"]).ends(0);
    let said = call(&server, &["wait", "1"]).ends(1);
    assert_eq!(said.out, "job 1 1 COMPLETED, 3 FAILED\n", "the code is the first task's");
    let said = call(&server, &["wait", "1_0", "1_3"]).ends(3);
    assert_eq!(said.out, "job 1_0 COMPLETED 0:0\njob 1_3 FAILED 3:0\n");
    assert_eq!(call(&server, &["logs", "1_2"]).ends(0).out, "task 2\n");
    let said = call(&server, &["logs", "1"]).ends(0);
    assert_eq!(said.out, "task 0\ntask 1\ntask 2\ntask 3\n");
    let said = call(&server, &["queue", "--all", "--array", "1"]).ends(0);
    for shown in ["1_0", "1_1", "1_2", "1_3"] {
        assert!(said.out.contains(shown), "{said:?}");
    }
    let said = call(&server, &["show", "1_2"]).ends(0);
    assert!(said.out.contains("1_2") && said.out.contains("FAILED"), "{said:?}");
    let said = call(&server, &["submit", "--wait", "--array", "0,4", "a.sh"]).ends(4);
    assert!(said.out.contains("1 COMPLETED, 1 FAILED"), "{said:?}");
    let said = call(&server, &["submit", "--array", "4-0", "a.sh"]).ends(2);
    assert!(said.err.contains("--array") && said.err.contains("counts backwards"), "{said:?}");
    let said = call(&server, &["run", "--array", "0-3", "--", "true"]).ends(2);
    assert!(said.err.contains("--array is for submit"), "{said:?}");
}

fn some_tasks_are_cancelled_and_held() {
    let server = Server::start();
    script(&server, "a.sh", "true\n");
    call(&server, &["submit", "-a", "0-9", "-H", "a.sh"]).ends(0);
    let said = call(&server, &["cancel", "1_[2-4]"]).ends(0);
    assert!(said.out.starts_with("job 1_2 ") && said.out.contains("job 1_4 "), "{said:?}");
    call(&server, &["update", "--priority", "3", "1_5"]).ends(0);
    call(&server, &["hold", "1_6"]).ends(0);
    let said = call(&server, &["release", "1", "1_5"]).ends(0);
    assert!(said.out.contains("job 1_5 is released"), "{said:?}");
    until("all but the held one to end", || {
        let said = call(&server, &["show", "1"]).ends(0);
        let done = said.out.contains("1 PENDING, 6 COMPLETED, 3 CANCELLED");
        if done { Ok(()) } else { Err(said.out) }
    });
    let said = call(&server, &["queue"]).ends(0);
    assert!(said.out.contains("1_6") && said.out.contains("JobHeldUser"), "{said:?}");
    call(&server, &["cancel", "1"]).ends(0);
    call(&server, &["wait", "1"]).ends(125);
}
