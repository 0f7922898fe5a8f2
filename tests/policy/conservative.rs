//! *Purpose*: what a book of reservations is, without a thought for speed.
//!
//! *Owns*: such a book, random histories of a machine.
//!
//! *Promises*: after each event of a history the scheduler starts whom this book starts, and has
//! its next reservation where this one has it.
//!
//! *Not here*: laws of single passes and of traces (`main`).

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use downbeat::job::ids::JobId;
use downbeat::policy::input::{
    Barred, PassInput, PendingJob, Quota, Quotas, RequestId, Running, Window, spend,
};
use downbeat::policy::pass::Planner;
use downbeat::resources::capacity::{Capacity, CellSet, Demand, MEMORY_CELL, Part, RegionSet};
use proptest::prelude::*;

/// What is free from each instant on.
#[derive(Default)]
struct Steps(Vec<(i64, Capacity)>);

impl Steps {
    fn edge(&mut self, at: i64) {
        let next = self.0.iter().filter(|step| step.0 < at).count();
        if self.0.get(next).is_none_or(|step| step.0 != at) {
            let free = self.0[next.saturating_sub(1)].1;
            self.0.insert(next, (at, free));
        }
    }

    fn change(&mut self, from: i64, until: i64, how: impl Fn(Capacity) -> Capacity) {
        if from < until {
            self.edge(from);
            self.edge(until);
            let within = self.0.iter_mut().filter(|step| (from..until).contains(&step.0));
            within.for_each(|step| step.1 = how(step.1));
        }
    }

    fn advance(&mut self, now: i64) {
        self.edge(now);
        self.0.retain(|step| step.0 >= now);
    }

    /// Each step is tried: all that is free from there on for so long has to be enough.
    fn earliest(&self, asked: &Demand<'_>, request: i64) -> Option<(i64, Capacity)> {
        let places = self.0.iter().enumerate().map(|(n, (at, free))| {
            let rest = self.0[n..].iter().take_while(|step| step.0 < at.saturating_add(request));
            (*at, rest.fold(*free, |least, step| least.least(&step.1)))
        });
        let mut fitting = places.filter(|(_, least)| least.holds(asked));
        fitting.next().map(|(at, least)| (at, least.taken_by(asked)))
    }
}

#[derive(Clone, Copy)]
struct Place {
    job: PendingJob,
    at: i64,
    share: Capacity,
}

impl Place {
    fn end(&self) -> i64 {
        self.at + self.job.request
    }
}

#[derive(Default)]
struct Book {
    steps: Steps,
    /// By their turns.
    places: BTreeMap<(Reverse<i64>, JobId), Place>,
    running: BTreeMap<JobId, (i64, Capacity)>,
    windows: Vec<Window>,
}

fn turn(job: &PendingJob) -> (Reverse<i64>, JobId) {
    (Reverse(job.points), job.job)
}

fn over_quota(input: &PassInput, job: &PendingJob, quotas: &Quotas) -> bool {
    matches!(input.bars(job, quotas), Some(Barred::Quota(_)))
}

impl Book {
    fn next(&self) -> Option<i64> {
        self.places.values().map(|place| place.at).min()
    }

    fn pass(&mut self, input: &PassInput, asked: bool) -> Vec<JobId> {
        if self.steps.0.is_empty() || !self.follows(input, asked) {
            self.begin(input);
        }
        let mut line: Vec<&PendingJob> = input.queue.iter().collect();
        line.sort_by_key(|job| turn(job));
        for job in line {
            if self.places.contains_key(&turn(job)) || over_quota(input, job, &input.quotas) {
                continue;
            }
            if let Some((at, share)) = self.steps.earliest(&input.demand(job), job.request) {
                let place = Place { job: *job, at, share };
                self.steps.change(at, place.end(), |free| free.minus(&share));
                self.places.insert(turn(job), place);
            }
        }
        self.due(input)
    }

    fn begin(&mut self, input: &PassInput) {
        self.places.clear();
        self.windows.clone_from(&input.windows);
        self.running = input.running.iter().map(|r| (r.job, (r.end, r.held))).collect();
        self.steps = Steps(vec![(input.now, input.free)]);
        for attempt in &input.running {
            self.steps.change(attempt.end, i64::MAX, |free| free.plus(&attempt.held));
        }
        for window in &input.windows {
            let closed = input.total.cpus_of(window.regions);
            let from = window.start.max(input.now);
            self.steps.change(from, window.end, |free| free.minus(&closed));
        }
    }

