//! *Purpose*: what the server is told of a step.
//!
//! *Owns*: [`Record`].
//!
//! *Promises*: a step runs whether or not the server hears of it; whoever reads the output is told
//! when it did not.
//!
//! *Not here*: what becomes of it there (`api::steps`).

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::{TimeVal, TimeValLike};

use super::place::Place;
use super::say::COMMAND;
use super::step::Step;
use super::tasks::End;
use crate::api::wire::v1::{StepBody, Usage};
use crate::cli::CliError;
use crate::clock::{self, rfc3339};
use crate::slurm::jobs::Server;
use crate::slurm::say::remark;

/// What is told of a step, and to whom.
#[derive(Debug)]
pub struct Record {
    server: Option<Server>,
    path: String,
    said: StepBody,
    quiet: bool,
}

impl Record {
    /// Tells that it starts.
    #[must_use]
    pub fn begin(step: &Step, place: &Place, no: u32) -> Record {
        let said = StepBody {
            attempt: place.attempt,
            name: step.name.clone(),
            tasks: Some(step.tasks),
            cpus: Some(step.cpus),
            start_time: rfc3339(clock::now()),
            end_time: None,
            exit_code: None,
            usage: None,
        };
        let path = format!("/api/v1/jobs/{}/steps/{no}", place.job);
        let server = Server::of(COMMAND).ok();
        let mut record = Record { server, path, said, quiet: step.quiet };
        record.tell();
        record
    }

    /// Tells how it ended.
    pub fn end(mut self, end: &End) {
        self.said.end_time = Some(rfc3339(clock::now()));
        self.said.exit_code = Some(end.exit.to_string());
        self.said.usage = used();
        self.tell();
    }

    /// Says it once: a step does not wait for a server. One that was not heard at the start is
    /// told of at the end.
    fn tell(&mut self) {
        let Some(server) = &self.server else { return };
        let body = serde_json::to_string(&self.said);
        let told = body.map_err(|error| CliError::Other(error.to_string()));
        let told = told.and_then(|body| server.client.put(&self.path, &body));
        let Err(error) = told else { return };
        // The end alone is worth a line: it is all that is missing then.
        if self.said.exit_code.is_some() && !self.quiet {
            let said = error.to_string();
            let said = said.lines().next().unwrap_or_default();
            remark(&format!("{COMMAND}: the server was not told of this step: {said}"));
        }
    }
}

/// What the processes used that this one has waited for: all tasks of the step.
fn used() -> Option<Usage> {
    let used = getrusage(UsageWho::RUSAGE_CHILDREN).ok()?;
    let seconds = |time: TimeVal| time.num_microseconds() as f64 / 1e6;
    Some(Usage {
        user_cpu_s: seconds(used.user_time()),
        system_cpu_s: seconds(used.system_time()),
        max_rss_bytes: used.max_rss() * 1024,
    })
}
