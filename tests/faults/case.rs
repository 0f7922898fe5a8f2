//! *Purpose*: one case of the matrix, from a fresh server to a proven end.
//!
//! *Owns*: reaching the point, killing, restarting, and the invariants of every case.
//!
//! *Promises*: the test knows from outside what the script did: the script writes its own marks
//! and ends only when the test lets it.
//!
//! *Not here*: which cases there are (`table`), how the job must end (`expect`).

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::JoinHandle;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::common::{PATIENCE, Server, children, processes_of, until};
use crate::expect::{self, CODE};
use crate::freeze::{Faults, Gate};
use crate::table::{Case, Frozen, Restart, Trigger};

/// The code of the job that waits behind.
const CODE_BEHIND: i64 = 9;
/// A name that makes a repeated submission the same one.
const KEY: [(&str, &str); 2] = [("content-type", "application/json"), ("idempotency-key", "main")];

/// One case under way.
pub struct World {
    server: Server,
    faults: Faults,
    gate: Gate,
    marks: PathBuf,
    users: Users,
    /// The script, when it was up at the point.
    script: Option<u32>,
}

/// Whose the jobs of a case are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Users {
    /// The server's own user's.
    One,
    /// The job's and that of the one behind it: of two users whom the server serves.
    Two(&'static str, &'static str),
}

/// An answer that may never come.
type Aside = JoinHandle<Option<u16>>;

/// Runs a case; answers what became of the job, in words. Panics when a promise is broken.
pub fn run(case: &Case, users: Users) -> String {
    let mut world = World::new(&[], users);
    if let Some(why) = world.cannot(case) {
        println!("SKIPPED the crash matrix at {}: {why}", case.row.point);
        return why;
    }
    let mut asked = None;
    let mut known = None;
    if matches!(case.row.trigger, Trigger::Submit | Trigger::CancelEarly) {
        world.faults.arm(case.row.point);
        asked = Some(world.post_aside("/api/v1/jobs", &world.body(case), true));
    } else {
        let id = world.submit(case);
        known = Some(id);
        world.started_marks(1);
        // Until it says so, the server may look again by itself, and find an end unasked.
        world.server.started(id);
        world.behind();
        asked = world.pull(case, id).or(asked);
    }
    let frozen = world.faults.frozen(case.row.point);
    if case.row.trigger == Trigger::CancelEarly {
        let acknowledged = asked.take().and_then(|asked| asked.join().unwrap());
        assert_eq!(acknowledged, Some(201));
        known = Some(world.cancel_the_only_one());
    }
    if expect::script_is_up(case) {
        world.started_marks(1);
        world.script = world.script.or_else(|| Some(world.find_script()));
    }
    world.kill(case, frozen);
    world.carry_on(case, known);
    let answered = asked.and_then(|asked| asked.join().unwrap());
    world.check(case, known, answered)
}

impl World {
    pub fn new(env: &[(&str, &Path)], users: Users) -> World {
        // What is left behind has this time to finish.
        let mut server = Server::unstarted(&["--cpus", "4", "--finish-time", "1s"]);
        let home = server.dir.path().to_owned();
        let faults = Faults::new(home.join("faults"));
        let gate = Gate::new(home.join("gate"));
        server.env.push(("DOWNBEAT_FAULT_DIR".to_owned(), faults.dir.display().to_string()));
        for (name, value) in env {
            server.env.push(((*name).to_owned(), value.display().to_string()));
        }
        let marks = home.join("marks");
        if users != Users::One {
            let socket = home.join("run.sock").display().to_string();
            server.args.extend(["--people", "system", "--socket", &socket].map(str::to_owned));
            // What users write to and wait at.
            fs::write(&marks, "").unwrap();
            for (path, mode) in [(&home, 0o711), (&marks, 0o666), (&gate.path, 0o666)] {
                fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
            }
        }
        server.up();
        let script = None;
        let mut world = World { server, faults, gate, marks, users, script };
        if users != Users::One {
            world.server.bearer = Some(world.token());
        }
        world
    }

