//! *Purpose*: clients that leave, that send slowly, that ask for files which hang.
//!
//! *Owns*: connections as a server sees them from outside, by its descriptors.
//!
//! *Promises*: what others are told meanwhile is timed.
//!
//! *Not here*: strangers (`strangers`).

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::common::{PATIENCE, Server, note, until};
use crate::help::problem;

/// What a short question may take while others are slow.
const AT_ONCE: Duration = Duration::from_secs(3);

cases! {
    a_client_that_closed_frees_its_connection => ["GET /api/v1/jobs/{id}/wait",
        "GET /api/v1/jobs/{id}/stdout", "GET /api/v1/events"],
    a_crowd_of_bodies_that_do_not_come_locks_nobody_out => ["GET /health/live",
        "POST /api/v1/jobs"],
    a_folder_that_hangs_holds_up_nobody_else => ["GET /api/v1/jobs/{id}/stdout",
        "GET /api/v1/jobs/query/{id}", "GET /health/live"],
    the_last_lines_of_a_sparse_file_are_looked_for_within_bounds =>
        ["GET /api/v1/jobs/{id}/stdout"],
    an_offset_behind_any_file_is_behind_its_end => ["GET /api/v1/jobs/{id}/stdout"],
    a_server_that_is_ready_says_so_and_who_asks_is_in_the_events => ["GET /health/ready",
        "GET /api/v1/jobs/{id}/events", "POST /api/v1/jobs/{id}/cancel"],
}

fn connect(server: &Server, head: &str) -> TcpStream {
    note("GET", head.split(' ').nth(1).unwrap());
    let mut socket = TcpStream::connect(server.url.strip_prefix("http://").unwrap()).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(socket, "{head} HTTP/1.1\r\nHost: localhost\r\n").unwrap();
    socket
}

fn sockets(server: &Server) -> usize {
    let open = std::fs::read_dir(format!("/proc/{}/fd", server.pid())).unwrap().flatten();
    let links = open.filter_map(|entry| std::fs::read_link(entry.path()).ok());
    links.filter(|link| link.to_string_lossy().starts_with("socket:")).count()
}

fn at_once(server: &Server, path: &str) {
    let began = Instant::now();
    server.get(path).expect(200);
    assert!(began.elapsed() < AT_ONCE, "{path} took {:?}", began.elapsed());
}

fn a_client_that_closed_frees_its_connection() {
    let server = Server::start();
    let id = server.submit(&json!({"script": "sleep 1000"}));
    server.started(id);
    let before = sockets(&server);
    let paths = [
        format!("GET /api/v1/jobs/{id}/wait?timeout_s=3600"),
        format!("GET /api/v1/jobs/{id}/stdout?follow=true"),
        "GET /api/v1/events".to_owned(),
    ];
    let mut open = Vec::new();
    for path in paths.iter().cycle().take(30) {
        let mut socket = connect(&server, path);
        write!(socket, "\r\n").unwrap();
        open.push(socket);
    }
    until("thirty connections", || match sockets(&server) {
        n if n >= before + 30 => Ok(()),
        n => Err(format!("{n}")),
    });
    // Some close, some say that they send no more, some reset.
    for (n, socket) in open.iter().enumerate() {
        match n % 3 {
            0 => socket.shutdown(Shutdown::Write).unwrap(),
            1 => rustix::net::sockopt::set_socket_linger(socket, Some(Duration::ZERO)).unwrap(),
            _ => {}
        }
    }
    let halves: Vec<TcpStream> =
        open.into_iter().enumerate().filter(|(n, _)| n % 3 == 0).map(|(_, s)| s).collect();
    until("their end", || match sockets(&server) {
        n if n <= before + 2 => Ok(()),
        n => Err(format!("{n} sockets, {before} before")),
    });
    drop(halves);
}

fn a_crowd_of_bodies_that_do_not_come_locks_nobody_out() {
    let mut server = Server::unstarted(&["--cpus", "1"]);
    server.wrap = ["sh", "-c", "ulimit -n 300; exec \"$@\"", "sh"].map(str::to_owned).to_vec();
    server.up();
    let mut crowd = Vec::new();
    for _ in 0..220 {
        let mut socket = connect(&server, "POST /api/v1/jobs");
        note("POST", "/api/v1/jobs");
        let head = "Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{";
        // One too many is refused at once.
        let _refused = socket.write_all(head.as_bytes());
        crowd.push(socket);
    }
    at_once(&server, "/health/live");
    at_once(&server, "/api/v1/jobs");
    let mut answer = String::new();
    let _reset = crowd[0].read_to_string(&mut answer);
    let is_refused = ["HTTP/1.1 408", "HTTP/1.1 503"].iter().any(|s| answer.starts_with(s));
    assert!(is_refused, "{answer}");
}

