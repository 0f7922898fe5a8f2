//! *Purpose*: every setting of the server acts, whether it came as flag, variable or file key.
//!
//! *Owns*: [`SETTINGS`]: for each setting a value and a look at what it does.
//!
//! *Promises*: the server of each door has all settings from that door alone; `/info` names the
//! door. (The tick has no act that could be seen from outside without waiting for a fault: it
//! is looked at where it is told, and refused where it is wrong.)
//!
//! *Not here*: values that are refused (`serve`).

use std::io::{BufRead, BufReader, Read};
use std::process::Child;

use serde_json::{Value, json};

use crate::common::{signal, until};
use crate::help::binary;

cases! {
    settings_act_when_they_come_as_flags => ["serve"],
    settings_act_when_they_come_as_variables => ["serve"],
    settings_act_when_they_come_from_a_named_file => ["serve"],
    a_file_of_the_folder_is_read_without_being_named => ["serve"],
    a_flag_wins_over_a_variable_and_that_over_the_file => ["serve"],
    what_is_in_effect_is_printed_at_the_start => ["serve"],
    a_token_in_a_variable_needs_no_file => ["serve"],
}

/// One setting.
pub struct Setting {
    /// Its flag, without the dashes.
    pub flag: &'static str,
    /// Its value; `DIR` is the test's folder.
    value: &'static str,
    /// Its key in the file, where that is not the flag's name.
    key: Option<&'static str>,
    /// Looks at what it does.
    act: fn(&Running),
}

const fn setting(flag: &'static str, value: &'static str, act: fn(&Running)) -> Setting {
    Setting { flag, value, key: None, act }
}

