//! *Purpose*: calls the verbs as a script would: piped, with the server in a variable.
//!
//! *Owns*: [`call`].
//!
//! *Promises*: every output is held free of terminal escapes, whatever the verb.
//!
//! *Not here*: starting servers (`common`).

use std::cell::RefCell;
use std::path::Path;
use std::process::{Command, Stdio};

pub use crate::common::Said;
use crate::common::{self, Server};

thread_local! {
    static CALLED: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// The verbs that this case called so far.
pub fn called() -> Vec<String> {
    CALLED.with_borrow(Clone::clone)
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
pub fn finish(command: Command, input: &str) -> Said {
    let said = common::finish(command, input);
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
