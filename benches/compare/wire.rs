//! *Purpose*: an HTTP client that costs next to nothing.
//!
//! *Owns*: keep-alive connections in one thread, each with one prebuilt request under way.
//!
//! *Promises*: client and server share the machine's few cores, so the client does no more than
//! to write, to wait for any connection, and to find the end of an answer.
//!
//! *Not here*: clients that read what is answered (`tests/common`).

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use serde_json::Value;

/// How long any answer may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// A server hangs up on a connection that rests for 5 s; ours is opened anew well before.
const REST: Duration = Duration::from_secs(2);

/// A request with a JSON body, ready to be sent.
pub fn post(url: &str, path: &str, body: &Value) -> Vec<u8> {
    let body = body.to_string();
    let host = url.trim_start_matches("http://");
    format!(
        "POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// A request without a body.
pub fn get(url: &str, path: &str) -> Vec<u8> {
    let host = url.trim_start_matches("http://");
    format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n").into_bytes()
}

/// One connection.
pub struct Connection {
    url: String,
    stream: TcpStream,
    used: Instant,
    inbox: Vec<u8>,
    filled: usize,
}

impl Connection {
    /// Connects to `http://address:port`.
    pub fn open(url: &str) -> Connection {
        let stream = TcpStream::connect(url.trim_start_matches("http://")).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let (url, used) = (url.to_owned(), Instant::now());
        Connection { url, stream, used, inbox: vec![0; 64 * 1024], filled: 0 }
    }

    /// Sends and waits; panics unless the answer has this status.
    pub fn ask(&mut self, request: &[u8], status: u16) -> Vec<u8> {
        if self.used.elapsed() > REST {
            *self = Connection::open(&self.url);
        }
        self.stream.write_all(request).unwrap();
        loop {
            if let Some((said, body)) = self.answer() {
                self.used = Instant::now();
                let text = String::from_utf8_lossy(&body);
                assert_eq!(said, status, "{}", text.chars().take(500).collect::<String>());
                return body;
            }
            assert!(self.read() > 0, "the server hung up");
        }
    }

    /// Takes a complete answer out of the inbox.
    fn answer(&mut self) -> Option<(u16, Vec<u8>)> {
        let seen = &self.inbox[..self.filled];
        let head = seen.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
        let text = std::str::from_utf8(&seen[..head]).unwrap().to_ascii_lowercase();
        let length = text.lines().find_map(|line| line.strip_prefix("content-length:"));
        let end = head + length.expect("a length").trim().parse::<usize>().unwrap();
        if self.filled < end {
            return None;
        }
        let status = text[9..12].parse().unwrap();
        let body = self.inbox[head..end].to_vec();
        self.inbox.copy_within(end..self.filled, 0);
        self.filled -= end;
        Some((status, body))
    }

    /// Reads what is there; 0 when the other side has closed, or when nothing is there yet and
    /// the connection does not block.
    fn read(&mut self) -> usize {
        if self.filled == self.inbox.len() {
            self.inbox.resize(self.filled * 2, 0);
        }
        match self.stream.read(&mut self.inbox[self.filled..]) {
            Ok(n) => {
                self.filled += n;
                n
            }
            Err(e) if e.kind() == ErrorKind::WouldBlock => 0,
            Err(e) => panic!("{e}"),
        }
    }
}

/// What a flood of requests met.
pub struct Flood {
    /// How long it took.
    pub elapsed: Duration,
    /// How many were answered as wished.
    pub answered: usize,
}

impl Flood {
    /// Answers per second.
    pub fn rate(&self) -> f64 {
        self.answered as f64 / self.elapsed.as_secs_f64()
    }
}

/// Sends `count` times the same request over `connections` connections, at most for `bound`;
/// every answer must have this status.
pub fn flood(
    url: &str,
    request: &[u8],
    status: u16,
    connections: usize,
    count: usize,
    bound: Duration,
) -> Flood {
    let mut open: Vec<Connection> = (0..connections).map(|_| Connection::open(url)).collect();
    for connection in &open {
        connection.stream.set_nonblocking(true).unwrap();
    }
    let before = Instant::now();
    let (mut sent, mut answered) = (0, 0);
    for connection in open.iter_mut().take(count) {
        connection.stream.write_all(request).unwrap();
        sent += 1;
    }
    while answered < sent {
        let ready = ready(&open);
        assert!(!ready.is_empty(), "no answer within {PATIENCE:?}");
        for at in ready {
            let connection = &mut open[at];
            connection.read();
            let Some((said, body)) = connection.answer() else { continue };
            assert_eq!(said, status, "{}", String::from_utf8_lossy(&body));
            answered += 1;
            if sent < count && before.elapsed() < bound {
                connection.stream.write_all(request).unwrap();
                sent += 1;
            }
        }
    }
    Flood { elapsed: before.elapsed(), answered }
}

/// Which connections have something to read.
fn ready(open: &[Connection]) -> Vec<usize> {
    let mut fds: Vec<PollFd<'_>> =
        open.iter().map(|c| PollFd::new(&c.stream, PollFlags::IN)).collect();
    let patience = rustix::event::Timespec { tv_sec: PATIENCE.as_secs() as i64, tv_nsec: 0 };
    poll(&mut fds, Some(&patience)).unwrap();
    let ready = fds.iter().enumerate().filter(|(_, fd)| !fd.revents().is_empty());
    ready.map(|(at, _)| at).collect()
}
