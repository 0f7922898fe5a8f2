//! *Purpose*: `srun --pty` and `salloc`: programs of a job before which somebody sits.
//!
//! *Owns*: [`Screen`], a terminal at which a test types and reads.
//!
//! *Promises*: the terminal is a real one, of its own session; what is typed are the bytes of keys.
//!
//! *Not here*: steps without a terminal (`steps`).

use std::fs;
use std::io::{Read, Write};
use std::process::Child;
use std::sync::{Arc, Mutex};

use pty_process::Size;
use pty_process::blocking::{Command, Pty, open};

use crate::common::until;
use crate::{Site, finish};

const CTRL_C: &str = "\x03";
const CTRL_Z: &str = "\x1a";

/// A program on a terminal.
struct Screen {
    pty: Option<Arc<Pty>>,
    child: Child,
    shown: Arc<Mutex<String>>,
}

impl Screen {
    /// Starts this line of a user on a terminal of 40 lines of 100 characters.
    fn of(site: &Site, line: &str) -> Screen {
        let (pty, pts) = open().unwrap();
        pty.resize(Size::new(40, 100)).unwrap();
        let mut command = site.command(line);
        let folder = site.server.dir.path().join("tmp");
        fs::create_dir_all(&folder).unwrap();
        command.env("TMPDIR", folder).env("TERM", "dumb").env("SHELL", "/bin/bash");
        let child = Command::from(command).spawn(pts).unwrap();
        let pty = Arc::new(pty);
        let shown = Arc::new(Mutex::new(String::new()));
        let (from, to) = (Arc::downgrade(&pty), Arc::clone(&shown));
        std::thread::spawn(move || {
            let mut part = [0; 4096];
            loop {
                // Held only while it reads: the test hangs up by dropping its own.
                let Some(pty) = from.upgrade() else { return };
                let mut asked = [rustix::event::PollFd::new(&*pty, rustix::event::PollFlags::IN)];
                let soon = rustix::event::Timespec { tv_sec: 0, tv_nsec: 20_000_000 };
                if rustix::event::poll(&mut asked, Some(&soon)).unwrap() == 0 {
                    continue;
                }
                match (&*pty).read(&mut part) {
                    Ok(count @ 1..) => {
                        let text = String::from_utf8_lossy(&part[..count]).replace('\r', "");
                        to.lock().unwrap().push_str(&text);
                    }
                    _ => return,
                }
            }
        });
        Screen { pty: Some(pty), child, shown }
    }

    /// The same of a shell, once it is ready.
    #[track_caller]
    fn of_shell(site: &Site, line: &str) -> Screen {
        let screen = Screen::of(site, line);
        screen.is_ready();
        screen
    }

    /// Waits until a shell asks for commands.
    #[track_caller]
    fn is_ready(&self) {
        // What is typed is not what is shown then.
        self.types("PS1='rea''dy> '\r");
        self.shows("\nready> ");
    }

    fn text(&self) -> String {
        self.shown.lock().unwrap().clone()
    }

    fn types(&self, keys: &str) {
        self.pty.as_deref().unwrap().write_all(keys.as_bytes()).unwrap();
    }

    /// Waits until this is shown, and forgets what came before its end.
    #[track_caller]
    fn shows(&self, wanted: &str) -> String {
        until(wanted, || {
            let mut shown = self.shown.lock().unwrap();
            match shown.find(wanted) {
                Some(at) => Ok(shown.drain(..at + wanted.len()).collect()),
                None => Err(shown.clone()),
            }
        })
    }

    /// Its exit code, once it has ended.
    fn ends(mut self) -> (Option<i32>, String) {
        let code = self.child.wait().unwrap().code();
        until("the last of it", || match self.pty.as_ref().map(Arc::strong_count) {
            Some(1) => Ok(()),
            held => Err(format!("{held:?}")),
        });
        (code, self.text())
    }

    /// Closes the window.
    fn hangs_up(&mut self) {
        self.pty = None;
    }
}

/// The number of the newest job.
fn newest(site: &Site) -> i64 {
    let all = site.says("squeue -h -t all -o %A");
    all.lines().filter_map(|line| line.trim().parse().ok()).max().unwrap()
}

