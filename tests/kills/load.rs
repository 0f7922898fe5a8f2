//! *Purpose*: keeps the server busy, and knows what was asked of it.
//!
//! *Owns*: [`Load`]: the jobs that have not ended, submissions without an answer.
//!
//! *Promises*: a submission without an answer is sent again under its key until it has one;
//! a cancel likewise; a job that was acknowledged is looked for until its end.
//!
//! *Not here*: what an end must look like (`job`).

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde_json::{Value, json};

use crate::common::{Server, until};
use crate::job::Job;
use crate::stats::Stats;
use crate::targets::Killed;

/// Jobs submitted in a round.
const PER_ROUND: usize = 4;
/// Jobs that have not ended, at most: the machine is smaller than the imagination.
const OPEN_MAX: usize = 32;

/// The load.
pub struct Load {
    pub home: PathBuf,
    next: u64,
    /// Acknowledged and not known to have ended, by id.
    pub open: BTreeMap<i64, Job>,
    /// Sent, perhaps, and not answered.
    unanswered: Vec<Job>,
    /// Whose supervisor, whose script was killed; an unanswered job learns its number later.
    supervisors: BTreeSet<i64>,
    scripts: BTreeSet<i64>,
}

/// What became of a round's requests.
pub struct Done {
    jobs: Vec<Job>,
    /// Cancels by job, and whether each got its 202.
    cancels: Vec<(i64, bool)>,
    broken: Vec<String>,
}

/// A thread that asks.
pub type Busy = JoinHandle<Done>;

/// Asks a server that may die over it.
#[derive(Clone)]
struct Client {
    url: String,
    agent: ureq::Agent,
}

impl Client {
    fn of(server: &Server) -> Client {
        Client { url: server.url.clone(), agent: server.agent() }
    }

    fn post(&self, path: &str, key: Option<&str>, body: &Value) -> Option<(u16, Value)> {
        let url = format!("{}{path}", self.url);
        let mut request = self.agent.post(url).header("content-type", "application/json");
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        let mut answer = request.send(body.to_string()).ok()?;
        let text = answer.body_mut().read_to_string().ok()?;
        Some((answer.status().as_u16(), serde_json::from_str(&text).ok()?))
    }

    /// Submits; the job knows its id when it was acknowledged. Answers whether it was new, and
    /// what was wrong with the answer.
    fn submit(&self, job: &mut Job, home: &Path) -> Result<Option<bool>, String> {
        match self.post("/api/v1/jobs", Some(&job.name), &job.body(home)) {
            None => Ok(None),
            Some((status @ (200 | 201), shown)) => {
                job.id = shown["id"].as_i64();
                if job.is_whole(&shown) { Ok(Some(status == 201)) } else { Err(shown.to_string()) }
            }
            Some((status, shown)) => Err(format!("{status}: {shown}")),
        }
    }

    fn cancel(&self, id: i64) -> Result<bool, String> {
        match self.post(&format!("/api/v1/jobs/{id}/cancel"), None, &json!({})) {
            // 200: it had ended before, one way or another.
            None | Some((200, _)) => Ok(false),
            Some((202, _)) => Ok(true),
            Some((status, shown)) => Err(format!("cancel of {id}: {status}: {shown}")),
        }
    }
}

impl Load {
    pub fn new(home: &Path) -> Load {
        std::fs::create_dir(home.join("marks")).unwrap();
        // What nobody writes into is a sleep without another process.
        let mode = Mode::RUSR | Mode::WUSR;
        mknodat(CWD, home.join("never"), FileType::Fifo, mode, 0).unwrap();
        Load {
            home: home.to_owned(),
            next: 0,
            open: BTreeMap::new(),
            unanswered: Vec::new(),
            supervisors: BTreeSet::new(),
            scripts: BTreeSet::new(),
        }
    }

