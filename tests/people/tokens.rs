//! *Purpose*: tokens of users.
//!
//! *Owns*: the cases about them.
//!
//! *Promises*: a token is never more than its user, and one that is over opens nothing.
//!
//! *Not here*: who somebody is without one (`identity`).

use super::house::{ALICE, BOB, House, houses};
use serde_json::{Value, json};

houses! {
    a_token_that_alice_makes_for_herself_works_over_tcp_and_her_job_runs_as_her ""
    alice_makes_no_token_of_a_role_or_a_user_that_she_is_not ""
    a_revoked_an_expired_a_truncated_and_a_foreign_token_are_answered_alike ""
    an_old_token_of_an_administrator_who_is_none_any_more_acts_as_a_user
        "[people]\nadmins = [\"dbt-alice\"]"
    everybody_sees_and_revokes_his_own_tokens_and_an_administrator_those_of_all
        "[people]\nadmins = [\"dbt-bob\"]"
    of_a_token_nothing_but_its_hash_is_kept ""
    clients_of_slurm_s_api_are_who_their_token_says ""
    a_browser_that_a_code_lets_in_is_its_maker_as_far_as_his_token_lets_him
        "[people]\nadmins = [\"dbt-alice\"]\nprivate = [\"jobs\"]"
}

fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}\r\n")
}

/// Makes a token; its answer.
#[track_caller]
fn made(house: &House, name: &str, body: Value) -> Value {
    house.post(name, "/api/v1/tokens", &body).expect(201)
}

fn text(token: &Value) -> &str {
    token["token"].as_str().unwrap()
}

/// Lets a browser in by a code; the session's headers.
#[track_caller]
fn let_in(house: &House, code: &Value) -> String {
    let code = bearer(code["code"].as_str().unwrap());
    let opened = house.over_tcp("POST /api/v1/web/sessions", &code, "").expect(201);
    house.over_tcp("POST /api/v1/web/sessions", &code, "").expect(401);
    bearer(text(&opened))
}

mod cases {
    use super::*;

    pub fn a_browser_that_a_code_lets_in_is_its_maker_as_far_as_his_token_lets_him(
        mut house: House,
    ) {
        let job = house.submit(BOB, json!({"script": "true", "held": true}));
        let see = format!("GET /api/v1/jobs/{job}");
        let code =
            |house: &House, name: &str| house.ask(name, "POST /api/v1/web/codes").expect(201);
        let of_bob = let_in(&house, &code(&house, BOB));
        let me = house.over_tcp("GET /api/v1/me", &of_bob, "").expect(200);
        assert_eq!((&me["user"], &me["role"]), (&json!(BOB), &json!("user")), "{me}");
        assert_eq!(house.over_tcp(&see, &of_bob, "").expect(200)["user"], BOB);
        for more in ["POST /api/v1/tokens", "POST /api/v1/web/codes"] {
            let refused = house.over_tcp(more, &of_bob, "{}").expect(403);
            assert_eq!(refused["code"], "not_permitted", "{more}: {refused}");
        }
        let of_alice = let_in(&house, &code(&house, ALICE));
        house.over_tcp(&see, &of_alice, "").expect(200);
        // No more than her token, and no longer.
        let token = made(&house, ALICE, json!({"role": "viewer"}));
        let by_token = house.over_tcp("POST /api/v1/web/codes", &bearer(text(&token)), "");
        let limited = let_in(&house, &by_token.expect(201));
        house.over_tcp(&see, &limited, "").expect(404);
        let submit = r#"{"script":"true"}"#;
        house.over_tcp("POST /api/v1/jobs", &limited, submit).expect(403);
        let revoke = format!("DELETE /api/v1/tokens/{}", token["id"].as_str().unwrap());
        house.ask(ALICE, &revoke).expect(200);
        house.over_tcp("GET /api/v1/me", &limited, "").expect(401);
        // Nor more than she is now.
        let me = |house: &House| house.over_tcp("GET /api/v1/me", &of_alice, "").expect(200);
        assert_eq!(me(&house)["role"], "admin");
        house.settings = "[people]\nprivate = [\"jobs\"]".to_owned();
        house.read_again();
        assert_eq!(me(&house)["role"], "user");
        house.over_tcp(&see, &of_alice, "").expect(404);
    }

