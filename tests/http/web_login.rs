//! *Purpose*: a browser is let in by a code.
//!
//! *Owns*: codes and sessions, on a server of one user.
//!
//! *Promises*: a code opens one session, once; a session is what its maker is, and ends with his
//! token; neither text stands in a log or in the database.
//!
//! *Not here*: servers of all users (`tests/people`), the pages (`tests/browser`), how long each
//! lasts, which `api::web_sessions` tests without a clock.

use serde_json::{Value, json};

use crate::common::{Answer, Server};
use crate::help::{keys, problem};

const CODES: &str = "/api/v1/web/codes";
const SESSIONS: &str = "/api/v1/web/sessions";

cases! {
    a_code_opens_one_session => ["POST /api/v1/web/codes", "POST /api/v1/web/sessions"],
    what_is_no_code_opens_nothing => ["POST /api/v1/web/sessions"],
    a_session_is_what_its_maker_is => ["POST /api/v1/web/codes", "POST /api/v1/web/sessions"],
    a_session_ends_with_its_token_and_when_it_is_told_to => ["DELETE /api/v1/web/sessions"],
    code_and_session_are_shown_nowhere => ["GET /api/v1/history"],
}

fn with(server: &Server, method: &str, path: &str, bearer: &str) -> Answer {
    let bearer = format!("Bearer {bearer}");
    server.send(method, path, &[("authorization", &bearer)], b"")
}

/// A server with a token for all and one for administrators.
fn with_tokens() -> Server {
    let mut server = Server::unstarted(&["--cpus", "1"]);
    let file = server.dir.path().join("admin");
    std::fs::write(&file, "of-admins").unwrap();
    let locked = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&file, locked).unwrap();
    server.args.extend(["--admin-token-file".to_owned(), file.display().to_string()]);
    server.env.push(("DOWNBEAT_TOKEN".to_owned(), "of-all".to_owned()));
    server.up();
    server
}

#[track_caller]
fn text(answer: Answer, field: &str) -> String {
    answer.expect(201).json()[field].as_str().unwrap().to_owned()
}

fn session(server: &Server, token: &str) -> String {
    let code = text(with(server, "POST", CODES, token), "code");
    text(with(server, "POST", SESSIONS, &code), "token")
}

fn me(server: &Server, bearer: &str) -> Value {
    with(server, "GET", "/api/v1/me", bearer).expect(200).json()
}

fn a_code_opens_one_session() {
    let server = with_tokens();
    let made = with(&server, "POST", CODES, "of-all").expect(201).json();
    keys(&made, "address code expires_at");
    assert_eq!(made["address"], server.url);
    let code = made["code"].as_str().unwrap();
    problem(with(&server, "GET", "/api/v1/me", code), 401);
    let opened = with(&server, "POST", SESSIONS, code).expect(201).json();
    keys(&opened, "expires_at token");
    let again = problem(with(&server, "POST", SESSIONS, code), 401);
    assert!(again["detail"].as_str().unwrap().contains("it was used"), "{again}");
    let token = opened["token"].as_str().unwrap();
    with(&server, "GET", "/api/v1/jobs", token).expect(200);
    let more = problem(with(&server, "POST", CODES, token), 403);
    assert_eq!(more["code"], "not_permitted", "a session makes no code: {more}");
    let page = with(&server, "GET", "/live?view=/nowhere", token);
    assert_eq!(page.status, 404, "it opens streams of pages, too: {}", page.text());
}

fn what_is_no_code_opens_nothing() {
    let server = with_tokens();
    let token = session(&server, "of-all");
    let long = "x".repeat(4_000);
    for wrong in ["", "of-all", "dbc_", "dbc_0123456789abcdef0123456789abcdef", &token, &long] {
        problem(with(&server, "POST", SESSIONS, wrong), 401);
    }
    problem(server.send("POST", SESSIONS, &[], b""), 401);
    problem(server.send("POST", SESSIONS, &[("authorization", "dbc_1")], b""), 401);
    problem(server.send("POST", CODES, &[], b""), 401);
}

fn a_session_is_what_its_maker_is() {
    let server = with_tokens();
    for (token, role, drains) in [("of-all", "user", 403), ("of-admins", "admin", 201)] {
        let session = session(&server, token);
        let known = me(&server, &session);
        assert_eq!((&known["role"], &known["via"]), (&json!(role), &json!("token")), "{known}");
        assert_eq!(known["user"], me(&server, token)["user"]);
        let json = ("content-type", "application/json");
        let bearer = format!("Bearer {session}");
        let asked = [json, ("authorization", &*bearer)];
        server.send("POST", "/api/v1/maintenance", &asked, b"{}").expect(drains);
    }
    // Where no token is set it is whoever the connection is of.
    let open = Server::start();
    let code = text(open.send("POST", CODES, &[], b""), "code");
    let session = text(with(&open, "POST", SESSIONS, &code), "token");
    let (known, own) = (me(&open, &session), open.get("/api/v1/me").json());
    assert_eq!((&known["uid"], &known["role"]), (&own["uid"], &own["role"]));
}

fn a_session_ends_with_its_token_and_when_it_is_told_to() {
    let mut server = with_tokens();
    let [first, second] = [(); 2].map(|()| session(&server, "of-all"));
    with(&server, "DELETE", SESSIONS, "of-all").expect(204);
    with(&server, "DELETE", SESSIONS, &first).expect(204);
    problem(with(&server, "GET", "/api/v1/me", &first), 401);
    me(&server, &second);
    let code = text(with(&server, "POST", CODES, "of-all"), "code");
    server.kill();
    server.up();
    problem(with(&server, "GET", "/api/v1/me", &second), 401);
    problem(with(&server, "POST", SESSIONS, &code), 401);
}

fn code_and_session_are_shown_nowhere() {
    let server = with_tokens();
    let code = text(with(&server, "POST", CODES, "of-all"), "code");
    let token = text(with(&server, "POST", SESSIONS, &code), "token");
    problem(with(&server, "POST", SESSIONS, &code), 401);
    with(&server, "GET", "/api/v1/jobs/7", &token).expect(404);
    let told = with(&server, "GET", "/api/v1/history", "of-admins").expect(200);
    let entries = told.json();
    let verbs: Vec<_> = entries.as_array().unwrap().iter().map(|one| &one["verb"]).collect();
    assert_eq!(verbs, ["open web session", "make web code"], "{entries}");
    let number = entries[0]["token"].as_str().unwrap();
    let by = entries[1]["detail"].as_str().unwrap();
    assert_eq!(entries[0]["detail"], format!("{number} by code {by}"));
    assert_eq!(entries[0]["user"], "token", "{entries}");
    let log = server.log();
    for secret in [&code, &token] {
        assert!(!log.contains(&**secret) && !told.text().contains(&**secret), "{log}");
        for end in ["", "-wal"] {
            let file = format!("{}{end}", server.database().display());
            let bytes = std::fs::read(file).unwrap_or_default();
            assert!(!bytes.windows(secret.len()).any(|part| part == secret.as_bytes()));
        }
    }
}
