//! *Purpose*: the words on the way from a supervisor through the step daemon to the server.
//!
//! *Owns*: [`Report`] and its line of text.
//!
//! *Promises*: a report is a hint: losing one loses time, never truth, which is in the spool.
//! A line fits `PIPE_BUF`, so that many supervisors may write to one pipe.
//!
//! *Not here*: the truth (`spool`), what a hint wakes (`watch`).

/// One report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    /// The step daemon holds its lock: no other can start anything from now on.
    Ready,
    /// The daemon did not take the order of this name; nothing was started.
    NotTaken(String),
    /// The script of this name was spawned or is being stopped.
    Changed(String),
    /// The record of this name is written, says the supervisor with this pid; or (pid 0) the
    /// daemon saw it die.
    Ended(String, i32),
}

impl Report {
    /// As a line, its end included.
    #[must_use]
    pub fn line(&self) -> String {
        match self {
            Report::Ready => "ready\n".to_owned(),
            Report::NotTaken(name) => format!("not-taken {name}\n"),
            Report::Changed(name) => format!("changed {name}\n"),
            Report::Ended(name, pid) => format!("ended {name} {pid}\n"),
        }
    }

    /// Reads a line without its end; `None` for what no daemon of this version writes.
    #[must_use]
    pub fn parse(line: &str) -> Option<Report> {
        let mut words = line.split(' ');
        let report = match (words.next()?, words.next()) {
            ("ready", None) => Report::Ready,
            ("not-taken", Some(name)) => Report::NotTaken(name.to_owned()),
            ("changed", Some(name)) => Report::Changed(name.to_owned()),
            ("ended", Some(name)) => Report::Ended(name.to_owned(), words.next()?.parse().ok()?),
            _ => return None,
        };
        words.next().is_none().then_some(report)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_report_survives_its_line() {
        let name = || "17.1.ab".to_owned();
        for report in [
            Report::Ready,
            Report::NotTaken(name()),
            Report::Changed(name()),
            Report::Ended(name(), 0),
        ] {
            assert_eq!(Report::parse(report.line().trim_end()), Some(report));
        }
        for line in ["", "ready now", "changed", "ended 17.1.ab", "ended 17.1.ab x", "hello you"] {
            assert_eq!(Report::parse(line), None, "{line:?}");
        }
    }
}
