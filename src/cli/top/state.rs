//! *Purpose*: what `top` knows.
//!
//! *Owns*: [`State`]: the last overview, what is chosen, what is being typed.
//!
//! *Promises*: a job keeps its letter as long as it runs; what is chosen stays chosen while it is
//! there, wherever its row goes.
//!
//! *Not here*: who brings it (`top::news`), what is drawn of it (`top::draw`).

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::marks::Marks;
use super::orders::Order;
use super::rows::{Row, rows};
use super::words::plain;
use crate::api::wire::overview::Overview;
use crate::api::wire::samples::Samples;
use crate::api::wire::v1::{Job, JobId};
use crate::clock::{LocalTime, now};
use crate::time::Time;

/// Lines of a log that are kept: more than a screen has.
const LOG_LINES: usize = 500;
/// Characters of one of its lines that are kept: more than a screen is wide.
const LINE_CHARS: usize = 1_000;

/// What keys do.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) enum Mode {
    /// They move about.
    #[default]
    Reading,
    /// They are letters of the filter.
    Filter,
    /// They answer a question.
    Ask(Order),
    /// They close what is shown: the keys.
    Keys,
    /// They close what is shown: the job.
    Job,
}

/// What a job wrote.
#[derive(Clone, Debug)]
pub(super) struct Log {
    pub(super) job: JobId,
    pub(super) lines: VecDeque<String>,
    /// The last line has not ended.
    is_open: bool,
}

/// What `top` knows.
pub(super) struct State {
    pub(super) marks: Marks,
    /// As of when it is drawn.
    pub(super) now: Time,
    pub(super) overview: Option<Overview>,
    /// What was held lately, once that was told.
    pub(super) samples: Option<Samples>,
    pub(super) is_away: bool,
    /// When the server was last heard, on the clock of this place.
    pub(super) heard: String,
    pub(super) chosen: Option<JobId>,
    pub(super) filter: String,
    pub(super) is_mine: bool,
    pub(super) is_apart: bool,
    pub(super) mode: Mode,
    pub(super) log: Option<Log>,
    /// What became of the last order.
    pub(super) said: Option<String>,
    letters: BTreeMap<JobId, char>,
}

impl State {
    pub(super) fn new(marks: Marks, is_mine: bool) -> State {
        State {
            marks,
            now: now(),
            overview: None,
            samples: None,
            is_away: false,
            heard: String::new(),
            chosen: None,
            filter: String::new(),
            is_mine,
            is_apart: false,
            mode: Mode::default(),
            log: None,
            said: None,
            letters: BTreeMap::new(),
        }
    }

    /// Takes an overview up.
    pub(super) fn take(&mut self, text: &str) -> Result<(), serde_json::Error> {
        let overview: Overview = serde_json::from_str(text)?;
        self.give_letters(&overview.running);
        self.overview = Some(overview);
        self.now = now();
        self.is_live();
        if self.row_of_chosen().is_none() {
            self.chosen = self.ids().first().copied();
        }
        Ok(())
    }

    /// Takes up what was held.
    pub(super) fn take_samples(&mut self, text: &str) -> Result<(), serde_json::Error> {
        self.samples = Some(serde_json::from_str(text)?);
        Ok(())
    }

    /// Tasks of an array share a letter.
    fn give_letters(&mut self, running: &[Job]) {
        let mut own = Vec::new();
        for job in running {
            let of = job.array_job_id.unwrap_or(job.id);
            if !own.contains(&of) {
                own.push(of);
            }
        }
        self.letters.retain(|of, _| own.contains(of));
        for of in own {
            if !self.letters.contains_key(&of) {
                let taken: BTreeSet<char> = self.letters.values().copied().collect();
                let mut free = ('a'..='z').chain('A'..='Z').filter(|one| !taken.contains(one));
                self.letters.insert(of, free.next().unwrap_or('#'));
            }
        }
    }

    /// The letter of a job that runs.
    pub(super) fn letter(&self, job: &Job) -> char {
        let of = job.array_job_id.unwrap_or(job.id);
        self.letters.get(&of).copied().unwrap_or(' ')
    }

