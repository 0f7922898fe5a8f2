//! *Purpose*: the words on the wire: JSON answers, submit bodies, Slurm's units and `#SBATCH`.
//!
//! *Owns*: every JSON type that a client meets, and reading a body into a
//! [`JobRequest`](crate::job::spec::JobRequest).
//!
//! *Promises*: plain data; no HTTP, no clock, no state. Server and command line share it.
//!
//! *Not here*: bounds and paths (`kernel::admission`), status codes (`api`).

pub mod accounts;
pub mod amount;
pub mod array;
mod asked_resources;
pub mod asked_tasks;
pub mod attempt;
pub mod body;
pub mod bulk;
pub mod dependents;
pub mod dialect;
pub mod efficiency;
pub mod export;
mod fields;
pub mod forecast;
pub mod history;
mod invocation;
pub mod job;
pub mod job_usage;
pub mod maintenance;
pub mod me;
pub mod overview;
pub mod partitions;
pub mod pick;
pub mod problem;
pub mod rank;
pub mod report;
pub mod resources;
pub mod retry;
pub mod samples;
pub mod sbatch;
pub mod seed;
pub mod signal;
pub mod slurm;
pub mod step;
pub mod submission;
pub mod submit;
pub mod token;
pub mod update;
pub mod usage;
pub mod v1;
mod values;
pub mod warnings;
pub mod web;