    /// Whether it could be brought up to date.
    fn follows(&mut self, input: &PassInput, asked: bool) -> bool {
        let now = input.now;
        self.steps.advance(now);
        let planned = |r: &Running| self.running.get(&r.job) == Some(&(r.end, r.held));
        let last = self.places.last_key_value().map(|(turn, _)| *turn);
        let overtakes = |job: &PendingJob| {
            let known = self.places.contains_key(&turn(job));
            !known && last.is_some_and(|last| Reverse(job.points) < last.0)
        };
        if self.windows != input.windows
            || !input.running.iter().all(planned)
            || input.queue.iter().any(overtakes)
        {
            return false;
        }
        let mut gone: Vec<(i64, i64, Capacity)> = Vec::new();
        self.running.retain(|job, (end, held)| {
            let stays = input.running.iter().any(|attempt| attempt.job == *job);
            gone.extend((!stays && *end > now).then_some((now, *end, *held)));
            stays
        });
        self.places.retain(|_, place| {
            let stays = input.queue.contains(&place.job);
            gone.extend((!stays).then_some((place.at.max(now), place.end(), place.share)));
            stays
        });
        for (from, until, share) in &gone {
            self.steps.change(*from, *until, |free| free.plus(share));
        }
        let due = self.places.values().filter(|place| place.at == now);
        let room = due.fold(self.steps.0[0].1, |room, place| room.plus(&place.share));
        if self.next().is_some_and(|at| at < now) || room != input.free {
            return false;
        }
        if asked || !gone.is_empty() {
            self.round(input);
        }
        true
    }

    fn round(&mut self, input: &PassInput) {
        for place in self.places.values_mut() {
            let Place { job, at, share } = *place;
            self.steps.change(at, place.end(), |free| free.plus(&share));
            let first = self.steps.earliest(&input.demand(&job), job.request);
            (place.at, place.share) = first.unwrap_or((at, share));
            let share = place.share;
            self.steps.change(place.at, place.end(), |free| free.minus(&share));
        }
    }

    fn due(&mut self, input: &PassInput) -> Vec<JobId> {
        let (mut quotas, mut free, mut start) = (input.quotas.clone(), input.free, Vec::new());
        let due: Vec<Place> =
            self.places.values().filter(|place| place.at <= input.now).copied().collect();
        for place in due {
            let asked = input.demand(&place.job);
            if free.holds(&asked) && !over_quota(input, &place.job, &quotas) {
                free = free.minus(&free.taken_by(&asked));
                spend(&mut quotas, &place.job, &asked);
                start.push(place.job.job);
                self.running.insert(place.job.job, (place.end(), place.share));
                self.places.remove(&turn(&place.job));
            }
        }
        start
    }
}

/// CPUs, memory, GPUs, where, for how long, with how many points, whose quota.
type Asked = (u32, u64, u64, u8, i64, i64, Option<u32>);

/// What happens between two passes.
#[derive(Clone, Debug)]
enum Event {
    /// Jobs come.
    Come(Vec<Asked>),
    /// One of those that run ends before its time.
    End(prop::sample::Index),
    /// One of those that wait is taken back.
    Vanish(prop::sample::Index),
    /// One of those that wait asks for another time, or has other points.
    Change(prop::sample::Index, i64, i64),
    /// One stands there once more, as an array does for each task that may start.
    Again(prop::sample::Index),
    /// So much time passes, but nobody's end and nobody's reservation is passed over.
    Wait(i64),
    /// Everybody is to be taken out and put back.
    Round,
    /// So many CPUs are closed, or open again.
    Close(i64, i64),
    /// Quotas are others.
    Quotas(u32, u32),
}

fn events() -> impl Strategy<Value = Event> {
    let job = (
        1..9u32,
        0..3u64,
        0..3u64,
        prop::sample::select(&[u8::MAX, u8::MAX, 1, 2, 3][..]),
        1..90i64,
        prop::sample::select(&[0, 0, 0, 0, 0, 0, 1][..]),
        prop::option::weighted(0.2, 0..2u32),
    );
    let one = || any::<prop::sample::Index>();
    prop_oneof![
        4 => prop::collection::vec(job, 1..9).prop_map(Event::Come),
        6 => one().prop_map(Event::End),
        1 => one().prop_map(Event::Vanish),
        1 => (one(), 1..90i64, 0..2i64).prop_map(|(n, s, points)| Event::Change(n, s, points)),
        1 => one().prop_map(Event::Again),
        12 => (1..60i64).prop_map(Event::Wait),
        1 => Just(Event::Round),
        1 => (0..60i64, 0..60i64).prop_map(|(from, s)| Event::Close(from, s)),
        1 => (0..9u32, 0..4u32).prop_map(|(cpus, jobs)| Event::Quotas(cpus, jobs)),
    ]
}

const GPUS: CellSet = CellSet(0b11 << (MEMORY_CELL + 1));

/// A machine of 8 CPUs in one region or in two, with memory and two types of GPUs.
struct Machine {
    input: PassInput,
    planner: Planner,
    book: Book,
    asked: bool,
    came: i64,
}

