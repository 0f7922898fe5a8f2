//! *Purpose*: `downbeat top` on a real terminal.
//!
//! *Owns*: a terminal before which somebody sits.
//!
//! *Promises*: after each way out the terminal is as it was before.
//!
//! *Not here*: what stands where on a screen (`cli::top`).

use serde_json::json;

use crate::common::Server;
use crate::help::{call, client};
use crate::screen::Screen;

cases! {
    top_follows_what_happens_and_asks_before_it_acts => ["top"],
    top_says_that_the_server_is_away_and_comes_back => ["top"],
    top_leaves_the_terminal_as_it_was => ["top"],
    top_has_no_colours_where_nobody_wants_them => ["top"],
    top_refuses_where_it_cannot_draw => ["top"],
}

fn on_a_terminal(server: &Server, words: &[&str], variables: &[(&str, &str)]) -> Screen {
    let mut command = client(server, words);
    command.envs(variables.iter().copied());
    Screen::of(server, command)
}

fn top_follows_what_happens_and_asks_before_it_acts() {
    let server = Server::start();
    let screen = on_a_terminal(&server, &["top"], &[]);
    screen.shows("Nothing runs.");
    assert!(screen.is_raw());
    let script = "echo printed; until [ -e gate ]; do sleep 0.02; done";
    let body = json!({"script": script, "name": "first-job", "cpus": 1});
    let id = server.submit(&body);
    screen.shows("first-job");
    screen.types("l");
    screen.shows("printed");
    screen.has((40, 120));
    screen.shows("   MEM  BUSY");
    screen.types("c");
    screen.shows("y/N");
    screen.types("n");
    screen.shows("q quit");
    assert_eq!(server.job(id)["state"], "RUNNING", "a question is no order");
    screen.types("cy");
    screen.shows("cancelled");
    server.reaches(id, "CANCELLED");
    screen.shows("CANCELLED");
    screen.types("q");
    assert_eq!(screen.ends(), Some(0));
}

fn top_says_that_the_server_is_away_and_comes_back() {
    let mut server = Server::start();
    let screen = on_a_terminal(&server, &["top"], &[]);
    screen.shows("Nothing runs.");
    server.kill();
    screen.shows("reconnecting,");
    server.up();
    screen.shows("●");
    server.submit(&json!({"script": "sleep 60", "name": "after-all"}));
    screen.shows("after-all");
    screen.types("q");
    assert_eq!(screen.ends(), Some(0));
}

fn top_leaves_the_terminal_as_it_was() {
    let server = Server::start();
    for way in ["q", "\u{3}", "TERM"] {
        let screen = on_a_terminal(&server, &["top", "--ascii"], &[]);
        screen.shows("Nothing runs.");
        match way {
            "TERM" => crate::common::signal(screen.child.id(), way),
            keys => screen.types(keys),
        }
        assert_eq!(screen.ends(), Some(0), "{way:?}");
    }
}

fn top_has_no_colours_where_nobody_wants_them() {
    let server = Server::start();
    let id = server.submit(&json!({"script": "sleep 60", "name": "coloured"}));
    server.started(id);
    let colours = |screen: &Screen| {
        screen.shows("coloured");
        let shown = screen.shown.lock().unwrap();
        let (lines, columns) = shown.screen().size();
        let cells = (0..lines).flat_map(|line| (0..columns).map(move |column| (line, column)));
        let cells = cells.filter_map(|(line, column)| shown.screen().cell(line, column));
        cells.filter(|cell| cell.fgcolor() != vt100::Color::Default).count()
    };
    let screen = on_a_terminal(&server, &["top"], &[("NO_COLOR", "1"), ("LC_ALL", "C")]);
    assert_eq!(colours(&screen), 0);
    let shown = screen.shown.lock().unwrap().screen().contents();
    assert!(shown.is_ascii() && shown.contains("> 1"), "the locale has no signs: {shown}");
    screen.types("q");
    assert_eq!(screen.ends(), Some(0));
    let screen = on_a_terminal(&server, &["top"], &[]);
    assert!(colours(&screen) > 0);
    screen.types("q");
    assert_eq!(screen.ends(), Some(0));
}

fn top_refuses_where_it_cannot_draw() {
    let server = Server::start();
    let said = call(&server, &["top"]).ends(2);
    assert!(said.err.contains("queue --watch"), "{said:?}");
    let mut command = client(&server, &["top"]);
    command.env("TERM", "dumb");
    let said = crate::help::finish(command, "").ends(2);
    assert!(said.err.contains("TERM is dumb") && said.err.contains("queue --watch"), "{said:?}");
}
