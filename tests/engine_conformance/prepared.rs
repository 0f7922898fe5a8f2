//! *Purpose*: an order that is given ahead starts nothing before the word, and something once.
//!
//! *Owns*: the cases about `prepare` and `launch_prepared` of the local engine.
//!
//! *Promises*: a supervisor is known to wait for the word by where the kernel says it is.
//!
//! *Not here*: who prepares what, and when the word may be given (`tests/actors.rs`).

use super::*;

/// Waits until the supervisor of this order has nothing left to do but to wait for the word.
async fn ready(stage: &Stage<LocalEngine>, order: &Order) -> i32 {
    let folder = stage.home.path().join("data/spool").join(order.key.name());
    until("a supervisor that waits for the word", || {
        let state = fs::read_to_string(folder.join("state")).unwrap_or_default();
        let pid = state.split_whitespace().nth(1).and_then(|pid| pid.parse::<i32>().ok());
        let pid = pid.ok_or(format!("state {state:?}"))?;
        let at = fs::read_to_string(format!("/proc/{pid}/wchan")).unwrap_or_default();
        if at.contains("pipe_read") { Ok(pid) } else { Err(at) }
    })
    .await
}

fn marking(stage: &Stage<LocalEngine>) -> Order {
    stage.order("echo ran >> runs; exit 5")
}

fn runs(stage: &Stage<LocalEngine>) -> String {
    fs::read_to_string(stage.work().join("runs")).unwrap_or_default()
}

#[test]
fn nothing_starts_before_the_word_and_one_script_after_it() {
    play(async {
        let stage = local();
        let order = marking(&stage);
        stage.engine.prepare(order.clone());
        stage.engine.prepare(order.clone());
        ready(&stage, &order).await;
        assert_eq!(stage.engine.reattach(&order.key).await.unwrap(), Sighting::Launching);
        assert_eq!((runs(&stage), stage.output(&order)), (String::new(), String::new()));
        assert!(!order.stdout.root.join(&order.stdout.path).exists(), "a file of the user's");
        assert!(stage.engine.launch_prepared(&order.key));
        assert_eq!(ended(&stage.engine, &order.key).await.exit_code, exited(5));
        assert!(!stage.engine.launch_prepared(&order.key), "the word is given once");
        stage.launch(&order).await;
        stage.end(&stage.order("true")).await;
        assert_eq!(runs(&stage), "ran\n");
    });
}

#[test]
fn the_word_may_come_before_the_supervisor_listens() {
    play(async {
        let stage = local();
        for _ in 0..20 {
            let order = stage.order("exit 6");
            stage.engine.prepare(order.clone());
            assert!(stage.engine.launch_prepared(&order.key));
            assert_eq!(ended(&stage.engine, &order.key).await.exit_code, exited(6));
        }
    });
}

#[test]
fn what_was_not_prepared_cannot_be_launched_so() {
    play(async {
        let stage = local();
        let order = marking(&stage);
        assert!(!stage.engine.launch_prepared(&order.key));
        assert_eq!(stage.end(&order).await.exit_code, exited(5));
    });
}

#[test]
fn a_server_that_dies_before_the_word_has_started_nothing_and_the_next_one_may() {
    play(async {
        let stage = local();
        let order = marking(&stage);
        stage.engine.prepare(order.clone());
        ready(&stage, &order).await;
        let Stage { engine, home, next } = stage;
        drop(engine);
        let stage = Stage { engine: engine_in(home.path()), home, next };
        let record = stage.home.path().join("data/spool").join(order.key.name()).join("exit");
        until("its supervisor to have withdrawn", || {
            if record.exists() { Ok(()) } else { Err("no record".to_owned()) }
        })
        .await;
        let rebooted = Key { boot_id: "another".to_owned(), ..order.key.clone() };
        let seen = stage.engine.reattach(&rebooted).await.unwrap();
        assert_eq!(seen, Sighting::Foreign(Elsewhere::Boot), "a key is good for one boot");
        stage.see(&order.key, |s| *s == Sighting::NeverStarted).await;
        assert_eq!(runs(&stage), "");
        assert_eq!(stage.end(&order).await.exit_code, exited(5));
        assert_eq!(runs(&stage), "ran\n");
    });
}

#[test]
fn a_cancel_before_the_word_means_that_no_script_starts() {
    play(async {
        let stage = local();
        let order = marking(&stage);
        stage.engine.prepare(order.clone());
        ready(&stage, &order).await;
        stage.cancel(&order, None).await;
        assert!(stage.engine.launch_prepared(&order.key));
        let record = ended(&stage.engine, &order.key).await;
        assert_eq!((record.stop, record.exit_code), (Some(Stop::Cancelled), None));
        assert_eq!(runs(&stage), "");
    });
}

#[test]
fn a_prepared_order_that_is_forgotten_frees_its_supervisor() {
    play(async {
        let stage = local();
        let order = marking(&stage);
        stage.engine.prepare(order.clone());
        let supervisor = ready(&stage, &order).await;
        stage.engine.collect(&order.key).await;
        until("it to wait for orders", || {
            let at = fs::read_to_string(format!("/proc/{supervisor}/wchan")).unwrap_or_default();
            if at.contains("pipe_read") { Err(at) } else { Ok(()) }
        })
        .await;
        assert_eq!(stage.engine.reattach(&order.key).await.unwrap(), Sighting::NeverStarted);
        assert_eq!(stage.end(&stage.order("exit 7")).await.exit_code, exited(7));
        assert_eq!(runs(&stage), "");
    });
}

#[test]
fn a_supervisor_killed_before_the_word_has_started_nothing() {
    play(async {
        let stage = local();
        let order = marking(&stage);
        stage.engine.prepare(order.clone());
        kill(ready(&stage, &order).await, Signal::KILL);
        stage.see(&order.key, |s| *s == Sighting::Lost).await;
        assert!(!stage.engine.launch_prepared(&order.key), "nobody can hear it");
        assert_eq!(stage.engine.kill_remains(&order.key).await.unwrap(), 0);
        assert_eq!(runs(&stage), "");
    });
}
