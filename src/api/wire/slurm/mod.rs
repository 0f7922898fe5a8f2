//! *Purpose*: this system in Slurm's words, for its programs and for its clients over HTTP.
//!
//! *Owns*: nothing; the parts have files of their own.
//!
//! *Promises*: a fact is put into Slurm's words once, whoever asks for it.
//!
//! *Not here*: the programs (`crate::slurm`), the routes (`api::slurmrest`).

pub mod answer;
mod asked;
pub mod facts;
pub mod history;
pub mod jobs;
pub mod machine;
pub mod steps;
pub mod submission;
pub mod version;
pub mod words;
