//! *Purpose*: what is remembered of requests that changed something.
//!
//! *Owns*: the cases about the history.
//!
//! *Promises*: one row for each, in the commit of what it changed.
//!
//! *Not here*: refusals (`burden`), what a kill leaves of both (`tests/faults`).

use super::house::{ALICE, BOB, CAROL, House, houses};
use serde_json::{Value, json};

houses! {
    what_acts_on_a_terminal_is_refused_at_the_door_or_shown_escaped "[people]\noperators = [\"dbt-bob\"]"
    what_everybody_may_read_holds_no_user_path_or_token_of_others
        "[people]
         private = [\"jobs\", \"usage\"]
         deny_users = [\"dbt-carol\"]
         [[account]]
         name = \"a\"
         users = [\"dbt-alice\"]
         [[user]]
         name = \"dbt-alice\"
         max_queued_jobs = 9"
    every_route_that_changes_something_leaves_one_row_by_each_role
        "[people]\nadmins = [\"dbt-bob\"]\noperators = [\"dbt-carol\"]"
    a_user_s_history_is_his_name_and_number_whatever_he_sends ""
}

/// Escape, its one-byte form, a line's end, and marks that turn a line round or nobody sees.
const ACTING: [&str; 5] = ["\u{1b}[2J", "\u{9b}2J", "\n", "\u{202e}", "\u{200b}"];

mod cases {
    use super::*;

    pub fn what_acts_on_a_terminal_is_refused_at_the_door_or_shown_escaped(house: House) {
        for acts in ACTING {
            let text = format!("a{acts}b");
            for field in ["name", "comment", "account", "partition"] {
                let mut job = json!({"script": "true"});
                job[field] = json!(text);
                let refused = house.post(ALICE, "/api/v1/jobs", &job).expect(422);
                assert_eq!(refused["errors"][0]["field"], field, "{refused}");
            }
            let labels = json!({"script": "true", "labels": {"k": text}});
            house.post(ALICE, "/api/v1/jobs", &labels).expect(422);
            house.post(ALICE, "/api/v1/tokens", &json!({"name": text})).expect(422);
            let other = json!({"script": "true", "user": text});
            house.post(ALICE, "/api/v1/jobs", &other).expect(403);
        }
        // What came with a request is kept as it came.
        let mut id = 0;
        for acts in ACTING.into_iter().filter(|acts| *acts != "\n" && !acts.starts_with('\u{1b}')) {
            let header = format!("X-Request-ID: a{acts}b\r\n");
            let body = json!({"script": "true", "held": true}).to_string();
            let made = house.ask_with(ALICE, "POST /api/v1/jobs", &header, &body);
            if made.status == 400 {
                continue;
            }
            id = made.expect(201)["id"].as_i64().unwrap();
            // Refused, which the log tells.
            house.ask_with(ALICE, "GET /api/v1/history", &header, "").expect(403);
        }
        assert!(id > 0);
        let shown = |words: &[&str]| {
            let said = house.cli(BOB, words);
            assert!(said.status.success(), "{words:?}: {said:?}");
            String::from_utf8(said.stdout).unwrap()
        };
        let id = id.to_string();
        let all = [shown(&["queue"]), shown(&["show", &id]), shown(&["history"]), house.log()];
        for text in all {
            let acts = ['\u{1b}', '\u{9b}', '\u{202e}', '\u{200b}'];
            assert!(!text.contains(acts), "{text:?}");
        }
    }

    pub fn what_everybody_may_read_holds_no_user_path_or_token_of_others(house: House) {
        let script = "pwd; exit 3";
        let job = json!({"script": script, "account": "a", "working_directory": "/tmp"});
        let id = house.submit(ALICE, job);
        house.ended(ALICE, id);
        let held = json!({"script": script, "held": true, "name": "hers-alone"});
        let waits = house.submit(ALICE, held);
        let token = house.post(ALICE, "/api/v1/tokens", &json!({"name": "hers-too"})).expect(201);
        let (text, token_id) = (token["token"].as_str().unwrap(), token["id"].as_str().unwrap());
        let questions = [
            "GET /metrics".to_owned(),
            "GET /api/v1/info".to_owned(),
            "GET /openapi.json".to_owned(),
            "GET /api/v1/jobs".to_owned(),
            "GET /api/v1/jobs?q=hers".to_owned(),
            "GET /api/v1/jobs?fold=arrays".to_owned(),
            "GET /api/v1/jobs?state=PENDING&sort=position".to_owned(),
            "GET /api/v1/overview".to_owned(),
            "GET /api/v1/forecast".to_owned(),
            "GET /api/v1/accounts".to_owned(),
            "GET /api/v1/accounts?by=user".to_owned(),
            "GET /api/v1/usage".to_owned(),
            "GET /api/v1/tokens".to_owned(),
            "GET /api/v1/me".to_owned(),
            "GET /api/v1/resources".to_owned(),
            "GET /api/v1/partitions".to_owned(),
            format!("GET /api/v1/jobs/{id}"),
            format!("GET /api/v1/jobs/{waits}/stdout"),
            format!("DELETE /api/v1/jobs/{waits}"),
            format!("DELETE /api/v1/tokens/{token_id}"),
            "GET /api/v1/history".to_owned(),
            "GET /".to_owned(),
            "GET /jobs".to_owned(),
            "GET /submit".to_owned(),
            "GET /admin".to_owned(),
            format!("GET /submit?from={waits}"),
        ];
        for question in &questions {
            let answer = house.ask(BOB, question);
            assert!(answer.status < 500, "{question}: {}", answer.bytes);
            for secret in [ALICE, CAROL, "/home/dbt", text, "hers-alone", "hers-too"] {
                assert!(!answer.bytes.contains(secret), "{question}: {secret}: {}", answer.bytes);
            }
        }
        let page = |name: &str| house.ask(name, "GET /admin").bytes;
        assert!(page(BOB).contains("Shown to operators."), "{}", page(BOB));
        assert!(!page(BOB).contains("data-do=\"drain\""), "{}", page(BOB));
        assert!(page("root").contains("data-do=\"drain\""), "{}", page("root"));
        assert!(page("root").contains(ALICE), "who did what: {}", page("root"));
        let settings =
            |name: &str| house.ask(name, "GET /api/v1/info").expect(200)["configuration"].clone();
        for name in ["people", "account", "user"] {
            assert_eq!(settings(BOB)[name]["value"], "shown to operators", "{name}");
            let value = settings("root")[name]["value"].to_string();
            assert!(value.contains("dbt-"), "{name}: {value}");
        }
    }

    /// How many rows there are, and the last one.
    fn rows(house: &House) -> (i64, String) {
        let count = house.sql("SELECT count(*) || '' AS line FROM audit").parse().unwrap();
        let last = "SELECT verb || ' ' || name || ' ' || role || ' ' || via || ' ' || request_id \
                    AS line FROM audit ORDER BY id DESC LIMIT 1";
        (count, house.sql(last))
    }

    /// Asks, and holds the history to one more row of it.
    #[track_caller]
    fn asked(
        house: &House,
        (who, role): (&str, &str),
        request: &str,
        body: &Value,
        verb: &str,
    ) -> Value {
        let before = rows(house).0;
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let answer = house.ask_with(who, request, "X-Request-ID: this-one\r\n", &body);
        assert!((200..300).contains(&answer.status), "{request}: {}", answer.bytes);
        let (after, last) = rows(house);
        assert_eq!(after - before, 1, "{request} by {who}");
        assert_eq!(last, format!("{verb} {who} {role} socket this-one"), "{request}");
        answer.json
    }

    pub fn every_route_that_changes_something_leaves_one_row_by_each_role(house: House) {
        let later = json!({"script": "true", "begin_time": "now+1h"});
        for by in [(ALICE, "user"), (BOB, "admin"), (CAROL, "operator")] {
            let one = |request: &str, body: &Value, verb| asked(&house, by, request, body, verb);
            let id = one("POST /api/v1/jobs", &later, "submit")["id"].clone();
            let batch = json!({"jobs": [later, later, later]});
            one("POST /api/v1/jobs/batch", &batch, "submit");
            let path = format!("/api/v1/jobs/{id}");
            one(&format!("POST {path}/hold"), &Value::Null, "hold");
            one(&format!("POST {path}/release"), &Value::Null, "release");
            one(&format!("PATCH {path}"), &json!({"name": "other"}), "update");
            one(&format!("DELETE {path}"), &Value::Null, "cancel");
            one(&format!("POST {path}/requeue"), &Value::Null, "requeue");
            one(&format!("POST {path}/cancel"), &Value::Null, "cancel");
            for base in ["/api/v1/jobs", "/api/jobs", "/jobs"] {
                let held = json!({"name": "s", "script": "sleep 600", "cpus": 1});
                let made = one(&format!("POST {base}/submit"), &held, "submit");
                let id = made["job_id"].as_str().unwrap();
                one(&format!("POST {base}/cancel/{id}"), &Value::Null, "cancel");
            }
            let token = one("POST /api/v1/tokens", &json!({}), "create token");
            let token = token["id"].as_str().unwrap();
            one(&format!("DELETE /api/v1/tokens/{token}"), &Value::Null, "revoke token");
            if by.0 != ALICE {
                one("POST /api/v1/maintenance", &json!({}), "drain");
                one("DELETE /api/v1/maintenance", &Value::Null, "resume");
                let ahead = json!({"start_time": "now+1h", "end_time": "now+2h"});
                let window = one("POST /api/v1/maintenance", &ahead, "drain")["id"].clone();
                let gone = format!("DELETE /api/v1/maintenance/{window}");
                one(&gone, &Value::Null, "resume");
            }
        }
        // What is refused, wrong, or changes nothing leaves none.
        let before = rows(&house).0;
        house.ask(ALICE, "DELETE /api/v1/maintenance").expect(403);
        house.post(ALICE, "/api/v1/jobs", &json!({"script": ""})).expect(422);
        house.ask(ALICE, "DELETE /api/v1/jobs/1").expect(200);
        house.post(ALICE, "/api/v1/jobs?dry_run=true", &later);
        assert_eq!(rows(&house).0, before);
    }

    pub fn a_user_s_history_is_his_name_and_number_whatever_he_sends(house: House) {
        let id = house.submit(ALICE, json!({"script": "true", "held": true}));
        let headers = "X-Request-ID: a\tb\r\nX-Forwarded-User: root\r\nUser-Agent: root\r\n";
        house.ask_with(ALICE, &format!("DELETE /api/v1/jobs/{id}"), headers, "").expect(200);
        let told = "SELECT group_concat(DISTINCT name || ' ' || uid) AS line FROM audit";
        let uid = house.ask(ALICE, "GET /api/v1/me").expect(200)["uid"].clone();
        assert_eq!(house.sql(told), format!("{ALICE} {uid}"));
        let acts = "SELECT count(*) || '' AS line FROM audit WHERE request_id GLOB '*[^ -~]*'";
        assert_eq!(house.sql(acts), "0", "nothing acts in what is shown");
    }
}
