//! *Purpose*: what somebody sends to a running attempt is heard by those that are there, once.
//!
//! *Owns*: the cases about who of an attempt's tree hears a signal.
//!
//! *Promises*: those who listen say so before anything is sent.
//!
//! *Not here*: which requests become a signal (`tests/kernel`), that a killed server sends none
//! twice (`tests/crash_matrix`).

use downbeat::job::ids::EventId;
use downbeat::job::signal::{NumberedSignal, Recipients, Signal};

use super::*;

/// How many listen: enough that the first ones act while the last ones are still to be told.
const LISTENERS: usize = 40;

/// A script whose listeners start a program when they hear `signal`, and write what became of it;
/// `before` stands in front of each of them.
fn listeners(signal: &str, before: &str) -> String {
    format!(
        "cat > listener <<'END'
trap 'sleep 0.2; echo handled by $? >> said; exit' {signal}
echo $$ >> ready
sleep 600 & wait
END
trap : {signal}
for _ in $(seq {LISTENERS}); do {before} bash listener & done
while ! wait || [ \"$(wc -l < said)\" -lt {LISTENERS} ]; do sleep 0.02; done 2> no
sort said | uniq -c; kill $(jobs -p) 2> no; exit 0"
    )
}

async fn all_listen(stage: &Stage<LocalEngine>, order: &Order) {
    stage.running(order).await;
    let ready = order.working_directory.join("ready");
    until("all to listen", || {
        let text = fs::read_to_string(&ready).unwrap_or_default();
        if text.lines().count() == LISTENERS { Ok(()) } else { Err(text) }
    })
    .await;
}

#[test]
fn what_a_handler_of_a_signal_starts_does_not_hear_that_signal() {
    play(async {
        let stage = local();
        let order = stage.order(&listeners("USR2", ""));
        all_listen(&stage, &order).await;
        let signal = Signal { number: 12, to: Recipients::Others };
        let sent = vec![NumberedSignal { no: EventId(1), signal }];
        stage.engine.signal(&order.key, sent).await.unwrap();
        assert_eq!(ended(&stage.engine, &order.key).await.exit_code, exited(0));
        assert_eq!(stage.output(&order).trim(), format!("{LISTENERS} handled by 0"));
    });
}

#[test]
fn what_a_handler_starts_when_its_job_is_cancelled_may_finish_within_the_grace() {
    play(async {
        let stage = local();
        let order = stage.order(&listeners("TERM", "setsid"));
        all_listen(&stage, &order).await;
        stage.cancel(&order, Some(60)).await;
        assert_eq!(ended(&stage.engine, &order.key).await.exit_code, exited(0));
        assert_eq!(stage.output(&order).trim(), format!("{LISTENERS} handled by 0"));
    });
}