/// Every setting but `config`, which is a door.
pub const SETTINGS: &[Setting] = &[
    setting("listen", "127.0.0.77:0", |s| assert!(s.url.starts_with("http://127.0.0.77:"))),
    setting("data-dir", "DIR/state", |s| {
        assert!(s.dir.path().join("state/server.lock").exists());
        assert!(!s.dir.path().join("state/downbeat.db").exists(), "the database is elsewhere");
    }),
    setting("database-url", "sqlite://DIR/elsewhere.db", |s| {
        let file = s.dir.path().join("elsewhere.db");
        s.submit(&json!({"script": "true", "name": "in-it"}));
        let query = "SELECT count(*) || '' AS line FROM jobs WHERE name = 'in-it'";
        assert_eq!(crate::common::sql(&file, query), "1");
    }),
    setting("people", "one", |s| {
        // Over TCP, with the token.
        let (_, me) = s.get("/api/v1/me");
        assert_eq!((&me["via"], &me["uid"]), (&json!("token"), &json!(null)));
    }),
    setting("socket", "DIR/place/d.sock", |s| {
        let place = format!("unix:{}/place/d.sock", s.dir.path().display());
        let mut whoami = binary(s.dir.path(), &["whoami", "--json", "--server", &place]);
        let said = whoami.output().unwrap();
        let me: Value = serde_json::from_slice(&said.stdout).unwrap();
        assert_eq!((&me["via"], said.status.code()), (&json!("socket"), Some(0)), "{said:?}");
    }),
    setting("cpus", "3", |s| assert_eq!(s.get("/api/v1/resources").1["total_cpus"], 3)),
    setting("memory", "2G", |s| {
        assert_eq!(s.get("/api/v1/resources").1["total_memory_bytes"], 2_u64 << 30);
        assert_eq!(s.post(&json!({"script": "true", "memory": "3G"})).0, 422);
    }),
    setting("default-memory-per-cpu", "64M", |s| {
        let job = s.submit(&json!({"script": "true", "cpus": 2}));
        assert_eq!(job["memory_bytes"], 128 << 20);
    }),
    setting("policy", "sjf+easy", |s| {
        let gate = s.dir.path().join("gate").display().to_string();
        let id = |body| s.submit(&body)["id"].as_i64().unwrap();
        let wait = format!("until [ -e '{gate}' ]; do sleep 0.02; done");
        id(json!({"script": wait, "cpus": 3}));
        let long = id(json!({"script": "true", "cpus": 3, "time_limit": "30m"}));
        let short = id(json!({"script": "true", "cpus": 3, "time_limit": "5m"}));
        std::fs::write(gate, "").unwrap();
        let start = |id| s.ended(id)["start_time"].as_str().unwrap().to_owned();
        assert!(start(short) < start(long), "shortest request first");
    }),
    setting("tick", "250ms", |s| {
        assert_eq!(s.get("/api/v1/info").1["configuration"]["tick"]["value"], "250ms");
    }),
    setting("token-file", "DIR/token", |s| {
        let open = ureq::Agent::config_builder().http_status_as_error(false).build().new_agent();
        let refused = open.get(format!("{}/api/v1/jobs", s.url)).call().unwrap();
        assert_eq!(refused.status().as_u16(), 401);
        assert_eq!(s.get("/api/v1/jobs").0, 200);
    }),
    setting("admin-token-file", "DIR/admins", |s| {
        assert_eq!(s.post(&json!({"script": "true", "priority": 1})).0, 403);
        assert_eq!(s.post(&json!({"script": "true", "priority": -1})).0, 201);
    }),
    Setting {
        flag: "public-host",
        value: "batch.example.org",
        key: Some("public_hosts"),
        act: |s| {
            let with_origin = |origin: &str| {
                let request = Running::agent().post(format!("{}/api/v1/jobs", s.url));
                let request = request.header("Content-Type", "application/json");
                let request = request.header("Authorization", format!("Bearer {TOKEN}"));
                Running::answer(request.header("Origin", origin).send("{\"script\":\"true\"}")).0
            };
            assert_eq!(with_origin("https://batch.example.org"), 201);
            assert_eq!(with_origin("https://other.example.org"), 403);
        },
    },
    Setting {
        flag: "output-root",
        value: "DIR/logs",
        key: Some("output_roots"),
        act: |s| {
            let inside = s.dir.path().join("logs/%j");
            s.submit(&json!({"script": "true", "standard_output": inside}));
            let outside = s.dir.path().join("other/%j");
            let body = json!({"script": "true", "standard_output": outside});
            assert_eq!(s.post(&body).0, 422);
        },
    },
    Setting {
        flag: "scratch-path",
        value: "DIR/fast",
        key: Some("scratch.path"),
        act: |s| {
            let job = s.submit(&json!({"script": "echo $TMPDIR; test -d $TMPDIR"}));
            let id = job["id"].as_i64().unwrap();
            assert_eq!(s.ended(id)["exit_code"], "0:0");
            let said = s.text(&format!("/api/v1/jobs/{id}/stdout"));
            let fast = s.dir.path().join("fast/downbeat.").display().to_string();
            assert!(said.starts_with(&fast) && said.contains(&format!("/{id}.1.")), "{said}");
        },
    },
    setting("default-time-limit", "7m", |s| {
        assert_eq!(s.submit(&json!({"script": "true"}))["time_limit_s"], 420);
    }),
    setting("max-time-limit", "1h", |s| {
        assert_eq!(s.post(&json!({"script": "true", "time_limit": 61})).0, 422);
        assert_eq!(s.post(&json!({"script": "true", "time_limit": 60})).0, 201);
    }),
    setting("kill-grace", "1s", |s| {
        let script = "trap '' TERM; while :; do sleep 0.05; done";
        let job = s.submit(&json!({"script": script, "time_limit": "3s"}));
        let job = s.ended(job["id"].as_i64().unwrap());
        assert_eq!((&job["state"], &job["exit_code"]), (&json!("TIMEOUT"), &json!("0:9")), "{job}");
        assert!(job["elapsed_s"].as_i64().unwrap() < 20, "not the default of 30 s: {job}");
    }),
    setting("finish-time", "1s", |s| {
        let job = s.submit(&json!({"script": "sleep 30 &\nexit 3"}));
        let job = s.ended(job["id"].as_i64().unwrap());
        assert_eq!(job["exit_code"], "3:0", "{job}");
        assert!(job["warnings"].to_string().contains("left processes behind"), "{job}");
        assert!(job["elapsed_s"].as_i64().unwrap() < 4, "not the default of 5 s: {job}");
    }),
    setting("max-output", "8M", |s| {
        let job = s.submit(&json!({"script": "yes"}));
        let job = s.ended(job["id"].as_i64().unwrap());
        assert!(job["error"].to_string().contains("--max-output"), "{job}");
    }),
    setting("confine-signals", "false", |s| {
        let shown = s.get("/api/v1/info").1["configuration"]["confine_signals"]["value"].clone();
        assert_eq!(shown, "false");
    }),
    setting("retention", "12days", |s| {
        let shown = s.get("/api/v1/info").1["configuration"]["retention"]["value"].clone();
        assert_eq!(shown, "12days");
    }),
    setting("kill-on-invalid-dependency", "true", |s| {
        let ended = |job: Value| {
            s.get(&format!("/api/v1/jobs/{}/wait?timeout_s=30", job["id"])).1["state"].clone()
        };
        let failed = s.submit(&json!({"script": "exit 1"}));
        let after = format!("afterok:{}", failed["id"]);
        assert_eq!(ended(failed), "FAILED");
        assert_eq!(ended(s.submit(&json!({"script": "true", "dependency": after}))), "CANCELLED");
    }),
    setting("log-level", "debug", |s| {
        let log = std::fs::read_to_string(s.dir.path().join("log")).unwrap();
        assert!(log.contains("DEBUG") && log.contains("/api/v1/"), "{log}");
    }),
];

