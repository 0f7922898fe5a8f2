//! *Purpose*: who does not see the page, and who may not.
//!
//! *Owns*: nothing.
//!
//! *Promises*: what a screen reader is told comes from the browser's own tree; a token is asked for
//! once, and a wrong one is said.
//!
//! *Not here*: headers (`tests/web`).

use serde_json::{Value, json};

use crate::chromium::{Browser, ENTER};
use crate::common::Server;

const TOKEN: &str = "a-token-of-this-test";

/// What can be operated, and so needs a name.
const CONTROLS: [&str; 8] =
    ["button", "link", "checkbox", "textbox", "searchbox", "combobox", "tab", "radio"];

/// The nodes of the browser's accessibility tree that are not ignored: role and name.
fn tree(browser: &Browser) -> Vec<(String, String)> {
    let tree = browser.devtools("Accessibility.getFullAXTree", json!({}));
    let text = |value: &Value| value["value"].as_str().unwrap_or_default().trim().to_owned();
    let nodes = tree["nodes"].as_array().unwrap().iter();
    let seen = nodes.filter(|node| node["ignored"] != json!(true));
    seen.map(|node| (text(&node["role"]), text(&node["name"]))).collect()
}

#[test]
fn every_control_has_a_name_and_every_page_one_headline() {
    let server = Server::with(&["--cpus", "4"]);
    let name = "every_control_has_a_name_and_every_page_one_headline";
    let Some(browser) = Browser::start(name, &server) else { return };
    let runs = server.submit(&json!({"script": "sleep 600", "time_limit": "1h"}));
    server.started(runs);
    let waits = server.submit(&json!({"script": "true", "cpus": 4, "array": "1-3"}));
    for path in ["/", "/jobs", "/login", &format!("/jobs/{runs}"), &format!("/jobs/{waits}")] {
        browser.open(path);
        if path != "/login" {
            browser.says("#live", "Live");
        }
        let tree = tree(&browser);
        for (role, name) in &tree {
            let needs_one = CONTROLS.contains(&role.as_str());
            assert!(!needs_one || !name.is_empty(), "{path}: a {role} without a name");
        }
        for role in ["main", "navigation", "search"] {
            assert!(tree.iter().any(|(own, _)| own == role), "{path}: no {role}");
        }
        assert_eq!(browser.js("return document.querySelectorAll('h1').length"), 1, "{path}");
    }
    server.post("/api/v1/jobs/cancel", &json!({"ids": [runs, waits]})).expect(200);
}

#[test]
fn a_token_is_asked_for_and_kept_for_this_origin_alone() {
    let mut server = Server::unstarted(&[]);
    server.env.push(("DOWNBEAT_TOKEN".to_owned(), TOKEN.to_owned()));
    server.up();
    let name = "a_token_is_asked_for_and_kept_for_this_origin_alone";
    let Some(browser) = Browser::start(name, &server) else { return };
    browser.open("/jobs?state=FAILED");
    browser.sees("location.pathname === '/login'");
    browser.sees("document.querySelector('[name=token]')");
    let write = |token: &str| {
        browser
            .js("const one = document.querySelector('[name=token]'); one.value = ''; one.focus()");
        browser.keys(&format!("{token}{ENTER}"));
    };
    write("wrong");
    browser.says("#login-error", "does not know that token");
    write(TOKEN);
    browser.sees("location.pathname + location.search === '/jobs?state=FAILED'");
    browser.says("#live", "Live");
    browser.says("#list", "No job is like that.");
    assert_eq!(browser.text("return document.cookie"), "");
    assert_eq!(browser.js("return localStorage.getItem('downbeat-token')"), Value::Null);
}
