//! *Purpose*: the socket in the data folder, and whom the server takes somebody for.
//!
//! *Owns*: requests over the socket, servers that find something else in its place, the client's
//! ways to it.
//!
//! *Promises*: another user is a real process of his own; where none can be become, his part is
//! left out.
//!
//! *Not here*: strangers at the port (`strangers`).

use std::io::{Read, Write};
use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::common::{PATIENCE, Server, note};
use crate::help::{keys, problem};

/// A user that every system has, `nobody`.
const NOBODY: u32 = 65_534;

cases! {
    whoever_reaches_the_socket_is_who_the_kernel_says => ["GET /api/v1/me", "POST /api/v1/jobs"],
    with_a_token_the_socket_needs_none_and_takes_no_wrong_one => ["GET /api/v1/me"],
    each_request_that_changes_something_is_remembered_with_who_asked => [
        "GET /api/v1/history", "POST /api/v1/jobs/batch", "DELETE /api/v1/jobs/{id}",
    ],
    usage_is_told_of_a_time => ["GET /api/v1/usage"],
    usage_is_told_by_name_and_by_day_and_bounded => ["GET /api/v1/usage"],
    a_server_of_one_user_has_no_tokens_of_users => [
        "GET /api/v1/tokens", "POST /api/v1/tokens", "DELETE /api/v1/tokens/{id}",
    ],
    nothing_but_a_socket_that_was_left_gives_way => ["GET /api/v1/me"],
    the_client_finds_the_socket_and_trusts_no_stranger_there => ["GET /api/v1/me"],
}

fn path(server: &Server) -> PathBuf {
    server.data().join("downbeat.sock")
}

/// Asks over the socket: status and body.
fn over_socket(server: &Server, request: &str, headers: &str, body: &str) -> (u16, Value) {
    let (method, asked) = request.split_once(' ').unwrap();
    note(method, asked);
    let mut socket = UnixStream::connect(path(server)).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let length = body.len();
    write!(
        socket,
        "{request} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
    )
    .unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, serde_json::from_str(body).unwrap())
}

fn own_uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

