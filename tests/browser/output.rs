//! *Purpose*: what a job prints, as a page shows it; a server that goes and comes back.
//!
//! *Owns*: nothing.
//!
//! *Promises*: what a job printed is text, whatever it looks like.
//!
//! *Not here*: reading output by the API (`tests/http`).

use serde_json::json;

use crate::chromium::Browser;
use crate::common::Server;

#[test]
fn long_output_is_text_with_colours_and_stays_where_it_is_read() {
    let server = Server::with(&["--cpus", "2"]);
    let name = "long_output_is_text_with_colours_and_stays_where_it_is_read";
    let Some(browser) = Browser::start(name, &server) else { return };
    browser.notes_what_is_refused();
    let gate = server.dir.path().join("gate");
    let script = format!(
        "seq -f 'line %.0f' 100000\n\
         printf '<b>bold</b> \\033[31mred\\033[0m <img src=x onerror=alert(1)>\\n'\n\
         until [ -e '{}' ]; do sleep 0.02; done\nseq -f 'later %.0f' 50\nsleep 600\n",
        gate.display()
    );
    let job = server.submit(&json!({"script": script}));
    browser.open(&format!("/jobs/{job}"));
    browser.says("#log", "<b>bold</b> red <img src=x onerror=alert(1)>");
    assert_eq!(browser.js("return document.querySelectorAll('#log b, #log img').length"), 0);
    browser.sees("document.querySelector('#log .sgr-1').textContent === 'red'");
    assert!(
        browser.js("return document.querySelectorAll('#log code').length").as_u64() <= Some(5_000)
    );
    let end = "log.scrollTop + log.clientHeight >= log.scrollHeight - 4";
    browser.sees(format!("(window.log = document.getElementById('log')) && {end}"));
    // Who scrolled up reads on there.
    browser.js("log.scrollTop = 0");
    browser.sees("!document.getElementById('log-follow').checked");
    std::fs::write(&gate, "").unwrap();
    browser.says("#log-note", "50 new lines");
    assert_eq!(browser.js("return log.scrollTop"), 0);
    browser.js("document.getElementById('log-note').click()");
    browser.sees(end);
    browser.is_clean();
    server.post(&format!("/api/v1/jobs/{job}/cancel"), &json!({}));
}

#[test]
fn forty_thousand_lines_a_second_are_followed() {
    let server = Server::with(&["--cpus", "2"]);
    let name = "forty_thousand_lines_a_second_are_followed";
    let Some(browser) = Browser::start(name, &server) else { return };
    browser.notes_what_is_refused();
    let gate = server.dir.path().join("gate");
    // A hundred times a second four hundred lines, for 10 s.
    let script = format!(
        "until [ -e '{}' ]; do sleep 0.02; done\nfor n in $(seq 1000); do\n\
         seq -f \"$n epoch 41 step %.0f loss 1.8302 lr 2.0e-04 8.8 it/s\" 400\nsleep 0.0085\n\
         done\necho over; sleep 600\n",
        gate.display()
    );
    let job = server.submit(&json!({"script": script}));
    browser.open(&format!("/jobs/{job}"));
    browser.says("#headline", "Running");
    browser.says("#live", "Live");
    browser.js("window.tasks = []; new PerformanceObserver((all) => all.getEntries() \
         .forEach((one) => tasks.push(Math.round(one.duration)))).observe({type: 'longtask'})");
    std::fs::write(&gate, "").unwrap();
    browser.says("#log", "over");
    // How long they are is for docs/performance.md, and no promise of a loaded machine.
    println!("tasks of more than 50 ms: {}", browser.js("return window.tasks"));
    assert_eq!(browser.js("return document.querySelectorAll('#log code').length"), 5_000);
    browser.sees("log.scrollTop + log.clientHeight >= log.scrollHeight - 4");
    browser.is_clean();
    server.post(&format!("/api/v1/jobs/{job}/cancel"), &json!({}));
}

#[test]
fn a_server_that_was_killed_comes_back_on_the_page() {
    let mut server = Server::with(&["--cpus", "2"]);
    let name = "a_server_that_was_killed_comes_back_on_the_page";
    let Some(browser) = Browser::start(name, &server) else { return };
    let job = server.submit(&json!({"script": "echo before; sleep 600", "name": "survivor"}));
    server.says(job, "before\n");
    browser.open(&format!("/jobs/{job}"));
    browser.says("#live", "Live");
    browser.says("#log", "before");
    browser.js("window.head = document.getElementById('headline')");
    let address = server.at("").trim_start_matches("http://").to_owned();
    server.args.extend(["--listen".to_owned(), address]);
    server.kill();
    browser.says("#live", "Reconnecting, as of");
    server.up();
    browser.says("#live", "Live");
    server.post(&format!("/api/v1/jobs/{job}/cancel"), &json!({}));
    browser.says("#headline", "Cancelled");
    assert_eq!(browser.js("return window.head === document.getElementById('headline')"), true);
}

#[test]
fn the_seventh_tab_answers_too() {
    let server = Server::with(&["--cpus", "2"]);
    let Some(browser) = Browser::start("the_seventh_tab_answers_too", &server) else { return };
    let job = server.submit(&json!({"script": "sleep 600", "name": "tabbed"}));
    server.started(job);
    browser.open(&format!("/jobs/{job}"));
    browser.says("#live", "Live");
    for _ in 0..6 {
        let path = server.at(&format!("/jobs/{job}"));
        browser.devtools("Target.createTarget", json!({"url": path}));
    }
    // A browser has six connections for a server, and each tab that is seen has two streams.
    browser.tab(6);
    browser.says("#headline", "tabbed");
    browser.sees("document.getElementById('live').innerText === 'Live'");
    server.post(&format!("/api/v1/jobs/{job}/cancel"), &json!({}));
    browser.says("#headline", "Cancelled");
}
