//! *Purpose*: the main job in one command: a private server, real scripts, and a verdict.
//!
//! *Owns*: the walk from the first process to the last sentence.
//!
//! *Promises*: success only if every job ended as expected, every CPU is free, every allocation
//! was given back, the audit agrees, and no process and no folder is left behind; else it says
//! what was wrong. Also when interrupted, nothing stays.
//!
//! *Not here*: the scripts (`examples`), ending processes (`server`), what is right (`verdict`).

mod examples;
mod server;
mod show;
mod verdict;
mod watch;

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};

use crate::api::wire::body::SubmitBody;
use crate::api::wire::v1::{DataSource, Event, Job, JobId, StateWord};
use crate::cli::client::Client;
use crate::cli::{CliError, DemoArgs};
use crate::clock;
use crate::config::cpus;
use crate::time::Time;
use examples::Example;
use server::PrivateServer;
use show::Screen;
use verdict::Evidence;
use watch::{News, Trouble};

/// A server that has not said its address by then is not going to.
const BOOT_WITHIN: Duration = Duration::from_secs(30);
/// The built-in scripts take seconds; silence for so long is a fault. Scripts of a folder may
/// take what they like.
const SILENCE: Duration = Duration::from_secs(120);

/// Shows it all, and judges it.
///
/// # Errors
/// When anything was not as it should be, after saying what.
pub fn run(args: &DemoArgs) -> Result<()> {
    let (examples, patience) = match &args.examples {
        Some(folder) => (examples::of_folder(folder)?, None),
        None => (examples::built_in()?, Some(SILENCE)),
    };
    let there = u32::try_from(cpus::available().len()).unwrap_or(u32::MAX);
    let cpus = args.cpus.unwrap_or(there.max(2));
    let (tell, news) = channel();
    watch::signals(tell.clone())?;
    let start = clock::now();
    let screen = Screen::start(examples.len());
    let server = PrivateServer::start(cpus, tell.clone())?;
    let shown = Show { screen: &screen, news: &news, start, patience };
    let done = shown.walk(&server, &examples, cpus, tell);
    screen.clear();
    let last_words =
        done.as_ref().err().filter(|e| is_the_server_s(e)).map(|_| server.last_words());
    let mut wrong = match &done {
        Ok(evidence) => {
            shown.tables(evidence);
            verdict::judge(evidence)
        }
        Err(_) => Vec::new(),
    };
    wrong.extend(server.stop(done.is_ok()));
    shown.verdict(examples.len(), done.err(), last_words, &wrong)
}

struct Show<'a> {
    screen: &'a Screen,
    news: &'a Receiver<News>,
    start: Time,
    patience: Option<Duration>,
}

