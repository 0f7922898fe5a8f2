//! *Purpose*: a program on a real pseudo terminal, and what stands on it.
//!
//! *Owns*: [`Screen`].
//!
//! *Promises*: who waits for its end waits for the terminal to be as it was.
//!
//! *Not here*: what is drawn.

#![allow(dead_code, reason = "each test program uses a part")]
#![allow(clippy::unwrap_used)]

use std::io::Read;
use std::process::Child;
use std::sync::{Arc, Mutex};

use pty_process::Size;
use pty_process::blocking::{Command, Pty, open};
use rustix::termios::{LocalModes, tcgetattr};

use crate::common::{Server, until};

/// A program on a terminal of 24 lines and 80 columns.
pub struct Screen {
    /// The terminal.
    pub pty: Arc<Pty>,
    /// The program.
    pub child: Child,
    /// What stands on it.
    pub shown: Arc<Mutex<vt100::Parser>>,
}

impl Screen {
    /// A command that asks this server.
    pub fn of(server: &Server, mut command: std::process::Command) -> Screen {
        let (lines, columns) = (24, 80);
        let (pty, pts) = open().unwrap();
        pty.resize(Size::new(lines, columns)).unwrap();
        let socket = server.data().join("downbeat.sock");
        // At each start the server listens at another port, and at the same socket.
        command.env("DOWNBEAT_SERVER", format!("unix:{}", socket.display()));
        command.env("TERM", "xterm-256color");
        if command.get_envs().all(|(name, _)| name != "LC_ALL") {
            command.env("LANG", "C.UTF-8");
        }
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
    pub fn shows(&self, wanted: &str) {
        self.is(wanted, |screen| screen.contents().contains(wanted));
    }

    #[track_caller]
    pub fn is(&self, what: &str, looks: impl Fn(&vt100::Screen) -> bool) {
        until(what, || {
            let shown = self.shown.lock().unwrap();
            if looks(shown.screen()) { Ok(()) } else { Err(shown.screen().contents()) }
        });
    }

    pub fn has(&self, (lines, columns): (u16, u16)) {
        self.shown.lock().unwrap().screen_mut().set_size(lines, columns);
        self.pty.resize(Size::new(lines, columns)).unwrap();
    }

    pub fn types(&self, keys: &str) {
        std::io::Write::write_all(&mut &*self.pty, keys.as_bytes()).unwrap();
    }

    pub fn is_raw(&self) -> bool {
        !tcgetattr(&*self.pty).unwrap().local_modes.contains(LocalModes::ICANON)
    }

    /// Waits for its end: the terminal must be as it was.
    #[track_caller]
    pub fn ends(mut self) -> Option<i32> {
        let code = self.child.wait().unwrap().code();
        self.is("the terminal as it was", |screen| {
            !screen.alternate_screen() && !screen.hide_cursor()
        });
        assert!(!self.is_raw(), "keys go to the program one by one still");
        code
    }
}
