//! *Purpose*: what a commit writes, as a value.
//!
//! *Owns*: [`Writes`]: the new rows of a commit, table by table, and what becomes of rows that are
//! there, in rounds.
//!
//! *Promises*: once all of it is written, in its order, the rows are what they would be after each
//! change alone. No list has a row twice.
//!
//! *Not here*: SQL (`store::body::write`).
//!
//! **Rounds.** What a commit does to one job it does in the order of its changes: each in the round
//! behind that of the change before. What it does to different jobs has no order among them, but
//! for one thing: a unit is held by one job at a time, so a grant is in no round before a release.
//! Within a round what was held is given back first, and taken then. So most commits are one
//! round: the ends, and the starts that follow from them.
//!
//! Two pairs of changes are one write. A start that is heard of with the end, since all that it
//! sets the end sets too; and a submission that is granted what it asks for at once, which is a new
//! row that runs. A grant and its start never meet: what was granted is launched after the commit.
//!
//! What is rare, reads before it writes and has to do with the state of a job ends a part: all
//! before it is written first.

use std::collections::BTreeMap;

use super::record::JobRecord;
use super::rows::{NewAllocation, NewAsked, NewEvent, NewHeld, NewKey, NewLabel, NewScript, units};
use super::updates::{
    CompletingRow, EndedRow, FenceRow, GrantedRow, PlacedRow, ProcessRow, ReleasedRow, StartedRow,
};
use crate::job::array_spec::ArraySpec;
use crate::job::ids::{CpuId, JobId};
use crate::job::outcome::{EndState, Handle};
use crate::job::spec::JobSpec;
use crate::kernel::change::{Change, Event};
use crate::kernel::outbox::Commit;
use crate::resources::allocation::Share;

/// All that a commit writes, in the order of these fields.
pub(super) struct Writes<'a> {
    pub fence: FenceRow,
    pub jobs: Vec<JobRecord>,
    pub scripts: Vec<NewScript<'a>>,
    pub labels: Vec<NewLabel<'a>>,
    /// New jobs that are arrays.
    pub arrays: Vec<(&'a Event, &'a ArraySpec)>,
    pub parts: Vec<Part<'a>>,
    pub keys: Vec<NewKey<'a>>,
    pub asked: Vec<NewAsked<'a>>,
    /// What accounts have used in the end: CPU-µs, and as of when, µs.
    pub charged: BTreeMap<&'a str, (i64, i64)>,
    pub events: Vec<NewEvent<'a>>,
}

/// What becomes of jobs, up to something that is written by itself.
#[derive(Default)]
pub(super) struct Part<'a> {
    pub rounds: Vec<Round<'a>>,
    /// What has nothing to do with the rounds; in this order.
    pub beside: Vec<&'a Change>,
    pub then: Option<&'a Change>,
}

/// What becomes of jobs that have nothing to do with each other, in the order of these fields.
#[derive(Default)]
pub(super) struct Round<'a> {
    pub granted: Vec<GrantedRow<'a>>,
    pub placed: Vec<PlacedRow<'a>>,
    pub started: Vec<StartedRow<'a>>,
    pub completing: Vec<CompletingRow<'a>>,
    pub ended: Vec<EndedRow<'a>>,
    /// What a person should know of jobs that have ended.
    pub warned: Vec<(JobId, &'a [String])>,
    pub processes: Vec<ProcessRow>,
    pub released: Vec<ReleasedRow<'a>>,
    pub allocations: Vec<NewAllocation<'a>>,
    pub held: Vec<NewHeld<'a>>,
}

impl<'a> Writes<'a> {
    /// What this commit writes.
    pub fn of(commit: &'a Commit) -> Writes<'a> {
        let writes = Writes {
            fence: FenceRow::from(commit),
            jobs: Vec::new(),
            scripts: Vec::new(),
            labels: Vec::new(),
            arrays: Vec::new(),
            parts: Vec::new(),
            keys: Vec::new(),
            asked: Vec::new(),
            charged: BTreeMap::new(),
            events: Vec::new(),
        };
        let mut open = Open { writes, part: Part::default(), last: BTreeMap::new(), released: 0 };
        let changes = || commit.steps.iter().flat_map(|step| step.iter());
        for change in changes() {
            open.take(change);
        }
        open.end_part(None);
        open.writes.events = changes().filter_map(Change::event).map(NewEvent::from).collect();
        open.writes
    }

    fn submitted(&mut self, event: &'a Event, spec: &'a JobSpec) {
        self.jobs.push(JobRecord::submitted(event.job, event.time, spec));
        self.scripts.push(NewScript::submitted(event.job, spec));
        self.labels.extend(NewLabel::of(event.job, &spec.labels));
        self.arrays.extend(spec.array.as_ref().map(|array| (event, array)));
    }
}

/// The last change of a job in this part.
#[derive(Default)]
struct Last<'a> {
    /// The round behind it.
    next: usize,
    /// It is this start, and in no list yet.
    start: Option<(&'a Event, Handle)>,
}

/// Writes in the making.
struct Open<'a> {
    writes: Writes<'a>,
    part: Part<'a>,
    last: BTreeMap<JobId, Last<'a>>,
    /// The last round of this part in which something is given back.
    released: usize,
}

