//! *Purpose*: settings that are read again at a SIGHUP, asked of the real binary.
//!
//! *Owns*: accounts, partitions, weights and policy that become others while jobs run and wait.
//!
//! *Promises*: what runs runs on; who waits is judged by what the file says now; a file that is
//! refused changes nothing.
//!
//! *Not here*: what needs a restart (`tests/cli/shield.rs`), every mixture of rules
//! (`kernel::commands::reconfigure`).

use serde_json::{Value, json};

use crate::common::{Server, signal, until};
use crate::help::{Gate, fields, problem};
use crate::partitions::{with_file, write};

cases! {
    a_limit_of_an_account_comes_and_goes_under_its_jobs => ["GET /api/v1/jobs/{id}",
        "GET /api/v1/info"],
    a_partition_changes_under_its_jobs => ["GET /api/v1/partitions", "GET /api/v1/jobs/{id}"],
    weights_and_policy_that_are_read_again_order_the_line => ["GET /api/v1/jobs/{id}/priority"],
    what_a_job_may_write_is_looked_up_when_it_starts => ["GET /api/v1/jobs/{id}"],
    a_refused_file_changes_nothing_at_all => ["GET /api/v1/info", "GET /api/v1/partitions"],
}

/// Has the server read this file, and waits until it has.
fn read_again(server: &mut Server, text: &str) {
    const SAID: [&str; 2] = ["The settings were read again", "The settings stay as they were"];
    let times = |server: &Server| {
        let log = server.log();
        SAID.iter().map(|said| log.matches(said).count()).sum::<usize>()
    };
    let before = times(server);
    write(server, text);
    signal(server.pid(), "HUP");
    until("the settings to be read", || match times(server) > before {
        true => Ok(()),
        false => Err(server.log()),
    });
}

fn of(account: &str, script: &str) -> Value {
    json!({"script": script, "account": account})
}

fn reason(server: &Server, id: i64) -> Value {
    server.job(id)["state_reason"].clone()
}

fn setting(server: &Server, name: &str) -> String {
    let info = server.get("/api/v1/info").expect(200).json();
    info["configuration"][name]["value"].as_str().unwrap().to_owned()
}

fn a_limit_of_an_account_comes_and_goes_under_its_jobs() {
    let mut server = with_file("");
    let gate = Gate::new(&server);
    let running: Vec<i64> = (0..2).map(|_| server.submit(&of("a", &gate.wait()))).collect();
    running.iter().for_each(|id| drop(server.started(*id)));
    read_again(
        &mut server,
        "[[account]]\nname = \"a\"\nmax_running_jobs = 1\nmax_queued_jobs = 1\n",
    );
    assert!(setting(&server, "account").contains("running 1"), "{}", setting(&server, "account"));
    let waits = server.submit(&of("a", "true"));
    assert_eq!(reason(&server, waits), "AssocGrpJobsLimit");
    let detail = server.job(waits)["state_detail"].clone();
    assert_eq!(detail, "account a runs 2 of at most 1 jobs");
    let refused = problem(server.post("/api/v1/jobs", &of("a", "true")), 422);
    assert_eq!(fields(&refused), ["account"], "what was there before the limit counts");
    for id in &running {
        assert_eq!(server.job(*id)["state"], "RUNNING", "what runs runs on");
    }
    read_again(&mut server, "[[account]]\nname = \"a\"\nmax_running_cpus = 1\n");
    assert_eq!(reason(&server, waits), "AssocGrpCpuLimit");
    let wide = json!({"script": "true", "account": "a", "cpus": 2});
    assert_eq!(fields(&problem(server.post("/api/v1/jobs", &wide), 422)), ["cpus"]);
    read_again(&mut server, "");
    assert_eq!(server.ended(waits)["state"], "COMPLETED", "nothing but the file has changed");
    server.ended(server.submit(&wide));
    gate.open();
    running.iter().for_each(|id| drop(server.ended(*id)));
    server.is_clean();
}

fn a_partition_changes_under_its_jobs() {
    const CPU: &str = "[[partition]]\nname = \"cpu\"\ncpus = \"0-1\"\n";
    let gpu = |keys: &str| format!("{CPU}[[partition]]\nname = \"gpu\"\n{keys}");
    let mut server = with_file(&gpu("cpus = \"2-3\"\nstate = \"down\"\n"));
    let gate = Gate::new(&server);
    let one = json!({"script": gate.wait(), "partition": "gpu", "cpus": 2, "time_limit": "1h"});
    let first = server.submit(&one);
    assert_eq!(reason(&server, first), "PartitionDown");
    read_again(&mut server, &gpu("cpus = \"2-3\"\nmax_cpus_per_job = 1\n"));
    assert_eq!(reason(&server, first), "PartitionNodeLimit");
    assert_eq!(fields(&problem(server.post("/api/v1/jobs", &one), 422)), ["cpus"]);
    read_again(&mut server, &gpu("cpus = \"2-3\"\nmax_time_limit = \"10m\"\n"));
    assert_eq!(reason(&server, first), "PartitionTimeLimit");
    read_again(&mut server, CPU);
    assert_eq!(reason(&server, first), "PartitionConfig");
    read_again(&mut server, &gpu("cpus = \"2-3\"\npriority_weight = 7\n"));
    let job = server.started(first);
    assert_eq!(job["allocation"]["cpu_ids"], json!([2, 3]), "it is back, and open");
    // A CPU moves to the other, and a third one comes; whoever runs keeps what it has.
    let text = "[[partition]]\nname = \"new\"\ncpus = \"0\"\ndefault = true\n\
        [[partition]]\nname = \"gpu\"\ncpus = \"3\"\n[[partition]]\nname = \"cpu\"\ncpus = \"1-2\"\n";
    read_again(&mut server, text);
    let all = server.get("/api/v1/partitions").expect(200).json();
    let seen = |n: usize| (all[n]["name"].clone(), all[n]["cpu_ids"].clone());
    assert_eq!(seen(0), (json!("new"), json!([0])));
    assert_eq!((seen(1), all[1]["running_jobs"].clone()), ((json!("gpu"), json!([3])), json!(1)));
    assert_eq!(
        (seen(2), all[2]["available_cpus"].clone()),
        ((json!("cpu"), json!([1, 2])), json!(1))
    );
    assert_eq!(server.job(first)["allocation"]["cpu_ids"], json!([2, 3]));
    let next = server.submit(&json!({"script": "true", "partition": "cpu", "cpus": 2}));
    assert_eq!(reason(&server, next), "Resources", "one of its CPUs is still another's");
    let unnamed = server.ended(server.run("true"));
    assert_eq!(unnamed["partition"], "new", "the default is another");
    gate.open();
    server.ended(first);
    assert_eq!(server.ended(next)["state"], "COMPLETED");
    server.is_clean();
}

