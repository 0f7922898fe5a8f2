//! *Purpose*: what a policy would have done with the jobs of a real machine.
//!
//! *Owns*: traces, simulated time, figures and pictures of a schedule.
//!
//! *Promises*: the scheduling pass is the server's own (`policy`); everything is a function
//! of trace and setting.
//!
//! *Not here*: `downbeat simulate` (`cli::simulate`).

pub mod curve;
pub mod picture;
pub mod replay;
pub mod summary;
pub mod swf;
