//! *Purpose*: what one user may ask of a server of all users, and what is told of refusals.
//!
//! *Owns*: the cases about floods, connections, refusals and usage.
//!
//! *Promises*: whatever one user does, another is answered.
//!
//! *Not here*: who may do what (`rights`).

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use super::house::{ALICE, BOB, CAROL, House, as_user, houses};
use serde_json::{Value, json};

houses! {
    alice_floods_the_server_and_gets_429_while_each_of_bob_s_jobs_is_stored_at_once ""
    an_operator_is_never_told_that_he_asks_too_often "[people]\noperators = [\"dbt-alice\"]"
    alice_holds_five_thousand_idle_connections_and_bob_is_answered_within_a_second ""
    alice_has_the_largest_bodies_on_their_way_and_bob_s_is_taken ""
    each_refusal_is_a_line_of_the_log_and_a_count ""
    in_a_private_house_a_hidden_job_s_refusal_is_logged_too "[people]\nprivate = [\"jobs\"]"
    numbers_are_open_where_the_settings_say_so "[people]\nmetrics_open = true"
    usage_is_added_up_by_user_and_by_account
        "[[account]]\nname = \"physics\"\nusers = [\"dbt-alice\", \"dbt-bob\"]"
    private_usage_is_its_owner_s "[people]\nprivate = [\"usage\"]"
}

/// What a user may change at once, and then in each second (`api::crowd`).
const AT_ONCE: usize = 2_000;
const A_SECOND: usize = 200;
/// Longest wait of another user.
const SOON: Duration = Duration::from_secs(2);

/// Sends one request so many times over one connection of this user; the statuses, and how many of
/// the answers said when to come back.
fn flood(house: &House, name: &str, request: &str, times: usize) -> (Vec<u16>, usize) {
    let socket = house.socket();
    let one = format!("{request} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n");
    let last = one.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n");
    as_user(name, move || {
        let stream = UnixStream::connect(socket).unwrap();
        let mut to = stream.try_clone().unwrap();
        let sender = std::thread::spawn(move || {
            for _ in 1..times {
                to.write_all(one.as_bytes()).unwrap();
            }
            to.write_all(last.as_bytes()).unwrap();
        });
        let mut all = String::new();
        (&stream).read_to_string(&mut all).unwrap();
        sender.join().unwrap();
        let statuses = all.split("HTTP/1.1 ").skip(1);
        let statuses = statuses.map(|answer| answer[..3].parse().unwrap()).collect();
        (statuses, all.to_ascii_lowercase().matches("retry-after: ").count())
    })
}

fn lines<'a>(log: &'a str, of: &str) -> Vec<&'a str> {
    log.lines().filter(|line| line.contains("Refused: ") && line.contains(of)).collect()
}

mod cases {
    use super::*;

    pub fn alice_floods_the_server_and_gets_429_while_each_of_bob_s_jobs_is_stored_at_once(
        house: House,
    ) {
        let house = &house;
        let begun = Instant::now();
        std::thread::scope(|scope| {
            let flooding = scope.spawn(|| flood(house, ALICE, "DELETE /api/v1/jobs/999", 6_000));
            let mut slowest = Duration::ZERO;
            for _ in 0..10 {
                let begun = Instant::now();
                house.submit(BOB, json!({"script": "true"}));
                slowest = slowest.max(begun.elapsed());
            }
            assert!(slowest < SOON, "{slowest:?}");
            let (statuses, told) = flooding.join().unwrap();
            let took = begun.elapsed().as_secs();
            let refused = statuses.iter().filter(|status| **status == 429).count();
            let taken = statuses.iter().filter(|status| **status == 404).count();
            assert_eq!((statuses.len(), refused + taken), (6_000, 6_000));
            // A slow machine sends them over so long a time that more of them are no flood.
            let most = AT_ONCE + (usize::try_from(took).unwrap() + 1) * A_SECOND;
            assert!((AT_ONCE..=most).contains(&taken), "{taken} taken in {took} s");
            assert_eq!(told, refused, "each says when to come back");
        });
        // Her questions are another count, and another's changes his own.
        house.ask(ALICE, "GET /api/v1/me").expect(200);
        house.submit(BOB, json!({"script": "true"}));
    }

    pub fn an_operator_is_never_told_that_he_asks_too_often(house: House) {
        let (statuses, _) = flood(&house, ALICE, "DELETE /api/v1/jobs/999", 4_000);
        assert_eq!(statuses, vec![404; 4_000]);
    }