    pub fn clients_of_slurm_s_api_are_who_their_token_says(house: House) {
        let tokens = [ALICE, BOB].map(|name| text(&made(&house, name, json!({}))).to_owned());
        let ask = |request: &str, (token, name): (&str, &str), body: &str| {
            let headers = format!("X-SLURM-USER-TOKEN: {token}\r\nX-SLURM-USER-NAME: {name}\r\n");
            house.over_tcp(request, &headers, body)
        };
        let (alice, bob) = ((&*tokens[0], ALICE), (&*tokens[1], BOB));
        let body = r##"{"script":"#!/bin/sh\nsleep 600","job":{"comment":"of no business"}}"##;
        let id = ask("POST /slurm/v0.0.38/job/submit", alice, body).expect(200)["job_id"].clone();
        let on = |method: &str| format!("{method} /slurm/v0.0.38/job/{id}");
        for liar in [(alice.0, BOB), ("dbt_of-nobody", ALICE)] {
            let refused = ask(&on("GET"), liar, "");
            assert_eq!((refused.status, &*refused.bytes), (401, "Authentication failure"));
        }
        let own = ask(&on("GET"), alice, "").expect(200)["jobs"][0].clone();
        assert_eq!((&own["user_name"], &own["comment"]), (&json!(ALICE), &json!("of no business")));
        let seen = ask(&on("GET"), bob, "").expect(200)["jobs"][0].clone();
        assert_eq!((&seen["user_name"], &seen["comment"]), (&json!(ALICE), &json!("")));
        for (method, body) in [("DELETE", ""), ("POST", r#"{"name":"mine"}"#)] {
            let refused = ask(&on(method), bob, body).expect(403);
            assert_eq!(refused["errors"][0]["error_number"], 2002, "{refused}");
        }
        ask(&on("DELETE"), alice, "").expect(200);
        let job = house.ended(ALICE, id.as_i64().unwrap());
        assert_eq!((&job["state"], &job["name"]), (&json!("CANCELLED"), &own["name"]), "{job}");
    }

    pub fn a_token_that_alice_makes_for_herself_works_over_tcp_and_her_job_runs_as_her(
        house: House,
    ) {
        let said = house.cli(ALICE, &["token", "create", "--name", "laptop"]);
        assert!(said.status.success(), "{said:?}");
        let token = String::from_utf8(said.stdout).unwrap();
        let headers = bearer(token.trim());
        let me = house.over_tcp("GET /api/v1/me", &headers, "").expect(200);
        assert_eq!((&me["user"], &me["via"]), (&json!(ALICE), &json!("token")), "{me}");
        let script = json!({"script": "id -un"}).to_string();
        let job = house.over_tcp("POST /api/v1/jobs", &headers, &script).expect(201);
        let id = job["id"].as_i64().unwrap();
        house.ended(ALICE, id);
        let said = house.over_tcp(&format!("GET /api/v1/jobs/{id}/stdout"), &headers, "");
        assert_eq!(said.bytes, format!("{ALICE}\n"));
        let listed = house.ask(ALICE, "GET /api/v1/tokens").expect(200);
        let number = listed[0]["id"].as_str().unwrap();
        assert_eq!((&listed[0]["name"], &listed[0]["role"]), (&json!("laptop"), &json!("user")));
        let by = format!("SELECT via || token_id AS line FROM audit WHERE target = {id}");
        assert_eq!(house.sql(&by), format!("token{number}"));
        let more = house.over_tcp("POST /api/v1/tokens", &headers, "{}").expect(403);
        assert_eq!(more["code"], "not_permitted", "a token makes no token: {more}");
    }

    pub fn alice_makes_no_token_of_a_role_or_a_user_that_she_is_not(house: House) {
        for body in [
            json!({"role": "operator"}),
            json!({"role": "admin"}),
            json!({"user": BOB}),
            json!({"user": "root"}),
            json!({"user": "nobody-at-all"}),
        ] {
            let refused = house.post(ALICE, "/api/v1/tokens", &body).expect(403);
            assert_eq!(refused["code"], "not_permitted", "{body}: {refused}");
        }
        let wrong = json!({"role": "root", "expires_in": "10y", "x": 1});
        let refused = house.post(ALICE, "/api/v1/tokens", &wrong).expect(422);
        assert_eq!(refused["errors"].as_array().map(Vec::len), Some(3), "{refused}");
        assert_eq!(house.sql("SELECT count(*) || '' AS line FROM tokens"), "0");
        assert_eq!(house.sql("SELECT count(*) || '' AS line FROM audit"), "0");
        let viewer = made(&house, ALICE, json!({"role": "viewer"}));
        let submit = r#"{"script":"true"}"#;
        let refused = house.over_tcp("POST /api/v1/jobs", &bearer(text(&viewer)), submit);
        assert_eq!(refused.status, 403, "{}", refused.bytes);
    }

    pub fn a_revoked_an_expired_a_truncated_and_a_foreign_token_are_answered_alike(house: House) {
        let whole = text(&made(&house, ALICE, json!({}))).to_owned();
        let other = text(&made(&house, BOB, json!({}))).to_owned();
        let past = made(&house, ALICE, json!({}));
        let number = past["id"].as_str().unwrap();
        house.sql(&format!(
            "UPDATE tokens SET expires = 1 WHERE id = '{number}' RETURNING id AS line"
        ));
        let gone = made(&house, ALICE, json!({}));
        let path = format!("DELETE /api/v1/tokens/{}", gone["id"].as_str().unwrap());
        house.ask(ALICE, &path).expect(200);
        let (number, secret) = (&whole[..17], other.rsplit_once('_').unwrap().1);
        let swapped = format!("{number}{secret}");
        assert_eq!(swapped.len(), whole.len());
        let known = &whole[..whole.len() - 1];
        let foreign = "dbt_0123456789ab_0123456789abcdef";
        let others = [text(&past), text(&gone), known, &swapped, foreign, "hunter2", "x y"];
        let refused = |sent: &str| {
            let answer = house.over_tcp("GET /api/v1/jobs", &bearer(sent), "").expect(401);
            (answer["code"].clone(), answer["detail"].clone())
        };
        let first = refused(text(&past));
        for sent in others {
            assert_eq!(refused(sent), first, "{sent}");
            let over_socket = house.ask_with(BOB, "GET /api/v1/me", &bearer(sent), "");
            assert_eq!(over_socket.status, 401, "a wrong one is refused there too: {sent}");
        }
        let still = house.over_tcp("GET /api/v1/me", &bearer(&whole), "").expect(200);
        assert_eq!(still["user"], ALICE);
        let of_alice = house.ask_with(BOB, "GET /api/v1/me", &bearer(&whole), "").expect(200);
        assert_eq!(of_alice["user"], ALICE, "who sends a token is its user");
    }

    pub fn an_old_token_of_an_administrator_who_is_none_any_more_acts_as_a_user(mut house: House) {
        let token = made(&house, ALICE, json!({"role": "admin"}));
        let headers = bearer(text(&token));
        let role = |house: &House| {
            house.over_tcp("GET /api/v1/me", &headers, "").expect(200)["role"].clone()
        };
        assert_eq!(role(&house), "admin");
        house.over_tcp("GET /api/v1/history", &headers, "").expect(200);
        house.settings = String::new();
        house.down();
        house.up();
        assert_eq!(role(&house), "user");
        house.over_tcp("GET /api/v1/history", &headers, "").expect(403);
    }

    pub fn everybody_sees_and_revokes_his_own_tokens_and_an_administrator_those_of_all(
        house: House,
    ) {
        let hers = made(&house, ALICE, json!({"name": "a"}));
        let his = made(&house, BOB, json!({"name": "b"}));
        let for_her = made(&house, BOB, json!({"user": ALICE, "name": "c"}));
        assert_eq!((&for_her["user"], &for_her["role"]), (&json!(ALICE), &json!("user")));
        let names = |who: &str, query: &str| {
            let listed = house.ask(who, &format!("GET /api/v1/tokens{query}")).expect(200);
            let listed = listed.as_array().unwrap();
            let mut names: Vec<String> =
                listed.iter().map(|one| one["name"].as_str().unwrap().to_owned()).collect();
            names.sort_unstable();
            names.concat()
        };
        assert_eq!((names(ALICE, ""), names(BOB, "")), ("ac".into(), "b".into()));
        assert_eq!(names(BOB, "?all=true"), "abc");
        house.ask(ALICE, "GET /api/v1/tokens?all=true").expect(403);
        let revoke = |who: &str, token: &Value| {
            let path = format!("DELETE /api/v1/tokens/{}", token["id"].as_str().unwrap());
            house.ask(who, &path)
        };
        let refused = revoke(ALICE, &his).expect(404);
        assert_eq!(refused["code"], "no_such_token", "{refused}");
        revoke(BOB, &hers).expect(200);
        revoke(ALICE, &for_her).expect(200);
        assert_eq!(revoke(ALICE, &for_her).status, 404, "it is gone");
        assert_eq!(names(BOB, "?all=true"), "b");
        let told = "SELECT group_concat(verb || ' ' || name, ', ') AS line FROM audit";
        let wanted = format!(
            "create token {ALICE}, create token {BOB}, create token {BOB}, \
             revoke token {BOB}, revoke token {ALICE}"
        );
        assert_eq!(house.sql(told), wanted);
    }

    pub fn of_a_token_nothing_but_its_hash_is_kept(house: House) {
        let token = made(&house, ALICE, json!({}));
        let secret = text(&token).rsplit_once('_').unwrap().1;
        let found = house.over_tcp("GET /api/v1/me", &bearer(text(&token)), "");
        assert_eq!(found.status, 200);
        let mut looked_at = 0;
        for file in ["data/downbeat.db", "data/downbeat.db-wal", "log"] {
            let Ok(bytes) = std::fs::read(house.home.path().join(file)) else { continue };
            looked_at += 1;
            let is_there = bytes.windows(secret.len()).any(|part| part == secret.as_bytes());
            assert!(!is_there, "the token stands in {file}");
        }
        assert!(looked_at > 1);
        for body in ["/api/v1/tokens", "/api/v1/history", "/api/v1/info", "/metrics"] {
            let said = house.ask(ALICE, &format!("GET {body}")).bytes;
            assert!(!said.contains(secret), "{body}: {said}");
        }
    }
}
