//! *Purpose*: a job writes where its owner may, and nobody reaches what is another's.
//!
//! *Owns*: the cases about streams, working folders, scripts, private folders, and the rights of all
//! that the server keeps.
//!
//! *Promises*: a target that must not change is compared by its text and its time.
//!
//! *Not here*: reading and removing what a job left (`reading`).

use std::os::unix::fs::symlink;
use std::process::{Command, Stdio};

use rustix::fs::{CWD, FileType, Mode, mknodat};

use super::*;

super::cases! {
    output_into_a_folder_or_over_a_file_that_is_another_s_is_refused_and_changes_nothing
    output_through_links_goes_where_alice_may_go_herself
    output_to_a_pipe_a_device_a_socket_or_a_folder_fails_at_once
    output_in_any_folder_of_alice_s_works_and_missing_folders_are_hers
    input_is_read_as_alice_and_from_no_device
    bob_lists_and_opens_nothing_of_the_server_s_or_of_alice_s_job
    alice_cannot_swap_what_the_server_keeps_for_her
    a_kept_stream_is_used_again_by_its_owner_s_next_attempt_and_by_nobody_else_s
    a_script_is_a_new_file_each_time_and_holds_only_its_own_bytes
    a_private_folder_is_its_owner_s_and_goes_with_the_attempt
    a_lease_on_alice_s_output_is_no_shortage_of_the_machine
    a_job_whose_folder_hangs_keeps_its_limit_and_never_starts
}

mod cases {
    use super::*;

    pub async fn output_into_a_folder_or_over_a_file_that_is_another_s_is_refused_and_changes_nothing()
     {
        let stage = Stage::new();
        let closed = stage.path("closed");
        fs::create_dir(&closed).unwrap();
        mode(&closed, 0o755);
        let files = [stage.path("closed/of-root"), stage.path("bob/of-bob")];
        for file in &files {
            fs::write(file, "theirs").unwrap();
        }
        mode(&files[0], 0o644);
        give(&files[1], &bob());
        mode(&stage.path("bob"), 0o777);
        mode(&files[1], 0o644);
        let before = files.each_ref().map(|file| fs::metadata(file).unwrap().modified().unwrap());
        let new = stage.path("closed/new");
        for target in [&files[0], &files[1], &new] {
            let order = stage.writing_to(&alice(), target, "touch ~/ran");
            let refused = stage.refused(&order).await;
            let path = order.stdout.full();
            assert_eq!(refused, format!("standard output {}: permission denied", path.display()));
        }
        for (file, before) in files.iter().zip(before) {
            assert_eq!(text(file), "theirs");
            assert_eq!(fs::metadata(file).unwrap().modified().unwrap(), before);
        }
        assert!(!new.exists());
    }

    pub async fn output_through_links_goes_where_alice_may_go_herself() {
        let stage = Stage::new();
        let [etc, shared] = ["etc", "shared"].map(|name| stage.path(name));
        for (folder, rights) in [(&etc, 0o700), (&shared, 0o777)] {
            fs::create_dir(folder).unwrap();
            mode(folder, rights);
        }
        fs::write(etc.join("shadow"), "root").unwrap();
        symlink(&etc, stage.path("alice/etc")).unwrap();
        symlink(etc.join("shadow"), stage.path("alice/shadow")).unwrap();
        symlink(&shared, stage.path("alice/shared")).unwrap();
        symlink("/proc/self/fd/2", stage.path("alice/magic")).unwrap();
        for (path, why) in [
            ("etc/shadow", "permission denied"),
            ("shadow", "permission denied"),
            ("magic", "too many levels of symbolic links"),
        ] {
            let order = stage.writing_to(&alice(), Path::new(path), "true");
            let refused = stage.refused(&order).await;
            assert!(refused.ends_with(why), "{refused}");
        }
        assert_eq!(text(&etc.join("shadow")), "root");
        let order = stage.writing_to(&alice(), Path::new("shared/deeper/out"), "echo through");
        assert_eq!(stage.end(&order).await.exit_code, exited(0));
        assert_eq!(text(&shared.join("deeper/out")), "through\n");
        assert_eq!(rights(&shared.join("deeper/out")), (23_001, 23_011, 0o644));
    }

