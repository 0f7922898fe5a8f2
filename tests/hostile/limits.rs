//! *Purpose*: memory and descriptors run out.
//!
//! *Owns*: the kernel's out-of-memory killer aimed at the server alone; a low limit of open
//! files under many connections.
//!
//! *Promises*: jobs outlive the server that was killed; a server without descriptors lives,
//! tells the truth, and is well again when there are some.
//!
//! *Not here*: limits of jobs.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit};

use crate::common::{Server, children, signal, until};
use crate::help::{Marks, alive, ends_as, parent, refused, script_of, until_file};

/// A memory cgroup of one case.
struct Cgroup {
    path: PathBuf,
    limit: &'static str,
}

impl Cgroup {
    fn make() -> Result<Cgroup, String> {
        let name = format!("downbeat-test-{}", std::process::id());
        let mut why = String::new();
        let places =
            [("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max")];
        for (root, limit) in places {
            let path = Path::new(root).join(&name);
            match fs::create_dir(&path) {
                Ok(()) if path.join(limit).exists() => return Ok(Cgroup { path, limit }),
                Ok(()) => {
                    why = format!("{root} has no {limit}");
                    let _gone = fs::remove_dir(&path);
                }
                Err(e) => why = format!("{root}: {e}"),
            }
        }
        Err(why)
    }

    /// Moves one process in and lets it have so much more.
    fn confine(&self, pid: u32, bytes: u64) -> Result<(), String> {
        let write = |file: &str, text: String| {
            fs::write(self.path.join(file), text).map_err(|e| format!("{file}: {e}"))
        };
        write(self.limit, bytes.to_string())?;
        write("cgroup.procs", pid.to_string())
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // Busy as long as the killed one is not quite gone.
        let _gone = fs::remove_dir(&self.path);
    }
}

#[test]
fn jobs_outlive_a_server_that_the_out_of_memory_killer_took() {
    let mut server = Server::start();
    let marks = Marks::of(&server);
    let go = server.dir.path().join("go");
    let wait = until_file(&go);
    let ids: Vec<i64> =
        (0..6).map(|n| server.run(&marks.script(&format!("j{n}"), &wait, 5))).collect();
    for id in &ids[..4] {
        server.started(*id);
    }
    let cgroup = Cgroup::make();
    let confined = match &cgroup {
        Ok(cgroup) => cgroup.confine(server.pid(), 16 << 20),
        Err(why) => Err(why.clone()),
    };
    match confined {
        Ok(()) => {
            // One body of four times that.
            let address = server.url.trim_start_matches("http://").to_owned();
            let mut socket = TcpStream::connect(address).unwrap();
            let head = "POST /api/v1/jobs HTTP/1.1\r\nhost: localhost\r\n\
                        content-type: application/json\r\ncontent-length: 62914560\r\n\r\n";
            socket.write_all(head.as_bytes()).unwrap();
            let block = vec![b' '; 1 << 20];
            while socket.write_all(&block).is_ok() {}
            let _answer = socket.read_to_end(&mut Vec::new());
            assert_eq!(server.died_of(), Some(9), "the out-of-memory killer came");
            println!("the server was killed by the memory cgroup's out-of-memory killer");
        }
        Err(why) => {
            println!("no memory cgroup can be used ({why}): the server is killed by SIGKILL");
            server.kill();
        }
    }
    fs::write(go, "").unwrap();
    until("four to end without a server", || {
        let ended = (0..4).filter(|n| marks.ends(&format!("j{n}")) == 1).count();
        if ended == 4 { Ok(()) } else { Err(format!("{ended}")) }
    });
    server.up();
    for (n, id) in ids.iter().enumerate() {
        ends_as(&server, *id, "FAILED", Some("5:0"));
        assert_eq!(marks.starts(&format!("j{n}")), 1);
    }
    server.is_clean();
}

/// A server that may have so many descriptors.
fn with_descriptors(n: u32) -> Server {
    let mut server = Server::unstarted(&["--cpus", "4"]);
    let shell = format!("ulimit -n {n}; exec \"$@\"");
    server.wrap = ["sh", "-c", &shell, "sh"].iter().map(ToString::to_string).collect();
    server.up();
    server
}

#[test]
fn too_few_descriptors_are_refused_with_how_many_are_needed() {
    for n in [71, 40, 20, 12] {
        let mut server = Server::unstarted(&["--cpus", "4"]);
        let shell = format!("ulimit -n {n}; exec \"$@\"");
        server.wrap = ["sh", "-c", &shell, "sh"].iter().map(ToString::to_string).collect();
        let said = refused(&server);
        let says = format!("at most {n} files may be open (ulimit -n); a server needs 72");
        assert!(said.contains(&says), "{n}: {said}");
        assert!(!server.data().exists(), "{n}: something was begun");
    }
    let server = with_descriptors(72);
    ends_as(&server, server.run("exit 3"), "FAILED", Some("3:0"));
}

/// Connections that say nothing, as many as are let in.
fn crowd(server: &Server, n: usize) -> Vec<TcpStream> {
    let address = server.url.trim_start_matches("http://").to_owned();
    (0..n).map(|_| TcpStream::connect(&address).unwrap()).collect()
}

