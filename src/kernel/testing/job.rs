//! *Purpose*: a job as tests say it.
//!
//! *Owns*: [`job`] and [`JobBuilder`].
//!
//! *Promises*: what a test does not say is the default of a request. A job passes the door that
//! all jobs pass.
//!
//! *Not here*: the checks at that door (`kernel::admission`), a kernel for it (`kernel::testing`).

use std::sync::Arc;

use crate::job::ids::Uid;
use crate::job::retry_policy::RetryPolicy;
use crate::job::spec::{CpusAsked, JobRequest, JobSpec};
use crate::kernel::admission::Site;
use crate::text::time_limit::LimitAsked;
use crate::time::Time;

/// A job of one CPU that asks for nothing else.
#[must_use]
pub fn job() -> JobBuilder {
    JobBuilder(JobRequest::new("true"))
}

/// A job in the making.
#[derive(Clone, Debug)]
pub struct JobBuilder(JobRequest);

impl JobBuilder {
    /// So many CPUs.
    #[must_use]
    pub fn cpus(mut self, cpus: u32) -> JobBuilder {
        self.0.cpus = CpusAsked::Count(cpus.into());
        self
    }

    /// So many bytes of memory.
    #[must_use]
    pub fn memory(mut self, bytes: impl Into<Option<i64>>) -> JobBuilder {
        self.0.memory_bytes = bytes.into();
        self
    }

    /// So much of another resource.
    #[must_use]
    pub fn asks(mut self, resource: &str, amount: u64) -> JobBuilder {
        self.0.resources.set(resource, amount);
        self
    }

    /// A time limit, seconds.
    #[must_use]
    pub fn time_limit(mut self, seconds: i64) -> JobBuilder {
        self.0.limit = LimitAsked::Seconds(seconds);
        self
    }

    /// Its name.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> JobBuilder {
        self.0.name = Some(name.into());
        self
    }

    /// Whom it is charged to.
    #[must_use]
    pub fn account(mut self, account: &str) -> JobBuilder {
        self.0.account = Some(account.to_owned());
        self
    }

    /// Whose it is, on a server of all users.
    #[must_use]
    pub fn of_user(mut self, name: &str, uid: u32) -> JobBuilder {
        (self.0.user, self.0.owner) = (Some(name.to_owned()), Some(Uid(uid)));
        self
    }

    /// So many bytes of script.
    #[must_use]
    pub fn script_of(mut self, bytes: usize) -> JobBuilder {
        self.0.script = "#".repeat(bytes);
        self
    }

    /// Where it runs.
    #[must_use]
    pub fn partition<'a>(mut self, partition: impl Into<Option<&'a str>>) -> JobBuilder {
        self.0.partition = partition.into().map(str::to_owned);
        self
    }

    /// Larger runs first.
    #[must_use]
    pub fn priority(mut self, priority: i64) -> JobBuilder {
        self.0.priority = priority;
        self
    }

    /// An array of these tasks.
    ///
    /// # Panics
    /// When these are no tasks.
    #[must_use]
    #[track_caller]
    pub fn array(mut self, tasks: &str) -> JobBuilder {
        self.0.array = Some(tasks.parse().expect("tasks of an array"));
        self
    }

    /// It waits for these.
    ///
    /// # Panics
    /// When these are no dependencies.
    #[must_use]
    #[track_caller]
    pub fn after(mut self, dependencies: &str) -> JobBuilder {
        self.0.dependencies = dependencies.parse().expect("dependencies");
        self
    }

    /// It waits until somebody releases it.
    #[must_use]
    pub fn held(mut self) -> JobBuilder {
        self.0.held = true;
        self
    }

    /// It does not start before.
    #[must_use]
    pub fn begin(mut self, begin: Time) -> JobBuilder {
        self.0.begin = Some(begin);
        self
    }

    /// It does not run afterwards.
    #[must_use]
    pub fn deadline(mut self, deadline: impl Into<Option<Time>>) -> JobBuilder {
        self.0.deadline = deadline.into();
        self
    }

    /// When it is run again by itself.
    #[must_use]
    pub fn retry(mut self, policy: impl Into<Option<RetryPolicy>>) -> JobBuilder {
        self.0.retry = policy.into();
        self
    }

    /// A label to find it by.
    #[must_use]
    pub fn label(mut self, key: &str, value: impl Into<String>) -> JobBuilder {
        self.0.labels.insert(key.to_owned(), value.into());
        self
    }

    /// The job on a server that has enough CPUs and memory for any, and no partitions.
    ///
    /// # Panics
    /// When no server would take it.
    #[must_use]
    #[track_caller]
    pub fn spec(self) -> Arc<JobSpec> {
        self.spec_on(&Site { total_cpus: u32::MAX, ..Site::default() })
    }

    /// The job on this server.
    ///
    /// # Panics
    /// When the server refuses it.
    #[must_use]
    #[track_caller]
    pub fn spec_on(self, site: &Site) -> Arc<JobSpec> {
        Arc::new(JobSpec::try_from((self.0, site)).expect("a job that this server takes"))
    }
}

impl From<JobBuilder> for JobRequest {
    fn from(job: JobBuilder) -> JobRequest {
        job.0
    }
}