    /// Why this machine cannot reach the point.
    fn cannot(&self, case: &Case) -> Option<String> {
        if !matches!(case.row.trigger, Trigger::Suspend | Trigger::Unsuspend) {
            return None;
        }
        let info = self.server.get("/api/v1/info").expect(200).json();
        let all = info["isolation"].as_array().unwrap();
        let own = all.iter().find(|ability| ability["name"] == "suspending").unwrap();
        let says = own["detail"].as_str().unwrap();
        says.starts_with("no job").then(|| says.to_owned())
    }

    /// A token of root's, who submits for both: over TCP the server knows nobody without.
    fn token(&self) -> String {
        let mut command = Command::new(&self.server.program);
        let socket = self.server.dir.path().join("run.sock");
        command.args(["token", "create", "--role", "admin", "--server"]);
        let made = command.arg(format!("unix:{}", socket.display())).output().unwrap();
        assert!(made.status.success(), "{made:?}");
        String::from_utf8(made.stdout).unwrap().trim().to_owned()
    }

    /// A script that marks its start, waits at the gate, marks its end.
    fn body(&self, case: &Case) -> Value {
        let (marks, gate) = (self.marks.display(), self.gate.path.display());
        let leaves = if case.row.trigger == Trigger::Leave { "sleep 600 &\n" } else { "" };
        let trap = match case.row.trigger {
            Trigger::Signal => format!("trap 'echo signalled >> {marks}' USR1\n"),
            _ if expect::ignores_term(case) => "trap '' TERM\n".to_owned(),
            _ => String::new(),
        };
        let waits = match case.row.trigger {
            // It hears a signal while it waits, not when it has waited.
            Trigger::Signal => format!(
                "(read -r _ < {gate}) &\n\
                 while kill -0 $! 2> /dev/null; do wait $!; done"
            ),
            _ => format!("read -r _ < {gate}"),
        };
        let script = format!(
            "#!/bin/bash\n{trap}echo start >> {marks}\nid -un >> {marks}\n{waits}\n\
             {leaves}echo end >> {marks}\nexit {CODE}\n"
        );
        let mut body = json!({"name": "main", "script": script, "cpus": 2});
        if let Users::Two(first, _) = self.users {
            body["user"] = json!(first);
        }
        if case.row.trigger == Trigger::Limit {
            body["time_limit"] = json!("1s");
            body["kill_grace_s"] = json!(2);
        }
        body
    }

    fn submit(&self, case: &Case) -> i64 {
        if case.row.trigger == Trigger::Limit {
            self.faults.arm(case.row.point);
        }
        let body = self.body(case).to_string();
        let answer = self.server.send("POST", "/api/v1/jobs", &KEY, body.as_bytes());
        answer.expect(201).json()["id"].as_i64().unwrap()
    }

    /// A job that needs every CPU, and so cannot run before the first has given its own back.
    fn behind(&self) -> i64 {
        let script = format!("#!/bin/bash\nexit {CODE_BEHIND}\n");
        let mut body = json!({"name": "behind", "script": script, "cpus": 4});
        if let Users::Two(_, second) = self.users {
            body["user"] = json!(second);
        }
        self.server.submit(&body)
    }

