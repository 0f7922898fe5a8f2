//! *Purpose*: how much is free when.
//!
//! *Owns*: [`Profile`], a step function of time.
//!
//! *Promises*: what is reserved is free for as long as it is reserved; steps that say the same
//! become one.
//!
//! *Not here*: who gets a reservation (`policy::conservative`, `policy::forecast`).

use super::input::{Instant, Running, Span};
use crate::resources::capacity::{Capacity, Demand};

/// From `at` on so much is free, until the next step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Step {
    at: Instant,
    free: Capacity,
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
        let mut steps = vec![Step { at: now, free }];
        let mut then = free;
        for attempt in ends {
            then = then.plus(&attempt.held);
            match steps.last_mut() {
                Some(last) if last.at >= attempt.end => last.free = then,
                _ => steps.push(Step { at: attempt.end, free: then }),
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
        self.steps.first().map_or_else(Capacity::default, |step| step.free)
    }

    /// The first instant from now on at which this fits for so long, and what it
    /// takes; `None` when it never fits.
    #[must_use]
    pub fn earliest(&self, asked: &Demand<'_>, request: Span) -> Option<(Instant, Capacity)> {
        let mut first = 0;
        let has_choice = self.has_choice || asked.rest.iter().any(|part| !part.cells.is_one());
        'places: while let Some(start) = self.steps.get(first) {
            let end = start.at.saturating_add(request);
            let mut least = start.free;
            for (n, step) in self.steps.iter().enumerate().skip(first) {
                if step.at >= end && n > first {
                    break;
                }
                if !step.free.holds(asked) {
                    // Whatever begins no later than a step in which it does not fit meets it.
                    first = n + 1;
                    continue 'places;
                }
                if !has_choice {
                    continue;
                }
                // Two steps that it fits into may have too little in common.
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
        let free = before.map_or_else(|| self.now(), |step| step.free);
        self.steps.insert(next, Step { at, free });
        next
    }

    /// Two steps that say the same are one.
    fn join(&mut self, n: usize) {
        if n > 0 && self.steps.get(n).is_some_and(|step| step.free == self.steps[n - 1].free) {
            self.steps.remove(n);
        }
    }
}
