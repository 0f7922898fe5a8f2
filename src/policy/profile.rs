//! *Purpose*: how much is free when.
//!
//! *Owns*: [`Profile`], a step function of time.
//!
//! *Promises*: what is reserved is free for as long as it is reserved; steps that say the same
//! become one.
//!
//! *Not here*: who gets a reservation (`policy::conservative`, `policy::forecast`).

use std::hint::select_unpredictable;

use super::input::{Instant, Running, Span};
use crate::resources::capacity::{Capacity, Demand};

/// From `at` on so much is free, until the next step. A search runs along many of these and each
/// change moves them, so what is rarely looked at lies elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Step {
    at: Instant,
    /// All CPUs of what is free: where these are too few, nothing else is looked at.
    cpus: u32,
    free: Box<Capacity>,
}

impl Step {
    fn new(at: Instant, free: Capacity) -> Step {
        Step { at, cpus: free.all_cpus(), free: Box::new(free) }
    }

    fn holds(&self, asked: &Demand<'_>) -> bool {
        self.cpus >= asked.cpus && self.free.holds(asked)
    }
}

/// What is free from now on; the last step lasts for ever.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    steps: Vec<Step>,
    /// Whether one part of what a job takes may come from several cells.
    has_choice: bool,
}

impl Profile {
    /// So much is free now, and more when these attempts end.
    #[must_use]
    pub fn new(now: Instant, free: Capacity, running: &[Running]) -> Profile {
        let mut ends: Vec<&Running> = running.iter().collect();
        ends.sort_by_key(|attempt| attempt.end);
        let mut steps = vec![Step::new(now, free)];
        let mut then = free;
        for attempt in ends {
            then = then.plus(&attempt.held);
            match steps.last_mut() {
                Some(last) if last.at >= attempt.end => *last = Step::new(last.at, then),
                _ => steps.push(Step::new(attempt.end, then)),
            }
        }
        let has_choice = steps.last().is_some_and(|last| last.free.is_divided());
        Profile { steps, has_choice }
    }

    /// Forgets what was before `now`.
    pub fn advance(&mut self, now: Instant) {
        let gone = self.steps.partition_point(|step| step.at <= now).saturating_sub(1);
        self.steps.drain(..gone);
        if let Some(first) = self.steps.first_mut() {
            first.at = first.at.max(now);
        }
    }

    /// What is free now.
    #[must_use]
    pub fn now(&self) -> Capacity {
        self.steps.first().map_or_else(Capacity::default, |step| *step.free)
    }

    /// Whether what this takes depends on what is free.
    #[must_use]
    pub fn leaves_choice(&self, asked: &Demand<'_>) -> bool {
        self.has_choice || asked.rest.iter().any(|part| !part.cells.is_one())
    }

    /// The first instant from now on at which this fits for so long, and what it
    /// takes; `None` when it never fits.
    #[must_use]
    pub fn earliest(&self, asked: &Demand<'_>, request: Span) -> Option<(Instant, Capacity)> {
        if self.leaves_choice(asked) {
            return self.earliest_in_common(asked, request);
        }
        let at = self.earlier(asked, request, Instant::MAX)?;
        let first = self.steps.partition_point(|step| step.at < at);
        self.steps.get(first).map(|step| (at, step.free.taken_by(asked)))
    }

    /// From when on how much is free, in order; the last lasts for ever.
    pub fn steps(&self) -> impl Iterator<Item = (Instant, &Capacity)> {
        self.steps.iter().map(|step| (step.at, &*step.free))
    }

    /// The first instant from now on at which this fits for so long at the least, and until when it
    /// fits then: `None` is for ever.
    #[must_use]
    pub fn opening(&self, asked: &Demand<'_>, least: Span) -> Option<(Instant, Option<Instant>)> {
        let (at, _) = self.earliest(asked, least)?;
        let first = self.steps.partition_point(|step| step.at <= at).saturating_sub(1);
        let mut common = *self.steps.get(first)?.free;
        let ends = |step: &&Step| {
            common = common.least(&step.free);
            !common.holds(asked)
        };
        Some((at, self.steps.iter().skip(first).find(ends).map(|step| step.at)))
    }

