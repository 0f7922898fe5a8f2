//! *Purpose*: `downbeat top` on a real terminal.
//!
//! *Owns*: a terminal before which somebody sits.
//!
//! *Promises*: after each way out the terminal is as it was before.
//!
//! *Not here*: what stands where on a screen (`cli::top`).

use std::io::Read;
use std::process::Child;
use std::sync::{Arc, Mutex};

use pty_process::Size;
use pty_process::blocking::{Command, Pty, open};
use rustix::termios::{LocalModes, tcgetattr};
use serde_json::json;

use crate::common::{Server, until};
use crate::help::{call, client};

cases! {
    top_follows_what_happens_and_asks_before_it_acts => ["top"],
    top_says_that_the_server_is_away_and_comes_back => ["top"],
    top_leaves_the_terminal_as_it_was => ["top"],
    top_leaves_the_terminal_as_it_was_after_a_bug => ["top"],
    top_has_no_colours_where_nobody_wants_them => ["top"],
    top_refuses_where_it_cannot_draw => ["top"],
}

/// `top` on a terminal.
struct Screen {
    pty: Arc<Pty>,
    child: Child,
    /// What stands on it.
    shown: Arc<Mutex<vt100::Parser>>,
}

impl Screen {
    fn of(server: &Server, words: &[&str]) -> Screen {
        Screen::with(server, words, &[])
    }

    fn with(server: &Server, words: &[&str], variables: &[(&str, &str)]) -> Screen {
        let (lines, columns) = (24, 80);
        let (pty, pts) = open().unwrap();
        pty.resize(Size::new(lines, columns)).unwrap();
        let mut command = client(server, words);
        let socket = server.data().join("downbeat.sock");
        // At each start the server listens at another port, and at the same socket.
        command.env("DOWNBEAT_SERVER", format!("unix:{}", socket.display()));
        command.env("TERM", "xterm-256color").env("LANG", "C.UTF-8");
        command.envs(variables.iter().copied());
        let child = Command::from(command).spawn(pts).unwrap();
        let shown = Arc::new(Mutex::new(vt100::Parser::new(lines, columns, 0)));
        let (pty, to) = (Arc::new(pty), Arc::clone(&shown));
        let from = Arc::clone(&pty);
        std::thread::spawn(move || {
            let mut part = [0; 4096];
            while let Ok(count @ 1..) = (&*from).read(&mut part) {
                to.lock().unwrap().process(&part[..count]);
            }
        });
        Screen { pty, child, shown }
    }

    /// Waits until this stands on it.
    #[track_caller]
    fn shows(&self, wanted: &str) {
        self.is(wanted, |screen| screen.contents().contains(wanted));
    }

    #[track_caller]
    fn is(&self, what: &str, looks: impl Fn(&vt100::Screen) -> bool) {
        until(what, || {
            let shown = self.shown.lock().unwrap();
            if looks(shown.screen()) { Ok(()) } else { Err(shown.screen().contents()) }
        });
    }

    fn has(&self, (lines, columns): (u16, u16)) {
        self.shown.lock().unwrap().screen_mut().set_size(lines, columns);
        self.pty.resize(Size::new(lines, columns)).unwrap();
    }

    fn types(&self, keys: &str) {
        std::io::Write::write_all(&mut &*self.pty, keys.as_bytes()).unwrap();
    }

    fn is_raw(&self) -> bool {
        !tcgetattr(&*self.pty).unwrap().local_modes.contains(LocalModes::ICANON)
    }

    /// Waits for its end: the terminal must be as it was.
    #[track_caller]
    fn ends(mut self) -> Option<i32> {
        let code = self.child.wait().unwrap().code();
        self.is("the terminal as it was", |screen| {
            !screen.alternate_screen() && !screen.hide_cursor()
        });
        assert!(!self.is_raw(), "keys go to the program one by one still");
        code
    }
}

fn top_follows_what_happens_and_asks_before_it_acts() {
    let server = Server::start();
    let screen = Screen::of(&server, &["top"]);
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
    let screen = Screen::of(&server, &["top"]);
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
        let screen = Screen::of(&server, &["top", "--ascii"]);
        screen.shows("Nothing runs.");
        match way {
            "TERM" => crate::common::signal(screen.child.id(), way),
            keys => screen.types(keys),
        }
        assert_eq!(screen.ends(), Some(0), "{way:?}");
    }
}

fn top_leaves_the_terminal_as_it_was_after_a_bug() {
    let server = Server::start();
    let faults = server.dir.path().join("faults");
    std::fs::create_dir(&faults).unwrap();
    let faults_dir = faults.display().to_string();
    let screen = Screen::with(&server, &["top"], &[("DOWNBEAT_FAULT_DIR", &faults_dir)]);
    screen.shows("Nothing runs.");
    std::fs::write(faults.join("bug.top"), "").unwrap();
    // Killed by its own signal, it says why where everybody can read it.
    screen.shows("a bug that a test wanted at bug.top");
    assert_eq!(screen.ends(), None);
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
    let screen = Screen::with(&server, &["top"], &[("NO_COLOR", "1"), ("LC_ALL", "C")]);
    assert_eq!(colours(&screen), 0);
    let shown = screen.shown.lock().unwrap().screen().contents();
    assert!(shown.is_ascii() && shown.contains("> 1"), "the locale has no signs: {shown}");
    screen.types("q");
    assert_eq!(screen.ends(), Some(0));
    let screen = Screen::of(&server, &["top"]);
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
