//! *Purpose*: tests of `cli::client` against answers that are written down.
//!
//! *Owns*: [`Canned`], a server that says its lines and closes.
//!
//! *Promises*: none of its own.
//!
//! *Not here*: the real server (the process tests).
#![allow(clippy::unwrap_used)]

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::thread::JoinHandle;

use super::*;

/// Answers one connection after the other with the given texts, and keeps the requests.
pub(crate) struct Canned {
    pub(crate) connect: Connect,
    thread: JoinHandle<Vec<String>>,
}

impl Canned {
    /// An empty text closes the connection without an answer.
    pub(crate) fn start(answers: Vec<String>) -> Canned {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = format!("http://{}", listener.local_addr().unwrap());
        let thread = std::thread::spawn(move || {
            let mut requests = Vec::new();
            for answer in answers {
                let (stream, _) = listener.accept().unwrap();
                let mut reader = BufReader::new(&stream);
                let mut request = String::new();
                let mut length = 0;
                loop {
                    let mut line = String::new();
                    reader.read_line(&mut line).unwrap();
                    let lower = line.to_ascii_lowercase();
                    if let Some(n) = lower.strip_prefix("content-length:") {
                        length = n.trim().parse().unwrap();
                    }
                    request.push_str(&line);
                    if line.trim().is_empty() {
                        break;
                    }
                }
                let mut body = vec![0; length];
                reader.read_exact(&mut body).unwrap();
                request.push_str(&String::from_utf8(body).unwrap());
                (&stream).write_all(answer.as_bytes()).unwrap();
                requests.push(request);
            }
            requests
        });
        Canned { connect: Connect { server: Some(server), token_file: None }, thread }
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(&self.connect).unwrap()
    }

    pub(crate) fn requests(self) -> Vec<String> {
        self.thread.join().unwrap()
    }
}

/// A complete answer.
pub(crate) fn answer(status: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}")
}

fn key_of(request: &str) -> String {
    let line = request.lines().find(|l| l.to_ascii_lowercase().starts_with("idempotency-key"));
    line.unwrap().split(':').nth(1).unwrap().trim().to_owned()
}

#[test]
fn a_lost_answer_is_asked_for_again_under_the_same_key() {
    let server = Canned::start(vec![String::new(), answer("200 OK", "{\"id\":17}")]);
    let done = server.client().submit("{\"script\":\"true\"}", "k1").unwrap();
    assert_eq!((done.status, done.text.as_str()), (200, "{\"id\":17}"));
    let requests = server.requests();
    assert_eq!(requests.len(), 2);
    assert!(requests.iter().all(|r| key_of(r) == "k1" && r.ends_with("{\"script\":\"true\"}")));
}

#[test]
fn when_both_answers_are_lost_the_key_is_named() {
    let server = Canned::start(vec![String::new(), String::new()]);
    let error = server.client().submit("{}", "k2").unwrap_err();
    assert!(error.to_string().contains("--idempotency-key k2"), "{error}");
    assert_eq!(error.exit_code(), 3);
}

#[test]
fn a_server_that_is_not_there_is_code_3_and_says_how_to_start_one() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let client = Client::new(&Connect { server: Some(server.clone()), token_file: None }).unwrap();
    let error = client.get("/api/v1/info").unwrap_err();
    assert_eq!(error.exit_code(), 3);
    let text = error.to_string();
    assert!(text.starts_with(&format!("no server at {server}")), "{text}");
    assert!(text.contains("`downbeat serve`"), "{text}");
}

#[test]
fn a_refusal_is_code_1_in_the_server_s_words() {
    let problem = r#"{"type":"about:blank","title":"Not Found","status":404,
        "detail":"There is no job 9.","request_id":"x"}"#;
    let server = Canned::start(vec![answer("404 Not Found", problem)]);
    let error = server.client().job(JobId(9)).unwrap_err();
    assert_eq!((error.exit_code(), error.to_string().as_str()), (1, "There is no job 9."));
}

#[test]
fn a_page_of_somebody_else_is_named_and_not_shown() {
    let page = "<html><script>alert(1)</script></html>";
    let html = |status: &str| {
        let length = page.len();
        format!(
            "HTTP/1.1 {status}\r\nServer: nginx/1.18\r\nContent-Type: text/html\r\n\
             Content-Length: {length}\r\nConnection: close\r\n\r\n{page}"
        )
    };
    for status in ["200 OK", "404 Not Found", "401 Unauthorized"] {
        let server = Canned::start(vec![html(status)]);
        let error = server.client().get("/api/v1/info").unwrap_err();
        assert_eq!(error.exit_code(), 3, "{error}");
        let text = error.to_string();
        assert!(text.contains("is no Downbeat server: it sent a web page of nginx/1.18"), "{text}");
        assert!(!text.contains('<'), "{text}");
    }
    let server = Canned::start(vec![html("502 Bad Gateway")]);
    let error = server.client().get("/api/v1/info").unwrap_err();
    assert!(error.is_transient() && !error.to_string().contains('<'), "{error}");
    let moved = "HTTP/1.1 302 Found\r\nLocation: /login\r\nContent-Length: 0\r\n\r\n";
    let server = Canned::start(vec![moved.to_owned()]);
    let error = server.client().get("/api/v1/info").unwrap_err();
    assert!(error.to_string().contains("the address of another server"), "{error}");
}

#[test]
fn what_is_asked_for_is_written_as_urls_want_it() {
    let pairs = [("state", "RUNNING".to_owned()), ("label", "a:b c&d".to_owned())];
    assert_eq!(query(&pairs), "?state=RUNNING&label=a%3Ab%20c%26d");
}
