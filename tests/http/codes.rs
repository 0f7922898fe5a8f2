//! *Purpose*: the words by which programs tell problems apart.
//!
//! *Owns*: `code` of problems, one case for each kind that can be made from outside.
//!
//! *Promises*: the words and their statuses stay what they are here.
//!
//! *Not here*: sentences, and what is refused (the other modules).

use serde_json::json;

use crate::common::Server;
use crate::help::is_kind;

cases! {
    each_kind_of_problem_has_a_word_of_its_own => ["GET /api/v1/jobs", "POST /api/v1/jobs",
        "GET /api/v1/jobs/{id}", "GET /api/v1/jobs/{id}/array", "DELETE /api/v1/maintenance/{id}",
        "GET /api/v1/jobs/{id}/stdout", "PATCH /api/v1/jobs/{id}"],
}

fn each_kind_of_problem_has_a_word_of_its_own() {
    let server = Server::start();
    let id = server.submit(&json!({"script": "echo x"}));
    server.ended(id);
    let array = server.submit(&json!({"script": "true", "array": "0-1", "held": true}));
    let json = [("content-type", "application/json")];
    let job = format!("/api/v1/jobs/{id}");
    let stdout = format!("{job}/stdout");
    let of_array = format!("/api/v1/jobs/{array}/stdout");
    let priority = b"{\"priority\":-1}".as_slice();
    let page = [("origin", "http://elsewhere.example"), json[0]];
    let form = [("content-type", "text/plain")];
    let key = [json[0], ("idempotency-key", "k")];
    let range = [("range", "bytes=100-")];
    let script = b"{\"script\":\"true\"}".as_slice();
    server.send("POST", "/api/v1/jobs", &key, script).expect(201);
    for (method, path, headers, body, kind) in [
        ("GET", "/nope", &[][..], &b""[..], (404, "no_such_route")),
        ("GET", "/api/v1/jobs/99", &[], b"", (404, "no_such_job")),
        ("GET", "/api/v1/jobs/x", &[], b"", (404, "no_such_job")),
        ("GET", &format!("{job}/array"), &[], b"", (404, "not_an_array")),
        ("DELETE", "/api/v1/maintenance/9", &[], b"", (404, "no_such_window")),
        ("PUT", &job, &[], b"", (405, "method_not_allowed")),
        ("GET", "/api/v1/jobs?limit=0", &[], b"", (400, "bad_parameter")),
        ("POST", "/api/v1/jobs", &json, b"{", (400, "malformed_body")),
        ("POST", "/api/v1/jobs", &json, b"{\"cpus\":0}", (422, "invalid_fields")),
        ("POST", "/api/v1/jobs", &form, script, (415, "unsupported_media_type")),
        ("POST", "/api/v1/jobs", &page, script, (403, "foreign_page")),
        ("POST", "/api/v1/jobs", &key, b"{\"script\":\"false\"}", (409, "idempotency_key_reused")),
        ("PATCH", &job, &json, priority, (409, "job_state")),
        ("GET", &of_array, &[], b"", (409, "is_an_array")),
        ("GET", &stdout, &range, b"", (416, "range_not_satisfiable")),
    ] {
        is_kind(server.send(method, path, headers, body), kind);
    }
}
