//! *Purpose*: how a verb fails.
//!
//! *Owns*: [`CliError`], its sentences and exit codes.
//!
//! *Promises*: a refusal shows the server's words and every bad field.
//!
//! *Not here*: the exit code of a job (`cli::wait`).

use crate::api::wire::v1::{FieldError, Problem};
use crate::simulate::swf::TraceRefused;
use crate::text::quote::escaped;

/// Why a verb did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// Nobody listens.
    #[error(
        "no server at {server} ({cause}); start one with `downbeat serve`, or name one with \
         --server or DOWNBEAT_SERVER"
    )]
    Unreachable {
        /// Where we asked.
        server: String,
        /// What the network said.
        cause: String,
    },
    /// A connection broke before the answer was complete.
    #[error("the connection to {server} broke before the answer was complete ({cause})")]
    Broken {
        /// Where we asked.
        server: String,
        /// What the network said.
        cause: String,
    },
    /// Somebody else's server.
    #[error("{server}: {cause}")]
    Stranger {
        /// Where we would have asked.
        server: String,
        /// Whose it is.
        cause: String,
    },
    /// Twice no answer to a submit.
    #[error(
        "the connection to {server} broke before the answer was complete ({cause}); whether the \
         job was stored is not known: submit it again with --idempotency-key {key}, and it is \
         stored once"
    )]
    Lost {
        /// Where we asked.
        server: String,
        /// What the network said.
        cause: String,
        /// Under which key.
        key: String,
    },
    /// The server said no.
    #[error("{message}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// The server's words.
        message: String,
        /// The fields that are wrong.
        fields: Vec<FieldError>,
    },
    /// The command line makes no sense.
    #[error("{0}")]
    Usage(String),
    /// A trace cannot be read.
    #[error(transparent)]
    Trace(#[from] TraceRefused),
    /// Something of this machine failed.
    #[error("{0}")]
    Other(String),
    /// The reader of our output went away.
    #[error("the reader of the output went away")]
    Pipe,
}

impl CliError {
    /// 1 the request failed, 2 usage, 3 server unreachable.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            CliError::Pipe => 0,
            CliError::Refused { .. } | CliError::Trace(_) | CliError::Other(_) => 1,
            CliError::Usage(_) => 2,
            CliError::Unreachable { .. }
            | CliError::Broken { .. }
            | CliError::Stranger { .. }
            | CliError::Lost { .. } => 3,
        }
    }

    /// Whether asking again in a moment may help: a server that restarts.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            CliError::Unreachable { .. }
                | CliError::Broken { .. }
                | CliError::Refused { status: 502..=504, .. }
        )
    }

    /// A failed write of our own output.
    #[must_use]
    pub fn from_write(error: std::io::Error) -> CliError {
        match error.kind() {
            std::io::ErrorKind::BrokenPipe => CliError::Pipe,
            _ => CliError::Other(format!("the output cannot be written: {error}")),
        }
    }

    /// An answer that is not a success, in the server's words; those of others are not shown.
    #[must_use]
    pub fn from_answer(status: u16, text: &str) -> CliError {
        let Ok(problem) = serde_json::from_str::<Problem>(text) else {
            let message = format!("the server answered {status}, and not in the words of Downbeat");
            return CliError::Refused { status, message, fields: Vec::new() };
        };
        let message = sentence(&problem, status, std::env::var("SUDO_USER").ok().as_deref());
        CliError::Refused { status, message, fields: problem.errors }
    }
}

/// `sudo_user` is who became root, of whom the server is never told.
fn sentence(problem: &Problem, status: u16, sudo_user: Option<&str>) -> String {
    let mut message = match (problem.detail.as_str(), problem.title.as_str()) {
        ("", "") => format!("the server answered {status}"),
        ("", title) => title.to_owned(),
        (detail, _) => detail.to_owned(),
    };
    for error in &problem.errors {
        let line = format!("{}: {}", error.field, error.message);
        // This server's sentence names the fields already; another's may not.
        if !problem.detail.contains(&line) {
            message.push_str(&format!("\n  {line}"));
        }
    }
    if let Some(name) = sudo_user.filter(|_| message.contains("say --run-as NAME")) {
        message
            .push_str(&format!("\n  to run it as yourself: --run-as {}", escaped(name, |_| false)));
    }
    if status == 401 {
        message.push_str("\n  give the token in DOWNBEAT_TOKEN or with --token-file");
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_became_root_is_told_how_to_run_it_as_himself() {
        let detail = "user: root has no jobs here: say --run-as NAME, or set root_jobs";
        let text =
            format!(r#"{{"type":"","title":"","status":403,"detail":"{detail}","errors":[]}}"#);
        let Ok(problem) = serde_json::from_str::<Problem>(&text) else { panic!("{text}") };
        let said = sentence(&problem, 403, Some("alice"));
        assert_eq!(said, format!("{detail}\n  to run it as yourself: --run-as alice"));
        assert_eq!(sentence(&problem, 403, None), detail);
    }

    #[test]
    fn a_problem_is_shown_with_each_field() {
        let text = r#"{"type":"about:blank","title":"Unprocessable Content","status":422,
            "detail":"The job was not accepted.","request_id":"r",
            "errors":[{"field":"cpus","message":"is 0; at least 1"},{"field":"x","message":"y"}]}"#;
        let error = CliError::from_answer(422, text);
        assert_eq!(
            error.to_string(),
            "The job was not accepted.\n  cpus: is 0; at least 1\n  x: y"
        );
        assert_eq!(error.exit_code(), 1);
        let twice = text.replace("was not accepted.", "was not accepted. x: y");
        let once = CliError::from_answer(422, &twice).to_string();
        assert_eq!(once, "The job was not accepted. x: y\n  cpus: is 0; at least 1");
        let bare = CliError::from_answer(502, "<html>bad gateway</html>");
        let foreign = "the server answered 502, and not in the words of Downbeat";
        assert_eq!(bare.to_string(), foreign);
        assert!(bare.is_transient() && !error.is_transient());
    }
}
