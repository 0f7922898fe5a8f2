//! *Purpose*: how much of its retries a live job has used up, and when it is run again.
//!
//! *Owns*: [`RetryState`], what a live job goes back with.
//!
//! *Promises*: nobody is run more often than once and `max` times by this; a job whose deadline
//! would pass in the wait keeps the end that it has.
//!
//! *Not here*: after which ends, and how long the wait is (`job::retry_policy`), going back into
//! the queue (`kernel::commands::requeue`), waiting (`kernel::parts::conditions`).

use std::sync::Arc;

use crate::job::outcome::EndState;
use crate::job::retry_policy::RetryPolicy;
use crate::time::Time;

/// A policy and how much of it is used up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetryProgress {
    /// What was asked for.
    pub policy: Arc<RetryPolicy>,
    /// Retries so far.
    pub used: u32,
}

/// What a job goes back into the queue with, of those that have any of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RetryState {
    /// Whether it goes back by itself.
    pub retry: Option<RetryProgress>,
    /// Not after, while it is live; of a job that waits its conditions know.
    pub deadline: Option<Time>,
}

impl RetryState {
    /// What a new job with this policy has.
    #[must_use]
    pub fn new(policy: &Arc<RetryPolicy>) -> RetryState {
        let retry = Some(RetryProgress { policy: Arc::clone(policy), used: 0 });
        RetryState { retry, deadline: None }
    }

    /// From when on a job is run again whose attempt ended so; `None` when that is its end.
    #[must_use]
    pub fn retry_at(&self, end: &EndState, now: Time) -> Option<Time> {
        let RetryProgress { policy, used } = self.retry.as_ref()?;
        let wanted = *used < policy.max && policy.on.iter().any(|cause| cause.covers(end));
        let at = now.plus_s(i64::from(policy.delay_s(*used)));
        let in_time = self.deadline.is_none_or(|deadline| at < deadline);
        (wanted && in_time).then_some(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::outcome::ExitCode;
    use crate::job::state::StateWord;

    fn end(word: StateWord, code: Option<(u8, u8)>) -> EndState {
        let exit_code = code.map(|(code, signal)| ExitCode { code, signal });
        EndState { exit_code, ..EndState::without_script(word, None, Time(0)) }
    }

    #[test]
    fn who_would_wait_beyond_the_deadline_keeps_its_end() {
        let policy = Arc::new(RetryPolicy::usual(3));
        let failed = end(StateWord::Failed, Some((1, 0)));
        let with = |deadline| RetryState { deadline, ..RetryState::new(&policy) };
        let at = Time(0).plus_s(10);
        assert_eq!(with(None).retry_at(&failed, Time(0)), Some(at));
        assert_eq!(with(Some(at)).retry_at(&failed, Time(0)), None);
        assert_eq!(with(Some(Time(at.0 + 1))).retry_at(&failed, Time(0)), Some(at));
    }
}