impl<'a> Open<'a> {
    fn take(&mut self, change: &'a Change) {
        match change {
            Change::Submitted { event, spec } => self.writes.submitted(event, spec),
            Change::Asked(asked) => self.writes.asked.push(NewAsked::from(&**asked)),
            Change::Key(key) => self.writes.keys.push(NewKey::from(key)),
            Change::Charged { account, cpu_us, at } => {
                self.writes.charged.insert(account, (*cpu_us, at.0));
            }
            Change::Granted { event, cpus, rest, partition, nonce, boot_id } => {
                let place = partition.as_deref();
                let allocation = NewAllocation::granted(event, (cpus, rest), (nonce, boot_id));
                let round = self.granted(event, place);
                round.allocations.push(allocation);
                held(round, event.job, (cpus, rest));
            }
            Change::Started { event, handle, .. } => self.started(event, *handle),
            Change::Completing { event, reason } => {
                let n = self.behind_the_last(event.job);
                self.round(n).completing.push(CompletingRow::new(event, *reason));
            }
            Change::Ended { event, end, released, .. } => self.ended(event, end, released.units),
            Change::Told { .. }
            | Change::StepNoted { .. }
            | Change::Signalled { .. }
            | Change::Claimed { .. }
            | Change::Maintained(_)
            | Change::Resumed(_)
            | Change::TokenMade(_)
            | Change::TokensRevoked(_)
            | Change::Sampled(_)
            | Change::UsageKept { .. } => self.part.beside.push(change),
            Change::Split { .. }
            | Change::Edited { .. }
            | Change::Suspended { .. }
            | Change::Requeued { .. }
            | Change::Reclaimed { .. }
            | Change::Restored { .. }
            | Change::Forgotten { .. } => self.end_part(Some(change)),
        }
    }

    /// The round of the next change of a job.
    fn behind_the_last(&mut self, job: JobId) -> usize {
        self.place_start(job);
        let last = self.last.entry(job).or_default();
        last.next += 1;
        last.next - 1
    }

    fn round(&mut self, n: usize) -> &mut Round<'a> {
        let rounds = &mut self.part.rounds;
        if rounds.len() <= n {
            rounds.resize_with(n + 1, Round::default);
        }
        &mut rounds[n]
    }

    /// The round in which a job is granted what it asks for.
    fn granted(&mut self, event: &'a Event, partition: Option<&'a str>) -> &mut Round<'a> {
        let is_new = self.runs_from_the_first(event, partition);
        let n = self.behind_the_last(event.job).max(self.released);
        self.last.entry(event.job).or_default().next = n + 1;
        let round = self.round(n);
        if !is_new {
            round.granted.push(GrantedRow::from(event));
            let place = |partition| PlacedRow { event, id: event.job.0, partition };
            round.placed.extend(partition.map(place));
        }
        round
    }

    /// Whether the job is a new row that nothing has happened to; then it is one that runs.
    fn runs_from_the_first(&mut self, event: &Event, partition: Option<&str>) -> bool {
        if !self.writes.parts.is_empty() || self.last.contains_key(&event.job) {
            return false;
        }
        // Numbers of new jobs rise.
        let jobs = &mut self.writes.jobs;
        let Ok(at) = jobs.binary_search_by_key(&event.job, |job| job.id) else { return false };
        let job = &mut jobs[at];
        if event.from != Some(job.state) || job.array_spec.is_some() {
            return false;
        }
        (job.state, job.attempt) = (event.to, event.attempt);
        if let Some(partition) = partition {
            partition.clone_into(&mut job.partition);
        }
        true
    }

    fn started(&mut self, event: &'a Event, handle: Handle) {
        self.behind_the_last(event.job);
        self.last.entry(event.job).or_default().start = Some((event, handle));
    }

    fn ended(&mut self, event: &'a Event, end: &'a EndState, units: u32) {
        let last = self.last.entry(event.job).or_default();
        let follows = |(start, _): &mut (&'a Event, Handle)| {
            units > 0 && event.from == Some(start.to) && event.attempt == start.attempt
        };
        let row = EndedRow::new(event, end);
        let (n, row) = match last.start.take_if(follows) {
            Some((start, _)) => (last.next - 1, row.started(start)),
            None => (self.behind_the_last(event.job), row),
        };
        let round = self.round(n);
        round.ended.push(row);
        if !end.warnings.is_empty() {
            round.warned.push((event.job, &end.warnings));
        }
        if units > 0 {
            round.released.push(ReleasedRow::new(event, event.to.word(), end, units));
            self.released = self.released.max(n);
        }
    }

    /// A start that no end follows stands in the round that was kept for it.
    fn place_start(&mut self, job: JobId) {
        let Some(last) = self.last.get_mut(&job) else { return };
        let Some((event, handle)) = last.start.take() else { return };
        let n = last.next - 1;
        let round = self.round(n);
        round.started.push(StartedRow::new(event, handle));
        round.processes.push(ProcessRow::new(event, handle));
    }

    fn end_part(&mut self, then: Option<&'a Change>) {
        let jobs: Vec<JobId> = self.last.keys().copied().collect();
        jobs.into_iter().for_each(|job| self.place_start(job));
        self.last.clear();
        self.released = 0;
        let part = std::mem::take(&mut self.part);
        self.writes.parts.push(Part { then, ..part });
    }
}

fn held<'a>(round: &mut Round<'a>, job: JobId, (cpus, rest): (&[CpuId], &'a [Share])) {
    round.held.extend(units(cpus, rest).into_iter().map(|unit| NewHeld::of(job, unit)));
}