#[test]
fn a_shell_on_a_terminal_has_its_size_its_keys_and_its_code() {
    let site = Site::start();
    let screen = Screen::of_shell(&site, "srun --pty bash --norc -i");
    screen.types("tty; stty size; echo $SLURM_JOB_ID.$SLURM_STEP_ID ${DOWNBEAT_TERMINAL-none}\r");
    let said = screen.shows(" none\n");
    let id = newest(&site);
    assert!(said.contains("/dev/pts/") && said.contains("\n40 100\n"), "{said}");
    assert!(said.ends_with(&format!("\n{id}.0 none\n")), "{said}");
    // Its shell is in the job, not here.
    screen.types("echo parents: $(ps -o comm= -p $PPID)\r");
    screen.shows("parents: downbeat");
    screen.pty.as_deref().unwrap().resize(Size::new(50, 132)).unwrap();
    screen.shows("ready> ");
    screen.types("while [ \"$(stty size)\" != '50 132' ]; do :; done; echo larger\r");
    screen.shows("\nlarger\n");
    screen.types("sh -c 'echo begun; exec sleep 600'\r");
    screen.shows("\nbegun\n");
    screen.types(CTRL_Z);
    screen.shows("Stopped");
    screen.types("jobs; fg\r");
    screen.shows("Stopped");
    screen.shows("sleep 600'\n");
    screen.types(CTRL_C);
    screen.shows("ready> ");
    screen.types("echo code $?; exit 7\r");
    screen.shows("code 130\n");
    let (code, rest) = screen.ends();
    assert_eq!(code, Some(7), "{rest}");
    let rows = site.says(&format!("sacct -n -P -o jobid,state,exitcode -j {id}"));
    let wanted = format!("{id}|FAILED|7:0\n{id}.batch|FAILED|7:0\n{id}.0|FAILED|7:0\n");
    assert_eq!(rows, wanted);
}

#[test]
fn a_window_that_closes_ends_the_job_unless_it_was_told_otherwise() {
    let site = Site::start();
    for (option, lives) in [("", false), ("--no-kill-on-hangup", true)] {
        let mut screen = Screen::of_shell(&site, &format!("srun {option} --pty bash --norc -i"));
        screen.types("sh -c 'echo begun; exec sleep 600'\r");
        screen.shows("\nbegun\n");
        let id = newest(&site);
        screen.hangs_up();
        assert!(!screen.child.wait().unwrap().success());
        if lives {
            assert_eq!(site.says(&format!("squeue -h -o %T -j {id}")), "RUNNING\n");
            // A shell that is typed into does not care for TERM.
            site.says(&format!("scancel -f -s HUP {id}"));
        }
        site.server.ended(id);
    }
}

#[test]
fn a_caller_that_is_killed_takes_its_terminal_and_its_job_along() {
    let site = Site::start();
    for line in ["srun --pty bash --norc -i", "salloc bash --norc -i"] {
        let mut screen = Screen::of_shell(&site, line);
        let id = newest(&site);
        screen.child.kill().unwrap();
        screen.child.wait().unwrap();
        site.server.ended(id);
        site.server.is_clean();
        let left = fs::read_dir(site.server.dir.path().join("tmp")).unwrap().count();
        assert_eq!(left, 0, "{line}");
    }
}

#[test]
fn a_terminal_goes_on_while_no_server_runs() {
    let mut site = Site::start();
    let mut screen = Screen::of_shell(&site, "srun --pty bash --norc -i");
    let id = newest(&site);
    site.server.kill();
    screen.types("echo still $((40 + 2))\r");
    screen.shows("\nstill 42\n");
    screen.types("exit 3\r");
    site.server.up();
    site.server.ended(id);
    // It listens elsewhere now, where nobody told the caller to look.
    screen.child.kill().unwrap();
    screen.child.wait().unwrap();
    assert_eq!(site.says(&format!("sacct -X -n -P -o state,exitcode -j {id}")), "FAILED|3:0\n");
}

#[test]
fn without_a_terminal_what_is_typed_comes_from_a_pipe() {
    let site = Site::start();
    let said = finish(site.command("srun --pty bash --norc"), "tty; echo $((6 * 7)); exit 4\n");
    assert_eq!(said.code, Some(4), "{said:?}");
    assert!(said.out.contains("/dev/pts/") && said.out.contains("42"), "{said:?}");
    // A program that is not there.
    let said = site.run("srun --pty /no/such/program");
    assert_eq!(said.code, Some(2), "{said:?}");
    assert!(said.err.contains("execve(): /no/such/program"), "{said:?}");
}

#[test]
fn a_job_whose_user_is_gone_or_elsewhere_says_so() {
    let site = Site::start();
    let runs = "env DOWNBEAT_TERMINAL=/nowhere/socket";
    for (program, why) in [
        ("srun --pty true", "execve(): true: nobody sits at its terminal on this machine"),
        ("salloc true", "salloc: error: nobody waits for this allocation"),
    ] {
        let id = site.submit(&format!("-o said --wrap '{runs} {program}'"));
        assert_eq!(site.server.ended(id)["exit_code"], "1:0");
        assert!(site.text("said").contains(why), "{}", site.text("said"));
    }
}

