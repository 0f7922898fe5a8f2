//! *Purpose*: stage props: servers of ordinary users, whom permissions and limits hold.
//!
//! *Owns*: who they are, and whether this machine lets a test be one.
//!
//! *Promises*: each case has a user of its own, whom nobody knows: all processes of a user count.
//!
//! *Not here*: what is tried with them.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::common::Server;
use crate::help::skipped;

/// A server of an ordinary user, started by a shell that does something first (`ulimit -u 60`).
pub fn ordinary(uid: u32, first: &str, args: &[&str]) -> Server {
    let mut server = Server::unstarted(args);
    let user = uid.to_string();
    let shell = format!("{first}; exec \"$@\"");
    let words = [
        "setpriv",
        "--reuid",
        &user,
        "--regid",
        &user,
        "--clear-groups",
        "--",
        "bash",
        "-c",
        &shell,
        "x",
    ];
    server.wrap = words.iter().map(ToString::to_string).collect();
    fs::set_permissions(server.dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    fs::create_dir(server.data()).unwrap();
    std::os::unix::fs::chown(server.data(), Some(uid), Some(uid)).unwrap();
    server
}

/// Whether a test can become an ordinary user here; says that it is skipped if not.
pub fn may_be_staged(test: &str) -> bool {
    let is_root = rustix::process::geteuid().is_root();
    if !is_root {
        skipped(test, "needs root to become an ordinary user");
    }
    is_root
}
