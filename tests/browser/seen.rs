//! *Purpose*: each page at each size, in each theme.
//!
//! *Owns*: pictures of them, in `target/tmp/browser`.
//!
//! *Promises*: nobody has to scroll sideways; nothing is asked elsewhere; a page's own policy
//! refuses nothing of it.
//!
//! *Not here*: whether it is beautiful, which somebody looks at.

use serde_json::json;

use crate::chromium::Browser;
use crate::common::Server;

/// A phone, a page at 200 %, a laptop, a wall.
const SIZES: [(u32, u32); 5] = [(320, 640), (390, 844), (640, 450), (1_280, 900), (1_920, 1_080)];

/// What reaches beyond the window.
const BEYOND: &str = "
    const kept = (one) => one && (getComputedStyle(one).overflowX !== 'visible' \
        || kept(one.parentElement));
    return [...document.querySelectorAll('body *')]
        .filter((one) => one.getBoundingClientRect().right > innerWidth + 1 \
            && !kept(one.parentElement))
        .map((one) => one.outerHTML.slice(0, 120)).slice(0, 6)";

#[test]
fn no_page_is_scrolled_sideways_at_any_size_in_any_theme() {
    let server = Server::with(&["--cpus", "64"]);
    let name = "no_page_is_scrolled_sideways_at_any_size_in_any_theme";
    let Some(browser) = Browser::start(name, &server) else { return };
    browser.notes_what_is_refused();
    let long = "a".repeat(255);
    let runs = server.submit(&json!({"script": "echo hello; sleep 600", "cpus": 12, "name": "md",
        "time_limit": "2d"}));
    server.submit(&json!({"script": "sleep 600", "cpus": 3, "name": long, "account": "chem"}));
    let script = "exit $SLURM_ARRAY_TASK_ID";
    let array = json!({"script": script, "name": "sweep", "array": "0-9%4", "cpus": 2,
        "time_limit": "1m"});
    let array = server.submit(&array);
    let waits = json!({"script": "true", "cpus": 64, "name": "large", "labels": {"k": long}});
    let waits = server.submit(&waits);
    server.started(runs);
    server.reaches(array, "FAILED");
    let pages = [
        ("overview", "/".to_owned()),
        ("jobs", format!("/jobs?open={array}")),
        ("running", format!("/jobs/{runs}")),
        ("pending", format!("/jobs/{waits}")),
        ("submit", format!("/submit?from={waits}")),
        ("usage", "/usage".to_owned()),
        ("admin", "/admin".to_owned()),
        ("docs", "/docs".to_owned()),
        ("error", "/jobs/4711".to_owned()),
        ("login", "/login".to_owned()),
    ];
    let mut beyond = Vec::new();
    for (page, path) in &pages {
        browser.open(path);
        browser.settled();
        for theme in ["light", "dark"] {
            for (width, height) in SIZES {
                browser.looks((width, height), theme);
                let wide = browser.js("return document.documentElement.scrollWidth");
                browser.picture(&format!("{page}-{width}-{theme}"));
                if wide.as_u64() > Some(width.into()) {
                    beyond.push(format!("{page} at {width}: {}", browser.js(BEYOND)));
                }
            }
        }
        browser.is_clean();
    }
    assert!(beyond.is_empty(), "{}", beyond.join("\n"));
    server.post("/api/v1/jobs/cancel", &json!({"ids": [runs, runs + 1, waits]})).expect(200);
}
