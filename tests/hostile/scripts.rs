//! *Purpose*: scripts that fight back.
//!
//! *Owns*: storms of forks, ignored signals, closed descriptors, huge outputs, attacks on the
//! own supervisor.
//!
//! *Promises*: each is ended by its limit, a cancel or itself; nothing of it is alive when its
//! CPUs come back. Storms are bounded in rate: the machine has others to serve.
//!
//! *Not here*: the same without a server (`tests/engine_conformance`).

use std::time::Duration;

use serde_json::json;

use crate::common::{Server, until};
use crate::help::{cancel, carrying, ends_as, is_stopped, parent, resident, script_of};

/// A storm: each generation begets the next in a session of its own and dies; beside it
/// sleepers are left behind. About fifty forks a second.
const STORM: &str = "\
    beget() {\n\
        ( setsid sleep 600 & ) ; sleep 0.04\n\
        ( trap '' TERM HUP; setsid bash -c \"$(declare -f beget); beget\" < /dev/null & )\n\
    }\n\
    echo up; beget; sleep 600\n";

fn nothing_is_left(server: &Server, job: i64) {
    let key = format!("DOWNBEAT_KEY={job}.1.");
    let here = format!("DOWNBEAT_JOB_ID={job}");
    let left: Vec<u32> = carrying(&key)
        .into_iter()
        .filter(|pid| {
            let environ = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            let environ = String::from_utf8_lossy(&environ).into_owned();
            environ.contains(&here) && environ.contains(&*server.data().to_string_lossy())
        })
        .collect();
    assert!(left.is_empty(), "{left:?} live on after job {job}");
    server.is_clean();
}

#[test]
fn a_storm_of_forks_is_ended_by_its_limit() {
    let server = Server::start();
    let id = server.submit(&json!({"script": STORM, "time_limit": "1s", "kill_grace_s": 1}));
    ends_as(&server, id, "TIMEOUT", Some("0:15"));
    nothing_is_left(&server, id);
}

#[test]
fn a_storm_of_forks_is_ended_by_a_cancel() {
    let server = Server::start();
    let id = server.submit(&json!({"script": STORM, "kill_grace_s": 1}));
    server.says(id, "up\n");
    let many = || carrying(&format!("DOWNBEAT_KEY={id}.1.")).len();
    until("a storm", || if many() > 20 { Ok(()) } else { Err(format!("{} processes", many())) });
    cancel(&server, id);
    ends_as(&server, id, "CANCELLED", Some("0:15"));
    nothing_is_left(&server, id);
}

#[test]
fn a_storm_of_forks_whose_supervisor_is_killed_leaves_nothing() {
    let server = Server::start();
    let id = server.submit(&json!({"script": STORM}));
    server.says(id, "up\n");
    let supervisor = parent(script_of(&server.started(id)));
    crate::common::signal(supervisor, "KILL");
    ends_as(&server, id, "NODE_FAIL", None);
    nothing_is_left(&server, id);
}

#[test]
fn a_script_that_ignores_every_signal_is_ended() {
    let server = Server::start();
    let id = server.submit(&json!({
        "script": "trap '' TERM INT HUP USR1 USR2 PIPE; echo up; while :; do sleep 0.1; done",
        "time_limit": "1s", "kill_grace_s": 1,
    }));
    ends_as(&server, id, "TIMEOUT", Some("0:9"));
    nothing_is_left(&server, id);
}

#[test]
fn a_script_that_closes_every_descriptor_keeps_its_code() {
    let server = Server::start();
    let close = "exec 0<&- 1>&- 2>&-; for fd in $(seq 3 255); do eval \"exec $fd>&-\"; done\n";
    let id = server.run(&format!("{close}sleep 0.2; exit 7"));
    ends_as(&server, id, "FAILED", Some("7:0"));
    let id = server.run(&format!("{close}sleep 600"));
    server.started(id);
    cancel(&server, id);
    ends_as(&server, id, "CANCELLED", Some("0:15"));
    nothing_is_left(&server, id);
}