impl Machine {
    fn new(divided: bool, choice: bool) -> Machine {
        let cpus = if divided { Capacity::of(5).with(1, 3) } else { Capacity::of(8) };
        let room = cpus.with_memory(8).with(MEMORY_CELL + 1, 2).with(MEMORY_CELL + 2, 2);
        let gpus = if choice { GPUS } else { CellSet(1 << (MEMORY_CELL + 1)) };
        let requests = (0..9).map(|n| {
            let gpus = Part { resource: 2, cells: gpus, amount: n % 3 };
            [Part::of_memory(n / 3 * 2), gpus].into_iter().filter(|part| part.amount > 0).collect()
        });
        let requests = Arc::new(requests.collect());
        let input = PassInput { free: room, total: room, requests, ..PassInput::default() };
        let planner = Planner::new("fcfs+cons".parse().unwrap(), 1);
        Machine { input, planner, book: Book::default(), asked: false, came: 0 }
    }

    fn happens(&mut self, event: Event) {
        let input = &mut self.input;
        match event {
            Event::Come(jobs) => {
                for (cpus, memory, gpus, regions, request, points, quota) in jobs {
                    self.came += 1;
                    input.queue.push(PendingJob {
                        job: JobId(self.came),
                        cpus,
                        rest: RequestId((memory * 3 + gpus) as u32 + 1),
                        regions: RegionSet(regions),
                        request,
                        points,
                        quotas: [quota, quota.map(|at| at / 2)],
                        ..PendingJob::default()
                    });
                }
            }
            Event::End(n) if !input.running.is_empty() => {
                let gone = input.running.remove(n.index(input.running.len()));
                input.free = input.free.plus(&gone.held);
            }
            Event::Vanish(n) if !input.queue.is_empty() => {
                let gone = n.get(&input.queue).job;
                input.queue.retain(|job| job.job != gone);
            }
            Event::Change(n, request, points) if !input.queue.is_empty() => {
                let id = n.get(&input.queue).job;
                let tasks = input.queue.iter_mut().filter(|job| job.job == id);
                tasks.for_each(|job| (job.request, job.points) = (request, points));
            }
            Event::Again(n) if !input.queue.is_empty() => {
                input.queue.push(*n.get(&input.queue));
            }
            Event::Wait(s) => self.wait(s),
            Event::Round => {
                self.asked = true;
                self.planner.ask_for_a_round();
            }
            Event::Close(from, s) => {
                let (start, regions) = (input.now + from, RegionSet(1));
                let window = Window { start, end: start + s, regions };
                input.windows = (s > 30).then_some(window).into_iter().collect();
            }
            Event::Quotas(cpus, jobs) => {
                let rest = vec![Part { amount: cpus.into(), ..Part::of_memory(0) }];
                let one = Quota { cpus, jobs, rest };
                let accounts = vec![one.clone(), Quota { cpus: 9, ..one.clone() }];
                input.quotas = Quotas { accounts, users: vec![one] };
            }
            Event::End(_) | Event::Vanish(_) | Event::Change(..) | Event::Again(_) => {}
        }
    }

    /// Whoever has used up his time by then is gone.
    fn wait(&mut self, s: i64) {
        let input = &mut self.input;
        let ends = input.running.iter().map(|attempt| attempt.end);
        let until = ends.chain(self.book.next()).filter(|at| *at > input.now).min();
        input.now = until.unwrap_or(i64::MAX).min(input.now + s);
        let (gone, stay) = input.running.iter().partition(|attempt| attempt.end <= input.now);
        let gone: Vec<Running> = gone;
        input.free = gone.iter().fold(input.free, |free, attempt| free.plus(&attempt.held));
        input.running = stay;
    }

    /// Whom the planner starts, and whom the book does.
    fn pass(&mut self) -> (Vec<JobId>, Vec<JobId>) {
        let input = &mut self.input;
        let started = self.planner.pass(input).start;
        let expected = self.book.pass(input, std::mem::take(&mut self.asked));
        for id in &started {
            let job = *input.queue.iter().find(|job| job.job == *id).unwrap();
            input.queue.retain(|other| other.job != *id);
            let held = input.free.taken_by(&input.demand(&job));
            input.free = input.free.minus(&held);
            let end = input.now + job.request;
            input.running.push(Running { job: job.job, end, held });
        }
        (started, expected)
    }
}

proptest! {
    #[test]
    fn the_book_is_kept_as_one_would_keep_it_without_a_thought_for_speed(
        divided in prop::bool::weighted(0.3),
        choice in prop::bool::weighted(0.3),
        events in prop::collection::vec(events(), 1..60),
    ) {
        let mut machine = Machine::new(divided, choice);
        for (n, event) in events.into_iter().enumerate() {
            machine.happens(event.clone());
            let (started, expected) = machine.pass();
            prop_assert_eq!(&started, &expected, "event {}: {:?}", n, event);
            prop_assert_eq!(machine.planner.next_reserved(), machine.book.next());
        }
    }
}
