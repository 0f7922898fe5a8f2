//! *Purpose*: stage props: somebody who has nothing to do with a server, and whose number is in its
//! records.
//!
//! *Owns*: [`Stranger`], [`Session`], the death of all others, and the forging of numbers.
//!
//! *Promises*: strangers end with their case.
//!
//! *Not here*: what is tried with them (`boot`, `own`).

use std::fs;
use std::io::Read;
use std::process::{Child, Command, Stdio};

use crate::common::{Server, processes_of, signal, until};
use crate::help::{Foreign, spool_of, stat};

/// What a power cut leaves: no process of this installation.
pub fn cut_power(server: &mut Server) {
    server.kill();
    kill_all(server);
}

/// Kills every process of this installation.
pub fn kill_all(server: &Server) {
    until("everything to be dead", || {
        let left = processes_of(&server.data());
        for pid in &left {
            signal(*pid, "KILL");
        }
        if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) }
    });
}

/// Somebody who has nothing to do with any of this.
pub struct Stranger(Child);

impl Stranger {
    pub fn start() -> Stranger {
        Stranger(Command::new("sleep").arg("600").spawn().unwrap())
    }
    pub fn pid(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        let _dead = self.0.kill();
        let _reaped = self.0.wait();
    }
}

/// A session of strangers, which is one group too. Who made it is gone, its number is not free.
pub struct Session {
    pub number: u32,
    pub member: u32,
}

impl Session {
    pub fn start() -> Session {
        let mut leader = Command::new("setsid")
            .args(["sh", "-c", "sleep 600 > /dev/null & echo $!"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = String::new();
        leader.stdout.take().unwrap().read_to_string(&mut said).unwrap();
        let session = Session { number: leader.id(), member: said.trim().parse().unwrap() };
        leader.wait().unwrap();
        let [_, _, group, of, ..] = &stat(session.member).unwrap()[..] else { panic!("no stat") };
        let number = session.number.to_string();
        assert_eq!([group, of], [&number, &number], "it is not in the session");
        session
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        signal(self.member, "KILL");
    }
}

/// Lets these lines of a dead attempt's record name another number, started when the dead one was.
pub fn lend_the_numbers(server: &Server, job: i64, number: u32, lines: &[&str]) {
    let state = spool_of(server, job).join("state");
    let text = fs::read_to_string(&state).unwrap();
    let lent: String = text
        .lines()
        .map(|line| match line.split(' ').collect::<Vec<_>>()[..] {
            [word, _, ticks, rest] if lines.contains(&word) => {
                format!("{word} {number} {ticks} {rest}\n")
            }
            _ => format!("{line}\n"),
        })
        .collect();
    for line in lines {
        assert!(lent.contains(&format!("{line} {number} ")), "{lent}");
    }
    fs::write(&state, lent).unwrap();
    let mut other = Foreign::open(&server.database());
    other.does(&format!(
        "UPDATE jobs SET process_id = {number} WHERE id = {job}; \
         UPDATE resource_allocations SET process_id = {number} WHERE job_id = {job}",
    ));
}
