//! *Purpose*: a job of the load: what it does, and what it may become.
//!
//! *Owns*: [`Job`] and the verdict on its end.
//!
//! *Promises*: its script's own marks are the truth: `start` is its first act, `end` its last
//! before it exits.
//!
//! *Not here*: when jobs are submitted and cancelled (`load`).

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

/// Longer than any test waits: such a script is ended by others.
const FOR_EVER_S: u32 = 600;

/// What a script does between its marks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Takes a moment.
    Plain,
    /// Leaves a child in a session of its own behind.
    Child,
    /// Runs until it is cancelled.
    Cancelled,
    /// The same, and ignores TERM.
    Stubborn,
    /// Runs into its limit.
    Limited,
}

/// A job, from the decision to submit it to the verdict.
#[derive(Clone, Debug)]
pub struct Job {
    pub name: String,
    pub kind: Kind,
    code: u8,
    cpus: u32,
    /// Milliseconds between its marks.
    takes_ms: u32,
    marks: PathBuf,
    /// Its number, once known.
    pub id: Option<i64>,
    /// A cancel was sent; whether it was heard is another matter.
    pub cancel_sent: bool,
    /// The server has said 202 to it.
    pub cancel_acknowledged: bool,
    pub supervisor_killed: bool,
    pub script_killed: bool,
    /// A step daemon was killed while this had not ended.
    pub daemon_killed: bool,
}

impl Job {
    pub fn new(number: u64, home: &Path, rng: &mut fastrand::Rng) -> Job {
        let kind = match rng.u8(0..20) {
            0..12 => Kind::Plain,
            12..15 => Kind::Child,
            15..17 => Kind::Cancelled,
            17 => Kind::Stubborn,
            _ => Kind::Limited,
        };
        let name = format!("k{number}");
        Job {
            kind,
            code: if rng.u8(0..4) == 0 { 0 } else { rng.u8(1..=250) },
            // Those that run long take one, lest they leave no room.
            cpus: if matches!(kind, Kind::Plain | Kind::Child) { rng.u32(1..=4) } else { 1 },
            takes_ms: rng.u32(0..200),
            marks: home.join("marks").join(&name),
            name,
            id: None,
            cancel_sent: false,
            cancel_acknowledged: false,
            supervisor_killed: false,
            script_killed: false,
            daemon_killed: false,
        }
    }

    /// The body of its submission.
    pub fn body(&self, home: &Path) -> Value {
        let (marks, never) = (self.marks.display(), home.join("never"));
        let seconds = match self.kind {
            Kind::Plain | Kind::Child => format!("0.{:03}", self.takes_ms),
            _ => FOR_EVER_S.to_string(),
        };
        let trap = if self.kind == Kind::Stubborn { "trap '' TERM\n" } else { "" };
        let child = if self.kind == Kind::Child { "setsid sleep 600 &\n" } else { "" };
        let script = format!(
            "#!/bin/bash\n{trap}echo start >> {marks}\n{child}read -rt {seconds} _ <> {}\n\
             echo end >> {marks}\nexit {}\n",
            never.display(),
            self.code
        );
        let mut body = json!({
            "name": self.name, "script": script, "cpus": self.cpus, "kill_grace_s": 1
        });
        if self.kind == Kind::Limited {
            body["time_limit"] = json!("1s");
        }
        body
    }

    /// Whether it waits for a cancel.
    pub fn wants_a_cancel(&self) -> bool {
        matches!(self.kind, Kind::Cancelled | Kind::Stubborn) && !self.cancel_acknowledged
    }

    fn count(&self, mark: &str) -> usize {
        let text = fs::read_to_string(&self.marks).unwrap_or_default();
        text.lines().filter(|line| *line == mark).count()
    }

    /// How often its script has begun.
    pub fn starts(&self) -> usize {
        self.count("start")
    }

    /// Its marks are not needed any more.
    pub fn forget(&self) {
        drop(fs::remove_file(&self.marks));
    }

    /// Whether what the server stored is this job, whole.
    pub fn is_whole(&self, shown: &Value) -> bool {
        shown["name"] == *self.name && shown["cpus"] == self.cpus
    }

    /// Whether it may have ended like this.
    pub fn may_be(&self, ended: &Value) -> Result<(), &'static str> {
        let (starts, ends) = (self.starts(), self.count("end"));
        if starts > 1 || ends > 1 {
            return Err("ran twice");
        }
        let state = ended["state"].as_str().unwrap_or_default();
        let code = ended["exit_code"].as_str();
        let own = format!("{}:0", self.code);
        let by_itself = starts == 1 && ends == 1 && code == Some(own.as_str());
        let killed = code == Some("0:9") && self.script_killed;
        let stopped = matches!(code, Some("0:15" | "0:9")) && ends == 0;
        let never = code.is_none() && starts == 0;
        let unknown = code.is_none() && self.supervisor_killed;
        let may = match state {
            "COMPLETED" => by_itself && self.code == 0,
            "FAILED" => by_itself && self.code != 0 || killed,
            "CANCELLED" => self.cancel_sent && (by_itself || stopped || never || unknown),
            "TIMEOUT" => self.kind == Kind::Limited && stopped,
            // A step daemon that dies between lock and fork leaves an attempt of which nobody
            // but a look at it can say that it never began.
            "NODE_FAIL" => unknown || never && self.daemon_killed,
            _ => false,
        };
        if !may {
            return Err("untrue end");
        }
        if self.cancel_acknowledged && state != "CANCELLED" {
            return Err("a cancel that was acknowledged is forgotten");
        }
        Ok(())
    }
}
