//! *Purpose*: what is written into the spool is what is read from it, torn or whole.
//!
//! *Owns*: an order and a record for the tests of this room.
//!
//! *Promises*: a torn, foreign or newer file is never taken for a true one.
//!
//! *Not here*: who writes and who reads (`tests/engine_conformance`).

use super::*;
use crate::engine::{Key, StreamFile};
use crate::job::ids::{Attempt, JobId};
use crate::job::outcome::Usage;
use crate::time::Time;

/// An order of job `job`.
pub fn order(job: i64, script: &str) -> Order {
    let attempt = Attempt { job: JobId(job), n: 1 };
    let stream = StreamFile { root: "/tmp".into(), path: "out".into() };
    Order {
        key: Key { attempt, nonce: "x".into(), boot_id: "boot".into() },
        script: script.into(),
        environment: std::collections::BTreeMap::new(),
        own_folder: None,
        working_directory: "/tmp".into(),
        create_working_directory: false,
        stdout: stream.clone(),
        stderr: stream,
        limit_s: None,
        kill_grace_s: 5,
        finish_s: 0,
        confine_signals: false,
        output_bytes: None,
        cpus: Vec::new(),
        pin: false,
        memory_bytes: None,
        denied_devices: Vec::new(),
        signal: None,
        open_mode: crate::job::spec::OpenMode::Truncate,
        script_is_bytes: false,
        arguments: Vec::new(),
        standard_input: None,
        umask: None,
        limits: Default::default(),
        person: None,
    }
}

/// The record of an attempt that started nothing.
pub fn record() -> ExitRecord {
    ExitRecord {
        version: EXIT_VERSION,
        exit_code: None,
        stop: None,
        launch_error: None,
        handle: None,
        end_time: Time(7),
        usage: Usage::default(),
        out_of_memory: None,
        left_behind: Vec::new(),
    }
}

#[test]
fn order_and_record_of_the_version_before_memory_are_read() {
    let home = tempfile::tempdir().unwrap();
    fs::create_dir(home.path().join("spool")).unwrap();
    let folder = Folder::new(home.path(), "1.1.x");
    folder
        .write_order(
            &folder.order_text(order(1, "true"), Path::new("/scratch"), Persons::Nobody).unwrap(),
        )
        .unwrap();
    folder.write_exit(&record()).unwrap();
    for (file, added) in [("order", "memory_bytes"), ("exit", "out_of_memory")] {
        let text = fs::read_to_string(folder.file(file)).unwrap();
        let older = text.replace(&format!(",\"{added}\":null"), "");
        assert_ne!(text, older);
        fs::write(folder.file(file), older).unwrap();
    }
    assert_eq!(folder.read_order().unwrap().order.memory_bytes, None);
    assert_eq!(folder.read_exit().unwrap(), Some(End::Record(record())));
}

#[test]
fn the_interpreter_is_read_as_linux_reads_it() {
    assert_eq!(interpreter("echo hello"), ["/bin/bash"]);
    assert_eq!(interpreter("#!\necho"), ["/bin/bash"]);
    assert_eq!(interpreter("#! /bin/sh\nexit"), ["/bin/sh"]);
    assert_eq!(interpreter("#!/usr/bin/env python3 -u\n"), ["/usr/bin/env", "python3 -u"]);
    assert_eq!(interpreter("#!/bin/bash -e \t\n"), ["/bin/bash", "-e"]);
    assert_eq!(interpreter("# !/bin/sh\n"), ["/bin/bash"]);
}

#[test]
fn a_state_is_created_once_and_never_without_its_lock() {
    let home = tempfile::tempdir().unwrap();
    fs::create_dir(home.path().join("spool")).unwrap();
    let folder = Folder::new(home.path(), "1.1.x");
    assert!(folder.create().unwrap());
    let first = folder.create_state().unwrap().unwrap();
    assert!(folder.create_state().unwrap().is_none());
    let look = folder.open_state().unwrap().unwrap();
    let try_lock = FlockOperation::NonBlockingLockExclusive;
    assert!(rustix::fs::flock(&look, try_lock).is_err());
    drop(first);
    assert!(rustix::fs::flock(&look, try_lock).is_ok());
    folder.remove().unwrap();
    assert!(!folder.file("").exists());
}

#[test]
fn a_torn_record_is_no_record() {
    let home = tempfile::tempdir().unwrap();
    fs::create_dir(home.path().join("spool")).unwrap();
    let folder = Folder::new(home.path(), "1.1.x");
    folder.create().unwrap();
    assert_eq!(folder.read_exit().unwrap(), None);
    fs::write(folder.file("exit"), b"{\"version\":1,\"exi").unwrap();
    assert_eq!(folder.read_exit().unwrap(), None);
    assert!(folder.has_exit());
}