    /// Makes it happen.
    fn pull(&mut self, case: &Case, id: i64) -> Option<Aside> {
        let point = case.row.point;
        match case.row.trigger {
            Trigger::Submit | Trigger::CancelEarly | Trigger::Limit => {}
            Trigger::End | Trigger::Leave => {
                self.faults.arm(point);
                self.gate.open();
            }
            Trigger::Cancel => {
                self.faults.arm(point);
                let path = format!("/api/v1/jobs/{id}/cancel");
                return Some(self.post_aside(&path, &json!({}), false));
            }
            Trigger::Requeue => {
                self.faults.arm(point);
                let path = format!("/api/v1/jobs/{id}/requeue");
                return Some(self.post_aside(&path, &json!({}), false));
            }
            Trigger::Shorten => {
                self.faults.arm(point);
                let body = json!({"time_limit": "1s"});
                return Some(self.ask_aside("PATCH", &format!("/api/v1/jobs/{id}"), &body, false));
            }
            Trigger::Signal => {
                self.faults.arm(point);
                let body = json!({"signal": "USR1", "to": "script"});
                return Some(self.post_aside(&format!("/api/v1/jobs/{id}/signal"), &body, false));
            }
            Trigger::Suspend | Trigger::Unsuspend => return Some(self.suspend(case, id)),
            Trigger::Lost => {
                let supervisor = self.supervisor();
                // Known now: a supervisor that dies at once may not have written it down.
                self.script = Some(self.find_script());
                self.faults.arm(point);
                send(supervisor, Signal::KILL);
                until_dead(supervisor);
            }
            Trigger::Boot | Trigger::Migrate | Trigger::Mend => {
                self.server.kill();
                if case.row.trigger == Trigger::Mend {
                    self.server.sql("INSERT INTO held_units VALUES ('cpu', 3, 99)");
                }
                if case.row.trigger == Trigger::Migrate {
                    let folder = self.server.dir.path().join("migrations");
                    crate::newer::write_migration(&folder);
                    let folder = folder.display().to_string();
                    self.server.env.push(("DOWNBEAT_EXTRA_MIGRATIONS".to_owned(), folder));
                }
                self.faults.arm(point);
                self.server.spawn();
            }
            Trigger::Stop => {
                self.faults.arm(point);
                send(self.server.pid(), Signal::TERM);
            }
        }
        None
    }

    /// Whether the job's processes are frozen, by its control group of either version.
    fn stands_still(&self) -> Result<(), String> {
        let text = self.attempt().and_then(|a| fs::read_to_string(a.join("state")).ok());
        let text = text.unwrap_or_default();
        let groups = text.lines().filter_map(|line| line.strip_prefix("group "));
        let says =
            |group: &str, file| fs::read_to_string(Path::new(group).join(file)).unwrap_or_default();
        let frozen = groups.filter(|group| group.contains("/downbeat.frozen/")).any(|group| {
            says(group, "freezer.state").trim() == "FROZEN"
                || says(group, "cgroup.events").contains("frozen 1")
        });
        if frozen { Ok(()) } else { Err(text) }
    }

    /// Lets a job go on that was suspended, if it is.
    fn goes_on(&self, case: &Case, id: Option<i64>) {
        if matches!(case.row.trigger, Trigger::Suspend | Trigger::Unsuspend) {
            let path = format!("/api/v1/jobs/{}/unsuspend", id.unwrap_or(1));
            let answer = self.server.post(&path, &json!({}));
            assert!([202, 409].contains(&answer.status), "{}", answer.text());
        }
    }

    /// Asks for what leads to the point.
    fn suspend(&self, case: &Case, id: i64) -> Aside {
        let path = format!("/api/v1/jobs/{id}/suspend");
        if case.row.trigger == Trigger::Suspend {
            self.faults.arm(case.row.point);
            return self.post_aside(&path, &json!({}), false);
        }
        self.server.post(&path, &json!({})).expect(202);
        until("the job to stand still", || self.stands_still());
        self.faults.arm(case.row.point);
        self.post_aside(&format!("/api/v1/jobs/{id}/unsuspend"), &json!({}), false)
    }

    /// Cancels, and waits until the wish is in the spool.
    fn cancel_the_only_one(&self) -> i64 {
        let id = 1;
        self.server.post(&format!("/api/v1/jobs/{id}/cancel"), &json!({})).expect(202);
        until("the wish in the spool", || {
            let written = self.attempt().is_some_and(|a| a.join("control").exists());
            if written { Ok(()) } else { Err("no control".to_owned()) }
        });
        id
    }