fn whoever_reaches_the_socket_is_who_the_kernel_says() {
    let mut server = Server::start();
    let found = path(&server).symlink_metadata().unwrap();
    assert!(found.file_type().is_socket());
    assert_eq!(found.permissions().mode() & 0o777, 0o600);
    let (status, me) = over_socket(&server, "GET /api/v1/me", "", "");
    assert_eq!(status, 200, "{me}");
    keys(&me, "user uid role via");
    assert_eq!((&me["uid"], &me["via"]), (&json!(own_uid()), &json!("socket")), "{me}");
    assert_eq!(me["role"], "admin");
    let by_tcp = server.get("/api/v1/me").expect(200).json();
    assert_eq!((&by_tcp["user"], &by_tcp["via"]), (&me["user"], &json!("tcp")));
    let (status, job) = over_socket(&server, "POST /api/v1/jobs", "", r#"{"script":"true"}"#);
    assert_eq!(status, 201, "{job}");
    let id = job["id"].as_i64().unwrap();
    server.ended(id);
    let by =
        format!("SELECT principal AS line FROM events WHERE job_id = {id} ORDER BY id LIMIT 1");
    assert_eq!(json!(server.sql(&by)), me["user"]);
    assert_eq!(server.stop(), Some(0));
    assert!(path(&server).symlink_metadata().is_err(), "it goes with its server");
}

fn with_a_token_the_socket_needs_none_and_takes_no_wrong_one() {
    let mut server = Server::unstarted(&["--cpus", "4"]);
    server.env.push(("DOWNBEAT_TOKEN".to_owned(), "sesame".to_owned()));
    server.env.push(("DOWNBEAT_ADMIN_TOKEN".to_owned(), "above-sesame".to_owned()));
    server.up();
    problem(server.get("/api/v1/me"), 401);
    let me = |headers: &str| over_socket(&server, "GET /api/v1/me", headers, "");
    let told = |(status, me): (u16, Value)| {
        let word = |key: &str| me[key].as_str().unwrap_or("-").to_owned();
        (status, word("via"), word("role"))
    };
    let word = |status, via: &str, role: &str| (status, via.to_owned(), role.to_owned());
    assert_eq!(told(me("")), word(200, "socket", "user"));
    assert_eq!(told(me("Authorization: Bearer sesame\r\n")), word(200, "token", "user"));
    let admin = me("Authorization: Bearer above-sesame\r\n");
    assert_eq!(admin.1["uid"], Value::Null);
    assert_eq!(told(admin), word(200, "token", "admin"));
    assert_eq!(me("Authorization: Bearer seed\r\n").0, 401);
}

/// The fields of a line of `usage`.
const USAGE_LINE: &str = "name cpu_hours cpu_used_hours cpu_efficiency gpu_hours memory_gib_hours \
                          jobs completed failed cancelled running mean_wait_s";

fn usage_is_told_by_name_and_by_day_and_bounded() {
    let server = Server::start();
    let body = json!({"script": "true", "name": "align", "memory": "1G"});
    let ids: Vec<i64> = (0..2).map(|_| server.submit(&body)).collect();
    ids.iter().for_each(|id| drop(server.ended(*id)));
    // As if each had held a CPU from two hours before midnight to two after it, one busy hour.
    let midnight = 1_795_305_600_000_000_i64;
    let (from, to) = (midnight - 7_200_000_000, midnight + 7_200_000_000);
    let set = |table: &str, set: String| {
        let done = server.sql(&format!("UPDATE {table} SET {set} RETURNING 'done' AS line"));
        assert_eq!(done, "done\ndone");
    };
    let times = format!("submit_time = {from}, eligible_time = {from}, start_time = {from}");
    let used = "user_cpu_us = 3600000000, system_cpu_us = 0";
    set("jobs", format!("{times}, end_time = {to}, {used}"));
    let held = format!("allocation_time = {from}, released_time = {to}");
    set("resource_allocations", held);
    let told = |query: &str| {
        server.get(&format!("/api/v1/usage?since=2026-11-21T00:00:00Z&{query}")).expect(200).json()
    };
    let by_name = told("by=name");
    let wanted = json!({"name": "align", "cpu_hours": 8.0, "cpu_used_hours": 2.0,
        "cpu_efficiency": 0.25, "gpu_hours": 0.0, "memory_gib_hours": 8.0, "jobs": 2,
        "completed": 2, "failed": 0, "cancelled": 0, "running": 0, "mean_wait_s": 0.0});
    assert_eq!(by_name["lines"], json!([wanted]), "{by_name}");
    let days = |query: &str| -> Vec<(String, f64, u64)> {
        let said = told(&format!("by=day{query}"));
        let line = |line: &Value| {
            let day = line["name"].as_str().unwrap()[..16].to_owned();
            (day, line["cpu_hours"].as_f64().unwrap(), line["jobs"].as_u64().unwrap())
        };
        said["lines"].as_array().unwrap().iter().map(line).collect()
    };
    let (first, second) = ("2026-11-21T00:00", "2026-11-22T00:00");
    assert_eq!(days(""), [(first.to_owned(), 4.0, 0), (second.to_owned(), 4.0, 2)]);
    // Of a clock that is an hour ahead, days begin an hour earlier.
    let theirs = days("&days=2026-11-21T00:00:00%2B01:00,2026-11-22T00:00:00%2B01:00");
    assert_eq!(theirs, [(first.to_owned(), 2.0, 0), ("2026-11-21T23:00".to_owned(), 6.0, 2)]);
    for (wrong, field) in [
        ("by=day&days=today", "days"),
        ("by=day&days=2026-11-22T00:00:00Z,2026-11-21T00:00:00Z", "days"),
        ("by=user&days=2026-11-22T00:00:00Z", "days"),
        ("by=day&since=2020-01-01T00:00:00Z", "since"),
    ] {
        let refused = server.get(&format!("/api/v1/usage?{wrong}")).expect(400).json();
        assert_eq!(refused["errors"][0]["field"], field, "{wrong}: {refused}");
    }
    let many = vec!["2026-11-22T00:00:00Z"; 367].join(",");
    problem(server.get(&format!("/api/v1/usage?by=day&days={many}")), 400);
}

fn usage_is_told_of_a_time() {
    let server = Server::start();
    let none = server.get("/api/v1/usage").expect(200).json();
    keys(&none, "since until by lines left_off");
    assert_eq!((&none["by"], &none["lines"]), (&json!("user"), &json!([])));
    let held = server.submit(&json!({"script": "true", "held": true, "user": "ann"}));
    let ran = server.submit(&json!({"script": "exit 1", "user": "ann", "account": "a"}));
    server.ended(ran);
    let runs = server.submit(&json!({"script": "sleep 600", "user": "ben", "cpus": 2}));
    server.started(runs);
    let now = server.get("/api/v1/usage").expect(200).json();
    let lines = now["lines"].as_array().unwrap();
    assert_eq!(lines.len(), 2, "job {held} has only waited: {now}");
    for line in lines {
        keys(line, USAGE_LINE);
    }
    let of = |name: &str| lines.iter().find(|line| line["name"] == name).unwrap().clone();
    assert_eq!((&of("ann")["jobs"], &of("ann")["failed"]), (&json!(1), &json!(1)));
    assert_eq!((&of("ben")["running"], &of("ben")["mean_wait_s"]), (&json!(1), &Value::Null));
    assert!(of("ben")["cpu_hours"].as_f64().unwrap() > 0.0, "what runs counts: {now}");
    let before = "/api/v1/usage?since=2020-01-01T00:00:00Z&until=2020-01-02T00:00:00Z&by=account";
    let before = server.get(before).expect(200).json();
    let past: Vec<&Value> = before["lines"].as_array().unwrap().iter().collect();
    assert!(past.iter().all(|line| line["cpu_hours"] == 0.0 && line["jobs"] == 0), "{before}");
    for wrong in ["by=colour", "since=yesterday", "since=2030-01-01T00:00:00Z", "who=ann"] {
        problem(server.get(&format!("/api/v1/usage?{wrong}")), 400);
    }
}

fn a_server_of_one_user_has_no_tokens_of_users() {
    let server = Server::start();
    let refused = server.post("/api/v1/tokens", &json!({"name": "laptop"}));
    assert!(refused.text().contains("DOWNBEAT_TOKEN"), "{}", refused.text());
    problem(refused, 403);
    problem(server.post("/api/v1/tokens", &json!({"role": "root"})), 422);
    assert_eq!(server.get("/api/v1/tokens").expect(200).json(), json!([]));
    assert_eq!(server.get("/api/v1/tokens?all=true").expect(200).json(), json!([]));
    let gone = server.send("DELETE", "/api/v1/tokens/0123456789ab", &[], b"");
    assert!(gone.text().contains("no_such_token"), "{}", gone.text());
    problem(gone, 404);
}

fn each_request_that_changes_something_is_remembered_with_who_asked() {
    let server = Server::start();
    let number = "X-Request-ID: tuesday\r\n";
    let held = r#"{"script":"true","held":true}"#;
    let batch = format!(r#"{{"jobs":[{held},{held},{held}]}}"#);
    let (status, made) = over_socket(&server, "POST /api/v1/jobs/batch", number, &batch);
    assert_eq!(status, 201, "{made}");
    let ids: Vec<i64> = serde_json::from_value(made["job_ids"].clone()).unwrap();
    // Refused, and without effect: neither is a change.
    over_socket(&server, "POST /api/v1/jobs", "", r#"{"script":""}"#);
    let cancel = format!("DELETE /api/v1/jobs/{}", ids[1]);
    for _ in 0..2 {
        over_socket(&server, &cancel, "", "");
    }
    let all = server.get("/api/v1/history").expect(200).json();
    let all = all.as_array().unwrap();
    assert_eq!(all.len(), 2, "{all:?}");
    let (cancelled, submitted) = (&all[0], &all[1]);
    keys(
        submitted,
        "id time user uid role via token process_id remote request_id verb job_id count detail",
    );
    let asked = |one: &Value| (one["verb"].clone(), one["job_id"].clone(), one["count"].clone());
    assert_eq!(asked(submitted), (json!("submit"), json!(ids[0]), json!(3)));
    assert_eq!(asked(cancelled), (json!("cancel"), json!(ids[1]), json!(1)));
    assert_eq!((&submitted["uid"], &submitted["via"]), (&json!(own_uid()), &json!("socket")));
    assert_eq!(submitted["request_id"], "tuesday");
    assert_eq!(submitted["process_id"], std::process::id());
    assert_eq!((&submitted["role"], &submitted["remote"]), (&json!("admin"), &Value::Null));
    let of = |query: &str| {
        let found = server.get(&format!("/api/v1/history?{query}")).expect(200);
        found.json().as_array().unwrap().len()
    };
    assert_eq!(of(&format!("job={}", ids[2])), 1, "a job of the batch is found by its own number");
    assert_eq!(of(&format!("job={}", ids[1])), 2);
    assert_eq!((of("limit=1"), of("user=nobody-here"), of("job=9999")), (1, 0, 0));
    let next = server.get("/api/v1/history?limit=1");
    assert!(next.header("Link").is_some_and(|link| link.contains("cursor=")));
    problem(server.get("/api/v1/history?limit=0"), 400);
    problem(server.get("/api/v1/history?verb=submit"), 400);
    let uids = format!("SELECT group_concat(uid) AS line FROM events WHERE job_id = {}", ids[1]);
    assert_eq!(server.sql(&uids), format!("{0},{0}", own_uid()));
}

fn nothing_but_a_socket_that_was_left_gives_way() {
    let mut server = Server::start();
    server.kill();
    let left = path(&server).symlink_metadata().unwrap();
    assert!(left.file_type().is_socket(), "a server that is killed leaves it");
    server.up();
    assert_eq!(over_socket(&server, "GET /api/v1/me", "", "").0, 200);
    assert_eq!(server.stop(), Some(0));
    let other = server.data().join("mine");
    for make in [
        (|at, _| std::fs::write(at, "mine").unwrap()) as fn(&PathBuf, &PathBuf),
        |at, other| symlink(other, at).unwrap(),
        |at, _| std::fs::create_dir(at).unwrap(),
    ] {
        std::fs::write(&other, "mine").unwrap();
        make(&path(&server), &other);
        let before = path(&server).symlink_metadata().unwrap().file_type();
        server.spawn();
        assert!(!server.listens(), "a server has started");
        server.kill();
        let said = server.log();
        assert!(said.contains("downbeat.sock is no socket"), "{said}");
        assert_eq!(path(&server).symlink_metadata().unwrap().file_type(), before);
        assert_eq!(std::fs::read_to_string(&other).unwrap(), "mine");
        let _file = std::fs::remove_file(path(&server));
        let _folder = std::fs::remove_dir(path(&server));
    }
    server.up();
}

fn the_client_finds_the_socket_and_trusts_no_stranger_there() {
    let server = Server::start();
    let downbeat = |place: Option<String>, home: &str| {
        let mut client = Command::new(env!("CARGO_BIN_EXE_downbeat"));
        client.arg("whoami").env_remove("DOWNBEAT_SERVER").env("XDG_STATE_HOME", home);
        client.args(place.iter().flat_map(|place| ["--server", place]));
        let out = client.stdin(Stdio::null()).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (out.status.code(), text(&out.stdout), text(&out.stderr))
    };
    note("GET", "/api/v1/me");
    let named = format!("unix:{}", path(&server).display());
    let (code, said, _) = downbeat(Some(named.clone()), "/nonexistent");
    assert_eq!(code, Some(0), "{said}");
    let wanted = format!("({}), administrator, at {named}: the kernel says so", own_uid());
    assert!(said.contains(&wanted), "{said}");
    let nowhere = server.data().join("nowhere.sock");
    let (code, _, said) = downbeat(Some(format!("unix:{}", nowhere.display())), "/nonexistent");
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("nowhere.sock"), "{said}");
    if !rustix::process::geteuid().is_root() {
        return;
    }
    // Another user listens, where everybody may connect.
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o777)).unwrap();
    let theirs = folder.path().join("s");
    let script = format!(
        "import socket,sys;s=socket.socket(socket.AF_UNIX);s.bind('{}');s.listen();\
         print('up',flush=True);c,_=s.accept();print(len(c.recv(9)),flush=True)",
        theirs.display()
    );
    let mut stranger = Command::new("python3");
    stranger.args(["-c", &script]).uid(NOBODY).gid(NOBODY).stdout(Stdio::piped());
    let mut stranger = stranger.spawn().unwrap();
    let mut up = [0; 3];
    let mut out = stranger.stdout.take().unwrap();
    out.read_exact(&mut up).unwrap();
    let (code, _, said) = downbeat(Some(format!("unix:{}", theirs.display())), "/nonexistent");
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("belongs to nobody (65534); nothing was sent"), "{said}");
    let mut heard = String::new();
    out.read_to_string(&mut heard).unwrap();
    assert_eq!(heard, "0\n", "not a byte reached him");
    assert!(stranger.wait().unwrap().success());
}