impl Show<'_> {
    /// From the server's first word to the last job's end.
    fn walk(
        &self,
        server: &PrivateServer,
        examples: &[Example],
        cpus: u32,
        tell: Sender<News>,
    ) -> Result<Evidence> {
        let address = self.address()?;
        self.screen.say(&format!("server: {address}, {cpus} CPUs, private, in {}", {
            server.folder().display()
        }));
        let client = Client::new(&server.connect(&address))?;
        watch::transitions(&client, examples.len(), tell)?;
        let mut ids = Vec::new();
        for example in examples {
            ids.push(submit(&client, example)?);
        }
        self.follow(&client, ids.len())?;
        let jobs = examples.iter().zip(&ids).map(|(example, id)| {
            let (job, _) = client.job(*id)?;
            Ok((example.clone(), job))
        });
        let jobs = jobs.collect::<Result<Vec<(Example, Job)>>>()?;
        self.outputs(&client, &jobs)?;
        Ok(Evidence {
            jobs,
            cpus,
            resources: client.get("/api/v1/resources")?.parse()?,
            allocations: client.get("/api/v1/allocations?limit=1000")?.parse()?,
            audit: client.get("/api/v1/audit")?.parse()?,
        })
    }

    fn address(&self) -> Result<String> {
        loop {
            let heard = watch::next(self.news, Some(BOOT_WITHIN)).context("starting the server")?;
            if let News::ServerSaid(line) = heard
                && let Some(address) = line.strip_prefix("listening on ")
            {
                return Ok(address.to_owned());
            }
        }
    }

    /// Shows what happens until so many jobs have ended.
    fn follow(&self, client: &Client, jobs: usize) -> Result<()> {
        let mut ended = 0;
        let mut live: BTreeMap<JobId, String> = BTreeMap::new();
        while ended < jobs {
            let News::Changed(event) = watch::next(self.news, self.patience)? else { continue };
            let (job, _) = client.job(event.job_id)?;
            if let Some(line) = show::transition(&event, &job, self.start) {
                self.screen.say(&line);
            }
            ended += usize::from(note(&mut live, &event, job));
            self.screen.ended(ended, &live.values().cloned().collect::<Vec<_>>());
        }
        Ok(())
    }

    /// The last lines of what each job wrote.
    fn outputs(&self, client: &Client, jobs: &[(Example, Job)]) -> Result<()> {
        self.screen.clear();
        self.screen.heading("what they wrote (last lines)");
        for (_, job) in jobs {
            let path = |stream: &str| format!("/api/v1/jobs/{}/{stream}?tail=2", job.id);
            let mut text = client.get(&path("stdout"))?.text;
            // With an output file named, both streams are the same file.
            if job.standard_output.is_none() {
                text.push_str(&client.get(&path("stderr"))?.text);
            }
            for line in text.lines() {
                self.screen.say(&format!("{:<12} | {line}", job.name));
            }
        }
        Ok(())
    }

    fn tables(&self, evidence: &Evidence) {
        self.screen.heading("jobs");
        self.screen.say(&show::jobs(evidence));
        self.screen.heading("who held which CPUs");
        self.screen.say(&show::ledger(evidence));
        self.screen.say(&show::audit(evidence));
    }

    fn verdict(
        &self,
        jobs: usize,
        broken: Option<anyhow::Error>,
        last_words: Option<String>,
        wrong: &[String],
    ) -> Result<()> {
        for sentence in wrong {
            self.screen.say(&format!("WRONG: {sentence}"));
        }
        match (broken, wrong.len()) {
            (None, 0) => {
                let took = show::seconds(clock::now().0 - self.start.0);
                self.screen.say(&format!(
                    "\nall right: {jobs} jobs ended as expected, every CPU is free, the audit \
                     agrees, no process and no folder is left ({})",
                    took.trim()
                ));
                Ok(())
            }
            (None, n) => bail!("the demo found {n} things wrong"),
            (Some(error), _) => Err(match last_words {
                None => error,
                Some(words) => anyhow!("{error:#}; the server's log ends:\n{words}"),
            }),
        }
    }
}

/// Whether the server's log may say more about it.
fn is_the_server_s(error: &anyhow::Error) -> bool {
    let refused = matches!(error.downcast_ref(), Some(CliError::Refused { .. }));
    !refused && error.downcast_ref() != Some(&Trouble::Interrupted)
}

/// Keeps track of who runs; answers whether this was a job's end.
fn note(live: &mut BTreeMap<JobId, String>, event: &Event, job: Job) -> bool {
    if event.to.is_final() {
        live.remove(&event.job_id);
    } else if event.to != StateWord::Pending {
        live.insert(event.job_id, job.name);
    }
    event.to.is_final()
}

/// Submits a script as `downbeat submit` would, but without the caller's folder: the job gets
/// one of its own, which goes with the server's.
fn submit(client: &Client, example: &Example) -> Result<JobId> {
    let body = SubmitBody {
        script: example.script.clone(),
        name: Some(example.name.clone()),
        data_source: Some(DataSource::Cli.word().to_owned()),
        ..SubmitBody::default()
    };
    let key = uuid::Uuid::new_v4().to_string();
    let answer = client
        .submit(&serde_json::to_string(&body)?, &key)
        .with_context(|| format!("{} was not accepted", example.file))?;
    let job: Job = answer.parse()?;
    Ok(job.id)
}
