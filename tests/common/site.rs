//! *Purpose*: a place where Slurm's programs are Downbeat.
//!
//! *Owns*: [`Site`]: a server, and links to the binary under the names of the programs.
//!
//! *Promises*: nothing of the environment of the tests reaches a program.
//!
//! *Not here*: what the programs answer (`tests/slurm`), what clients do with them
//! (`tests/clients`).

#![allow(dead_code, reason = "each test program uses some of it")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::common::{Said, Server, finish};

/// The number that a submission was answered with: the last word.
#[track_caller]
pub fn id(said: &Said) -> i64 {
    said.out.split_whitespace().last().unwrap().parse().unwrap()
}

/// A server, and Slurm's programs on the path.
pub struct Site {
    pub server: Server,
    /// Where the programs are.
    pub bin: PathBuf,
}

impl Site {
    pub fn start() -> Site {
        Site::with(&["--cpus", "4"])
    }

    pub fn with(args: &[&str]) -> Site {
        let server = Server::with(args);
        let bin = server.dir.path().join("bin");
        fs::create_dir(&bin).unwrap();
        let done = Command::new(env!("CARGO_BIN_EXE_downbeat"))
            .args(["slurm", "install", "--dir"])
            .arg(&bin)
            .output()
            .unwrap();
        assert!(done.status.success(), "{done:?}");
        Site { server, bin }
    }

    /// A file beside the server's folder.
    pub fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.server.dir.path().join(name);
        fs::write(&path, text).unwrap();
        path
    }

    pub fn text(&self, name: &str) -> String {
        fs::read_to_string(self.server.dir.path().join(name)).unwrap()
    }

    /// A program, its words as a shell would split them.
    pub fn command(&self, line: &str) -> Command {
        let words = shell_words::split(line).unwrap();
        let mut command = self.other(&self.bin.join(&words[0]));
        command.args(&words[1..]);
        command
    }

    /// Some other program, which finds those of Slurm.
    pub fn other(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.server.dir.path()).env_clear();
        command.env("PATH", format!("{}:/usr/bin:/bin", self.bin.display()));
        command.env("HOME", self.server.dir.path()).env("DOWNBEAT_SERVER", &self.server.url);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    pub fn run(&self, line: &str) -> Said {
        finish(self.command(line), "")
    }

    /// What a program printed that found no fault.
    #[track_caller]
    pub fn says(&self, line: &str) -> String {
        let said = self.run(line).ends(0);
        assert_eq!(said.err, "", "{line}");
        said.out
    }

    /// Submits, and answers the number.
    #[track_caller]
    pub fn submit(&self, line: &str) -> i64 {
        let said = self.run(&format!("sbatch {line}")).ends(0);
        assert!(said.out.starts_with("Submitted batch job "), "{said:?}");
        id(&said)
    }
}
