//! *Purpose*: the wall clock jumps under a running server, or is set on minute by minute.
//!
//! *Owns*: a server whose wall clock a test sets.
//!
//! *Promises*: server, step daemon and supervisors see the same wrong clock; the monotonic one
//! is the machine's.
//!
//! *Not here*: clock jumps between any two steps of the kernel (`tests/simulation`).

use std::fs;
use std::time::{Duration, Instant};

use downbeat::clock;
use serde_json::{Value, json};

use crate::common::{Server, until};
use crate::freeze::Gate;

/// A day, in microseconds.
const DAY_US: i64 = 86_400_000_000;

/// A server whose clock reads `skew` from a file.
struct Skewed {
    server: Server,
    gate: Gate,
}

impl Skewed {
    fn start() -> Skewed {
        Skewed::at(0)
    }

    /// Whose clock is wrong by so much from the beginning.
    fn at(skew_us: i64) -> Skewed {
        let mut server = Server::unstarted(&["--cpus", "4"]);
        let gate = Gate::new(server.dir.path().join("gate"));
        let file = server.dir.path().join("skew").display().to_string();
        server.env.push(("DOWNBEAT_CLOCK_SKEW_FILE".to_owned(), file));
        let mut world = Skewed { server, gate };
        world.set(skew_us);
        world.server.up();
        world
    }

    /// By rename: nobody reads half a number.
    fn set(&self, skew_us: i64) {
        let new = self.server.dir.path().join("skew.new");
        fs::write(&new, skew_us.to_string()).unwrap();
        fs::rename(new, self.server.dir.path().join("skew")).unwrap();
    }

    /// A job that waits at the gate.
    fn at_gate(&self, code: i64, limit: &str) -> i64 {
        let script = format!("echo up\nread -r _ < {}\nexit {code}\n", self.gate.path.display());
        let id = self.server.submit(&json!({"script": script, "time_limit": limit}));
        self.server.says(id, "up\n");
        id
    }

    fn samples(&self, query: &str) -> Value {
        self.server.get(&format!("/api/v1/samples{query}")).expect(200).json()
    }

    fn never_negative(&self) {
        let jobs = self.server.get("/api/v1/jobs").expect(200).json();
        for job in jobs["jobs"].as_array().unwrap() {
            assert!(job["elapsed_s"].as_i64().is_none_or(|s| s >= 0), "{job}");
        }
    }

    /// Each job's states follow each other in the order of the events' ids.
    fn events_are_in_order(&self) {
        let broken = self.server.sql(
            "SELECT e.id || ': ' || e.job_id AS line FROM events e \
             WHERE coalesce(e.from_state, '') <> coalesce((SELECT p.to_state FROM events p \
              WHERE p.job_id = e.job_id AND p.id < e.id ORDER BY p.id DESC LIMIT 1), '')",
        );
        assert_eq!(broken, "");
        let jumps = self.server.sql(
            "SELECT count(*) AS line FROM events e WHERE time < (SELECT max(time) FROM events p \
             WHERE p.id < e.id)",
        );
        assert_ne!(jumps, "0", "the clock was not set back: this test tests nothing");
    }
}