    pub async fn output_to_a_pipe_a_device_a_socket_or_a_folder_fails_at_once() {
        let stage = Stage::new();
        let at = |name: &str| stage.path("alice").join(name);
        mknodat(CWD, at("pipe"), FileType::Fifo, Mode::from_raw_mode(0o666), 0).unwrap();
        mknodat(
            CWD,
            at("zero"),
            FileType::CharacterDevice,
            Mode::from_raw_mode(0o666),
            rustix::fs::makedev(1, 5),
        )
        .unwrap();
        mode(&at("zero"), 0o666);
        drop(std::os::unix::net::UnixListener::bind(at("socket")).unwrap());
        fs::create_dir(at("folder")).unwrap();
        for name in ["pipe", "zero", "socket", "folder"] {
            if name != "zero" {
                give(&at(name), &alice());
            }
            let begun = Instant::now();
            let order = stage.writing_to(&alice(), Path::new(name), "true");
            stage.refused(&order).await;
            assert!(begun.elapsed() < Duration::from_secs(1), "{name}");
        }
    }

    pub async fn output_in_any_folder_of_alice_s_works_and_missing_folders_are_hers() {
        let stage = Stage::new();
        let scratch = stage.path("scratch-of-alice");
        fs::create_dir(&scratch).unwrap();
        give(&scratch, &alice());
        let target = scratch.join("runs/1/x.log");
        let mut order = stage.writing_to(&alice(), &target, "pwd; echo in $PWD >&2");
        order.working_directory = scratch.join("w/x");
        order.create_working_directory = true;
        assert_eq!(stage.end(&order).await.exit_code, exited(0));
        let there = scratch.join("w/x").display().to_string();
        assert_eq!(text(&target), format!("{there}\nin {there}\n"));
        for made in ["runs", "runs/1", "w/x"] {
            assert_eq!(rights(&scratch.join(made)), (23_001, 23_011, 0o755));
        }
        // Her own folder with the server.
        let mut order = stage.order(&alice(), "touch here; pwd");
        let own = order.own_folder.clone().unwrap();
        order.working_directory = own.join("work");
        order.create_working_directory = true;
        assert_eq!(stage.end(&order).await.exit_code, exited(0));
        assert_eq!(text(&order.stdout.full()), format!("{}\n", own.join("work").display()));
        assert_eq!(rights(&own.join("work")), (23_001, 23_011, 0o700));
    }

    pub async fn input_is_read_as_alice_and_from_no_device() {
        let stage = Stage::new();
        fs::write(stage.path("alice/in"), "hers").unwrap();
        fs::write(stage.path("bob/in"), "his").unwrap();
        let reading = |path: &Path| Order {
            standard_input: Some(path.to_owned()),
            ..stage.order(&alice(), "cat")
        };
        let order = reading(Path::new("in"));
        stage.end(&order).await;
        assert_eq!(text(&order.stdout.full()), "hers");
        assert_eq!(stage.end(&reading(Path::new("/dev/null"))).await.exit_code, exited(0));
        for (path, why) in [
            (stage.path("bob/in"), "permission denied"),
            ("/dev/zero".into(), "is a named pipe, not a file"),
            ("/etc/shadow".into(), "permission denied"),
        ] {
            let refused = stage.refused(&reading(&path)).await;
            assert!(refused.ends_with(why), "{refused}");
        }
    }

