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
    let jobs = [runs, waits, 4711].map(|job| format!("/jobs/{job}"));
    let others = ["/", "/jobs", "/submit", "/usage", "/admin", "/docs", "/login"];
    for path in others.into_iter().chain(jobs.iter().map(String::as_str)) {
        browser.open(path);
        browser.settled();
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

/// What is not drawn of an element that has to be told from others without colours of its own.
const FORCED: &str = "
    const style = (one, part) => getComputedStyle(one, part);
    const wide = (one, side) => parseFloat(style(one)['border' + side + 'Width']);
    const faults = [];
    for (const brick of document.querySelectorAll('.b')) {
        if (wide(brick, 'Top') < 1) faults.push('a brick without a border');
        if (!brick.querySelector('b').innerText.trim()) faults.push('a brick without a name');
    }
    for (const state of document.querySelectorAll('main .st')) {
        const { backgroundColor, borderTopColor, borderTopWidth } = style(state, '::before');
        const drawn = parseFloat(borderTopWidth) >= 1 ? borderTopColor : backgroundColor;
        if (drawn !== style(document.body).color) faults.push('a state without its shape');
    }
    for (const bar of document.querySelectorAll('progress')) {
        if (wide(bar, 'Top') < 1) faults.push('a bar without an edge');
    }
    const [here, ...others] = [...document.querySelectorAll('.top nav a')]
        .sort((one) => one.ariaCurrent ? -1 : 1);
    const under = (one) => style(one).borderBottomColor;
    if (others.some((one) => under(one) === under(here))) faults.push('all tabs are underlined');
    here.focus();
    if (style(here).outlineStyle === 'none') faults.push('no ring around what has the focus');
    const bricks = document.querySelectorAll('.b').length;
    return [faults, bricks, matchMedia('(forced-colors: active)').matches]";

#[test]
fn with_colours_of_the_reader_s_own_everything_keeps_its_shape() {
    let server = Server::with(&["--cpus", "4"]);
    let name = "with_colours_of_the_reader_s_own_everything_keeps_its_shape";
    let Some(browser) = Browser::start(name, &server) else { return };
    let runs = server.submit(&json!({"script": "sleep 600", "cpus": 2, "time_limit": "1h"}));
    server.started(runs);
    server.ended(server.submit(&json!({"script": "exit 3"})));
    server.submit(&json!({"script": "true", "cpus": 4}));
    for theme in ["light", "dark"] {
        let features = json!([{"name": "forced-colors", "value": "active"},
            {"name": "prefers-color-scheme", "value": theme}]);
        browser.devtools("Emulation.setEmulatedMedia", json!({"features": features}));
        for (path, bricks) in [("/", 3), ("/jobs", 0)] {
            browser.open(path);
            browser.settled();
            let seen = browser.js(FORCED);
            assert_eq!(seen[0], json!([]), "{path} {theme}");
            assert!(seen[1].as_u64() >= Some(bricks), "{path}: {seen}");
            assert_eq!(seen[2], true);
            browser.picture(&format!("forced-{}-{theme}", &path[1..]));
        }
    }
    server.post("/api/v1/jobs/cancel", &json!({"ids": [runs]})).expect(200);
}

#[test]
fn a_token_is_asked_for_and_kept_for_this_origin_alone() {
    let server = with_token();
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

/// A server that wants a token.
fn with_token() -> Server {
    let mut server = Server::unstarted(&[]);
    server.env.push(("DOWNBEAT_TOKEN".to_owned(), TOKEN.to_owned()));
    server.up();
    server
}

/// An address that lets a browser in once.
fn let_in(server: &Server) -> String {
    let bearer = format!("Bearer {TOKEN}");
    let made = server.send("POST", "/api/v1/web/codes", &[("authorization", &bearer)], b"");
    format!("/#code={}", made.expect(201).json()["code"].as_str().unwrap())
}

/// The token that a tab has.
const KEPT: &str = "return sessionStorage.getItem('downbeat-token') \
    ?? localStorage.getItem('downbeat-token')";

#[test]
fn a_code_lets_a_browser_in_once() {
    let server = with_token();
    let Some(browser) = Browser::start("a_code_lets_a_browser_in_once", &server) else { return };
    browser.notes_what_is_refused();
    let address = let_in(&server);
    browser.open(&address);
    browser.says("#live", "Live");
    browser.sees("document.getElementById('who').innerText === 'token'");
    assert_eq!(browser.text("return location.pathname + location.hash"), "/");
    browser.open("/admin");
    browser.says("#you", "Log out");
    browser.js("sessionStorage.clear()");
    browser.open(&address);
    browser.sees("location.pathname === '/login'");
    browser.says("#late", "was used already");
    assert_eq!(browser.js(KEPT), Value::Null);
    browser.is_clean();
    // Into a tab that is at the page already, where nothing is loaded for what stands behind #.
    browser.open(&let_in(&server));
    browser.says("#live", "Live");
    browser.js("sessionStorage.clear()");
    let again = let_in(&server);
    browser.open(&again);
    browser.sees("sessionStorage.getItem('downbeat-token')");
    browser.says("#live", "Live");
}

#[test]
fn who_logs_out_is_out_in_all_tabs() {
    let server = with_token();
    let Some(browser) = Browser::start("who_logs_out_is_out_in_all_tabs", &server) else { return };
    browser.open(&let_in(&server));
    browser.says("#live", "Live");
    let session = browser.text(KEPT);
    browser.js("open('/admin')");
    browser.tab(1);
    browser.says("#live", "Live");
    browser.js("document.getElementById('logout').click()");
    browser.sees("location.pathname === '/login'");
    browser.tab(0);
    browser.sees("location.pathname === '/login'");
    for tab in [0, 1] {
        browser.tab(tab);
        browser.open("/jobs");
        browser.sees("location.pathname === '/login'");
        assert_eq!(browser.js(KEPT), Value::Null);
    }
    let bearer = format!("Bearer {session}");
    server.send("GET", "/api/v1/me", &[("authorization", &bearer)], b"").expect(401);
}

#[test]
fn links_to_what_is_for_programs_are_followed_with_the_token() {
    let server = with_token();
    let name = "links_to_what_is_for_programs_are_followed_with_the_token";
    let Some(browser) = Browser::start(name, &server) else { return };
    browser.notes_what_is_refused();
    browser.open(&let_in(&server));
    browser.says("#live", "Live");
    let bearer = format!("Bearer {TOKEN}");
    let known = [("authorization", &*bearer), ("content-type", "application/json")];
    server.send("POST", "/api/v1/jobs", &known, br#"{"script":"true","held":true}"#).expect(201);
    for (path, words) in [("/docs", "openapi"), ("/jobs/1", "PENDING")] {
        browser.open(path);
        browser.sees("document.querySelector('[data-json]')");
        browser.is_clean();
        browser.js("document.querySelector('[data-json]').click()");
        browser.sees("location.protocol === 'blob:'");
        browser.sees(format!("document.body.innerText.includes({})", Value::from(words)));
    }
}
