//! *Purpose*: what jobs and their steps are asked for by alike.
//!
//! *Owns*: whose, in which partitions, in which order.
//!
//! *Promises*: a name that nobody has finds nothing.
//!
//! *Not here*: what only jobs are asked for by (`squeue`), only steps (`squeue::steps`).

use std::cmp::Ordering;

use crate::api::wire::slurm::facts::Facts;
use crate::api::wire::v1::Job;
use crate::slurm::getopt::Given;
use crate::slurm::jobs::words;
use crate::slurm::owner::{Owned, me, user_named};

/// Whose jobs, and in which partitions; of all where nothing is said.
#[derive(Debug)]
pub struct Asked<'a> {
    users: Vec<String>,
    partitions: Vec<&'a str>,
}

impl Asked<'_> {
    /// As options say it.
    pub fn of(given: &Given) -> Asked<'_> {
        let named = given.all("user").chain(given.all("users")).flat_map(words);
        let own = given.has("me").then(me).into_iter();
        Asked {
            users: own.chain(named.map(user_named)).collect(),
            partitions: given.all("partition").flat_map(words).collect(),
        }
    }

    /// Whether this is one of the jobs that are meant.
    pub fn is_it(&self, job: &Job) -> bool {
        let of_partition = |name: &str| self.partitions.contains(&name);
        (self.users.is_empty() || self.users.contains(&Facts(job).user()))
            && (self.partitions.is_empty() || job.partition.split(',').any(of_partition))
    }
}

/// Puts rows in this order: letters with commas, `-` for the largest first.
pub fn sort<T>(rows: &mut [T], order: &str, key: impl Fn(&T, char) -> (f64, String)) {
    for word in order.split(',').rev() {
        let (down, letters) = match word.strip_prefix('-') {
            Some(letters) => (true, letters),
            None => (false, word.trim_start_matches('+')),
        };
        for letter in letters.chars().rev() {
            rows.sort_by(|a, b| {
                let order = key(a, letter).partial_cmp(&key(b, letter));
                let order = order.unwrap_or(Ordering::Equal);
                if down { order.reverse() } else { order }
            });
        }
    }
}