fn weights_and_policy_that_are_read_again_order_the_line() {
    let mut server = with_file("");
    let gate = Gate::new(&server);
    gate.blocker(&server);
    let mut job = json!({"script": "true", "cpus": 4, "time_limit": "2h"});
    let long = server.submit(&job);
    job["time_limit"] = json!("1h");
    let short = server.submit(&job);
    let rank = |server: &Server, id: i64| {
        server.get(&format!("/api/v1/jobs/{id}/priority")).expect(200).json()
    };
    read_again(&mut server, "policy = \"fcfs\"\n");
    let seen = rank(&server, long);
    assert_eq!((&seen["position"], &seen["policy"]["order"]), (&json!(1), &json!("fcfs")));
    read_again(&mut server, "policy = \"sjf\"\n[priority]\nfair_share_weight = 100\n");
    let seen = rank(&server, short);
    assert_eq!((&seen["position"], &seen["policy"]["order"]), (&json!(1), &json!("sjf")));
    assert_eq!(setting(&server, "policy"), "sjf");
    assert!(seen["parts"]["fair_share"].is_i64(), "{seen}");
    gate.open();
    let ends = [long, short].map(|id| server.ended(id)["start_time"].as_str().unwrap().to_owned());
    assert!(ends[0] > ends[1], "the short one went first: {ends:?}");
}

fn what_a_job_may_write_is_looked_up_when_it_starts() {
    let mut server = with_file("");
    let gate = Gate::new(&server);
    let script = format!("{}; head -c 8M /dev/zero; sleep 1", gate.wait());
    let before = server.submit(&json!({"script": script}));
    server.started(before);
    read_again(&mut server, "max_output = \"1M\"\nfinish_time = \"1s\"\nretention = \"1h\"\n");
    assert_eq!(setting(&server, "max_output"), "1M");
    gate.open();
    assert_eq!(server.ended(before)["state"], "COMPLETED", "it was given what was in force then");
    let after = server.ended(server.submit(&json!({"script": script})));
    assert_eq!(after["state"], "FAILED", "{after}");
}

fn a_refused_file_changes_nothing_at_all() {
    const TWO: &str = "cpus = 2\nmax_time_limit = \"1h\"\n[[partition]]\nname = \"all\"\n";
    let mut server = Server::unstarted(&[]);
    write(&mut server, TWO);
    server.up();
    // Time goes by, and the database grows.
    let info = |server: &Server| {
        let info = server.get("/api/v1/info").expect(200).json();
        ["version", "configuration", "isolation", "notes"].map(|field| info[field].clone())
    };
    let before = info(&server);
    for (text, part) in [
        // The kernel has two CPUs as long as it runs.
        (
            "cpus = 4\nmax_time_limit = \"3h\"\n[[partition]]\nname = \"all\"\ncpus = \"3\"\n\
             [[account]]\nname = \"a\"\nmax_running_jobs = 0\n",
            "partition \"all\": cpus has CPU 3",
        ),
        ("cpus = 2\nmax_time_limit = \"3h\"\n[priority]\nage = 1\n", "age"),
        (
            "cpus = 2\npolicy = \"fcfs\"\n[[account]]\nname = \"a\"\nmax_running_jobs = -1\n",
            "account[0].max_running_jobs",
        ),
        ("cpus = 2\n[[partition]]\nname = \"b\"\npreempts = [\"b\"]\n", "preempts"),
    ] {
        read_again(&mut server, text);
        let log = server.log();
        let last = log.lines().rfind(|line| line.contains("The settings")).unwrap();
        assert!(last.contains("stay as they were") && last.contains(part), "{last}");
        assert_eq!(info(&server), before);
        let all = server.get("/api/v1/partitions").expect(200).json();
        assert_eq!((&all[0]["name"], &all[0]["cpu_ids"]), (&json!("all"), &json!([0, 1])));
        let long = json!({"script": "true", "time_limit": "2h"});
        assert_eq!(fields(&problem(server.post("/api/v1/jobs", &long), 422)), ["time_limit"]);
        assert_eq!(server.ended(server.submit(&of("a", "true")))["state"], "COMPLETED");
    }
    read_again(&mut server, "cpus = 1\nmax_time_limit = \"3h\"\ntick = \"1s\"\n");
    assert!(server.log().contains("in force only after a restart: cpus, tick"), "{}", server.log());
    assert_eq!(
        (setting(&server, "cpus"), setting(&server, "partition")),
        ("2".into(), "none".into())
    );
}
