//! *Purpose*: jobs are watched, picked, changed and cancelled on pages.
//!
//! *Owns*: nothing.
//!
//! *Promises*: what a page shows is what came of it, without loading it anew.
//!
//! *Not here*: output (`output`).

use serde_json::json;

use crate::chromium::{Browser, ENTER, ESCAPE, TAB};
use crate::common::Server;

/// Notes the node of a job's row, and waits until that same node says this.
fn the_same_row_says(browser: &Browser, job: i64, words: &str) {
    browser.sees(format!(
        "window.row === document.querySelector('tr[data-key=\"{job}\"]') \
         && window.row.innerText.includes('{words}')"
    ));
}

#[test]
fn a_row_changes_where_it_stands() {
    let server = Server::with(&["--cpus", "2"]);
    let name = "a_row_changes_where_it_stands";
    let Some(browser) = Browser::start(name, &server) else { return };
    browser.notes_what_is_refused();
    let gate = server.dir.path().join("gate");
    let script = format!("until [ -e '{}' ]; do sleep 0.02; done", gate.display());
    let held = server.submit(&json!({"script": script, "name": "watched", "held": true}));
    browser.open("/jobs");
    browser.sees(format!(
        "(window.row = document.querySelector('tr[data-key=\"{held}\"]')) && \
         row.innerText.includes('Pending')"
    ));
    browser.says("#live", "Live");
    server.post(&format!("/api/v1/jobs/{held}/release"), &json!({})).expect(200);
    the_same_row_says(&browser, held, "Running");
    // What comes meanwhile is offered and pushes nothing away.
    let newer = server.run("true");
    browser.says("#offer", "Show 1 newer job");
    assert_eq!(browser.js("return document.querySelectorAll('#list tbody tr').length"), 1);
    std::fs::write(&gate, "").unwrap();
    the_same_row_says(&browser, held, "Completed");
    browser.js("document.getElementById('offer').click()");
    browser.sees(format!("document.querySelector('#list tr[data-key=\"{newer}\"]')"));
    browser.is_clean();
}

#[test]
fn every_end_is_told_apart() {
    let server = Server::with(&["--cpus", "4"]);
    let Some(browser) = Browser::start("every_end_is_told_apart", &server) else { return };
    let failed = server.run("exit 3");
    let late = server.submit(&json!({"script": "sleep 60", "time_limit": "1s"}));
    let cancelled = server.submit(&json!({"script": "true", "held": true}));
    server.post(&format!("/api/v1/jobs/{cancelled}/cancel"), &json!({})).expect(200);
    browser.open("/jobs");
    for (job, words) in [(failed, "Failed"), (late, "Timeout"), (cancelled, "Cancelled")] {
        browser.says(&format!("tr[data-key=\"{job}\"]"), words);
    }
    browser.open(&format!("/jobs/{failed}"));
    browser.says("#headline", "Failed");
    browser.says("#life", "ended failed with 3:0");
}

#[test]
fn an_array_is_one_row_and_opens() {
    let server = Server::with(&["--cpus", "4"]);
    let Some(browser) = Browser::start("an_array_is_one_row_and_opens", &server) else { return };
    let script = "case $SLURM_ARRAY_TASK_ID in 1) exit 4;; 2) exit 0;; *) sleep 300;; esac";
    let array = server.submit(&json!({"script": script, "name": "sweep", "array": "1-4"}));
    browser.open("/jobs");
    browser.says(&format!("tr[data-key=\"{array}\"]"), "1 done, 1 not well");
    assert_eq!(browser.js("return document.querySelectorAll('#list tbody tr').length"), 1);
    browser.js("window.row = document.querySelector('#list tbody tr')");
    browser.js("document.querySelector('[data-toggle]').click()");
    browser.sees("document.querySelectorAll('tr.sub').length === 3");
    browser
        .sees("[...document.querySelectorAll('tr.sub')].some((r) => /Failed/.test(r.innerText))");
    assert_eq!(browser.js("return window.row === document.querySelector('#list tbody tr')"), true);
    browser.js("document.querySelector('[data-toggle]').click()");
    browser.sees("document.querySelectorAll('tr.sub').length === 0");
    // All of it goes at once, and the question says how much that is.
    browser.js("document.querySelector('input[name=pick]').click()");
    browser.js("document.querySelector('[data-picked=cancel]').click()");
    browser.says("dialog[open]", "2 running tasks of sweep");
    browser.keys(ESCAPE);
    browser.sees("!document.querySelector('dialog[open]')");
    let counts = server.get(&format!("/api/v1/jobs/{array}/array")).expect(200).json();
    assert_eq!(counts["running"], 2, "nothing was done: {counts}");
    server.post(&format!("/api/v1/jobs/{array}/cancel"), &json!({}));
}