#[test]
fn the_clock_may_be_set_back_a_day() {
    let mut world = Skewed::start();
    let limited = world.at_gate(30, "4s");
    let begun = Instant::now();
    let waits = world.at_gate(31, "1h");
    let behind = world.server.submit(&json!({"script": "exit 32", "cpus": 4}));

    world.set(-DAY_US);
    // Short enough to run before the one that waits for all CPUs.
    let new = world.server.submit(&json!({"script": "exit 33", "time_limit": "1m"}));
    assert_eq!(world.server.ended(new)["exit_code"], "33:0");
    world.never_negative();
    let job = world.server.ended(limited);
    assert_eq!((&job["state"], &job["exit_code"]), (&json!("TIMEOUT"), &json!("0:15")));
    // Not a day late, and not early: the limit is counted on the monotonic clock.
    assert!((3..60).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
    world.server.kill();
    world.server.up();
    assert_eq!(world.server.job(waits)["state"], "RUNNING", "adopted before it began");
    world.never_negative();

    // A day forward again is no reason to end what may run for an hour.
    world.set(0);
    let one_more = Duration::from_millis(200);
    let set = Instant::now();
    until("a wrong limit to strike, if there is one", || {
        if set.elapsed() > one_more { Ok(()) } else { Err("early".to_owned()) }
    });
    world.never_negative();
    assert_eq!(world.server.job(waits)["state"], "RUNNING");
    world.set(-DAY_US);
    world.gate.open();
    let ended = world.server.ended(waits);
    assert_eq!((&ended["exit_code"], &ended["elapsed_s"]), (&json!("31:0"), &json!(0)), "{ended}");
    assert_eq!(world.server.ended(behind)["exit_code"], "32:0");
    world.never_negative();
    world.events_are_in_order();
    world.server.is_clean();
}

/// Of how many CPUs it is known that they were held, and in which of the samples.
fn known(samples: &Value) -> Vec<(usize, f64)> {
    let held = samples["cpus_held"].as_array().unwrap();
    held.iter().enumerate().filter_map(|(n, cpus)| Some((n, cpus.as_f64()?))).collect()
}

#[test]
fn a_minute_of_what_was_held_is_kept_and_no_other_is_made_up() {
    let begun = clock::now().0;
    let minute = begun - begun.rem_euclid(60_000_000);
    // The server's clock stands so many seconds behind the begin of that minute.
    let second = |n: i64| minute + n * 1_000_000 - clock::now().0;
    let mut world = Skewed::at(second(30));
    let script = format!("echo up\nread -r _ < {}\n", world.gate.path.display());
    let job = json!({"script": script, "cpus": 3, "time_limit": "9h"});
    let holds = world.server.submit(&job);
    world.server.says(holds, "up\n");
    assert_eq!(known(&world.samples("")), [], "no minute is over");
    // Its next minute begins and is over; each time somebody commits.
    for n in [65, 125] {
        world.set(second(n));
        world.server.ended(world.server.run("true"));
    }
    let now = until("a minute", || {
        let now = world.samples("?from=-1h&until=now");
        if known(&now).is_empty() { Err(now.to_string()) } else { Ok(now) }
    });
    let [(n, cpus)] = known(&now)[..] else {
        panic!("that in which it was started is not known whole: {now}")
    };
    let at = |field: &str| now[field][n].clone();
    assert!((3.0..3.5).contains(&cpus), "three all the time, the other for a moment: {cpus}");
    assert_eq!((at("started"), at("ended_ok"), at("ended_not_ok")), (json!(1), json!(1), json!(0)));
    assert!(at("running").as_f64().unwrap() >= 1.0 && at("wait_s").is_number(), "{now}");
    assert_eq!((at("gpus_held"), at("memory_held_bytes")), (json!(0.0), json!(0)));
    // What a killed server had written its successor shows, and between them is nothing.
    world.server.kill();
    world.set(second(600));
    world.server.up();
    let held = |query: &str| -> Vec<f64> {
        known(&world.samples(query)).into_iter().map(|(_, cpus)| cpus).collect()
    };
    assert_eq!(held("?from=-1h&step_s=60"), [cpus]);
    let wide = held("?from=-1h&step_s=3600");
    assert!(wide.contains(&cpus), "the mean of what is known: {wide:?}");
    world.gate.open();
    world.server.ended(holds);
    world.server.is_clean();
}

#[test]
fn a_script_never_sees_the_fault_points() {
    let mut server = Server::unstarted(&["--cpus", "4"]);
    let gone = server.dir.path().join("gone").display().to_string();
    for name in ["DOWNBEAT_FAULT_DIR", "DOWNBEAT_CLOCK_SKEW_FILE"] {
        server.env.push((name.to_owned(), gone.clone()));
    }
    server.up();
    let id = server.run("tr '\\0' '\\n' < /proc/$$/environ");
    server.ended(id);
    let environment = server.stdout(id);
    assert!(environment.contains("DOWNBEAT_JOB_ID="), "{environment}");
    for name in ["FAULT", "SKEW", gone.as_str()] {
        assert!(!environment.contains(name), "{environment}");
    }
}