    pub async fn bob_lists_and_opens_nothing_of_the_server_s_or_of_alice_s_job() {
        let stage = Stage::new();
        let order = stage.order(&alice(), "echo secret; echo $TMPDIR > ~/tmp; sleep 600 & wait");
        let order = with_home(&stage, order);
        stage.running(&order).await;
        stage.says(&order, "secret").await;
        let data = stage.path("data");
        let spool = data.join("spool").join(order.key.name());
        let own = order.own_folder.clone().unwrap();
        let scratch = data.join("scratch").join(order.key.name());
        for folder in [&data, &data.join("spool"), &data.join("jobs"), &data.join("scratch")] {
            assert_eq!(rights(folder), (0, 0, 0o711), "{}", folder.display());
        }
        let mut tried = String::new();
        for folder in [&data, &data.join("spool"), &data.join("jobs"), &spool, &own, &scratch] {
            tried += &format!("ls {} && echo LISTED; ", folder.display());
        }
        for file in ["order", "script", "state"] {
            tried += &format!("cat {} && echo READ; ", spool.join(file).display());
            tried += &format!("echo > {} && echo WRITTEN; ", spool.join(file).display());
        }
        for file in [own.join("stdout"), own.join("stderr"), data.join("stepd.log")] {
            tried += &format!("cat {} && echo READ; ", file.display());
        }
        tried += &format!(
            "touch {0}/x {1}/x {2}/x && echo MADE; true",
            spool.display(),
            own.display(),
            data.display()
        );
        let said = stage.said(&bob(), &tried).await;
        for word in ["LISTED", "READ", "WRITTEN", "MADE", "secret"] {
            assert!(!said.lines().any(|line| line == word), "{said}");
        }
        // Nor does alice write or list what is the server's; her script and streams she reads.
        let hers = format!(
            "cat {0}/script {1}/stdout > /dev/null && echo MINE; cat {0}/order {0}/state && echo READ
            ls {0} {1} && echo LISTED; echo > {0}/script && echo WRITTEN; true",
            spool.display(),
            own.display()
        );
        let said = stage.said(&alice(), &hers).await;
        assert!(said.lines().any(|line| line == "MINE"), "{said}");
        for word in ["LISTED", "READ", "WRITTEN"] {
            assert!(!said.lines().any(|line| line == word), "{said}");
        }
        assert_eq!(rights(&spool), (0, 0, 0o711));
        for (file, is) in [
            ("script", (23_001, 23_011, 0o400)),
            ("order", (0, 0, 0o600)),
            ("state", (0, 0, 0o600)),
        ] {
            assert_eq!(rights(&spool.join(file)), is, "{file}");
        }
        stage.cancel(&order).await;
        stage.ended(&order).await;
        assert_eq!(rights(&spool.join("exit")), (0, 0, 0o600));
    }

    pub async fn alice_cannot_swap_what_the_server_keeps_for_her() {
        let stage = Stage::new();
        let mut order = stage.order(&alice(), "true");
        let own = order.own_folder.clone().unwrap();
        order.script = format!(
            "cd {}; rm -f stdout && echo REMOVED; mv stdout other && echo RENAMED
            ln -sf /etc/shadow stdout && echo LINKED; mv work elsewhere && echo MOVED
            rmdir work && echo GONE; touch new && echo MADE; echo kept; true",
            own.display()
        );
        order.working_directory = own.join("work");
        order.create_working_directory = true;
        assert_eq!(stage.end(&order).await.exit_code, exited(0));
        assert_eq!(text(&own.join("stdout")), "kept\n");
        assert_eq!(rights(&own), (0, 0, 0o711));
        for stream in ["stdout", "stderr"] {
            assert_eq!(rights(&own.join(stream)), (23_001, 23_011, 0o600));
        }
    }