#[test]
fn a_job_is_found_opened_and_cancelled_by_keys_alone() {
    let server = Server::with(&["--cpus", "2"]);
    let name = "a_job_is_found_opened_and_cancelled_by_keys_alone";
    let Some(browser) = Browser::start(name, &server) else { return };
    let job = server.submit(&json!({"script": "sleep 600", "name": "needle"}));
    server.submit(&json!({"script": "true", "name": "hay", "held": true}));
    server.started(job);
    browser.open("/");
    browser.keys("/");
    browser.sees("document.activeElement.name === 'q'");
    browser.keys(&format!("needle{ENTER}"));
    browser.says("#list", "needle");
    browser.keys("j");
    browser.sees("document.activeElement.innerText === 'needle'");
    browser.keys(ENTER);
    browser.says("#headline", "Running");
    // To the button by Tab, as far as it takes.
    let at = "document.activeElement.innerText";
    for _ in 0..40 {
        if browser.text(&format!("return {at}")).starts_with("Cancel") {
            break;
        }
        browser.keys(TAB);
    }
    browser.keys(ENTER);
    browser.sees(format!("document.querySelector('dialog[open]') && {at} === 'Keep'"));
    browser.keys(&format!("{TAB}{ENTER}"));
    browser.says("#headline", "Cancelled");
    assert_eq!(server.job(job)["state"], "CANCELLED");
    // The keys can be turned off, by keys.
    browser.keys("?");
    browser.says("dialog[open]", "Keys do this");
    browser.js("document.querySelector('dialog[open] input').click()");
    browser.keys(ESCAPE);
    browser.keys("gj?");
    assert_eq!(browser.js("return document.querySelector('dialog[open]')"), json!(null));
    assert_eq!(browser.text("return location.pathname"), format!("/jobs/{job}"));
}

#[test]
fn a_change_says_what_would_become_of_it_before_it_is_made() {
    let server = Server::with(&["--cpus", "2"]);
    let name = "a_change_says_what_would_become_of_it_before_it_is_made";
    let Some(browser) = Browser::start(name, &server) else { return };
    browser.notes_what_is_refused();
    let runs = server.submit(&json!({"script": "sleep 600", "time_limit": "2h"}));
    server.started(runs);
    let waits = json!({"script": "true", "cpus": 2, "time_limit": "4h", "name": "large"});
    let waits = server.submit(&waits);
    browser.open(&format!("/jobs/{waits}"));
    browser.says("#why", "What would help");
    browser.says("#why", "starts now");
    browser.js("document.querySelector('[data-do=change]').click()");
    browser.sees("document.querySelector('dialog[open] [name=cpus]')");
    let write = |value: &str| {
        browser
            .js("const one = document.querySelector('dialog[open] [name=cpus]'); one.select(); \
                    one.focus()");
        browser.keys(value);
    };
    write("99");
    browser.says("dialog[open]", "this server has 2");
    browser.keys(ENTER);
    browser
        .sees("document.querySelector('dialog[open] [aria-invalid]') === document.activeElement");
    assert_eq!(server.job(waits)["cpus"], 2, "nothing was changed");
    write("1");
    browser.says("dialog[open]", "It would start now.");
    assert_eq!(server.job(waits)["cpus"], 2, "nor by being tried");
    browser.keys(ENTER);
    browser.sees("!document.querySelector('dialog[open]')");
    browser.says("#headline", "Completed");
    browser.is_clean();
    server.post(&format!("/api/v1/jobs/{runs}/cancel"), &json!({}));
}