const TOKEN: &str = "the-token-of-the-file";

/// A server that was started with nothing but what a door gave it.
pub struct Running {
    url: String,
    dir: tempfile::TempDir,
    said: String,
    child: Child,
}

/// How the settings reach the server.
#[derive(Clone, Copy)]
enum Door {
    Flags,
    Variables,
    NamedFile,
    FolderFile,
}

impl Running {
    fn through(door: Door) -> Running {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("token"), TOKEN).unwrap();
        std::fs::write(dir.path().join("admins"), "the-token-of-the-admins").unwrap();
        for folder in ["logs", "fast"] {
            std::fs::create_dir(dir.path().join(folder)).unwrap();
        }
        let value = |s: &Setting| s.value.replace("DIR", &dir.path().display().to_string());
        let (mut flags, mut variables, mut file) = (Vec::new(), Vec::new(), String::new());
        for setting in SETTINGS {
            let value = value(setting);
            let name = setting.flag.replace('-', "_");
            match door {
                Door::Flags => flags.extend([format!("--{}", setting.flag), value]),
                Door::Variables => {
                    variables.push((format!("DOWNBEAT_{}", name.to_uppercase()), value));
                }
                Door::NamedFile | Door::FolderFile => {
                    let key = setting.key.unwrap_or(&name);
                    let text = json!(value).to_string();
                    let list = ["output-root", "public-host"].contains(&setting.flag);
                    let text = if list { format!("[{text}]") } else { text };
                    file.push_str(&format!("{key} = {text}\n"));
                }
            }
        }
        match door {
            Door::NamedFile => {
                std::fs::write(dir.path().join("named.toml"), file).unwrap();
                flags = vec!["--config".to_owned(), "named.toml".to_owned()];
            }
            Door::FolderFile => std::fs::write(dir.path().join("downbeat.toml"), file).unwrap(),
            Door::Flags | Door::Variables => {}
        }
        Running::start(dir, &flags, &variables)
    }

    fn start(dir: tempfile::TempDir, flags: &[String], variables: &[(String, String)]) -> Running {
        let words: Vec<&str> =
            std::iter::once("serve").chain(flags.iter().map(String::as_str)).collect();
        let mut command = binary(dir.path(), &words);
        let log = std::fs::File::create(dir.path().join("log")).unwrap();
        command.envs(variables.iter().map(|(n, v)| (n, v))).stderr(log);
        let mut child = command.spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut said = String::new();
        let url = loop {
            let mut line = String::new();
            if out.read_line(&mut line).unwrap() == 0 {
                let log = std::fs::read_to_string(dir.path().join("log"));
                panic!("it did not listen: {said}{log:?}");
            }
            said.push_str(&line);
            if let Some(url) = line.trim().strip_prefix("listening on ") {
                break url.to_owned();
            }
        };
        std::thread::spawn(move || {
            let mut rest = Vec::new();
            out.read_to_end(&mut rest)
        });
        Running { url, dir, said, child }
    }

    fn answer(answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> (u16, Value) {
        let mut answer = answer.unwrap();
        let text = answer.body_mut().read_to_string().unwrap();
        (answer.status().as_u16(), serde_json::from_str(&text).unwrap())
    }

    fn agent() -> ureq::Agent {
        ureq::Agent::config_builder().http_status_as_error(false).build().new_agent()
    }

    fn get(&self, path: &str) -> (u16, Value) {
        let request = Running::agent().get(format!("{}{path}", self.url));
        Running::answer(request.header("Authorization", format!("Bearer {TOKEN}")).call())
    }

    fn text(&self, path: &str) -> String {
        let request = Running::agent().get(format!("{}{path}", self.url));
        let request = request.header("Authorization", format!("Bearer {TOKEN}"));
        request.call().unwrap().body_mut().read_to_string().unwrap()
    }

    fn post(&self, body: &Value) -> (u16, Value) {
        let request = Running::agent().post(format!("{}/api/v1/jobs", self.url));
        let request = request.header("Content-Type", "application/json");
        let request = request.header("Authorization", format!("Bearer {TOKEN}"));
        Running::answer(request.send(body.to_string()))
    }

    #[track_caller]
    fn submit(&self, body: &Value) -> Value {
        let (status, job) = self.post(body);
        assert_eq!(status, 201, "{job}");
        job
    }

    #[track_caller]
    fn ended(&self, id: i64) -> Value {
        until("the job to end", || {
            let (_, job) = self.get(&format!("/api/v1/jobs/{id}"));
            if job["end_time"].is_string() { Ok(job) } else { Err(job.to_string()) }
        })
    }

    /// Every setting acts, and `/info` says by which door it came.
    fn acts(&self, door: &str) {
        for setting in SETTINGS {
            (setting.act)(self);
            let name = setting.flag.replace('-', "_");
            let (_, info) = self.get("/api/v1/info");
            assert_eq!(info["configuration"][&name]["source"], door, "{name}: {info}");
            assert!(!info.to_string().contains(TOKEN), "{info}");
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _dead = self.child.kill();
        let _reaped = self.child.wait();
        for pid in crate::common::processes_of(self.dir.path()) {
            signal(pid, "KILL");
        }
    }
}

fn settings_act_when_they_come_as_flags() {
    Running::through(Door::Flags).acts("flag");
}

fn settings_act_when_they_come_as_variables() {
    Running::through(Door::Variables).acts("environment");
}

fn settings_act_when_they_come_from_a_named_file() {
    Running::through(Door::NamedFile).acts("file");
}

fn a_file_of_the_folder_is_read_without_being_named() {
    Running::through(Door::FolderFile).acts("file");
}

fn a_flag_wins_over_a_variable_and_that_over_the_file() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(
        dir.path().join("other.toml"),
        "cpus = 2\ntick = \"2s\"\nkill_grace = 2\nlisten = \"127.0.0.1:0\"\ndata_dir = \"state\"\n",
    )
    .unwrap();
    let flags = ["--cpus", "4"].map(str::to_owned);
    let variables = [
        ("DOWNBEAT_CONFIG", "other.toml"),
        ("DOWNBEAT_CPUS", "3"),
        ("DOWNBEAT_TICK", "3s"),
        ("DOWNBEAT_LOG_LEVEL", ""),
    ];
    let variables = variables.map(|(n, v)| (n.to_owned(), v.to_owned()));
    let server = Running::start(dir, &flags, &variables);
    assert_eq!(server.get("/api/v1/resources").1["total_cpus"], 4);
    let (_, info) = server.get("/api/v1/info");
    for (name, value, source) in [
        ("cpus", "4", "flag"),
        ("tick", "3s", "environment"),
        ("kill_grace", "2", "file"),
        ("log_level", "info", "default"),
        ("default_time_limit", "UNLIMITED", "default"),
    ] {
        let wanted = json!({"value": value, "source": source});
        assert_eq!(info["configuration"][name], wanted, "{name}");
    }
}

