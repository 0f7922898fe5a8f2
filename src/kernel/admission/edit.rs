//! *Purpose*: the door for changes of a job that exists.
//!
//! *Owns*: [`EditedJob`], what they are checked against; [`checked`].
//!
//! *Promises*: a job that passes could have been submitted so; what is not changed, and does not
//! follow from what is, is not looked at again.
//!
//! *Not here*: the checks of each field (`kernel::admission`), who may extend a limit
//! (`api::edit`).

use std::collections::BTreeMap;

use super::{COMMENT_BYTES_MAX, CpusAsked, Site, SpecRefused, Validator, bounds};
use crate::job::edit::{Edit, EditRequest};
use crate::job::faults::Faults;
use crate::job::ids::Owner;
use crate::job::request::Request;
use crate::job::tasks::Tasks;
use crate::text::time_limit::LimitAsked;
use crate::time::Time;

/// A job as it is.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs, reason = "each field is documented at JobRequest")]
pub struct EditedJob<'a> {
    pub name: &'a str,
    pub user: &'a str,
    pub owner: Owner,
    pub account: &'a str,
    pub partition: &'a str,
    pub cpus: u32,
    pub tasks: Tasks,
    pub memory_bytes: Option<u64>,
    pub resources: &'a Request,
    pub limit_s: Option<u32>,
    pub begin: Option<Time>,
    pub deadline: Option<Time>,
    pub labels: &'a BTreeMap<String, String>,
    /// Whether it is cancelled when what it waits for can never be.
    pub gives_up: bool,
    /// Whether it stands for tasks of an array.
    pub is_array: bool,
}

/// The edit of this job, if it may become so.
///
/// # Errors
/// [`SpecRefused`], with every fault in it.
pub fn checked(asked: EditRequest, job: &EditedJob<'_>, site: &Site) -> Result<Edit, SpecRefused> {
    let mut validator = Validator { errors: Faults::default() };
    let mut edit = Edit {
        held: asked.held,
        priority: asked.priority,
        begin: asked.begin,
        deadline: asked.deadline,
        name: asked.name.clone().map(|name| validator.word("name", Some(name), "job")),
        labels: asked.labels.clone().map(|labels| merged(job.labels, labels)),
        comment: asked.comment.clone(),
        gives_up: job.gives_up && asked.dependencies.is_some(),
        dependencies: asked.dependencies.clone(),
        ..Edit::default()
    };
    validator.shape(asked, job, site, &mut edit);
    if let Some(labels) = &edit.labels {
        validator.labels(labels);
    }
    if let Some(Some(comment)) = &edit.comment {
        validator.line("comment", comment, COMMENT_BYTES_MAX);
    }
    let (begin, deadline) =
        (edit.begin.unwrap_or(job.begin), edit.deadline.unwrap_or(job.deadline));
    if (edit.begin.is_some() || edit.deadline.is_some())
        && begin.zip(deadline).is_some_and(|(begin, deadline)| begin >= deadline)
    {
        let field = if edit.deadline.is_some() { "deadline" } else { "begin_time" };
        validator.refuse(field, "the job could never start: its deadline is not after begin_time");
    }
    if edit.dependencies.as_ref().is_some_and(|all| all.follows()) && !job.is_array {
        let message = "aftercorr is for the tasks of an array; this job is none";
        validator.refuse("dependency", message);
    }
    if edit.name.is_some() || edit.dependencies.is_some() {
        let name = edit.name.as_deref().unwrap_or(job.name);
        edit.family = Some((name.to_owned(), job.user.to_owned()));
    }
    if validator.errors.is_empty() { Ok(edit) } else { Err(SpecRefused(validator.errors)) }
}

impl Validator {
    /// What of a job depends on each other: where it runs, who pays, how much it takes, how long.
    fn shape(&mut self, asked: EditRequest, job: &EditedJob<'_>, site: &Site, edit: &mut Edit) {
        let moved = asked.partition.is_some();
        edit.partition = asked.partition.clone().map(|name| self.partition(Some(name), site));
        edit.account = asked.account.clone().map(|name| self.word("account", Some(name), ""));
        let account = edit.account.as_deref().unwrap_or(job.account).to_owned();
        let mut cpus = job.cpus;
        let as_it_is = match job.limit_s {
            Some(s) => LimitAsked::Seconds(s.into()),
            None => LimitAsked::Unlimited,
        };
        let partition = edit.partition.as_deref().unwrap_or(job.partition);
        let bounds = bounds(site, partition, |validator, bounds| {
            let count = asked.cpus.unwrap_or(job.cpus.into());
            let cpus = validator.cpus(CpusAsked::Count(count), bounds);
            let kept = job.memory_bytes.and_then(|bytes| i64::try_from(bytes).ok());
            validator.memory(asked.memory_bytes.unwrap_or(kept), cpus, bounds);
            validator.limit(asked.limit.unwrap_or(as_it_is), bounds);
            validator.resources(job.resources, bounds);
        });
        if asked.cpus.is_some() || moved {
            let count = asked.cpus.unwrap_or(job.cpus.into());
            cpus = self.cpus(CpusAsked::Count(count), &bounds);
        }
        if asked.cpus.is_some() {
            let tasks = job.tasks.with_cpus(cpus).unwrap_or_else(|fault| {
                self.refuse("cpus", fault);
                job.tasks
            });
            edit.cpus = Some((cpus, tasks));
        }
        if asked.cpus.is_some() || edit.account.is_some() {
            // What does not follow from the change is not looked at again.
            let nothing = Request::default();
            let rest = edit.account.as_ref().map_or(&nothing, |_| job.resources);
            let user = job.owner.filter(|_| asked.cpus.is_some()).map(|_| job.user);
            self.payers_hold(&account, user, (cpus, rest), site);
        }
        if let Some(bytes) = asked.memory_bytes {
            let bytes = self.memory(bytes, cpus, &bounds);
            edit.memory_bytes = Some(bytes.and_then(|bytes| u64::try_from(bytes).ok()));
        } else if let Some(bytes) = job.memory_bytes.filter(|_| moved) {
            self.memory(i64::try_from(bytes).ok(), cpus, &bounds);
        }
        if moved {
            self.resources(job.resources, &bounds);
        }
        match asked.limit {
            Some(limit) => edit.limit_s = Some(self.limit(limit, &bounds)),
            None if moved => drop(self.limit(as_it_is, &bounds)),
            None => {}
        }
    }
}