    pub async fn a_kept_stream_is_used_again_by_its_owner_s_next_attempt_and_by_nobody_else_s() {
        let stage = Stage::new();
        let first = stage.order(&alice(), "echo a long first line");
        stage.end(&first).await;
        let again = |n, person: &Person, script: &str| {
            let mut order = Order { person: Some(person.clone()), ..first.clone() };
            order.key.attempt.n = n;
            script.clone_into(&mut order.script);
            order
        };
        let stdout = first.stdout.full();
        assert_eq!(stage.end(&again(2, &alice(), "echo short")).await.exit_code, exited(0));
        assert_eq!(text(&stdout), "short\n");
        let behind = Order { open_mode: OpenMode::Append, ..again(3, &alice(), "echo behind") };
        assert_eq!(stage.end(&behind).await.exit_code, exited(0));
        assert_eq!(text(&stdout), "short\nbehind\n");
        mode(&stage.path("bob"), 0o777);
        let refused = stage.refused(&again(4, &bob(), "echo his")).await;
        assert!(refused.ends_with("something else is there"), "{refused}");
        assert_eq!(text(&stdout), "short\nbehind\n");
        // A second name of it may be somebody's who never meant it to be written here.
        fs::hard_link(&stdout, stage.path("second")).unwrap();
        stage.refused(&again(5, &alice(), "true")).await;
        for left in ["", "x"] {
            fs::remove_file(&stdout).unwrap();
            fs::write(&stdout, left).unwrap();
            let record = stage.end(&again(6 + left.len() as u32, &alice(), "echo mine")).await;
            let is_empty_and_ours = left.is_empty();
            assert_eq!(record.launch_error.is_none(), is_empty_and_ours, "{record:?}");
        }
    }

    pub async fn a_script_is_a_new_file_each_time_and_holds_only_its_own_bytes() {
        let stage = Stage::new();
        let inode = |order: &Order| {
            let script = stage.path("data/spool").join(order.key.name()).join("script");
            (fs::metadata(&script).unwrap().ino(), text(&script))
        };
        let long = format!("exec 7< $0\n: {}\n", "x".repeat(4 * 1024 * 1024));
        let first = stage.order(&alice(), &format!("{long}cat <&7 > /dev/null; sleep 600"));
        stage.running(&first).await;
        let (used, _) = inode(&first);
        // Kept open from outside of the job, beyond its end.
        let held = stage.path("data/spool").join(first.key.name()).join("script");
        let held = fs::File::open(held).unwrap();
        stage.cancel(&first).await;
        stage.ended(&first).await;
        stage.engine.forget(&first.key).await;
        let second = stage.order(&bob(), "echo PASSWORD=hunter2; sleep 600");
        stage.running(&second).await;
        let (inode, script) = inode(&second);
        assert_eq!(script, second.script);
        assert_ne!(inode, used);
        assert_eq!(held.metadata().unwrap().nlink(), 0, "it is gone");
        stage.cancel(&second).await;
        stage.ended(&second).await;
        stage.engine.forget(&second.key).await;
        // The server's own next job finds no script of theirs in its folder, used as that is.
        let own = Order { person: None, ..stage.order(&alice(), "echo mine") };
        assert_eq!(stage.end(&own).await.exit_code, exited(0));
        let script = stage.path("data/spool").join(own.key.name()).join("script");
        assert_eq!((text(&script), rights(&script)), ("echo mine".into(), (0, 0, 0o600)));
    }

    pub async fn a_private_folder_is_its_owner_s_and_goes_with_the_attempt() {
        let stage = Stage::new();
        fs::write(stage.path("bob/kept"), "").unwrap();
        let script = format!(
            "mkdir -p $TMPDIR/a/b; touch $TMPDIR/a/b/c; ln -s {} $TMPDIR/a/link
            chmod 0 $TMPDIR/a/b; echo $TMPDIR",
            stage.path("bob").display()
        );
        let order = stage.order(&alice(), &script);
        assert_eq!(stage.end(&order).await.exit_code, exited(0));
        let folder = PathBuf::from(text(&order.stdout.full()).trim());
        assert_eq!(rights(&folder), (23_001, 23_011, 0o700));
        stage.engine.forget(&order.key).await;
        let is_gone = || if folder.exists() { Err("it is there".to_owned()) } else { Ok(()) };
        until("its end", is_gone).await;
        assert!(stage.path("bob/kept").exists());
    }