    fn post_aside(&self, path: &str, body: &Value, keyed: bool) -> Aside {
        self.ask_aside("POST", path, body, keyed)
    }

    /// Asks on a thread of its own; the server may die over it.
    fn ask_aside(&self, method: &'static str, path: &str, body: &Value, keyed: bool) -> Aside {
        let (url, body) = (self.server.at(path), body.to_string());
        let bearer = self.server.bearer.as_ref().map(|token| format!("Bearer {token}"));
        std::thread::spawn(move || {
            let config = ureq::Agent::config_builder()
                .http_status_as_error(false)
                .timeout_global(Some(PATIENCE));
            let agent = config.build().new_agent();
            let mut request = if method == "PATCH" { agent.patch(url) } else { agent.post(url) };
            for (name, value) in KEY.iter().take(if keyed { 2 } else { 1 }) {
                request = request.header(*name, *value);
            }
            if let Some(bearer) = bearer {
                request = request.header("authorization", bearer);
            }
            request.send(body).ok().map(|answer| answer.status().as_u16())
        })
    }

    fn starts(&self) -> usize {
        let text = fs::read_to_string(&self.marks).unwrap_or_default();
        text.lines().filter(|l| *l == "start").count()
    }

    fn heard_marks(&self) -> usize {
        let text = fs::read_to_string(&self.marks).unwrap_or_default();
        text.lines().filter(|l| *l == "signalled").count()
    }

    /// Waits until the script has heard what it is sent.
    fn heard(&self, case: &Case) {
        until("the signal to be heard", || match self.heard_marks() {
            marks if marks == expect::heard(case) => Ok(()),
            marks => Err(format!("{marks} marks")),
        });
    }

    fn started_marks(&self, wanted: usize) {
        until("the script to start", || {
            if self.starts() == wanted { Ok(()) } else { Err(format!("{} starts", self.starts())) }
        });
    }

    /// The one attempt's folder in the spool.
    fn attempt(&self) -> Option<PathBuf> {
        let entries = fs::read_dir(self.server.data().join("spool")).ok()?.flatten();
        entries
            .map(|e| e.path())
            .find(|p| p.file_name().is_some_and(|n| !n.to_string_lossy().starts_with("free.")))
    }

    /// The pid in a line of `state`.
    fn in_state(&self, word: &str) -> Option<u32> {
        let text = fs::read_to_string(self.attempt()?.join("state")).ok()?;
        let line = text.lines().find_map(|l| l.strip_prefix(word))?;
        line.split_whitespace().next()?.parse().ok()
    }

    fn supervisor(&self) -> u32 {
        until("the supervisor's line", || self.in_state("supervisor ").ok_or("none".to_owned()))
    }

    fn find_script(&self) -> u32 {
        let child = || children(self.supervisor()).first().copied();
        until("the script", || self.in_state("script ").or_else(child).ok_or("none".to_owned()))
    }

    fn daemon(&self) -> Option<u32> {
        let text = fs::read_to_string(self.server.data().join("stepd.lock")).ok()?;
        let pid = text.split_whitespace().nth(1)?.parse().ok()?;
        // The file may name one that is long gone.
        let data = self.server.data().display().to_string();
        let command = fs::read_to_string(format!("/proc/{pid}/cmdline")).ok()?;
        (command.contains("stepd") && command.contains(&data)).then_some(pid)
    }

    /// Kills the victims, all pids known before the first dies.
    fn kill(&mut self, case: &Case, frozen: u32) {
        let victims = case.victims;
        let mut pids = Vec::new();
        if victims.daemon {
            let daemon = (case.row.frozen == Frozen::Daemon).then_some(frozen);
            pids.extend(daemon.or_else(|| self.daemon()));
        }
        if victims.supervisor {
            let supervisor = (case.row.frozen == Frozen::Supervisor).then_some(frozen);
            pids.push(supervisor.unwrap_or_else(|| self.supervisor()));
        }
        if victims.script {
            pids.extend(self.script);
        }
        if victims.server {
            self.server.kill();
        }
        for pid in &pids {
            send(*pid, Signal::KILL);
        }
        pids.into_iter().for_each(until_dead);
    }