    pub fn alice_holds_five_thousand_idle_connections_and_bob_is_answered_within_a_second(
        house: House,
    ) {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let limit = getrlimit(Resource::Nofile);
        setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).unwrap();
        let socket = house.socket();
        let hers: Vec<UnixStream> = as_user(ALICE, move || {
            (0..5_000).filter_map(|_| UnixStream::connect(&socket).ok()).collect()
        });
        assert!(hers.len() > 4_000, "{}", hers.len());
        let begun = Instant::now();
        house.ask(BOB, "GET /api/v1/jobs").expect(200);
        house.over_tcp("GET /health/live", "", "");
        assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
        let closed = hers.iter().filter(|one| {
            one.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
            matches!((&mut &**one).read(&mut [0]), Ok(0))
        });
        assert!(closed.count() > 1_000, "those that are too many are closed at once");
    }

    pub fn alice_has_the_largest_bodies_on_their_way_and_bob_s_is_taken(house: House) {
        const MIB: usize = 1 << 20;
        let socket = house.socket();
        let under_way: Vec<UnixStream> = as_user(ALICE, move || {
            let begin = |_| {
                let mut one = UnixStream::connect(&socket).unwrap();
                let head = "POST /api/v1/jobs HTTP/1.1\r\nHost: localhost\r\n\
                            Content-Type: application/json\r\nContent-Length: 67108864\r\n\r\n";
                one.write_all(head.as_bytes()).unwrap();
                one.write_all(&vec![b' '; 62 * MIB]).unwrap();
                one
            };
            (0..2).map(begin).collect()
        });
        let padded = |bytes: usize| format!("{}{{\"script\": \"true\"}}", " ".repeat(bytes));
        let large = |name: &str| house.ask_with(name, "POST /api/v1/jobs", "", &padded(40 * MIB));
        let refused = large(ALICE);
        assert_eq!(refused.status, 503, "{}", refused.bytes);
        assert!(refused.bytes.contains("bodies of yours of 134217728 bytes"), "{}", refused.bytes);
        large(BOB).expect(201);
        drop(under_way);
        super::super::until_now("her bodies are given up", || match large(ALICE) {
            taken if taken.status == 201 => Ok(()),
            refused => Err(refused.bytes),
        });
    }

    pub fn each_refusal_is_a_line_of_the_log_and_a_count(house: House) {
        let id = house.submit(ALICE, json!({"script": "true", "held": true}));
        let order = format!("DELETE /api/v1/jobs/{id}");
        house.ask_with(BOB, &order, "X-Request-ID: friday\r\n", "").expect(403);
        house.ask(BOB, "GET /api/v1/history").expect(403);
        house.over_tcp("GET /api/v1/jobs", "", "").expect(401);
        house.ask(ALICE, "GET /api/v1/jobs/999").expect(404);
        let log = house.log();
        let of_bob = lines(&log, BOB);
        assert_eq!(of_bob.len(), 2, "{of_bob:?}");
        let wanted = format!("{order}: not_permitted (request friday)");
        assert!(of_bob[0].contains(&wanted), "{of_bob:?}");
        let of_stranger = lines(&log, "unauthorized");
        assert_eq!(of_stranger.len(), 1);
        assert!(of_stranger[0].contains("not known, 127.0.0.1:"), "{of_stranger:?}");
        assert_eq!(lines(&log, ALICE).len(), 0, "what is not there is no refusal");
        let metrics = house.ask(ALICE, "GET /metrics").bytes;
        assert!(metrics.contains("downbeat_requests_refused_total{role=\"user\"} 2"), "{metrics}");
        assert!(metrics.contains("downbeat_requests_refused_total{role=\"none\"} 1"), "{metrics}");
        assert!(!metrics.contains(BOB) && !metrics.contains(ALICE), "{metrics}");
        flood(&house, BOB, &order, 500);
        let many = lines(&house.log(), BOB).len();
        assert!((3..=60).contains(&many), "of one sender ten lines a second: {many}");
        let of = format!("SELECT state AS line FROM jobs WHERE id = {id}");
        assert_eq!(house.sql(&of), "PENDING");
    }

    pub fn in_a_private_house_a_hidden_job_s_refusal_is_logged_too(house: House) {
        let id = house.submit(ALICE, json!({"script": "true", "held": true}));
        house.ask(BOB, &format!("DELETE /api/v1/jobs/{id}")).expect(404);
        house.ask(BOB, "DELETE /api/v1/jobs/999").expect(404);
        let log = house.log();
        let of_bob = lines(&log, BOB);
        assert_eq!(of_bob.len(), 1, "{of_bob:?}");
        assert!(of_bob[0].contains(&format!("/jobs/{id}: no_such_job")), "{of_bob:?}");
    }

    pub fn numbers_are_open_where_the_settings_say_so(mut house: House) {
        let numbers = |house: &House| house.over_tcp("GET /metrics", "", "");
        let open = numbers(&house);
        assert!(open.status == 200 && open.bytes.contains("downbeat_cpus_used"), "{}", open.bytes);
        assert_eq!(house.over_tcp("GET /metrics?who=me", "", "").status, 400);
        assert_eq!(house.over_tcp("GET /api/v1/jobs", "", "").status, 401);
        house.settings = String::new();
        house.down();
        house.up();
        assert_eq!(numbers(&house).status, 401);
    }

    fn line(report: &Value, name: &str) -> Value {
        let all = report["lines"].as_array().unwrap();
        all.iter().find(|one| one["name"] == name).cloned().unwrap_or_default()
    }

    pub fn usage_is_added_up_by_user_and_by_account(house: House) {
        let of = |who: &str, script: &str, account: &str| {
            house.submit(who, json!({"script": script, "account": account, "cpus": 2}))
        };
        let ids = [of(ALICE, "sleep 0.2", "physics"), of(ALICE, "exit 3", "physics")];
        let his = of(BOB, "true", "");
        for id in ids {
            house.ended(ALICE, id);
        }
        house.ended(BOB, his);
        let held = house.submit(BOB, json!({"script": "true", "held": true}));
        house.ask(BOB, &format!("DELETE /api/v1/jobs/{held}")).expect(200);
        let by_user = house.ask(CAROL, "GET /api/v1/usage").expect(200);
        let hers = line(&by_user, ALICE);
        let counts = |one: &Value, words: [&str; 5]| words.map(|word| one[word].clone());
        let words = ["jobs", "completed", "failed", "cancelled", "running"];
        assert_eq!(counts(&hers, words), [2, 1, 1, 0, 0].map(|n| json!(n)), "{by_user}");
        assert_eq!(counts(&line(&by_user, BOB), words), [2, 1, 0, 1, 0].map(|n| json!(n)));
        let hours = hers["cpu_hours"].as_f64().unwrap();
        assert!((2.0 * 0.2 / 3_600.0..0.02).contains(&hours), "{hours}");
        assert!(hers["mean_wait_s"].as_f64().unwrap() >= 0.0);
        let by_account = house.ask(CAROL, "GET /api/v1/usage?by=account").expect(200);
        assert_eq!(line(&by_account, "physics")["jobs"], 2, "{by_account}");
        let numbers = house.ask(CAROL, "GET /metrics").bytes;
        for line in [
            "downbeat_account_jobs_started_total{account=\"physics\"} 2",
            "downbeat_account_jobs_ended_total{account=\"physics\",state=\"FAILED\"} 1",
            "downbeat_account_jobs_ended_total{account=\"\",state=\"COMPLETED\"} 1",
        ] {
            assert!(numbers.lines().any(|own| own == line), "{line}: {numbers}");
        }
        let cpu = "downbeat_account_cpu_seconds_total{account=\"physics\"} ";
        let cpu = numbers.lines().find_map(|line| line.strip_prefix(cpu)).unwrap();
        assert!((0.4..60.0).contains(&cpu.parse::<f64>().unwrap()), "{cpu}");
        let said = house.cli(CAROL, &["usage", "--by", "user", "--csv"]);
        let said = String::from_utf8(said.stdout).unwrap();
        assert!(said.starts_with("user,cpu_hours,"), "{said}");
        assert!(said.lines().any(|line| line.starts_with(ALICE)), "{said}");
    }

    pub fn private_usage_is_its_owner_s(house: House) {
        for who in [ALICE, BOB] {
            let id = house.submit(who, json!({"script": "true"}));
            house.ended(who, id);
        }
        let seen = house.ask(BOB, "GET /api/v1/usage").expect(200);
        assert_eq!(seen["lines"].as_array().unwrap().len(), 1, "{seen}");
        assert_eq!(line(&seen, BOB)["jobs"], 1);
        for path in ["accounts?by=user", "accounts"] {
            let seen = house.ask(BOB, &format!("GET /api/v1/{path}")).expect(200);
            let names: Vec<&Value> = seen.as_array().unwrap().iter().map(|l| &l["name"]).collect();
            let others = names.iter().filter(|name| **name != BOB).count();
            assert_eq!(others, 0, "{path}: {seen}");
        }
        house.ask(BOB, "GET /api/v1/jobs/1").expect(200);
        let waits = house.submit(ALICE, json!({"script": "true", "held": true}));
        let rank = |name: &str| house.ask(name, &format!("GET /api/v1/jobs/{waits}/priority"));
        for (who, may_know) in [(BOB, false), (ALICE, true), ("root", true)] {
            let rank = rank(who).expect(200);
            let told = (rank["points"].is_i64(), rank["parts"].is_object());
            assert_eq!(told, (may_know, may_know), "{who}: {rank}");
            assert!(rank["policy"]["waited_s"].is_i64(), "{rank}");
        }
        let numbers = |name: &str| house.ask(name, "GET /metrics").bytes;
        assert!(!numbers(BOB).contains("downbeat_account_"));
        assert!(numbers("root").contains("downbeat_account_jobs_started_total{account=\"\"} 2"));
    }
}