#[test]
fn an_output_of_two_gibibytes_costs_the_server_no_memory() {
    /// The server may grow by so much; the output is a hundred times as long.
    const GROWTH_MAX: u64 = 24 << 20;
    let server = Server::start();
    // A hole: as long as two gibibytes to whoever reads, and nothing on the disk.
    let id = server.run(
        "echo first; truncate -s 2G /proc/self/fd/1; echo; echo last but one; echo last; exit 4",
    );
    ends_as(&server, id, "FAILED", Some("4:0"));
    let path = format!("/api/v1/jobs/{id}/stdout");
    server.get(&format!("{path}?limit=6")).expect(200);
    let before = resident(server.pid());
    assert_eq!(server.get(&format!("{path}?limit=6")).expect(200).text(), "first\n");
    assert_eq!(server.get(&format!("{path}?tail=2")).text(), "last but one\nlast\n");
    let part = server.get(&format!("{path}?offset=2147483649")).expect(200).text();
    assert_eq!(part, "last but one\nlast\n");
    let part = server.get(&format!("{path}?offset=1073741824&limit=100")).expect(200);
    assert_eq!(part.body, [0; 100]);
    let range = server.send("GET", &path, &[("range", "bytes=-5")], b"").expect(206);
    assert_eq!(range.text(), "last\n");
    // The worst question: the hole is searched for a line's end that is not there.
    let long = server.get(&format!("{path}?tail=3&limit=10")).expect(200);
    assert_eq!(long.body.len(), 10);
    // The seed's route answers with the last lines, in bounds.
    let seed = server.get(&format!("/jobs/query/{id}")).expect(200);
    assert!(seed.body.len() < 8 << 20, "{} bytes", seed.body.len());
    let grown = resident(server.pid()).saturating_sub(before);
    assert!(grown < GROWTH_MAX, "the server grew by {grown} bytes");
    println!("a stream of 2 GiB: the server grew by {} KiB", grown / 1024);
    server.is_clean();
}

#[test]
fn a_script_that_kills_its_supervisor_is_node_fail_and_leaves_nothing() {
    let server = Server::start();
    let id = server.run("setsid sleep 613 & kill -9 $PPID; sleep 614");
    let job = ends_as(&server, id, "NODE_FAIL", None);
    assert!(job["error"].as_str().unwrap().contains("supervisor"), "{job}");
    nothing_is_left(&server, id);
}

#[test]
fn a_script_that_kills_its_supervisor_and_step_daemon_harms_only_itself() {
    let server = Server::start();
    let other = server.run("sleep 1; exit 5");
    server.started(other);
    // The supervisor's parent is the step daemon, unless a script changed that.
    let id = server.run(
        "daemon=$(awk '/^PPid/{print $2}' /proc/$PPID/status); kill -9 $PPID $daemon; sleep 615",
    );
    ends_as(&server, id, "NODE_FAIL", None);
    ends_as(&server, other, "FAILED", Some("5:0"));
    ends_as(&server, server.run("exit 6"), "FAILED", Some("6:0"));
    nothing_is_left(&server, id);
}

#[test]
fn a_script_that_stops_itself_can_be_cancelled() {
    let server = Server::start();
    let id = server.run("kill -STOP $$; exit 3");
    let script = script_of(&server.started(id));
    until("the script to be stopped", || {
        if is_stopped(script) { Ok(()) } else { Err("it runs".to_owned()) }
    });
    assert_eq!(server.job(id)["state"], "RUNNING");
    cancel(&server, id);
    ends_as(&server, id, "CANCELLED", Some("0:15"));
    nothing_is_left(&server, id);
}

#[test]
fn a_script_that_stops_its_supervisor_can_be_cancelled() {
    let server = Server::start();
    let id = server.run("sleep 1; kill -STOP $PPID; sleep 616");
    let supervisor = parent(script_of(&server.started(id)));
    until("the supervisor to be stopped", || {
        if is_stopped(supervisor) { Ok(()) } else { Err("it runs".to_owned()) }
    });
    cancel(&server, id);
    ends_as(&server, id, "CANCELLED", Some("0:15"));
    nothing_is_left(&server, id);
}

#[test]
fn a_script_that_deletes_the_spool_it_runs_from_keeps_its_code() {
    let server = Server::start();
    let id = server.run("rm -rf \"$(dirname \"$0\")\"; exit 7");
    ends_as(&server, id, "FAILED", Some("7:0"));
    nothing_is_left(&server, id);
}

#[test]
fn what_a_script_leaves_behind_finishes_its_output() {
    let server = Server::start();
    let file = server.dir.path().join("copy");
    // Each `tee` outlives the script by as long as the disk takes.
    let script = format!("exec > >(sleep 0.3; tee {}) 2>&1\nseq 20000\necho last", file.display());
    let started = std::time::Instant::now();
    for _ in 0..3 {
        let id = server.run(&script);
        let job = ends_as(&server, id, "COMPLETED", Some("0:0"));
        assert_eq!(job["warnings"], json!([]), "{job}");
        assert!(server.stdout(id).ends_with("last\n"));
        assert!(std::fs::read_to_string(&file).unwrap().ends_with("last\n"));
    }
    assert!(started.elapsed() < Duration::from_secs(12), "over as soon as the tree is gone");
    nothing_is_left(&server, 1);
}