    /// Lets the frozen one go on if it lives, the script end, and the server live again.
    fn carry_on(&mut self, case: &Case, known: Option<i64>) {
        let victims = case.victims;
        let frozen_lives = match case.row.frozen {
            Frozen::Server => !victims.server,
            Frozen::Daemon => !victims.daemon,
            Frozen::Supervisor => !victims.supervisor,
        };
        // A frozen step daemon keeps its lock, for which the next one waits.
        let go_late = match case.row.frozen {
            Frozen::Daemon => case.restart == Restart::BesideAHangingDaemon,
            _ => case.restart == Restart::AtOnce,
        };
        if frozen_lives && !go_late {
            self.faults.go();
        }
        // Only who shall end by itself passes the gate: whoever is being ended must not race.
        let code = expect::of(case).code;
        let by_itself = code == Some(format!("{CODE}:0"));
        match case.restart {
            Restart::None => {
                let booting =
                    matches!(case.row.trigger, Trigger::Boot | Trigger::Migrate | Trigger::Mend);
                assert!(!booting || self.server.listens(), "{}", self.server.log());
            }
            Restart::AtOnce | Restart::BesideAHangingDaemon => self.server.up(),
            Restart::AfterTheEnd => {
                if by_itself || code.is_none() {
                    self.heard(case);
                    self.gate.open();
                }
                self.ends_alone(case);
                self.server.up();
            }
        }
        if frozen_lives && go_late {
            self.faults.go();
        }
        let is_through = matches!(case.row.trigger, Trigger::End | Trigger::Leave);
        if by_itself && case.restart != Restart::AfterTheEnd && !is_through {
            self.goes_on(case, known);
            self.heard(case);
            self.gate.open();
        }
    }

    fn ends_alone(&self, case: &Case) {
        let recorded = || self.attempt().is_some_and(|a| a.join("exit").exists());
        let supervised = case.row.trigger != Trigger::Lost && !case.victims.supervisor;
        until("the job to end without a server", || {
            let ended = if supervised { recorded() } else { self.script.is_none_or(is_dead) };
            if ended { Ok(()) } else { Err(format!("{:?}", processes_of(&self.server.data()))) }
        });
    }

    /// The job of this case: acknowledged, or found, or, if it is rightly absent, sent again.
    fn main_job(&self, case: &Case, known: Option<i64>, answered: Option<u16>) -> (i64, String) {
        if let Some(id) = known {
            return (id, "acknowledged".to_owned());
        }
        let found = self.server.get("/api/v1/jobs").expect(200).json();
        let found = found["jobs"].as_array().unwrap().clone();
        let stored = if answered == Some(201) { Some(true) } else { expect::was_stored(case) };
        let there = stored.unwrap_or(found.len() == 1);
        assert_eq!(found.len(), usize::from(there), "{found:?}");
        let again =
            self.server.send("POST", "/api/v1/jobs", &KEY, self.body(case).to_string().as_bytes());
        assert_eq!(again.status, if there { 200 } else { 201 }, "{}", again.text());
        let job = again.json();
        assert_eq!((&job["name"], &job["cpus"]), (&json!("main"), &json!(2)), "{job}");
        let script = self.server.get(&format!("/api/v1/jobs/{}/script", job["id"])).expect(200);
        assert_eq!(script.text(), self.body(case)["script"]);
        let how = match (answered, there) {
            (Some(201), _) => "acknowledged",
            (None, true) => "unacknowledged, whole",
            (None, false) => "unacknowledged, absent, sent again",
            other => panic!("answered {other:?}"),
        };
        (job["id"].as_i64().unwrap(), how.to_owned())
    }

