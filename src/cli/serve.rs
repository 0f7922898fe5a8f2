//! *Purpose*: the arguments of `downbeat serve`.
//!
//! *Owns*: nothing; the settings are `config`'s.
//!
//! *Promises*: every setting of the server is a flag.
//!
//! *Not here*: the server (`crate::serve`, which `main` calls).

pub use crate::config::ServeArgs;