/// Labels with those that are set and without those that are taken away.
fn merged(
    labels: &BTreeMap<String, String>,
    asked: Option<BTreeMap<String, Option<String>>>,
) -> BTreeMap<String, String> {
    let Some(asked) = asked else { return BTreeMap::new() };
    let mut labels = labels.clone();
    for (key, value) in asked {
        match value {
            Some(value) => drop(labels.insert(key, value)),
            None => drop(labels.remove(&key)),
        }
    }
    labels
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::resources::partitions::{Partition, Partitions};

    fn site() -> Site {
        let part = |name: &str, cpus: std::ops::Range<u32>, max_limit_s| Partition {
            name: name.into(),
            cpus: cpus.map(crate::job::ids::CpuId).collect(),
            max_limit_s,
            up: true,
            ..Partition::default()
        };
        let list = vec![part("long", 0..4, None), part("short", 4..6, Some(60))];
        let partitions = Arc::new(Partitions::new(list, 0).unwrap());
        Site { total_cpus: 6, partitions, ..Site::default() }
    }

    fn job<'a>(labels: &'a BTreeMap<String, String>, resources: &'a Request) -> EditedJob<'a> {
        EditedJob {
            name: "n",
            user: "u",
            owner: None,
            account: "",
            partition: "long",
            cpus: 4,
            tasks: Tasks { ntasks: Some(2), cpus_per_task: Some(2), ..Tasks::default() },
            memory_bytes: None,
            resources,
            limit_s: Some(3_600),
            begin: None,
            deadline: None,
            labels,
            gives_up: false,
            is_array: false,
        }
    }

    fn asked(change: impl FnOnce(&mut EditRequest)) -> Result<Edit, Vec<String>> {
        let labels = BTreeMap::from([("a".to_owned(), "1".to_owned())]);
        let mut request = EditRequest::default();
        change(&mut request);
        checked(request, &job(&labels, &Request::default()), &site()).map_err(|SpecRefused(all)| {
            all.listed().into_iter().map(|e| format!("{}: {}", e.field, e.message)).collect()
        })
    }

    #[test]
    fn a_move_is_checked_against_all_that_the_other_partition_allows() {
        let faults = asked(|edit| edit.partition = Some("short".into())).unwrap_err();
        assert_eq!(
            faults,
            [
                "cpus: 4 asked for, partition short has 2",
                "time_limit: 3600 s asked for, partition short allows 60 s"
            ]
        );
        let moved = asked(|edit| {
            edit.partition = Some("short".into());
            edit.cpus = Some(2);
            edit.limit = Some(LimitAsked::Seconds(60));
        });
        let moved = moved.unwrap();
        assert_eq!((moved.partition.as_deref(), moved.limit_s), (Some("short"), Some(Some(60))));
        let tasks = Tasks { ntasks: Some(1), cpus_per_task: Some(2), ..Tasks::default() };
        assert_eq!(moved.cpus, Some((2, tasks)));
        assert!(asked(|edit| edit.comment = Some(None)).is_ok(), "nothing else is looked at");
    }

    #[test]
    fn labels_are_set_and_taken_away_one_by_one() {
        let set = |labels| asked(|edit| edit.labels = Some(labels)).unwrap().labels.unwrap();
        let (a, b) = ("a".to_owned(), "b".to_owned());
        let both = set(Some(BTreeMap::from([(b.clone(), Some("2".to_owned()))])));
        assert_eq!(both.len(), 2);
        assert_eq!(set(Some(BTreeMap::from([(a, None), (b, None)]))), BTreeMap::new());
        assert_eq!(set(None), BTreeMap::new());
    }

    #[test]
    fn every_fault_is_named() {
        let faults = asked(|edit| {
            edit.cpus = Some(3);
            edit.memory_bytes = Some(Some(0));
            edit.name = Some(String::new());
            edit.dependencies = Some("aftercorr:1".parse().unwrap());
            edit.begin = Some(Some(Time(9)));
            edit.deadline = Some(Some(Time(9)));
        });
        let fields: Vec<String> =
            faults.unwrap_err().iter().map(|f| f.split(':').next().unwrap().to_owned()).collect();
        assert_eq!(fields, ["name", "cpus", "memory", "deadline", "dependency"]);
    }

    #[test]
    fn a_singleton_hears_of_a_name_and_of_what_is_waited_for() {
        let renamed = asked(|edit| edit.name = Some("m".into())).unwrap();
        assert_eq!(renamed.family, Some(("m".to_owned(), "u".to_owned())));
        let waits = asked(|edit| edit.dependencies = Some("singleton".parse().unwrap())).unwrap();
        assert_eq!(waits.family, Some(("n".to_owned(), "u".to_owned())));
        assert_eq!(asked(|edit| edit.priority = Some(1)).unwrap().family, None);
    }
}