#[test]
fn salloc_runs_a_shell_in_the_job_and_lets_go_of_it_with_the_shell() {
    let site = Site::start();
    let screen = Screen::of(&site, "salloc -n 3 -J mine");
    screen.shows("salloc: Granted job allocation ");
    screen.is_ready();
    let id = newest(&site);
    screen.types("echo $SLURM_JOB_ID $SLURM_NTASKS $SLURM_JOB_NAME\r");
    screen.shows(&format!("\n{id} 3 mine\n"));
    screen.types("srun -l bash -c 'echo task $SLURM_PROCID of $SLURM_NTASKS' | sort\r");
    screen.shows("0: task 0 of 3\n1: task 1 of 3\n2: task 2 of 3\n");
    assert_eq!(site.says("squeue -h -o '%T %C'"), "RUNNING 3\n");
    screen.types("exit 5\r");
    let (code, rest) = screen.ends();
    assert!(rest.ends_with(&format!("salloc: Relinquishing job allocation {id}\n")), "{rest}");
    assert_eq!(code, Some(5));
    assert_eq!(
        site.says(&format!("sacct -n -P -o jobid,state -j {id} -X")),
        format!("{id}|FAILED\n")
    );
    site.server.is_clean();
}

#[test]
fn salloc_of_a_command_prints_what_it_prints_and_ends_with_its_code() {
    let site = Site::start();
    let line = "salloc -n 2 bash -c 'srun hostname | wc -l; echo bad >&2; exit 3'";
    let said = site.run(line);
    let id = newest(&site);
    assert_eq!((said.code, said.out.as_str()), (Some(3), "2\n"), "{said:?}");
    let granted = format!("salloc: Granted job allocation {id}\n");
    let over = format!("salloc: Relinquishing job allocation {id}\n");
    assert!(said.err.starts_with(&granted) && said.err.ends_with(&over), "{said:?}");
    assert!(said.err.contains("\nbad\n"), "{said:?}");
    assert_eq!(site.says("salloc -Q true"), "");
    let said = site.run("salloc -Q /no/such/program");
    assert_eq!(said.code, Some(127), "{said:?}");
    assert!(said.err.contains("salloc: error: /no/such/program: No such file"), "{said:?}");
    let said = finish(site.command("salloc -Q bash"), "");
    assert_eq!(said.code, Some(0), "{said:?}");
    // It waits for its turn, and says so.
    let holder = site.submit("-c 4 --wrap 'until [ -e go ]; do sleep 0.01; done'");
    site.server.started(holder);
    let says_into = |line: &str, name: &str| {
        let mut command = site.command(line);
        command.stderr(fs::File::create(site.server.dir.path().join(name)).unwrap());
        command.spawn().unwrap()
    };
    let mut quiet = says_into("salloc -Q -c 4 true", "quiet");
    until("it to be queued", || match site.says("squeue -h -t PD -o %A").as_str() {
        "" => Err("nothing".to_owned()),
        _ => Ok(()),
    });
    let mut waits = says_into("salloc -c 4 true", "waits");
    until("it to say so", || match site.text("waits") {
        said if said.contains("queued and waiting") => Ok(()),
        said => Err(said),
    });
    let id = newest(&site);
    site.file("go", "");
    assert!(quiet.wait().unwrap().success() && waits.wait().unwrap().success());
    let wanted = [
        format!("Pending job allocation {id}"),
        format!("job {id} queued and waiting for resources"),
        format!("job {id} has been allocated resources"),
        format!("Granted job allocation {id}"),
        format!("Relinquishing job allocation {id}"),
    ];
    let wanted: String = wanted.iter().map(|line| format!("salloc: {line}\n")).collect();
    assert_eq!((site.text("waits"), site.text("quiet")), (wanted, String::new()));
}

#[test]
fn what_salloc_refuses() {
    let site = Site::start();
    for (line, code, why) in [
        ("salloc --foo", 255, "salloc: unrecognized option '--foo'"),
        (
            "salloc -n 900 true",
            1,
            "salloc: error: Job submit/allocate failed: Requested node configuration is not available",
        ),
        ("salloc -t bad true", 255, "salloc: error: Invalid --time specification"),
        ("salloc --no-shell", 255, "CPUs would be held for nobody"),
        ("salloc -o file true", 255, "salloc: invalid option -- 'o'"),
        ("salloc -I true", 255, "it waits; Ctrl-C gives up"),
        ("srun -I true", 1, "--immediate is honoured within a job"),
    ] {
        let said = site.run(line);
        assert_eq!(said.code, Some(code), "{said:?}");
        assert!(said.err.contains(why), "{said:?}");
    }
    assert_eq!(site.says("squeue -h -t all"), "", "nothing was submitted");
}
