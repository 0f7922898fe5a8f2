//! *Purpose*: the pages in a real browser, as readers have them.
//!
//! *Owns*: what is done by hand and by keys, what is seen at each size and in each theme, what a
//! screen reader is told.
//!
//! *Promises*: one real server and one Chromium for each test; nothing is waited for by the clock.
//!
//! *Not here*: what the server sends (`tests/web`).

#![allow(clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;

mod access;
mod chromium;
mod forms;
mod jobs;
mod output;
mod seen;
