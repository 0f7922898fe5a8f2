//! *Purpose*: the private folder of an attempt, while it runs and when it is over.
//!
//! *Owns*: the cases about `TMPDIR`, also of scripts that do to it what they can.
//!
//! *Promises*: nothing outside of the folder is touched; what is to go is waited for with a
//! deadline.
//!
//! *Not here*: the walk through a folder (`trees`), which attempts are over (`tests/hostile`).

use std::os::unix::fs::PermissionsExt;

use super::*;

/// Where the attempt of this order has its folder.
fn folder(home: &Path, order: &Order) -> PathBuf {
    home.canonicalize().unwrap().join("data/scratch").join(order.key.name())
}

async fn gone(folder: &Path) {
    until("the folder to go", || match folder.symlink_metadata() {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
        seen => Err(format!("{seen:?}")),
    })
    .await;
}

#[test]
fn every_attempt_has_a_private_folder_that_wins_over_any_other_and_goes_with_it() {
    play(async {
        let stage = local();
        let script = "echo $TMPDIR; stat -c %a $TMPDIR; ls -A $TMPDIR; touch $TMPDIR/file";
        let mut first = stage.order(script);
        first.environment.insert("TMPDIR".to_owned(), "/elsewhere".to_owned());
        let second = stage.order(script);
        for order in [&first, &second] {
            assert_eq!(stage.end(order).await.exit_code, exited(0));
            let own = folder(stage.home.path(), order);
            assert_eq!(stage.output(order), format!("{}\n700\n", own.display()));
            assert!(own.join("file").exists(), "the end is not committed");
        }
        for order in [&first, &second] {
            stage.engine.forget(&order.key).await;
            gone(&folder(stage.home.path(), order)).await;
        }
        let empty = stage.order("true");
        stage.end(&empty).await;
        stage.engine.forget(&empty.key).await;
        assert!(!folder(stage.home.path(), &empty).exists(), "an empty one goes at once");
    });
}

#[test]
fn whatever_a_script_makes_of_its_folder_goes_and_nothing_else() {
    play(async {
        let stage = local();
        let precious = stage.work().join("precious");
        fs::create_dir_all(precious.join("inner")).unwrap();
        fs::write(precious.join("inner/file"), "kept").unwrap();
        let deep = "d/".repeat(1_500);
        let scripts = [
            "rmdir $TMPDIR; ln -s $PWD/precious $TMPDIR".to_owned(),
            "ln -s $PWD/precious $TMPDIR/link; ln -s / $TMPDIR/root; ln -s loop $TMPDIR/loop"
                .into(),
            "ln $PWD/precious/inner/file $TMPDIR/second; mkfifo $TMPDIR/pipe".into(),
            "mkdir -p $TMPDIR/a/b; touch $TMPDIR/a/b/c; chmod 0 $TMPDIR/a/b $TMPDIR/a $TMPDIR"
                .into(),
            "rmdir $TMPDIR; echo a file > $TMPDIR".into(),
            format!("mkdir -p $TMPDIR/{deep}"),
            "rmdir $TMPDIR".into(),
            "touch $TMPDIR/$'new\\nline' $TMPDIR/-rf $TMPDIR/$'\\xff'".into(),
        ];
        for script in scripts {
            let order = stage.order(&script);
            assert_eq!(stage.end(&order).await.exit_code, exited(0), "{script}");
            stage.engine.forget(&order.key).await;
            gone(&folder(stage.home.path(), &order)).await;
        }
        assert_eq!(fs::read_to_string(precious.join("inner/file")).unwrap(), "kept");
    });
}

#[test]
fn a_hundred_thousand_files_go_while_others_start_and_end() {
    play(async {
        let stage = local();
        let order = stage.order("seq -f $TMPDIR/%.0f 100000 | xargs touch");
        assert_eq!(stage.end(&order).await.exit_code, exited(0));
        let large = folder(stage.home.path(), &order);
        stage.engine.forget(&order.key).await;
        assert!(large.exists(), "nobody waits for its end");
        let small = stage.order("touch $TMPDIR/one");
        assert_eq!(stage.end(&small).await.exit_code, exited(0));
        stage.engine.forget(&small.key).await;
        gone(&folder(stage.home.path(), &small)).await;
        gone(&large).await;
    });
}