#[test]
fn what_does_not_finish_in_time_is_ended_and_named() {
    let server = Server::with(&["--cpus", "4", "--finish-time", "1s"]);
    let id = server.run("sleep 631 &\n(trap '' TERM; sleep 632) &\nexit 3");
    let job = server.reaches(id, "COMPLETING");
    assert_eq!(server.get("/api/v1/resources").json()["used_cpus"], 1, "{job}");
    let job = ends_as(&server, id, "FAILED", Some("3:0"));
    let warnings = job["warnings"].to_string();
    assert!(warnings.contains("left processes behind") && warnings.contains("(sleep)"), "{job}");
    let events = server.get(&format!("/api/v1/jobs/{id}/events")).json().to_string();
    assert!(events.contains("exited_leftovers_killed"), "{events}");
    nothing_is_left(&server, id);
    // None at all where nobody wants it.
    let server = Server::with(&["--cpus", "4", "--finish-time", "0s"]);
    let id = server.run("sleep 633 &\nexit 4");
    ends_as(&server, id, "FAILED", Some("4:0"));
}

#[test]
fn a_cancel_ends_what_is_left_behind_at_once() {
    let server = Server::with(&["--cpus", "4", "--finish-time", "1h"]);
    let id = server.run("sleep 634 &\nexit 3");
    server.reaches(id, "COMPLETING");
    cancel(&server, id);
    ends_as(&server, id, "CANCELLED", Some("3:0"));
    nothing_is_left(&server, id);
}

#[test]
fn what_a_script_makes_of_its_supervisor_is_not_the_next_ones() {
    let server = Server::with(&["--cpus", "1"]);
    let says = "nice; ulimit -n; ulimit -c; chrt -p $$ | head -1; taskset -p $$ | sed 's/.*: //'";
    let look = |server: &Server| {
        let id = server.run(says);
        ends_as(server, id, "COMPLETED", Some("0:0"));
        let said = server.stdout(id);
        said.lines().map(|l| l.split(' ').next_back().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let before = look(&server);
    for spoils in [
        "renice -n 19 -p $PPID",
        "prlimit --pid $PPID --nofile=77",
        "prlimit --pid $PPID --core=0",
        "chrt -b -p 0 $PPID",
        "ionice -c 3 -p $PPID",
        "taskset -a -cp 1 $PPID",
        "D=$(cut -d' ' -f4 /proc/$PPID/stat); renice -n 7 -p $D; prlimit --pid $D --nofile=99",
        "(sleep 0.3; kill -STOP $PPID) & kill -STOP $PPID",
    ] {
        let script = format!("{spoils} > /dev/null; exit 3");
        ends_as(&server, server.run(&script), "FAILED", Some("3:0"));
        assert_eq!(look(&server), before, "{spoils}");
    }
}

#[test]
fn a_limit_is_kept_though_the_script_stops_its_supervisor_again_and_again() {
    let server = Server::start();
    let id = server.submit(&json!({
        "script": "while :; do kill -STOP $PPID; sleep 0.01; done",
        "time_limit": "1s", "kill_grace_s": 1,
    }));
    let job = server.ended(id);
    assert_eq!(job["state"], "TIMEOUT", "{job}");
    nothing_is_left(&server, id);
}

#[test]
fn kept_output_has_a_bound() {
    let server = Server::with(&["--cpus", "4", "--max-output", "20M"]);
    let id = server.submit(&json!({"script": "yes", "kill_grace_s": 1}));
    let job = server.ended(id);
    assert_eq!(job["state"], "FAILED", "{job}");
    assert!(job["error"].as_str().unwrap().contains("--max-output"), "{job}");
    // A hole takes no room, and a file of the job's own is its own business.
    let out = server.dir.path().join("own");
    let script = format!(
        "truncate -s 1T /proc/self/fd/1; head -c 30M /dev/zero > {}; exit 5",
        out.display()
    );
    ends_as(&server, server.run(&script), "FAILED", Some("5:0"));
}

#[test]
fn a_confined_script_can_signal_nobody_but_its_own() {
    let mut server = Server::unstarted(&["--cpus", "4", "--confine-signals"]);
    server.spawn();
    if !server.listens() {
        assert!(server.log().contains("it needs Linux 6.12"), "{}", server.log());
        return crate::help::skipped(
            "a_confined_script_can_signal_nobody_but_its_own",
            "Landlock does not scope signals here",
        );
    }
    let other = server.run("exec sleep 641");
    let other_script = script_of(&server.started(other));
    let daemon = server.step_daemon();
    let script = format!(
        "for pid in $PPID {daemon} {} {other_script}; do kill -STOP $pid && exit 9; done\n\
         sleep 642 & kill $!; wait $!; [ $? = 143 ] || exit 8\nexit 3",
        server.pid()
    );
    ends_as(&server, server.run(&script), "FAILED", Some("3:0"));
    // What has to end it still can.
    let stubborn = server.submit(&json!({"script": "trap '' TERM; sleep 643", "kill_grace_s": 0}));
    server.started(stubborn);
    for id in [other, stubborn] {
        cancel(&server, id);
        assert_eq!(server.ended(id)["state"], "CANCELLED");
    }
    server.is_clean();
}
