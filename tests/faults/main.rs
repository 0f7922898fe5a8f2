//! *Purpose*: the real binary is killed at every edge of its work, and what must hold holds.
//!
//! *Owns*: the crash matrix (`table`, `case`), a clock that is set back, a newer binary that
//! takes over; the freezing of points (`freeze`).
//!
//! *Promises*: a fault point without a case fails a test, and so does a case whose point was
//! never passed; each case has a deadline and prints the server's log when it fails.
//!
//! *Not here*: kills at random moments (`tests/kills`), the points (`src/fault.rs`).

#![allow(clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;
#[path = "../common/screen.rs"]
mod screen;

mod bugs;
mod case;
mod clock;
mod expect;
mod freeze;
mod isolation;
mod matrix;
mod newer;
mod table;
