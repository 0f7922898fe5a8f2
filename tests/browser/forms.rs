//! *Purpose*: the form for a job, and the buttons of the server's own page.
//!
//! *Owns*: nothing.
//!
//! *Promises*: what is written is judged by the server before it is sent; nothing is done that
//! nobody said yes to.
//!
//! *Not here*: what may stand in a field (`tests/http`).

use serde_json::json;

use crate::chromium::{Browser, CONTROL, ENTER, ESCAPE, TAB};
use crate::common::Server;

/// Writes this into a field, as if nothing had been there.
fn write(browser: &Browser, field: &str, keys: &str) {
    let at = format!("const one = document.getElementById('f-{field}'); one.select(); one.focus()");
    browser.js(&at);
    browser.keys(keys);
}

#[test]
fn a_job_is_submitted_by_the_form_and_watched_to_its_end() {
    let server = Server::with(&["--cpus", "2"]);
    let name = "a_job_is_submitted_by_the_form_and_watched_to_its_end";
    let Some(browser) = Browser::start(name, &server) else { return };
    browser.notes_what_is_refused();
    let gate = server.dir.path().join("gate");
    browser.open("/submit");
    write(&browser, "script", &format!("until [ -e '{}' ]; do sleep 0.02; done", gate.display()));
    write(&browser, "name", "by-hand");
    browser.says("#verdict", "Starts at once.");
    browser.says("#command", "--job-name by-hand");
    assert_eq!(server.get("/api/v1/jobs").json()["jobs"], json!([]), "it was tried only");
    browser.js("document.querySelector('#job-form .go').click()");
    browser.sees("location.pathname === '/jobs/1'");
    browser.says("#headline", "Running");
    browser.js("window.never = 'loaded anew'");
    std::fs::write(&gate, "").unwrap();
    browser.says("#headline", "Completed");
    assert_eq!(browser.text("return window.never"), "loaded anew");
    let job = server.job(1);
    assert_eq!((&job["name"], &job["data_source"]), (&json!("by-hand"), &json!("WEB")));
    browser.is_clean();
}

#[test]
fn what_is_wrong_stands_beside_its_field_and_has_the_focus() {
    let server = Server::with(&["--cpus", "2"]);
    let name = "what_is_wrong_stands_beside_its_field_and_has_the_focus";
    let Some(browser) = Browser::start(name, &server) else { return };
    browser.open("/submit");
    write(&browser, "script", "true");
    write(&browser, "time_limit", "soon");
    write(&browser, "cpus", "many");
    browser.says("#e-cpus", "a whole number is expected");
    browser.sees("document.getElementById('e-time_limit').innerText");
    browser.js("document.activeElement.blur()");
    browser.js("document.querySelector('#job-form .go').click()");
    browser.says("#verdict", "Nothing was submitted.");
    browser.sees("document.activeElement.id === 'f-cpus'");
    let said = "return ['aria-invalid', 'aria-describedby'] \
        .map((name) => document.activeElement.getAttribute(name))";
    assert_eq!(browser.js(said), json!(["", "e-cpus"]));
    // One that was put right is wrong no longer, and the other still is.
    write(&browser, "cpus", "1");
    browser.sees("!document.getElementById('e-cpus').innerText");
    browser.sees("document.getElementById('e-time_limit').innerText");
    write(&browser, "time_limit", "2h");
    browser.says("#verdict", "Starts at once.");
    assert_eq!(server.get("/api/v1/jobs").json()["jobs"], json!([]));
}