    /// Begins a round's requests.
    pub fn begin(&mut self, server: &Server, rng: &mut fastrand::Rng) -> Busy {
        let room = OPEN_MAX.saturating_sub(self.open.len());
        let mut jobs = Vec::new();
        for _ in 0..PER_ROUND.min(room) {
            self.next += 1;
            jobs.push(Job::new(self.next, &self.home, rng));
        }
        let mut cancels = Vec::new();
        for (id, job) in self.open.iter_mut().filter(|(_, job)| job.wants_a_cancel()) {
            // Seldom one that waits in the queue.
            let often = if job.starts() > 0 { 2 } else { 16 };
            if rng.u8(0..often) == 0 {
                job.cancel_sent = true;
                cancels.push(*id);
            }
        }
        let (client, home) = (Client::of(server), self.home.clone());
        std::thread::spawn(move || {
            let mut done = Done { jobs, cancels: Vec::new(), broken: Vec::new() };
            for job in &mut done.jobs {
                let asked = client.submit(job, &home);
                done.broken.extend(asked.err());
            }
            for id in cancels {
                match client.cancel(id) {
                    Ok(heard) => done.cancels.push((id, heard)),
                    Err(error) => done.broken.push(error),
                }
            }
            done
        })
    }

    /// Waits for a round's requests.
    pub fn join(&mut self, busy: Busy) {
        let done = busy.join().unwrap();
        assert!(done.broken.is_empty(), "{:?}", done.broken);
        for job in done.jobs {
            match job.id {
                Some(id) => drop(self.open.insert(id, job)),
                None => self.unanswered.push(job),
            }
        }
        for (id, heard) in done.cancels {
            if let Some(job) = self.open.get_mut(&id) {
                job.cancel_acknowledged |= heard;
            }
        }
    }

    /// Notes whose supervisor or script was killed.
    pub fn mark(&mut self, killed: &Killed) {
        self.supervisors.extend(&killed.supervisors);
        self.scripts.extend(&killed.scripts);
        for job in self.open.values_mut().chain(&mut self.unanswered) {
            job.daemon_killed |= killed.daemon;
        }
    }

    /// Sends again what has no answer, and looks who has ended.
    pub fn settle(&mut self, server: &Server, stats: &mut Stats) {
        let client = Client::of(server);
        for mut job in std::mem::take(&mut self.unanswered) {
            // Looked at first: one that is new may run before the answer is here.
            let ran = job.starts() > 0;
            let new = client.submit(&mut job, &self.home).unwrap();
            let new = new.unwrap_or_else(|| panic!("no answer\n{}", server.log()));
            *(if new { &mut stats.absent } else { &mut stats.whole }) += 1;
            if new && ran {
                stats.breaks(format!("{} ran before it was stored: {job:?}", job.name));
            }
            let id = job.id.unwrap();
            self.open.insert(id, job);
        }
        let (Some((first, _)), Some((last, _))) =
            (self.open.first_key_value(), self.open.last_key_value())
        else {
            return;
        };
        // Everything open is on this page, however long the history is.
        let path = format!("/api/v1/jobs?sort=-id&cursor={}&limit={}", last + 1, last - first + 1);
        let page = server.get(&path).expect(200).json();
        let shown = page["jobs"].as_array().unwrap();
        for job in self.open.keys() {
            if !shown.iter().any(|s| s["id"] == *job) {
                stats.lost += 1;
                stats.breaks(format!("job {job} was acknowledged and is not there"));
            }
        }
        for ended in shown.iter().filter(|job| job["end_time"].is_string()) {
            let id = ended["id"].as_i64().unwrap();
            let Some(mut job) = self.open.remove(&id) else { continue };
            job.supervisor_killed = self.supervisors.remove(&id);
            job.script_killed = self.scripts.remove(&id);
            stats.ended(&job, ended);
            job.forget();
        }
    }

    /// Cancels what would never end, and waits for the rest.
    pub fn finish(&mut self, server: &Server, stats: &mut Stats) {
        let client = Client::of(server);
        until("every job to end", || {
            for (id, job) in self.open.iter_mut().filter(|(_, job)| job.wants_a_cancel()) {
                job.cancel_sent = true;
                job.cancel_acknowledged = client.cancel(*id).unwrap();
            }
            self.settle(server, stats);
            if self.open.is_empty() { Ok(()) } else { Err(format!("{:?}", self.open)) }
        });
    }
}