fn a_folder_that_hangs_holds_up_nobody_else() {
    let server = Server::start();
    let folder = server.dir.path().join("work");
    std::fs::create_dir(&folder).unwrap();
    let path = folder.display();
    let script = format!("cd /; rm -r {path}; mkfifo {path}; echo there >&2; sleep 1000");
    let body = json!({"script": script, "working_directory": folder, "standard_output": "o",
        "standard_error": "e"});
    let id = server.submit(&body);
    server.started(id);
    let is_fifo = || folder.symlink_metadata().is_ok_and(|m| !m.is_dir());
    until("the FIFO", || if is_fifo() { Ok(()) } else { Err("a folder".to_owned()) });
    let readers: Vec<_> = (0..8)
        .map(|n| {
            let path = ["stdout", "stdout?tail=3", "stdout?follow=true"][n % 3];
            let mut socket = connect(&server, &format!("GET /api/v1/jobs/{id}/{path}"));
            write!(socket, "\r\n").unwrap();
            socket
        })
        .collect();
    at_once(&server, "/health/live");
    let said = problem(server.get(&format!("/api/v1/jobs/{id}/stdout")), 409);
    assert!(said["detail"].as_str().unwrap().contains("is no folder"), "{said}");
    let seed = server.get(&format!("/api/v1/jobs/query/{id}")).expect(200).json();
    let log = seed["job_log"]["stdout"].as_str().unwrap();
    assert!(log.contains("is no folder"), "{seed}");
    drop(readers);
}

fn the_last_lines_of_a_sparse_file_are_looked_for_within_bounds() {
    let server = Server::start();
    let id = server.submit(&json!({"script": "printf 'a\\nb\\n'; truncate -s 4T /proc/self/fd/1; \
        echo done >&2; sleep 1000"}));
    let stderr = format!("/api/v1/jobs/{id}/stderr");
    until("the file", || match server.get(&stderr).text() {
        text if text == "done\n" => Ok(()),
        text => Err(text),
    });
    let mut socket = connect(&server, &format!("GET /api/v1/jobs/{id}/stdout?tail=2"));
    write!(socket, "\r\n").unwrap();
    let mut head = [0; 1024];
    let count = socket.read(&mut head).unwrap();
    let head = String::from_utf8_lossy(&head[..count]).to_lowercase();
    let (four_t, looked): (u64, u64) = (4 << 40, 64 << 20);
    let says = format!("x-tail-cut: begins at byte {}: only the last {looked}", four_t - looked);
    assert!(head.contains(&says), "{head}");
    at_once(&server, "/health/live");
}

fn an_offset_behind_any_file_is_behind_its_end() {
    let server = Server::start();
    let id = server.run("echo hello");
    server.ended(id);
    for far in ["9223372036854775807", "9223372036854775808", "18446744073709551615"] {
        for query in [format!("offset={far}"), format!("offset={far}&follow=true")] {
            let answer = server.get(&format!("/api/v1/jobs/{id}/stdout?{query}")).expect(200);
            assert_eq!(answer.text(), "", "{query}");
        }
        let limit = server.get(&format!("/api/v1/jobs/{id}/stdout?offset=1&limit={far}"));
        assert_eq!(limit.expect(200).text(), "ello\n");
        let range = [("Range", format!("bytes=1-{far}"))];
        let range = [(range[0].0, range[0].1.as_str())];
        let answer = server.send("GET", &format!("/api/v1/jobs/{id}/stdout"), &range, b"");
        assert!([200, 206].contains(&answer.status), "{}", answer.status);
    }
}

fn a_server_that_is_ready_says_so_and_who_asks_is_in_the_events() {
    let server = Server::start();
    server.get("/health/ready").expect(200);
    let me = rustix::process::geteuid();
    let id = server.submit(&json!({"script": "true", "held": true, "user": "somebody-else"}));
    server.post(&format!("/api/v1/jobs/{id}/cancel"), &json!({})).expect(200);
    let events = server.get(&format!("/api/v1/jobs/{id}/events")).expect(200).json();
    let by: Vec<&Value> = events.as_array().unwrap().iter().map(|e| &e["principal"]).collect();
    let name = if me.is_root() { "root".to_owned() } else { std::env::var("USER").unwrap() };
    assert_eq!(by, [&json!(name), &json!(name)]);
    assert_eq!(server.job(id)["user"], "somebody-else");
}