fn what_is_in_effect_is_printed_at_the_start() {
    let server = Running::through(Door::Variables);
    for line in ["cpus = 3 (environment)", "tick = 250ms (environment)", "kill_grace = 1s"] {
        assert!(server.said.contains(line), "{line}: {}", server.said);
    }
    let log = std::fs::read_to_string(server.dir.path().join("log")).unwrap();
    assert!(!server.said.contains(TOKEN) && !log.contains(TOKEN), "{}{log}", server.said);
}

fn a_token_in_a_variable_needs_no_file() {
    let dir = tempfile::tempdir().unwrap();
    let flags = ["--listen", "0.0.0.0:0", "--data-dir", "state"].map(str::to_owned);
    let variables = [("DOWNBEAT_TOKEN".to_owned(), TOKEN.to_owned())];
    let server = Running::start(dir, &flags, &variables);
    let port = server.url.rsplit(':').next().unwrap();
    let near = format!("http://127.0.0.1:{port}/api/v1/info");
    let refused = Running::agent().get(&near).call().unwrap();
    assert_eq!(refused.status().as_u16(), 401, "on loopback too");
    let known = Running::agent().get(&near).header("Authorization", format!("Bearer {TOKEN}"));
    let (status, info) = Running::answer(known.call());
    assert_eq!((status, &info["configuration"]["token"]["value"]), (200, &json!("***")));
}
