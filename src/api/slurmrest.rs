//! *Purpose*: the routes of `slurmrestd`, of each version that clients have.
//!
//! *Owns*: nothing; the parts have files of their own.
//!
//! *Promises*: no part knows another way to the jobs than this server's own routes do.
//!
//! *Not here*: the words (`api::wire::slurm`), tokens (`api::auth`).

mod found;
pub mod history;
pub mod jobs;
pub mod machine;
mod query;
mod reply;
pub mod trouble;
