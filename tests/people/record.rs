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
    every_route_that_changes_something_leaves_one_row_by_each_role
        "[people]\nadmins = [\"dbt-bob\"]\noperators = [\"dbt-carol\"]"
    a_user_s_history_is_his_name_and_number_whatever_he_sends ""
}

mod cases {
    use super::*;

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