    /// The first instant before `at` from which on this, which leaves no choice, fits for so long
    /// or until `at`: that is for whoever holds it from then on.
    #[must_use]
    pub fn earlier(&self, asked: &Demand<'_>, request: Span, at: Instant) -> Option<Instant> {
        if *asked == Demand::of(asked.cpus) {
            return self.gap(request, at, |step| step.cpus >= asked.cpus);
        }
        self.gap(request, at, |step| step.holds(asked))
    }

    fn gap(&self, request: Span, at: Instant, fits: impl Fn(&Step) -> bool) -> Option<Instant> {
        let before = self.steps.partition_point(|step| step.at < at);
        let mut start = self.steps.first()?.at;
        for (step, next) in self.steps[..before].iter().zip(&self.steps[1..]) {
            // Which of them fit is past guessing, so the processor does better not to guess.
            start = select_unpredictable(fits(step), start, next.at);
            if next.at - start >= request.max(1) {
                return Some(start);
            }
        }
        let reaches = before < self.steps.len() || self.steps.last().is_some_and(fits);
        (reaches && start < at).then_some(start)
    }

    /// The same as `earliest` where it is not enough that it fits into each step: two of them may
    /// have too little in common.
    fn earliest_in_common(&self, asked: &Demand<'_>, request: Span) -> Option<(Instant, Capacity)> {
        let mut first = 0;
        'places: while let Some(start) = self.steps.get(first) {
            let end = start.at.saturating_add(request);
            let mut least = *start.free;
            for (n, step) in self.steps.iter().enumerate().skip(first) {
                if step.at >= end && n > first {
                    break;
                }
                if !step.holds(asked) {
                    // Whatever begins no later than a step in which it does not fit meets it.
                    first = n + 1;
                    continue 'places;
                }
                least = least.least(&step.free);
                if !least.holds(asked) {
                    first += 1;
                    continue 'places;
                }
            }
            return Some((start.at, least.taken_by(asked)));
        }
        None
    }

    /// Reserves this for so long.
    pub fn reserve(&mut self, from: Instant, span: Span, share: &Capacity) {
        let cells = share.in_use();
        self.change(from, span, |free| free.take_out(share, cells));
    }

    /// Takes a reservation, or what is left of it, back.
    pub fn give_back(&mut self, from: Instant, until: Instant, share: &Capacity) {
        let cells = share.in_use();
        self.change(from, until.saturating_sub(from), |free| free.add(share, cells));
    }

    fn change(&mut self, from: Instant, span: Span, how: impl Fn(&mut Capacity)) {
        let until = from.saturating_add(span);
        if span <= 0 {
            return;
        }
        let first = self.edge(from);
        let last = self.edge(until);
        for step in &mut self.steps[first..last] {
            how(&mut step.free);
            step.cpus = step.free.all_cpus();
        }
        self.join(last);
        self.join(first);
    }

    /// The step that begins at this instant, made if need be.
    fn edge(&mut self, at: Instant) -> usize {
        let next = self.steps.partition_point(|step| step.at < at);
        if self.steps.get(next).is_some_and(|step| step.at == at) {
            return next;
        }
        let before = next.checked_sub(1).and_then(|n| self.steps.get(n));
        let free = before.map_or_else(|| self.now(), |step| *step.free);
        self.steps.insert(next, Step::new(at, free));
        next
    }

    /// Two steps that say the same are one.
    fn join(&mut self, n: usize) {
        if n > 0 && self.steps.get(n).is_some_and(|step| step.free == self.steps[n - 1].free) {
            self.steps.remove(n);
        }
    }
}