#[test]
fn what_would_start_sooner_stands_below_the_answer_and_goes_with_the_next_key() {
    let server = Server::with(&["--cpus", "4"]);
    let name = "what_would_start_sooner_stands_below_the_answer_and_goes_with_the_next_key";
    let Some(browser) = Browser::start(name, &server) else { return };
    let runs = server.submit(&json!({"script": "sleep 600", "cpus": 2, "time_limit": "1h"}));
    server.started(runs);
    browser.open("/submit");
    write(&browser, "script", "true");
    write(&browser, "cpus", "4");
    browser.says("#verdict", "Starts by");
    browser.says("#tries", "With 2 CPUs");
    browser.says("#tries", "starts at once");
    write(&browser, "cpus", "2");
    browser.says("#verdict", "Starts at once.");
    browser.sees("!document.getElementById('tries').innerText");
    write(&browser, "cpus", "5");
    browser.says("#verdict", "Not accepted yet.");
    browser.sees("!document.getElementById('tries').innerText");
    browser.is_clean();
    server.post("/api/v1/jobs/cancel", &json!({"ids": [runs]})).expect(200);
}

#[test]
fn a_draft_shows_what_its_script_asks_for_and_survives_until_it_is_submitted() {
    let server = Server::with(&["--cpus", "2"]);
    let name = "a_draft_shows_what_its_script_asks_for_and_survives_until_it_is_submitted";
    let Some(browser) = Browser::start(name, &server) else { return };
    browser.open("/submit");
    let script = ["#!/bin/sh", "#SBATCH --cpus-per-task=2 --job-name=of-the-script", "true"];
    write(&browser, "script", &script.join(ENTER));
    let shows = |field: &str, what: &str| {
        browser.sees(format!("document.getElementById('f-{field}').placeholder === '{what}'"));
    };
    shows("cpus", "2");
    shows("name", "of-the-script");
    write(&browser, "account", "chem");
    browser.says("#verdict", "2 CPU");
    browser.open("/");
    browser.open("/submit");
    let holds =
        |field: &str| browser.text(&format!("return document.getElementById('f-{field}').value"));
    assert_eq!((holds("script"), holds("account")), (script.join("\n"), "chem".to_owned()));
    shows("cpus", "2");
    browser.js("document.getElementById('f-name').focus()");
    browser.chord(CONTROL, ENTER);
    browser.sees("location.pathname === '/jobs/1'");
    let job = server.ended(1);
    assert_eq!((&job["cpus"], &job["account"]), (&json!(2), &json!("chem")), "{job}");
    browser.open("/submit");
    assert_eq!((holds("script"), holds("account")), ("#!/bin/bash\n\n".to_owned(), String::new()));
}

#[test]
fn the_server_is_drained_and_resumed_by_whoever_says_yes() {
    let server = Server::with(&["--cpus", "2"]);
    let name = "the_server_is_drained_and_resumed_by_whoever_says_yes";
    let Some(browser) = Browser::start(name, &server) else { return };
    browser.notes_what_is_refused();
    let runs = server.submit(&json!({"script": "sleep 600"}));
    server.started(runs);
    browser.open("/admin");
    browser.says("#live", "Live");
    let windows = || server.get("/api/v1/maintenance").expect(200).json();
    let button = |deed: &str| {
        browser.sees(format!("document.querySelector('[data-do={deed}]:not([disabled])')"));
        browser.js(&format!("document.querySelector('[data-do={deed}]').click()"));
        browser.sees("document.querySelector('dialog[open]')");
        browser.sees("document.activeElement.value === 'no'");
    };
    button("drain");
    browser.says("dialog[open]", "1 job that run will run on");
    browser.keys(ESCAPE);
    browser.sees("!document.querySelector('dialog[open]')");
    assert_eq!(windows(), json!([]), "Escape is no");
    button("drain");
    browser.keys(ENTER);
    browser.sees("!document.querySelector('dialog[open]')");
    assert_eq!(windows(), json!([]), "what has the focus is no, too");
    button("drain");
    browser.keys(&format!("{TAB}{ENTER}"));
    browser.sees("document.querySelector('[data-do=resume]')");
    assert_eq!(windows()[0]["active"], true);
    button("resume");
    browser.keys(&format!("{TAB}{ENTER}"));
    browser.sees("document.querySelector('[data-do=drain]')");
    assert_eq!(windows(), json!([]));
    browser.is_clean();
    server.post(&format!("/api/v1/jobs/{runs}/cancel"), &json!({}));
}
