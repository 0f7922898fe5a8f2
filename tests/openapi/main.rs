//! *Purpose*: the OpenAPI document as programs of others read it.
//!
//! *Owns*: a validator, a generated client that runs a job, and a fuzzer that compares answers with
//! the document.
//!
//! *Promises*: where these programs are not installed a test says `SKIPPED`; nothing of them is
//! written outside of a folder of its own; no script that the fuzzer makes up is run.
//!
//! *Not here*: which routes there are (`tests/http/numbers.rs`), installing (`tests/run`).

#![allow(clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::Server;
use serde_json::Value;

/// Seconds that the fuzzer may go on: it has asked for all operations in a few.
const FUZZING_S: u32 = 30;
/// Tries of one operation in one phase: the phases before have tried what stands at the bounds.
const TRIES: u32 = 3;
/// What may take as long as a job, which never starts here.
const STREAMS: &str = "/(events|wait|stdout|stderr)$";
/// What is looked at in each answer.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
    response_schema_conformance,unsupported_method";

/// A program of the private environment beside the build, if it is there.
fn tool(test: &str, name: &str) -> Option<PathBuf> {
    let built = Path::new(env!("CARGO_BIN_EXE_downbeat"));
    let path = built.ancestors().nth(2).unwrap().join("openapi/bin").join(name);
    if path.exists() {
        return Some(path);
    }
    println!("SKIPPED {test}: {} is not installed; tests/run openapi does it", path.display());
    None
}

#[track_caller]
fn succeeds(command: &mut Command) {
    let done = command.output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert!(done.status.success(), "{command:?}: {}\n{out}\n{err}", done.status);
}

/// Writes the document that a server serves into its folder.
fn written(server: &Server) -> PathBuf {
    let path = server.dir.path().join("openapi.json");
    std::fs::write(&path, server.get("/openapi.json").expect(200).body).unwrap();
    path
}

fn operations(document: &Value) -> Vec<(String, &Value)> {
    let paths = document["paths"].as_object().unwrap().iter();
    let each = paths.flat_map(|(path, item)| {
        let all = item.as_object().unwrap().iter().filter(|(_, one)| one["responses"].is_object());
        all.map(move |(method, one)| (format!("{method} {path}"), one))
    });
    each.collect()
}

#[test]
fn a_validator_takes_the_document() {
    let Some(validator) = tool("a_validator_takes_the_document", "openapi-spec-validator") else {
        return;
    };
    succeeds(Command::new(validator).arg(written(&Server::start())));
}

#[test]
fn each_operation_says_what_it_is_who_may_ask_and_what_goes_wrong() {
    let document = Server::start().get("/openapi.json").expect(200).json();
    let mut ids = BTreeSet::new();
    for (name, operation) in operations(&document) {
        let id = operation["operationId"].as_str().unwrap();
        assert!(ids.insert(id), "{id} is there twice");
        assert!(operation["description"].as_str().is_some_and(|d| d.len() > 10), "{name}");
        let answers = operation["responses"].as_object().unwrap();
        for (status, answer) in answers {
            assert!(!answer["description"].as_str().unwrap().is_empty(), "{name} {status}");
            // Nothing is said where nothing changed.
            if !status.starts_with('2') && status != "304" {
                let kinds: Vec<&String> = answer["content"].as_object().unwrap().keys().collect();
                assert_eq!(kinds, ["application/problem+json"], "{name} {status}");
            }
        }
        let open = name.contains(" /health/");
        assert_eq!(operation["security"].is_null(), open, "{name}");
        for status in ["401", "403"] {
            assert_eq!(answers.contains_key(status), !open, "{name} {status}");
        }
        let body = operation["requestBody"].is_object();
        assert!(!body || answers.contains_key("415") && answers.contains_key("413"), "{name}");
        let is_old = ["/jobs/submit", "/jobs/query/{id}", "/jobs/cancel/{id}"];
        let is_old = is_old.iter().any(|path| name.ends_with(path));
        let is_old = is_old || ["get /dashboard", "get /api/dashboard"].contains(&name.as_str());
        assert_eq!(operation["deprecated"] == true, is_old, "{name}");
    }
    assert_eq!(document["components"]["securitySchemes"]["bearer"]["scheme"], "bearer");
}

#[test]
fn each_time_that_is_answered_is_told_as_a_time() {
    let document = Server::start().get("/openapi.json").expect(200).json();
    let schemas = document["components"]["schemas"].as_object().unwrap();
    assert!(schemas.contains_key("Event") && schemas.contains_key("StreamEnd"));
    // What is sent may be written in other ways too; the others are spans.
    let sent = ["SubmitBody", "NestedJob", "UpdateBody", "WindowBody"];
    let spans = ["elapsed_time", "limit_time"];
    for (name, schema) in schemas.iter().filter(|(name, _)| !sent.contains(&name.as_str())) {
        for (field, shape) in schema["properties"].as_object().into_iter().flatten() {
            let is_time = field == "time" || field.ends_with("_time") || field.ends_with("_at");
            let is_time = is_time && !spans.contains(&field.as_str()) && shape["$ref"].is_null();
            if is_time || field == "deadline" {
                assert_eq!(shape["format"], "date-time", "{name}.{field}");
            }
        }
    }
}

#[test]
fn a_generated_client_runs_a_job() {
    let test = "a_generated_client_runs_a_job";
    let Some(generator) = tool(test, "openapi-python-client") else { return };
    let Some(python) = tool(test, "python") else { return };
    let server = Server::start();
    let package = server.dir.path().join("downbeat_client");
    let mut generate = Command::new(generator);
    generate.args(["generate", "--meta", "none", "--path"]).arg(written(&server));
    succeeds(generate.arg("--output-path").arg(&package));
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/openapi/client.py");
    let mut client = Command::new(python);
    client.env("PYTHONPATH", server.dir.path()).env("PYTHONDONTWRITEBYTECODE", "1");
    succeeds(client.arg(script).arg(&server.url));
}

#[test]
fn whatever_is_asked_the_answer_is_as_documented() {
    let test = "whatever_is_asked_the_answer_is_as_documented";
    let Some(fuzzer) = tool(test, "schemathesis") else { return };
    let mut server = Server::unstarted(&["--cpus", "1"]);
    let settings = server.dir.path().join("closed.toml");
    std::fs::write(&settings, "[[partition]]\nname = \"closed\"\nstate = \"down\"\n").unwrap();
    server.args.extend(["--config".to_owned(), settings.display().to_string()]);
    server.up();
    let mut fuzz = Command::new(fuzzer);
    fuzz.current_dir(server.dir.path()).arg("run").arg(written(&server));
    fuzz.args(["--url", &server.url, "--checks", CHECKS, "--exclude-path-regex", STREAMS]);
    fuzz.args(["--phases", "examples,coverage,fuzzing", "--generation-deterministic"]);
    fuzz.args(["--max-examples", &TRIES.to_string(), "--max-time", &FUZZING_S.to_string()]);
    fuzz.args(["--request-timeout", "20", "--warnings", "off", "--no-color"]);
    succeeds(&mut fuzz);
    let live = server.sql("SELECT count(*) || '' AS line FROM jobs WHERE start_time IS NOT NULL");
    assert_eq!(live, "0", "a script was run");
}