    /// Everything that must hold in the end.
    fn check(&mut self, case: &Case, known: Option<i64>, answered: Option<u16>) -> String {
        let wanted = expect::of(case);
        let (id, how) = self.main_job(case, known, answered);
        if matches!(case.row.trigger, Trigger::Submit | Trigger::CancelEarly) {
            self.behind();
        }
        let job = self.server.ended(id);
        let code = wanted.code.map_or(Value::Null, Value::from);
        assert_eq!((&job["state"], &job["exit_code"]), (&json!(wanted.state), &code), "{job}");
        assert_eq!(self.starts(), wanted.starts, "starts of {job}");
        assert_eq!(self.heard_marks(), expect::heard(case), "signals of {job}");
        let behind = self.server.ended(if id == 1 { 2 } else { 1 });
        // Beside the end of the first the other is launched, and a daemon that dies while it hands
        // an order over ends that attempt, before its script: as at `launch.state-locked`.
        let beside = case.victims.daemon && case.row.point.starts_with("release.");
        if beside && behind["state"] == "NODE_FAIL" {
            assert!(behind["start_time"].is_null() && behind["exit_code"].is_null(), "{behind}");
        } else {
            assert_eq!(behind["exit_code"], format!("{CODE_BEHIND}:0"), "{behind}");
        }
        self.is_whole(id, wanted.starts.max(1));
        if let Users::Two(first, second) = self.users {
            self.ran_as(&job, first);
            assert_eq!(behind["user"], second, "{behind}");
        }
        let code = code.as_str().unwrap_or("null").to_owned();
        format!("{} {code}, started {}x, {how}", wanted.state, wanted.starts)
    }

    /// Each start of it was as its owner.
    fn ran_as(&self, job: &Value, owner: &str) {
        assert_eq!(job["user"], owner, "{job}");
        let marks = fs::read_to_string(&self.marks).unwrap();
        let mut names =
            marks.lines().filter(|line| !matches!(*line, "start" | "end" | "signalled"));
        assert!(names.all(|name| name == owner), "{marks}");
    }

    /// Ledger, database, processes and spool agree that all is over; this job had so many attempts,
    /// the other one.
    fn is_whole(&self, id: i64, attempts: usize) {
        self.server.is_clean();
        let books = self.server.sql(&format!(
            "SELECT (SELECT count(*) FROM held_units) || ' ' || \
             (SELECT count(*) FROM resource_allocations \
              WHERE NOT released OR released_time IS NULL) || ' ' || \
             (SELECT count(*) FROM jobs j WHERE attempt <> iif(id = {id}, {attempts}, 1) OR end_time IS NULL OR attempt <> \
              (SELECT count(*) FROM resource_allocations WHERE job_id = j.id)) || ' ' || \
             (SELECT count(*) FROM jobs j WHERE 1 <> \
              (SELECT count(*) FROM events WHERE job_id = j.id AND to_state NOT IN \
               ('PENDING', 'RUNNING', 'COMPLETING'))) || ' ' || \
             (SELECT count(*) FROM jobs) || ' ' || \
             (SELECT count(*) FROM audit WHERE verb = 'submit') AS line"
        ));
        assert_eq!(
            books, "0 0 0 0 2 2",
            "held, unreleased, attempts, ends, jobs, who asked for them"
        );
        self.server.is_at_rest();
        until("the spool to be tidy", || self.attempt().map_or(Ok(()), |a| Err(format!("{a:?}"))));
    }
}

fn send(pid: u32, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    // Gone is as good as killed.
    let _gone = kill_process(pid, signal);
}

/// Waits until it has ended, though perhaps nobody has reaped it.
pub fn until_dead(pid: u32) {
    until("a victim to be dead", || if is_dead(pid) { Ok(()) } else { Err(pid.to_string()) });
}

fn is_dead(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')').next().is_none_or(|rest| rest.is_empty() || rest.trim_start().starts_with('Z'))
}