#[test]
fn what_an_engine_that_was_killed_left_is_known_to_the_next_and_what_lives_is_left_alone() {
    play(async {
        let mut stage = local();
        let lives = stage.order("touch $TMPDIR/mine; read gate < gate; test -e $TMPDIR/mine");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            stage.work().join("gate"),
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RWXU,
            0,
        )
        .unwrap();
        let [ended_one, taken] = [1, 2].map(|_| stage.order("touch $TMPDIR/left"));
        stage.running(&lives).await;
        for order in [&ended_one, &taken] {
            stage.end(order).await;
        }
        fs::remove_dir_all(stage.home.path().join("data/spool").join(taken.key.name())).unwrap();
        drop(stage.engine);
        stage.engine = engine_in(stage.home.path());
        let known = stage.engine.known().await.unwrap();
        for order in [&lives, &ended_one, &taken] {
            assert!(known.contains(&order.key.name()), "{known:?}");
        }
        assert_eq!(known.len(), 3, "each once: {known:?}");
        for order in [&ended_one, &taken] {
            assert!(stage.engine.processes(&order.key).await.unwrap().is_empty());
            stage.engine.forget(&order.key).await;
            gone(&folder(stage.home.path(), order)).await;
        }
        fs::write(stage.work().join("gate"), "go\n").unwrap();
        assert_eq!(ended(&stage.engine, &lives.key).await.exit_code, exited(0));
    });
}

#[test]
fn the_folder_of_a_lost_attempt_goes_when_its_last_process_is_gone() {
    play(async {
        let stage = local();
        let order = stage.order("touch $TMPDIR/left; echo $PPID; sleep 614");
        stage.running(&order).await;
        let supervisor = pids_told(&stage, &order, 1).await[0];
        kill(supervisor, Signal::KILL);
        stage.see(&order.key, |s| *s == AttemptStatus::Lost).await;
        for _ in 0..50 {
            if stage.engine.kill_leftovers(&order.key).await.unwrap() == 0 {
                break;
            }
        }
        assert!(folder(stage.home.path(), &order).exists(), "its end is not committed");
        stage.engine.forget(&order.key).await;
        gone(&folder(stage.home.path(), &order)).await;
    });
}

#[test]
fn a_folder_of_another_setting_goes_too_and_one_that_was_taken_away_is_made_again() {
    play(async {
        let mut stage = local();
        let order = stage.order("touch $TMPDIR/left");
        stage.end(&order).await;
        drop(stage.engine);
        let other = stage.home.path().canonicalize().unwrap().join("other");
        let config = LocalConfig { scratch: Some(other.clone()), ..config_in(stage.home.path()) };
        stage.engine = LocalEngine::start(config).unwrap();
        stage.engine.forget(&order.key).await;
        gone(&folder(stage.home.path(), &order)).await;
        fs::remove_dir(&other).unwrap();
        let order = stage.order("echo $TMPDIR; test -d $TMPDIR");
        assert_eq!(stage.end(&order).await.exit_code, exited(0));
        let own = other.join(order.key.name());
        assert_eq!(stage.output(&order), format!("{}\n", own.display()));
        assert_eq!(other.metadata().unwrap().permissions().mode() & 0o777, 0o700);
    });
}

#[test]
fn an_engine_does_not_start_with_something_else_in_the_place_of_its_folder() {
    let home = tempfile::tempdir().unwrap();
    let scratch = home.path().join("taken");
    std::os::unix::fs::symlink("/tmp", &scratch).unwrap();
    let config = LocalConfig { scratch: Some(scratch), ..config_in(home.path()) };
    let refused = LocalEngine::start(config).unwrap_err().to_string();
    assert!(refused.contains("taken: ") && refused.contains("[scratch] path"), "{refused}");
}