    pub async fn a_lease_on_alice_s_output_is_no_shortage_of_the_machine() {
        let stage = Stage::new();
        // Whoever opens the file is told to try again, for as long as the lease is held.
        let script =
            "perl -e 'open F, q(>), q(out); $SIG{IO} = q(IGNORE); fcntl(F, 1024, 1) or die;
            $| = 1; print qq(held\n); sleep 600'";
        let holder = stage.order(&alice(), script);
        stage.running(&holder).await;
        stage.says(&holder, "held").await;
        let order = stage.writing_to(&alice(), Path::new("out"), "true");
        let refused = stage.refused(&order).await;
        assert!(refused.ends_with("out: resource temporarily unavailable"), "{refused}");
        assert_eq!(stage.engine.trouble().borrow().note(), None);
        stage.cancel(&holder).await;
        stage.ended(&holder).await;
    }

    pub async fn a_job_whose_folder_hangs_keeps_its_limit_and_never_starts() {
        let name = "a_job_whose_folder_hangs_keeps_its_limit_and_never_starts";
        let stage = Stage::new();
        let Some(_hanging) = Mount::hanging(&stage, name) else { return };
        let at = stage.path("alice/hangs");
        // Root cannot even enter it: what comes that far is alice.
        let mut root = Order { person: None, ..stage.order(&alice(), "true") };
        root.working_directory = at.clone();
        let refused = stage.refused(&root).await;
        assert!(refused.ends_with("permission denied"), "{refused}");
        for how in ["limit", "cancel"] {
            let mut order = stage.order(&alice(), "true");
            order.working_directory = at.clone();
            order.limit_s = (how == "limit").then_some(1);
            stage.launch(&order).await;
            // Bob's starts meanwhile.
            stage.said(&bob(), "true").await;
            if how == "cancel" {
                stage.cancel(&order).await;
            }
            let record = stage.ended(&order).await;
            assert_eq!((record.exit_code, record.handle), (None, None), "{record:?}");
            assert!(record.stop.is_some(), "{record:?}");
        }
    }
}

/// The order with `HOME` in its folder.
fn with_home(stage: &Stage, mut order: Order) -> Order {
    let home = stage.path(&order.person.as_ref().unwrap().name).display().to_string();
    order.environment.insert("HOME".to_owned(), home);
    order
}

/// What is mounted here, until this is dropped.
pub struct Mount(PathBuf);

impl Mount {
    /// Mounts a folder here too.
    pub fn bind(folder: &Path, at: &Path) -> Mount {
        let bound = Command::new("mount").arg("--bind").args([folder, at]).status();
        assert!(bound.unwrap().success());
        Mount(at.to_owned())
    }

    /// Mounts a file system of alice's, which answers nothing, as `hangs` in her folder; says so
    /// where that cannot be.
    pub fn hanging(stage: &Stage, case: &str) -> Option<Mount> {
        let at = stage.path("alice/hangs");
        fs::create_dir(&at).unwrap();
        give(&at, &alice());
        let device = fs::File::options().read(true).write(true).open("/dev/fuse");
        let made = device.and_then(|device| mount_fuse(&at, &device).map(|()| device));
        match made {
            Ok(device) => {
                // Held for as long as this process lives: nobody reads what it is asked.
                std::mem::forget(device);
                Some(Mount(at))
            }
            Err(e) => {
                assert!(std::env::var_os("CI").is_none(), "{case}: no FUSE: {e}");
                println!("SKIPPED {case}: no FUSE: {e}");
                None
            }
        }
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _gone = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// As `fusermount` does it, which need not be there: for alice alone.
fn mount_fuse(at: &Path, device: &fs::File) -> std::io::Result<()> {
    let Person { uid, gid, .. } = alice();
    let options = format!("fd=0,rootmode=40000,user_id={uid},group_id={gid}");
    let mut mount = Command::new("perl");
    // SYS_mount, for mount(8) does not hand a descriptor on.
    mount.arg("-e").arg(format!(
        "my @a = (\"fuse\", \"{}\", \"fuse\", \"{options}\"); \
         syscall(165, $a[0], $a[1], $a[2], 0, $a[3]) == 0 or die \"$!\\n\"",
        at.display()
    ));
    let done = mount.stdin(device.try_clone()?).stderr(Stdio::piped()).output()?;
    match done.status.success() {
        true => Ok(()),
        false => Err(std::io::Error::other(String::from_utf8_lossy(&done.stderr).into_owned())),
    }
}