#[test]
fn a_server_without_descriptors_keeps_its_jobs_and_recovers() {
    let server = with_descriptors(72);
    let marks = Marks::of(&server);
    let go = server.dir.path().join("go");
    let wait = until_file(&go);
    let ids: Vec<i64> =
        (0..8).map(|n| server.run(&marks.script(&format!("j{n}"), &wait, 5))).collect();
    for id in &ids[..4] {
        server.started(*id);
    }
    let crowd = crowd(&server, 150);
    // The running ones end, the others are started, with every connection taken.
    fs::write(go, "").unwrap();
    until("all to have run with every connection taken", || {
        let ended = (0..8).filter(|n| marks.ends(&format!("j{n}")) == 1).count();
        if ended == 8 { Ok(()) } else { Err(format!("{ended} of 8\n{}", server.log())) }
    });
    drop(crowd);
    for (n, id) in ids.iter().enumerate() {
        ends_as(&server, *id, "FAILED", Some("5:0"));
        assert_eq!(marks.starts(&format!("j{n}")), 1);
    }
    ends_as(&server, server.run("exit 6"), "FAILED", Some("6:0"));
    server.is_clean();
}

/// Sets how many descriptors a running process may have from now on.
fn allow(pid: u32, descriptors: u64) {
    let pid = rustix::process::Pid::from_raw(pid.try_into().unwrap()).unwrap();
    let maximum = getrlimit(Resource::Nofile).maximum;
    let limit = Rlimit { current: Some(descriptors), maximum };
    rustix::process::prlimit(Some(pid), Resource::Nofile, limit).unwrap();
}

/// The lowest limit under which a process could still open nothing.
fn descriptors_taken(pid: u32) -> u64 {
    let open: Vec<u64> = fs::read_dir(format!("/proc/{pid}/fd"))
        .unwrap()
        .map(|e| e.unwrap().file_name().to_string_lossy().parse().unwrap())
        .collect();
    (0..).find(|fd| !open.contains(fd)).unwrap()
}

#[test]
fn a_lost_job_keeps_its_cpus_as_long_as_nobody_can_look_for_its_processes() {
    let server = Server::start();
    // With none, one, two … descriptors to be had, looking fails at another place each time.
    for spare in 0..6 {
        // Two that carry no key and have left the session, found only by looking at everybody.
        let id = server.run("env -i setsid sleep 617 & env -i sleep 618 & sleep 619");
        let script = script_of(&server.started(id));
        let supervisor = parent(script);
        let them = until("all of it to run", || {
            let them: Vec<u32> = children(script);
            if them.len() == 3 { Ok(them) } else { Err(format!("{them:?}")) }
        });
        allow(server.pid(), descriptors_taken(server.pid()) + spare);
        signal(supervisor, "KILL");
        // Level-triggered: whenever the books say released, nobody may be alive.
        let deadline = Instant::now() + Duration::from_millis(400);
        until("a while of looking in vain", || {
            let alive_before: Vec<u32> = them.iter().copied().filter(|p| alive(*p)).collect();
            let held = server.sql("SELECT COUNT(*) || '' AS line FROM held_units");
            let alive_after: Vec<u32> = alive_before.into_iter().filter(|p| alive(*p)).collect();
            assert!(held == "1" || alive_after.is_empty(), "spare {spare}: {alive_after:?} live");
            if Instant::now() > deadline { Ok(()) } else { Err("early".to_owned()) }
        });
        allow(server.pid(), 1024);
        ends_as(&server, id, "NODE_FAIL", None);
        assert!(!them.iter().chain([&script]).any(|pid| alive(*pid)), "spare {spare}");
    }
    ends_as(&server, server.run("exit 6"), "FAILED", Some("6:0"));
    server.is_clean();
}

/// The control group in which the processes of a job are counted.
fn processes_group(pid: u32) -> Option<PathBuf> {
    let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    let group = |line: &str| {
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, path) = (parts.next()?, parts.next()?.trim_start_matches('/'));
        match controllers {
            "pids" => Some(Path::new("/sys/fs/cgroup/pids").join(path)),
            "" => Some(Path::new("/sys/fs/cgroup").join(path)),
            _ => None,
        }
    };
    let mut groups = text.lines().filter_map(group);
    groups.find(|group| {
        group.join("pids.max").exists()
            && group.parent().is_some_and(|base| base.ends_with("downbeat.jobs"))
    })
}

#[test]
fn a_job_cannot_start_more_processes_than_its_group_may_hold() {
    let test = "a_job_cannot_start_more_processes_than_its_group_may_hold";
    let server = Server::start();
    let go = server.dir.path().join("go");
    // A bash that cannot fork tries again for a quarter of a minute; another one is not so patient.
    let id = server.run(&format!(
        "#!/bin/sh\n{}\necho starts\nfor n in 1 2 3 4 5 6 7 8 9 10; do setsid sleep 661 & done\n\
         echo started\nexit 3\n",
        until_file(&go)
    ));
    let script = script_of(&server.started(id));
    let Some(group) = processes_group(script) else {
        return crate::help::skipped(test, "processes are not counted in control groups here");
    };
    let number = |text: String| text.trim().parse::<u64>().unwrap();
    let read = |path: &str| number(fs::read_to_string(path).unwrap());
    let most = read("/proc/sys/kernel/pid_max").min(read("/proc/sys/kernel/threads-max"));
    let bound = group.join("pids.max");
    assert_eq!(number(fs::read_to_string(&bound).unwrap()), most / 2, "half of the machine's");
    // A bound that hurts nobody: itself, its supervisor, one `sleep` of its wait, and five more.
    fs::write(&bound, "8").unwrap();
    fs::write(go, "").unwrap();
    let job = server.ended(id);
    assert_ne!(job["exit_code"], "3:0", "it started all of them: {job}");
    let stderr = server.get(&format!("/api/v1/jobs/{id}/stderr")).text();
    assert!(stderr.to_lowercase().contains("fork"), "{job} {stderr}");
    assert_eq!(server.stdout(id), "starts\n");
    crate::help::nothing_sleeps(661);
    // Others are not bounded by it.
    let many = "for n in 1 2 3 4 5 6 7 8 9 10; do sleep 0.2 & done; wait; exit 4";
    ends_as(&server, server.run(many), "FAILED", Some("4:0"));
    server.is_clean();
}