    /// The letter of whoever holds something; `#` of one that is not listed.
    pub(super) fn letter_of(&self, holder: JobId) -> char {
        let running = self.overview.iter().flat_map(|overview| &overview.running);
        let job = running.into_iter().find(|job| job.id == holder);
        job.map_or('#', |job| self.letter(job))
    }

    pub(super) fn is_live(&mut self) {
        let LocalTime { hour, minute, second, .. } = LocalTime::of(now());
        self.heard = format!("{hour:02}:{minute:02}:{second:02}");
        self.is_away = false;
    }

    pub(super) fn is_away(&mut self) {
        self.is_away = true;
    }

    fn shows(&self, job: &Job) -> bool {
        let me = self.overview.as_ref().map(|overview| overview.me.user.as_str());
        let is_mine = !self.is_mine || job.user.is_empty() || me == Some(job.user.as_str());
        let words = [&job.name, &job.user, &job.account];
        let is_meant = |word: &str| {
            words.iter().any(|own| own.contains(word)) || job.shown_id().starts_with(word)
        };
        is_mine && self.filter.split_whitespace().all(is_meant)
    }

    pub(super) fn running(&self) -> Vec<Row<'_>> {
        let jobs = self.overview.iter().flat_map(|overview| &overview.running);
        rows(jobs.filter(|job| self.shows(job)), self.is_apart)
    }

    pub(super) fn waiting(&self) -> Vec<Row<'_>> {
        let jobs = self.overview.iter().flat_map(|overview| &overview.waiting);
        rows(jobs.filter(|job| self.shows(job)), true)
    }

    pub(super) fn ended(&self) -> Vec<Row<'_>> {
        let jobs = self.overview.iter().flat_map(|overview| &overview.ended);
        rows(jobs.filter(|job| self.shows(job)), true)
    }

    fn ids(&self) -> Vec<JobId> {
        let all = [self.running(), self.waiting(), self.ended()].concat();
        all.iter().map(|row| row.job.id).collect()
    }

    /// The row that is chosen.
    pub(super) fn row_of_chosen(&self) -> Option<Row<'_>> {
        let chosen = self.chosen?;
        let all = [self.running(), self.waiting(), self.ended()].concat();
        all.into_iter().find(|row| row.all.iter().any(|job| job.id == chosen))
    }

    /// Chooses another, so many rows on.
    pub(super) fn go(&mut self, rows: isize) {
        let ids = self.ids();
        let here = self.row_of_chosen().map(|row| row.job.id);
        let place = here.and_then(|here| ids.iter().position(|id| *id == here)).unwrap_or(0);
        let last = ids.len().saturating_sub(1);
        self.chosen = ids.get(place.saturating_add_signed(rows).min(last)).copied();
    }

    /// A log begins to be shown.
    pub(super) fn open_log(&mut self, job: JobId) {
        self.log = Some(Log { job, lines: VecDeque::new(), is_open: false });
    }

    /// A job wrote this.
    pub(super) fn log_says(&mut self, of: JobId, bytes: &[u8]) {
        let Some(log) = self.log.as_mut().filter(|log| log.job == of) else { return };
        let text = String::from_utf8_lossy(bytes);
        for part in text.split_inclusive('\n') {
            let line = part.trim_end_matches('\n');
            // A carriage return overwrites.
            let overwrites = line.contains('\r');
            let line = line.rsplit('\r').next().unwrap_or(line);
            let line: String = plain(line).chars().take(LINE_CHARS).collect();
            match log.lines.back_mut().filter(|_| log.is_open) {
                Some(last) if overwrites => *last = line,
                Some(last) if last.len() < LINE_CHARS => last.push_str(&line),
                Some(_) => {}
                None => log.lines.push_back(line),
            }
            log.is_open = !part.ends_with('\n');
            if log.lines.len() > LOG_LINES {
                log.lines.pop_front();
            }
        }
    }
}
