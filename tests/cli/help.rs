//! *Purpose*: calls the verbs as a script would: piped, with the server in a variable.
//!
//! *Owns*: [`call`], [`Said`].
//!
//! *Promises*: every output is held free of terminal escapes, whatever the verb.
//!
//! *Not here*: starting servers (`common`).

use std::cell::RefCell;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::common::Server;

thread_local! {
    static CALLED: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// The verbs that this case called so far.
pub fn called() -> Vec<String> {
    CALLED.with_borrow(Clone::clone)
}

/// What a verb said.
#[derive(Debug)]
pub struct Said {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Said {
    #[track_caller]
    pub fn ends(self, code: i32) -> Said {
        assert_eq!(self.code, Some(code), "{self:?}");
        self
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }
}

/// The binary with a verb, standing in `folder`, with a small environment.
pub fn binary(folder: &Path, words: &[&str]) -> Command {
    CALLED.with_borrow_mut(|called| called.push(words[0].to_owned()));
    let mut command = Command::new(env!("CARGO_BIN_EXE_downbeat"));
    command.args(words).current_dir(folder).env_clear();
    command.env("PATH", "/usr/local/bin:/usr/bin:/bin").env("HOME", folder).env("USER", "me");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// The binary as a client of this server.
pub fn client(server: &Server, words: &[&str]) -> Command {
    let mut command = binary(server.dir.path(), words);
    command.env("DOWNBEAT_SERVER", &server.url);
    command
}

/// Runs a command to its end, with this on its standard input.
pub fn finish(mut command: Command, input: &str) -> Said {
    if !input.is_empty() {
        command.stdin(Stdio::piped());
    }
    let mut child = command.spawn().unwrap();
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input.as_bytes()).unwrap();
    }
    let done = child.wait_with_output().unwrap();
    let said = Said {
        code: done.status.code(),
        out: String::from_utf8_lossy(&done.stdout).into_owned(),
        err: String::from_utf8_lossy(&done.stderr).into_owned(),
    };
    assert!(!said.out.contains('\u{1b}') && !said.err.contains('\u{1b}'), "escapes: {said:?}");
    said
}

/// Calls a verb.
pub fn call(server: &Server, words: &[&str]) -> Said {
    finish(client(server, words), "")
}

/// A script in the server's folder.
pub fn script(server: &Server, name: &str, text: &str) {
    std::fs::write(server.dir.path().join(name), text).unwrap();
}
