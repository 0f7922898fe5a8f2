//! *Purpose*: what the server is told of a step.
//!
//! *Owns*: [`Record`].
//!
//! *Promises*: a step runs whether or not the server hears of it, and does not wait for it at its
//! start; whoever reads the output is told when it did not.
//!
//! *Not here*: what becomes of it there (`api::steps`).

use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::{TimeVal, TimeValLike};

use super::place::Place;
use super::say::COMMAND;
use super::step::Step;
use super::tasks::End;
use crate::api::wire::v1::{StepBody, Usage, escaped};
use crate::cli::CliError;
use crate::clock::{self, rfc3339};
use crate::job::step::STEP_NAME_BYTES_MAX;
use crate::slurm::jobs::Server;
use crate::slurm::say::remark;

/// How long the end of a step waits for the server to have heard of it.
const TOLD_WITHIN: Duration = Duration::from_secs(2);

/// What is told of a step.
#[derive(Debug)]
pub struct Record {
    said: StepBody,
    tell: Sender<StepBody>,
    /// What became of what was told last, once there is nothing more to tell.
    told: Receiver<Result<(), String>>,
    quiet: bool,
}

impl Record {
    /// Tells that it starts, and does not wait until that is heard.
    #[must_use]
    pub fn begin(step: &Step, place: &Place, no: u32) -> Record {
        let said = StepBody {
            attempt: place.attempt,
            name: written(&step.name),
            tasks: Some(step.tasks),
            cpus: Some(step.cpus),
            start_time: rfc3339(clock::now()),
            end_time: None,
            exit_code: None,
            usage: None,
        };
        let path = format!("/api/v1/jobs/{}/steps/{no}", place.job);
        let (tell, news) = channel::<StepBody>();
        let (answers, told) = channel();
        thread::spawn(move || {
            let last = news.into_iter().map(|said| send(&path, &said)).last();
            // Who has gone does not wait for it.
            let _gone = answers.send(last.unwrap_or(Ok(())));
        });
        let record = Record { said, tell, told, quiet: step.quiet };
        record.say();
        record
    }

    fn say(&self) {
        // Without the thread that tells it, nobody is told.
        let _lost = self.tell.send(self.said.clone());
    }

    /// Tells how it ended. One whose start was not heard is told of by that.
    pub fn end(mut self, end: &End) {
        self.said.end_time = Some(rfc3339(clock::now()));
        self.said.exit_code = Some(end.exit.to_string());
        self.said.usage = used();
        self.say();
        drop(self.tell);
        let why = match self.told.recv_timeout(TOLD_WITHIN) {
            Ok(Ok(())) => return,
            Ok(Err(why)) => why,
            Err(_) => "it does not answer".to_owned(),
        };
        if !self.quiet {
            remark(&format!("{COMMAND}: the server was not told of this step: {why}"));
        }
    }
}

/// A name as others can read it: what acts on a terminal is written out, what is too long cut off.
fn written(name: &str) -> String {
    let mut name = escaped(name, |_| false).into_owned();
    while name.len() > STEP_NAME_BYTES_MAX {
        name.pop();
    }
    name
}

fn send(path: &str, said: &StepBody) -> Result<(), String> {
    let server = Server::of(COMMAND).map_err(|failure| failure.lines.concat())?;
    let body = serde_json::to_string(said).map_err(|error| error.to_string())?;
    let told = server.client.put(path, &body);
    let first_line = |error: CliError| error.to_string().lines().take(1).collect();
    told.map(|_| ()).map_err(first_line)
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
