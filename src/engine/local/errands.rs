//! *Purpose*: tidying that is done by whoever works on files anyway.
//!
//! *Owns*: the names of ended attempts whose folders nobody has taken back yet.
//!
//! *Promises*: what is left here is done: by a thread that is at work on the spool, or, when there
//! is none, by a new one.
//!
//! *Not here*: what taking back is (`pool`).
//!
//! Why: under load an end and the launch that follows from it come together. Waking one thread for
//! both costs half of what two cost, and the launch, which somebody waits for, goes first.

use std::sync::{Arc, Mutex};

use tokio::sync::oneshot;

use super::watch::held;

/// What is left to do.
#[derive(Debug, Default)]
pub struct Errands(Mutex<Left>);

#[derive(Debug, Default)]
struct Left {
    names: Vec<(String, oneshot::Sender<()>)>,
    hands: usize,
}

/// Somebody who does what is left before going; it must be run.
#[derive(Debug)]
#[must_use]
pub struct Hand(Arc<Errands>);

impl Errands {
    /// Whoever works on files soon promises to look here afterwards.
    pub fn lend_a_hand(self: &Arc<Errands>) -> Hand {
        held(&self.0).hands += 1;
        Hand(Arc::clone(self))
    }

    /// Leaves a name. Answers when it is done, and a hand that must be found a thread if
    /// there is none.
    pub fn leave(self: &Arc<Errands>, name: String) -> (oneshot::Receiver<()>, Option<Hand>) {
        let (done, wait) = oneshot::channel();
        let alone = {
            let mut left = held(&self.0);
            left.names.push((name, done));
            left.hands == 0
        };
        (wait, alone.then(|| self.lend_a_hand()))
    }
}

impl Hand {
    /// Does all that is left.
    pub fn run(self, errand: impl Fn(&str)) {
        loop {
            let (name, done) = {
                let mut left = held(&self.0.0);
                match left.names.pop() {
                    Some(next) => next,
                    None => {
                        left.hands -= 1;
                        return;
                    }
                }
            };
            errand(&name);
            let _nobody_waits = done.send(());
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_done_by_who_is_at_work_or_by_a_new_hand() {
        let errands = Arc::new(Errands::default());
        let (mut first, alone) = errands.leave("a".to_owned());
        let alone = alone.expect("nobody is at work");
        let (mut second, other) = errands.leave("b".to_owned());
        assert!(other.is_none(), "somebody is at work");
        let busy = errands.lend_a_hand();
        let done = Mutex::new(Vec::new());
        alone.run(|name| held(&done).push(name.to_owned()));
        assert_eq!(*held(&done), ["b", "a"]);
        assert_eq!((first.try_recv(), second.try_recv()), (Ok(()), Ok(())));
        let (mut third, other) = errands.leave("c".to_owned());
        assert!(other.is_none(), "the launch is not over");
        busy.run(|name| held(&done).push(name.to_owned()));
        assert_eq!(third.try_recv(), Ok(()));
        assert!(errands.leave("d".to_owned()).1.is_some());
    }
}
