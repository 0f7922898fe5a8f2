//! *Purpose*: what attempts use is measured while they run.
//!
//! *Owns*: nothing.
//!
//! *Promises*: numbers are waited for, since a loaded machine gives time slowly.
//!
//! *Not here*: steps of time (`actors::usage_watch`), what an attempt used in all.

use super::*;
use downbeat::engine::Measured;

async fn measured(stage: &Stage<LocalEngine>, order: &Order) -> Option<Measured> {
    let all = stage.engine.measure().await.unwrap();
    all.into_iter().find(|(key, _)| key.attempt == order.key.attempt).map(|(_, of)| of)
}

/// Measures until it is as wanted.
async fn until_it(
    what: &str,
    stage: &Stage<LocalEngine>,
    order: &Order,
    wanted: impl Fn(Measured) -> bool,
) -> Measured {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let now = measured(stage, order).await;
        if let Some(now) = now.filter(|now| wanted(*now)) {
            return now;
        }
        assert!(Instant::now() < deadline, "waited for {what}, saw {now:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

const BYTES: u64 = 30_000_000;

#[test]
fn children_that_have_ended_count_and_so_does_memory() {
    play(async {
        let stage = local();
        let go = stage.home.path().join("go");
        // Each child ends; the script itself only waits for them.
        let script = format!(
            "for n in 1 2 3; do sh -c 'n=0; while [ $n -lt 300000 ]; do n=$((n+1)); done'; done\n\
             x=$(head -c {BYTES} /dev/zero | tr '\\0' x)\necho up\n\
             until [ -e {} ]; do sleep 0.05; done",
            go.display()
        );
        let order = stage.order(&script);
        let idle = stage.order("sleep 600");
        stage.launch(&order).await;
        stage.launch(&idle).await;
        stage.running(&order).await;
        stage.running(&idle).await;
        let used = until_it("memory", &stage, &order, |now| {
            now.rss_bytes.is_some_and(|bytes| bytes >= BYTES)
        });
        let used = used.await;
        assert!(used.cpu_us.unwrap() > 200_000, "of the children: {used:?}");
        let later = measured(&stage, &order).await.unwrap();
        assert!(later.cpu_us >= used.cpu_us, "{later:?} follows {used:?}");
        let asleep = measured(&stage, &idle).await.unwrap();
        assert!(asleep.rss_bytes.unwrap() < BYTES, "each has its own: {asleep:?}");
        fs::write(&go, "").unwrap();
        let record = ended(&stage.engine, &order.key).await;
        assert_eq!(record.exit_code, exited(0));
        assert_eq!(measured(&stage, &order).await, None, "it is over");
        stage.cancel(&idle, Some(0)).await;
        ended(&stage.engine, &idle.key).await;
        assert!(stage.engine.measure().await.unwrap().is_empty());
    });
}

#[test]
fn an_attempt_of_a_former_server_is_measured_and_one_without_supervisor_is_not() {
    play(async {
        let mut stage = local();
        let order = stage.order("exec sleep 600");
        let handle = stage.running(&order).await;
        drop(stage.engine);
        stage.engine = engine_in(stage.home.path());
        let now = measured(&stage, &order).await.unwrap();
        assert!(now.rss_bytes.is_some_and(|bytes| bytes > 0), "{now:?}");
        kill(parent(handle.pid), Signal::KILL);
        until("the supervisor to go", || {
            (parent(handle.pid) == 1 || !alive(handle.pid)).then_some(()).ok_or("it lives".into())
        })
        .await;
        assert_eq!(measured(&stage, &order).await, None, "what is left is to be killed");
    });
}
