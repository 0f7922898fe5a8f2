//! *Purpose*: actors with probes in place of their neighbours.
//!
//! *Owns*: order of commit, publication and reply; what is kept and what is dropped when the
//! database refuses; one plan in flight; the executor's loop; the whole house over a fake engine.
//!
//! *Promises*: each wait has a deadline; no test relies on the tick.
//!
//! *Not here*: processes (`tests/process.rs`), HTTP (`tests/http`).

#![allow(clippy::unwrap_used)]

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use actix::prelude::*;
use downbeat::actors::dials::Dials;
use downbeat::actors::executor::{ExecutorActor, Known, Tools};
use downbeat::actors::messages::{
    AdjustAttempt, Applied, ApplyPlan, Await, CancelJobs, Drain, ExecutorAddr, GetPassInput,
    KeyAsked, MakeDurable, Mend, NotDurable, Observed, Publish, Reconfigure, RunAudit,
    SignalAttempt, SignalsGiven, StopAttempt, SubmitJobs, SubmitRefused, Wake,
};
use downbeat::actors::order::{FromStore, NoOrder, Orders, Wish};
use downbeat::actors::resource_manager::state::{Outlets, ResourceManagerActor};
use downbeat::actors::retention::Retention;
use downbeat::actors::scheduler::SchedulerActor;
use downbeat::actors::site::{JobGpus, OrderSite};
use downbeat::actors::{self, Parts, System};
use downbeat::engine::fake::{Asked, FakeEngine, Plan as Script};
use downbeat::engine::{Control, Engine, Key, LimitWish, Order};
use downbeat::job::files::{Places, StreamFile};
use downbeat::job::ids::{Attempt, CommitNo, CpuId, Epoch, EventId, JobId};
use downbeat::job::outcome::ExitCode;
use downbeat::job::signal::{NumberedSignal, Recipients, Signal};
use downbeat::job::state::StateWord;
use downbeat::kernel::change::Change;
use downbeat::kernel::commands::cancel::Cancelled;
use downbeat::kernel::commands::reconfigure::RulesRefused;
use downbeat::kernel::commands::repair::Findings;
use downbeat::kernel::outbox::Commit;
use downbeat::kernel::parts::eligibility::DependencySnapshot;
use downbeat::kernel::parts::queue::pending::waiting;
use downbeat::kernel::parts::queued::Queued;
use downbeat::kernel::parts::rules::Rules;
use downbeat::kernel::state::BootContext;
use downbeat::kernel::testing::KernelBuilder;
use downbeat::kernel::testing::job::job;
use downbeat::kernel::transition::Fact;
use downbeat::kernel::views::snapshot::Snapshot;
use downbeat::observe::metrics::Metrics;
use downbeat::policy::input::PassInput;
use downbeat::policy::name::Policy;
use downbeat::policy::plan::Plan;
use downbeat::resources::capacity::Capacity;
use downbeat::resources::partitions::{Partition, Partitions};
use downbeat::store::backend::Database;
use downbeat::store::error::StoreError;
use downbeat::store::read::LaunchRecords;
use downbeat::store::sqlite::database::Database as File;
use downbeat::store::write::{CommitError, Launches};
use downbeat::time::Time;
use futures_util::future::BoxFuture;
use tokio::sync::{mpsc, oneshot, watch};

/// A tick that no test lives to see.
const NEVER: Duration = Duration::from_secs(3_600);

fn run(body: impl Future<Output = ()>) {
    actix_rt::System::new().block_on(async {
        actix_rt::time::timeout(Duration::from_secs(60), body).await.expect("within a minute");
    });
}

fn submit(n: usize) -> SubmitJobs {
    SubmitJobs {
        specs: vec![job().spec(); n],
        elsewhere: DependencySnapshot::default(),
        key: None,
        by: "me".into(),
    }
}

/// Takes one kind of message and lets the test answer it.
struct Probe<M: Message>(mpsc::UnboundedSender<(M, oneshot::Sender<M::Result>)>)
where
    M::Result: Send;

type Taken<M> = mpsc::UnboundedReceiver<(M, oneshot::Sender<<M as Message>::Result>)>;

impl<M: Message + Send + Unpin + 'static> Probe<M>
where
    M::Result: Send,
{
    fn start() -> (Recipient<M>, Taken<M>) {
        let (give, taken) = mpsc::unbounded_channel();
        (Actor::start(Probe(give)).recipient(), taken)
    }
}

impl<M: Message + Unpin + 'static> Actor for Probe<M>
where
    M::Result: Send,
{
    type Context = Context<Self>;
}

impl<M: Message + Send + Unpin + 'static> Handler<M> for Probe<M>
where
    M::Result: Send,
{
    type Result = ResponseFuture<M::Result>;

    fn handle(&mut self, message: M, _: &mut Self::Context) -> Self::Result {
        let (answer, answered) = oneshot::channel();
        self.0.send((message, answer)).ok();
        Box::pin(async {
            match answered.await {
                Ok(answer) => answer,
                // A hint that the test took note of and left unanswered.
                Err(_) => std::future::pending().await,
            }
        })
    }
}

/// A resource manager among probes.
struct Bench {
    manager: Addr<ResourceManagerActor>,
    durable: Taken<MakeDurable>,
    wake: Taken<Wake>,
    publish: Taken<Publish>,
    snapshot: watch::Receiver<Arc<Snapshot>>,
    dials: watch::Receiver<Dials>,
    launched: mpsc::UnboundedReceiver<Attempt>,
}

/// A resource manager that has heard of an audit.
fn bench() -> Bench {
    let bench = unaudited_bench();
    bench.manager.do_send(Mend(Findings::default()));
    bench
}

fn unaudited_bench() -> Bench {
    let kernel = KernelBuilder::new().cpus(4).build();
    let (durable, durable_taken) = Probe::start();
    let (wake, wake_taken) = Probe::start();
    let (publish, publish_taken) = Probe::start();
    let (stop, _) = Probe::start();
    let (look, _) = Probe::start();
    let (adjust, _) = Probe::start();
    let (signal, _) = Probe::start();
    let (snapshot_sender, snapshot) = watch::channel(Arc::new(kernel.snapshot()));
    let (launch, launched) = mpsc::unbounded_channel();
    let (dials_sender, dials) = watch::channel(Dials::default());
    let outlets = Outlets {
        wake,
        durable,
        look: None,
        publish,
        make_executor: Box::new(move |attempt, _| {
            launch.send(attempt).ok();
            ExecutorAddr {
                stop: stop.clone(),
                adjust: adjust.clone(),
                signal: signal.clone(),
                look: look.clone(),
            }
        }),
        snapshot: snapshot_sender,
        dials: dials_sender,
        metrics: Arc::new(Metrics::default()),
    };
    let manager = ResourceManagerActor::new(kernel, Epoch(1), CommitNo(0), outlets).start();
    Bench {
        manager,
        durable: durable_taken,
        wake: wake_taken,
        publish: publish_taken,
        snapshot,
        dials,
        launched,
    }
}

impl Bench {
    /// The next commit. A scheduler that it waits for has nothing to propose.
    async fn commit(&mut self) -> (Commit, oneshot::Sender<Result<Launches, CommitError>>) {
        loop {
            tokio::select! {
                biased;
                sent = self.durable.recv() => {
                    let (MakeDurable(commit), answer) = sent.unwrap();
                    return (commit, answer);
                }
                woken = self.wake.recv() => {
                    woken.unwrap();
                    self.manager.do_send(ApplyPlan { plan: Plan::default() });
                }
            }
        }
    }
}

fn causes(commit: &Commit) -> Vec<&'static str> {
    let changes = commit.steps.iter().flat_map(|s| s.iter());
    changes.filter_map(Change::event).map(|e| e.cause).collect()
}

fn input() -> GetPassInput {
    GetPassInput { policy: Policy::default() }
}

#[test]
fn the_reply_comes_after_the_commit_and_the_snapshot_before_the_reply() {
    run(async {
        let mut bench = bench();
        let sent = actix_rt::spawn(bench.manager.send(submit(2)));
        let (commit, answer) = bench.commit().await;
        assert_eq!(causes(&commit), ["submitted", "submitted"]);
        assert!(!sent.is_finished(), "no answer before the commit");
        assert_eq!(bench.snapshot.borrow().pending, 0, "nothing is visible before the commit");
        answer.send(Ok(Vec::new())).unwrap();
        assert_eq!(sent.await.unwrap().unwrap().unwrap().ids, [JobId(1), JobId(2)]);
        let now = bench.snapshot.borrow().clone();
        assert_eq!((now.pending, now.commit_no), (2, CommitNo(1)));
        assert_eq!(bench.publish.recv().await.unwrap().0.changed, [JobId(1), JobId(2)]);
        assert!(bench.wake.recv().await.is_some(), "the scheduler is woken");
    });
}

#[test]
fn an_end_and_the_start_that_follows_are_one_commit() {
    run(async {
        let mut bench = bench();
        let sent = actix_rt::spawn(bench.manager.send(submit(5)));
        let (_, answer) = bench.commit().await;
        answer.send(Ok(Vec::new())).unwrap();
        sent.await.unwrap().unwrap().unwrap();
        bench.wake.recv().await.unwrap().1.send(()).unwrap();
        let start = (1..=4).map(JobId).collect();
        let planned = actix_rt::spawn(
            bench.manager.send(ApplyPlan { plan: Plan { start, ..Plan::default() } }),
        );
        let (commit, answer) = bench.commit().await;
        assert_eq!(causes(&commit), ["granted"; 4]);
        assert!(bench.launched.try_recv().is_err(), "nothing is launched before the commit");
        answer.send(Ok(Vec::new())).unwrap();
        assert_eq!(planned.await.unwrap().unwrap(), Applied { started: 4, stale: 0 });
        let attempt = bench.launched.recv().await.unwrap();
        assert_eq!(attempt, Attempt { job: JobId(1), n: 1 });
        let fact = Fact::LaunchFailed("no interpreter".into());
        let observed = actix_rt::spawn(bench.manager.send(Observed { attempt, fact }));
        assert!(bench.wake.recv().await.is_some(), "woken before the commit");
        let plan = Plan { start: vec![JobId(5)], ..Plan::default() };
        let planned = actix_rt::spawn(bench.manager.send(ApplyPlan { plan }));
        let (commit, answer) = bench.commit().await;
        assert_eq!(causes(&commit), ["launch_failed", "granted"]);
        answer.send(Ok(Vec::new())).unwrap();
        observed.await.unwrap().unwrap().unwrap();
        planned.await.unwrap().unwrap();
        assert_eq!(bench.snapshot.borrow().used_cpus, 4);
    });
}

#[test]
fn a_submission_and_its_start_are_one_commit_and_given_up_together() {
    run(async {
        let mut bench = bench();
        let plan = |job| {
            let start = vec![JobId(job)];
            ApplyPlan { plan: Plan { start, ..Plan::default() } }
        };
        let doomed = actix_rt::spawn(bench.manager.send(submit(1)));
        bench.wake.recv().await.unwrap();
        let planned = actix_rt::spawn(bench.manager.send(plan(1)));
        let (commit, answer) = bench.commit().await;
        assert_eq!(causes(&commit), ["submitted", "granted"]);
        assert_eq!(bench.manager.send(input()).await.unwrap().free.all_cpus(), 3);
        answer.send(Err(CommitError::NotCommitted(full()))).unwrap();
        let refused = doomed.await.unwrap().unwrap().unwrap_err();
        assert!(matches!(refused, SubmitRefused::NothingStored(_)));
        assert_eq!(planned.await.unwrap().unwrap(), Applied::default());
        assert_eq!(bench.manager.send(input()).await.unwrap().free.all_cpus(), 4);
        assert!(bench.launched.try_recv().is_err());

        let sent = actix_rt::spawn(bench.manager.send(submit(1)));
        bench.wake.recv().await.unwrap();
        let planned = actix_rt::spawn(bench.manager.send(plan(2)));
        let (again, answer) = bench.commit().await;
        assert_eq!((again.no, causes(&again)), (commit.no, vec!["submitted", "granted"]));
        answer.send(Ok(Vec::new())).unwrap();
        let submitted = sent.await.unwrap().unwrap().unwrap();
        let (allocation, _) = *submitted.granted.unwrap();
        assert_eq!(allocation.attempt, Attempt { job: JobId(2), n: 1 });
        assert_eq!(planned.await.unwrap().unwrap().started, 1);
        assert_eq!(bench.launched.recv().await.unwrap(), Attempt { job: JobId(2), n: 1 });
        let now = bench.snapshot.borrow().clone();
        assert_eq!((now.pending, now.running, now.used_cpus), (0, 1, 1));
    });
}

#[test]
fn what_is_queued_while_a_commit_is_in_flight_joins_the_next() {
    run(async {
        let mut bench = bench();
        let first = actix_rt::spawn(bench.manager.send(submit(1)));
        let (_, answer) = bench.commit().await;
        let others: Vec<_> =
            (0..10).map(|_| actix_rt::spawn(bench.manager.send(submit(1)))).collect();
        answer.send(Ok(Vec::new())).unwrap();
        first.await.unwrap().unwrap().unwrap();
        bench.wake.recv().await.unwrap();
        bench.manager.send(ApplyPlan { plan: Plan::default() }).await.unwrap();
        let (commit, answer) = bench.commit().await;
        assert_eq!(causes(&commit).len(), 10);
        answer.send(Ok(Vec::new())).unwrap();
        for other in others {
            other.await.unwrap().unwrap().unwrap();
        }
    });
}

/// Found by the house test below: the scheduler waits for its plan, the plan for a flush, and the
/// flush must not wait for the scheduler.
#[test]
fn a_plan_that_waits_behind_a_commit_is_flushed_though_another_is_due() {
    run(async {
        let mut bench = bench();
        let sent = actix_rt::spawn(bench.manager.send(submit(3)));
        bench.commit().await.1.send(Ok(Vec::new())).unwrap();
        sent.await.unwrap().unwrap().unwrap();
        let empty = || ApplyPlan { plan: Plan::default() };
        bench.manager.send(empty()).await.unwrap();
        let before = actix_rt::spawn(bench.manager.send(submit(1)));
        bench.manager.send(input()).await.unwrap();
        bench.manager.send(empty()).await.unwrap();
        let (commit, answer) = bench.commit().await;
        assert_eq!(causes(&commit), ["submitted"]);
        let start = vec![JobId(1)];
        let plan = actix_rt::spawn(
            bench.manager.send(ApplyPlan { plan: Plan { start, ..Plan::default() } }),
        );
        let behind = actix_rt::spawn(bench.manager.send(submit(1)));
        bench.manager.send(input()).await.unwrap();
        answer.send(Ok(Vec::new())).unwrap();
        before.await.unwrap().unwrap().unwrap();
        let (commit, answer) = bench.commit().await;
        assert_eq!(causes(&commit), ["granted", "submitted"]);
        answer.send(Ok(Vec::new())).unwrap();
        assert_eq!(plan.await.unwrap().unwrap().started, 1);
        behind.await.unwrap().unwrap().unwrap();
    });
}

fn full() -> StoreError {
    StoreError::Transient("database or disk is full".into())
}

#[test]
fn a_refused_commit_answers_nothing_stored_and_keeps_cancels() {
    run(async {
        let mut bench = bench();
        let sent = actix_rt::spawn(bench.manager.send(submit(1)));
        bench.commit().await.1.send(Ok(Vec::new())).unwrap();
        sent.await.unwrap().unwrap().unwrap();
        bench.wake.recv().await.unwrap();
        let cancel = CancelJobs { jobs: vec![JobId(1)], by: "me".into() };
        let cancelled = actix_rt::spawn(bench.manager.send(cancel));
        let doomed = actix_rt::spawn(bench.manager.send(submit(1)));
        // Both have arrived when this has been answered.
        bench.manager.send(input()).await.unwrap();
        let plan = ApplyPlan { plan: Plan::default() };
        bench.manager.send(plan).await.unwrap();
        let (commit, answer) = bench.commit().await;
        assert_eq!(causes(&commit), ["cancel_asked", "submitted"]);
        answer.send(Err(CommitError::NotCommitted(full()))).unwrap();
        let refused = doomed.await.unwrap().unwrap().unwrap_err();
        assert!(matches!(refused, SubmitRefused::NothingStored(why) if why.contains("full")));
        let refused = bench.manager.send(submit(1)).await.unwrap().unwrap_err();
        assert!(matches!(refused, SubmitRefused::NothingStored(_)), "refused at once meanwhile");
        let (again, answer) = bench.commit().await;
        assert_eq!((again.no, causes(&again)), (commit.no, vec!["cancel_asked"]));
        answer.send(Ok(Vec::new())).unwrap();
        assert_eq!(cancelled.await.unwrap().unwrap(), [Cancelled::Ended]);
        let sent = actix_rt::spawn(bench.manager.send(submit(1)));
        bench.commit().await.1.send(Ok(Vec::new())).unwrap();
        let ids = sent.await.unwrap().unwrap().unwrap().ids;
        assert_eq!(ids, [JobId(3)], "the number was burnt");
    });
}

#[test]
fn an_unknown_outcome_tells_nobody_anything_until_it_is_known() {
    run(async {
        let mut bench = bench();
        let sent = actix_rt::spawn(bench.manager.send(submit(1)));
        let (commit, answer) = bench.commit().await;
        answer.send(Err(CommitError::Unknown(full()))).unwrap();
        let (again, answer) = bench.commit().await;
        assert_eq!(again, commit, "the same commit, submissions and all");
        assert!(!sent.is_finished());
        answer.send(Ok(Vec::new())).unwrap();
        assert_eq!(sent.await.unwrap().unwrap().unwrap().ids, [JobId(1)]);
    });
}

#[test]
fn a_key_in_flight_makes_the_second_request_look_again() {
    run(async {
        let mut bench = bench();
        let with_key = || SubmitJobs {
            elsewhere: DependencySnapshot::default(),
            key: Some(KeyAsked { key: "k".into(), body_hash: "h".into(), read_at: CommitNo(0) }),
            ..submit(1)
        };
        let first = actix_rt::spawn(bench.manager.send(with_key()));
        let (_, answer) = bench.commit().await;
        let second = bench.manager.send(with_key()).await.unwrap();
        assert_eq!(second, Err(SubmitRefused::LookAgain(CommitNo(1))));
        answer.send(Ok(Vec::new())).unwrap();
        first.await.unwrap().unwrap().unwrap();
        let third = bench.manager.send(with_key()).await.unwrap();
        assert_eq!(third, Err(SubmitRefused::LookAgain(CommitNo(1))), "read before it was there");
    });
}

#[test]
fn a_key_whose_commit_is_in_trouble_is_not_told_that_nothing_is_stored() {
    run(async {
        let mut bench = bench();
        let with_key = || SubmitJobs {
            elsewhere: DependencySnapshot::default(),
            key: Some(KeyAsked { key: "k".into(), body_hash: "h".into(), read_at: CommitNo(0) }),
            ..submit(1)
        };
        let first = actix_rt::spawn(bench.manager.send(with_key()));
        let (_, answer) = bench.commit().await;
        answer.send(Err(CommitError::Unknown(full()))).unwrap();
        let (_, answer) = bench.commit().await;
        let second = bench.manager.send(with_key()).await.unwrap();
        assert_eq!(second, Err(SubmitRefused::LookAgain(CommitNo(1))), "it may be stored");
        let keyless = bench.manager.send(submit(1)).await.unwrap();
        assert!(matches!(keyless, Err(SubmitRefused::NothingStored(_))), "{keyless:?}");
        answer.send(Ok(Vec::new())).unwrap();
        first.await.unwrap().unwrap().unwrap();
    });
}

#[test]
fn a_second_cancel_is_answered_when_the_first_is_durable() {
    run(async {
        let mut bench = bench();
        let submitted = actix_rt::spawn(bench.manager.send(submit(1)));
        let (_, answer) = bench.commit().await;
        answer.send(Ok(Vec::new())).unwrap();
        submitted.await.unwrap().unwrap().unwrap();
        let cancel = || CancelJobs { jobs: vec![JobId(1)], by: "me".into() };
        let first = actix_rt::spawn(bench.manager.send(cancel()));
        let cancelling = loop {
            // The scheduler is a probe: the wake-up after the submission has no plan.
            let plan = ApplyPlan { plan: Plan::default() };
            bench.manager.send(plan).await.unwrap();
            if let Ok(taken) = bench.durable.try_recv() {
                break taken;
            }
        };
        let second = actix_rt::spawn(bench.manager.send(cancel()));
        for _ in 0..20 {
            // Long enough for an answer that waits for nothing.
            bench.manager.send(input()).await.unwrap();
        }
        assert!(!second.is_finished(), "a crash now would undo what it was told");
        cancelling.1.send(Ok(Vec::new())).unwrap();
        assert_eq!(first.await.unwrap().unwrap(), [Cancelled::Ended]);
        assert_eq!(second.await.unwrap().unwrap(), [Cancelled::NotLive]);
    });
}

#[test]
fn a_doubled_fact_is_answered_and_changes_nothing() {
    run(async {
        let mut bench = bench();
        let attempt = Attempt { job: JobId(9), n: 1 };
        let fact = Fact::Vanished("gone".into());
        bench.manager.send(Observed { attempt, fact }).await.unwrap().unwrap();
        assert!(bench.durable.try_recv().is_err(), "nothing to commit");
    });
}

#[test]
fn a_drained_manager_starts_and_accepts_nothing() {
    run(async {
        let mut bench = bench();
        let sent = actix_rt::spawn(bench.manager.send(submit(1)));
        let (_, answer) = bench.commit().await;
        let drained = actix_rt::spawn(bench.manager.send(Drain));
        assert!(matches!(bench.manager.send(submit(1)).await, Ok(Err(SubmitRefused::Stopping))));
        assert!(!drained.is_finished(), "not before what was decided is durable");
        answer.send(Ok(Vec::new())).unwrap();
        drained.await.unwrap().unwrap();
        sent.await.unwrap().unwrap().unwrap();
        assert_eq!(bench.manager.send(input()).await.unwrap(), PassInput::default());
    });
}

#[test]
fn many_wake_ups_during_a_pass_become_one() {
    run(async {
        let (views, mut views_asked) = Probe::<GetPassInput>::start();
        let (plans, mut plans_made) = Probe::<ApplyPlan>::start();
        let scheduler = SchedulerActor::new(
            views,
            plans,
            watch::Sender::new(Dials::default()).subscribe(),
            NEVER,
            tokio::sync::watch::Sender::default().subscribe(),
        )
        .start();
        scheduler.send(Wake).await.unwrap();
        let (_, view) = views_asked.recv().await.unwrap();
        for _ in 0..5 {
            scheduler.send(Wake).await.unwrap();
        }
        let job = Queued { id: JobId(1), cpus: 1, ..Queued::default() };
        let (free, queue) = (Capacity::of(1), vec![waiting(&job)]);
        assert!(view.send(PassInput { free, total: free, queue, ..PassInput::default() }).is_ok());
        let (plan, applied) = plans_made.recv().await.unwrap();
        assert_eq!(plan.plan.start, [JobId(1)]);
        assert!(views_asked.try_recv().is_err(), "one plan in flight");
        assert!(applied.send(Applied::default()).is_ok());
        let (_, view) = views_asked.recv().await.unwrap();
        assert!(view.send(PassInput::default()).is_ok());
        let (plan, applied) = plans_made.recv().await.unwrap();
        assert!(plan.plan.start.is_empty(), "an empty plan is proposed too");
        assert!(applied.send(Applied::default()).is_ok());
        scheduler.send(Wake).await.unwrap();
        assert!(views_asked.recv().await.is_some(), "five wake-ups were one pass");
    });
}

#[test]
fn other_settings_are_in_force_at_once_and_whoever_plans_looks_again() {
    run(async {
        let mut bench = bench();
        let sent = actix_rt::spawn(bench.manager.send(submit(1)));
        let (_, answer) = bench.commit().await;
        answer.send(Ok(Vec::new())).unwrap();
        sent.await.unwrap().unwrap().unwrap();
        bench.wake.recv().await.unwrap();
        // A plan is due and has not come, and a commit is in flight.
        let sent = actix_rt::spawn(bench.manager.send(submit(1)));
        bench.manager.send(ApplyPlan { plan: Plan::default() }).await.unwrap();
        let (_, answer) = bench.commit().await;
        let dials = Dials { finish_s: 7, ..Dials::default() };
        let rules = Rules::default();
        bench.manager.send(Reconfigure { rules, dials }).await.unwrap().unwrap();
        assert_eq!(*bench.dials.borrow(), dials);
        assert!(bench.wake.recv().await.is_some());
        let dials = Dials { finish_s: 8, ..Dials::default() };
        let rules = Rules::default();
        bench.manager.send(Reconfigure { rules, dials }).await.unwrap().unwrap();
        assert!(bench.wake.recv().await.is_some(), "though the plan of the first is still due");
        bench.manager.send(ApplyPlan { plan: Plan::default() }).await.unwrap();
        answer.send(Ok(Vec::new())).unwrap();
        sent.await.unwrap().unwrap().unwrap();
    });
}

#[test]
fn rules_that_are_refused_turn_no_dial() {
    run(async {
        let bench = bench();
        let cpus = [CpuId(9)].into();
        let strange = Partition { name: "p".into(), cpus, ..Partition::default() };
        let partitions = Arc::new(Partitions::new(vec![strange], 0).unwrap());
        let rules = Rules { partitions, ..Rules::default() };
        let dials = Dials { finish_s: 7, ..Dials::default() };
        let refused = bench.manager.send(Reconfigure { rules, dials }).await.unwrap();
        let partition = "p".to_owned();
        assert_eq!(refused, Err(RulesRefused::StrangeCpu { partition, cpu: CpuId(9) }));
        assert_eq!(*bench.dials.borrow(), Dials::default());
    });
}

#[test]
fn a_pass_is_by_the_policy_in_force() {
    run(async {
        let (views, mut views_asked) = Probe::<GetPassInput>::start();
        let (plans, mut plans_made) = Probe::<ApplyPlan>::start();
        let dials = watch::Sender::new(Dials::default());
        let trouble = watch::Sender::default().subscribe();
        let scheduler =
            SchedulerActor::new(views, plans, dials.subscribe(), NEVER, trouble).start();
        let job = |id, limit_s| Queued {
            id: JobId(id),
            cpus: 1,
            limit_s: Some(limit_s),
            ..Queued::default()
        };
        for (policy, first) in [("fcfs", 1), ("sjf", 2), ("fcfs", 1)] {
            let policy: Policy = policy.parse().unwrap();
            dials.send_replace(Dials { policy, ..Dials::default() });
            scheduler.send(Wake).await.unwrap();
            let (asked, view) = views_asked.recv().await.unwrap();
            assert_eq!(asked.policy, policy);
            let queue = vec![waiting(&job(1, 200)), waiting(&job(2, 100))];
            let free = Capacity::of(1);
            assert!(
                view.send(PassInput { free, total: free, queue, ..PassInput::default() }).is_ok()
            );
            let (plan, applied) = plans_made.recv().await.unwrap();
            assert_eq!(plan.plan.start, [JobId(first)]);
            assert!(applied.send(Applied::default()).is_ok());
        }
    });
}

/// Orders without a database.
struct Canned;

/// The signals that the database has.
const SIGNALS: [NumberedSignal; 2] = [sent(5, 10), sent(8, 12)];

const fn sent(no: i64, number: u8) -> NumberedSignal {
    NumberedSignal { no: EventId(no), signal: Signal { number, to: Recipients::Others } }
}

/// The limit that the database has by now, seconds.
const LIMIT_S: u32 = 77;

fn key(attempt: Attempt) -> Key {
    Key { attempt, nonce: "n".into(), boot_id: "boot".into() }
}

impl Orders for Canned {
    fn key(&self, attempt: Attempt) -> BoxFuture<'_, Result<Key, StoreError>> {
        Box::pin(async move { Ok(key(attempt)) })
    }

    fn order(&self, attempt: Attempt) -> BoxFuture<'_, Result<Order, NoOrder>> {
        Box::pin(async move { Ok(canned(attempt, "true")) })
    }

    fn order_from(
        &self,
        attempt: Attempt,
        _: LaunchRecords,
    ) -> BoxFuture<'_, Result<Order, NoOrder>> {
        self.order(attempt)
    }

    fn signals(
        &self,
        _: Attempt,
        after: EventId,
    ) -> BoxFuture<'_, Result<Vec<NumberedSignal>, StoreError>> {
        Box::pin(async move { Ok(SIGNALS.into_iter().filter(|one| one.no > after).collect()) })
    }

    fn wish(&self, _: Attempt, _: Time) -> BoxFuture<'_, Result<Wish, StoreError>> {
        Box::pin(async { Ok(Wish { limit_s: Some(LIMIT_S), suspend: false }) })
    }
}

fn canned(attempt: Attempt, script: &str) -> Order {
    let file = || StreamFile { root: "/tmp".into(), path: "x".into() };
    Order {
        key: key(attempt),
        script: script.into(),
        environment: Default::default(),
        own_folder: None,
        working_directory: "/".into(),
        create_working_directory: false,
        stdout: file(),
        stderr: file(),
        limit_s: None,
        kill_grace_s: 1,
        finish_s: 0,
        confine_signals: false,
        output_bytes: None,
        cpus: vec![CpuId(0)],
        pin: false,
        memory_bytes: None,
        denied_devices: Vec::new(),
        signal: None,
        open_mode: downbeat::job::spec::OpenMode::Truncate,
        script_is_bytes: false,
        arguments: Vec::new(),
        standard_input: None,
        umask: None,
        limits: Default::default(),
        person: None,
    }
}

const ATTEMPT: Attempt = Attempt { job: JobId(1), n: 1 };

fn executor(engine: &FakeEngine, fresh: bool) -> (ExecutorAddr, Taken<Observed>) {
    let (addr, facts, _) = executor_and_signals(engine, fresh);
    (addr, facts)
}

fn executor_and_signals(
    engine: &FakeEngine,
    fresh: bool,
) -> (ExecutorAddr, Taken<Observed>, Taken<SignalsGiven>) {
    let (observed, facts) = Probe::start();
    let (given, signals) = Probe::start();
    let engine: Arc<dyn Engine> = Arc::new(engine.clone());
    let tools = Arc::new(Tools { engine, orders: Arc::new(Canned), observed, given });
    let known = if fresh { Known::Granted(None) } else { Known::Ordered };
    (ExecutorActor::launch(ATTEMPT, known, tools), facts, signals)
}

async fn fact(facts: &mut Taken<Observed>) -> Fact {
    let (observed, acknowledge) = facts.recv().await.unwrap();
    acknowledge.send(Ok(())).unwrap();
    observed.fact
}

#[test]
fn an_executor_tells_start_and_end_once_and_forgets_only_what_was_acknowledged() {
    run(async {
        let engine = FakeEngine::new();
        let (_executor, mut facts) = executor(&engine, true);
        assert!(matches!(fact(&mut facts).await, Fact::Started(_)));
        engine.hint(&key(ATTEMPT));
        engine.exit(&key(ATTEMPT), ExitCode { code: 3, signal: 0 });
        let (observed, acknowledge) = facts.recv().await.unwrap();
        let Fact::Exited(exit) = observed.fact else { panic!("{:?}", observed.fact) };
        assert_eq!(exit.exit_code, Some(ExitCode { code: 3, signal: 0 }));
        let collect = Asked::Forget(key(ATTEMPT).name());
        assert!(!engine.diary().contains(&collect), "the record stays until it is durable");
        acknowledge.send(Ok(())).unwrap();
        while !engine.diary().contains(&collect) {
            actix_rt::task::yield_now().await;
        }
        assert_eq!(engine.launches().len(), 1);
    });
}

#[test]
fn an_end_that_nobody_made_durable_keeps_its_record() {
    run(async {
        let engine = FakeEngine::new();
        let (executor, mut facts) = executor(&engine, true);
        assert!(matches!(fact(&mut facts).await, Fact::Started(_)));
        engine.exit(&key(ATTEMPT), ExitCode { code: 3, signal: 0 });
        let (observed, acknowledge) = facts.recv().await.unwrap();
        assert!(matches!(observed.fact, Fact::Exited(_)));
        acknowledge.send(Err(NotDurable)).unwrap();
        // The executor is over when nobody takes its messages any more.
        while executor.look.connected() {
            actix_rt::task::yield_now().await;
        }
        assert!(!engine.diary().contains(&Asked::Forget(key(ATTEMPT).name())));
    });
}

#[test]
fn an_adopted_attempt_that_runs_is_not_launched_again() {
    let engine = FakeEngine::new();
    run(async {
        let (_first, mut facts) = executor(&engine, true);
        assert!(matches!(fact(&mut facts).await, Fact::Started(_)));
    });
    run(async {
        let (_second, mut facts) = executor(&engine, false);
        assert!(matches!(fact(&mut facts).await, Fact::Started(_)));
        engine.exit(&key(ATTEMPT), ExitCode { code: 0, signal: 0 });
        assert!(matches!(fact(&mut facts).await, Fact::Exited(_)));
        assert_eq!(engine.launches().len(), 1);
    });
}

#[test]
fn a_changed_limit_reaches_a_running_attempt_and_one_that_is_adopted() {
    let engine = FakeEngine::new();
    let limit = Some(LimitWish::Seconds(LIMIT_S));
    let wish = Asked::Control(key(ATTEMPT).name(), Control { limit, ..Control::default() });
    let told = |engine: &FakeEngine| engine.diary().iter().filter(|one| **one == wish).count();
    run(async {
        let (executor, mut facts) = executor(&engine, true);
        assert!(matches!(fact(&mut facts).await, Fact::Started(_)));
        assert_eq!(told(&engine), 0, "its order says it");
        executor.adjust.do_send(AdjustAttempt);
        while told(&engine) == 0 {
            actix_rt::task::yield_now().await;
        }
    });
    run(async {
        let (_second, mut facts) = executor(&engine, false);
        assert!(matches!(fact(&mut facts).await, Fact::Started(_)));
        while told(&engine) < 2 {
            actix_rt::task::yield_now().await;
        }
    });
}

#[test]
fn signals_are_handed_over_once_by_each_executor_and_that_is_told() {
    let engine = FakeEngine::new();
    let handed = |engine: &FakeEngine| -> Vec<Asked> {
        engine.diary().into_iter().filter(|one| matches!(one, Asked::Signal(..))).collect()
    };
    let all = Asked::Signal(key(ATTEMPT).name(), SIGNALS.to_vec());
    run(async {
        let (executor, mut facts, mut given) = executor_and_signals(&engine, true);
        assert!(matches!(fact(&mut facts).await, Fact::Started(_)));
        engine.hint(&key(ATTEMPT));
        assert_eq!(handed(&engine), [], "nobody sent one");
        executor.signal.do_send(SignalAttempt);
        let (told, _) = given.recv().await.unwrap();
        assert_eq!((told.attempt, told.last), (ATTEMPT, EventId(8)));
        // There is nothing behind them: the limit is changed after the look at signals.
        executor.signal.do_send(SignalAttempt);
        executor.adjust.do_send(AdjustAttempt);
        while !engine.diary().iter().any(|one| matches!(one, Asked::Control(..))) {
            actix_rt::task::yield_now().await;
        }
        assert_eq!(handed(&engine), std::slice::from_ref(&all));
    });
    run(async {
        let (_second, mut facts, mut given) = executor_and_signals(&engine, false);
        assert!(matches!(fact(&mut facts).await, Fact::Started(_)));
        assert_eq!(given.recv().await.unwrap().0.last, EventId(8), "perhaps it has none");
        assert_eq!(handed(&engine), [all.clone(), all]);
    });
}

#[test]
fn a_cancel_reaches_an_attempt_that_nobody_has_started() {
    run(async {
        let engine = FakeEngine::new();
        let (executor, mut facts) = executor(&engine, false);
        executor.stop.do_send(StopAttempt);
        loop {
            match fact(&mut facts).await {
                Fact::Started(_) => {}
                Fact::Exited(exit) => {
                    let code = exit.exit_code.map(|c| c.to_string());
                    assert!(code.is_none() || code.as_deref() == Some("0:15"), "{code:?}");
                    break;
                }
                other => panic!("{other:?}"),
            }
        }
    });
}

#[test]
fn a_lost_attempt_gives_its_cpus_back_only_when_nothing_of_it_lives() {
    run(async {
        let engine = FakeEngine::with_plan(Script::Vanishes(3));
        let (_executor, mut facts) = executor(&engine, true);
        let mut seen = Vec::new();
        loop {
            let fact = fact(&mut facts).await;
            seen.push(fact.word());
            if let Fact::Vanished(why) = fact {
                assert!(why.contains("supervisor"), "{why}");
                break;
            }
        }
        assert!(seen.contains(&"lost"), "{seen:?}");
        let kills = engine.diary().iter().filter(|a| matches!(a, Asked::KillLeftovers(_))).count();
        assert!(kills >= 2, "killed until none was left: {kills}");
    });
}

#[test]
fn another_boot_is_an_unknown_end_and_never_a_second_run() {
    let engine = FakeEngine::new();
    run(async {
        let (_first, mut facts) = executor(&engine, true);
        assert!(matches!(fact(&mut facts).await, Fact::Started(_)));
    });
    engine.reboot();
    run(async {
        let (_second, mut facts) = executor(&engine, false);
        assert!(matches!(fact(&mut facts).await, Fact::Vanished(why) if why.contains("restarted")));
        assert_eq!(engine.launches().len(), 1);
    });
}

#[test]
fn a_launch_that_the_engine_refuses_is_tried_again() {
    run(async {
        let engine = FakeEngine::with_plan(Script::Fails("interpreter /x not found".into()));
        engine.refuse_launches(2);
        let (_executor, mut facts) = executor(&engine, true);
        let told = fact(&mut facts).await;
        assert!(matches!(told, Fact::LaunchFailed(why) if why.contains("/x")));
    });
}

fn house(engine: &FakeEngine, dir: &std::path::Path) -> System {
    let database = Database::file(dir.join("t.db"));
    let mut writer = database.writer().unwrap();
    let loaded = writer.reader().unwrap().loaded(Default::default()).unwrap();
    let boot_context =
        BootContext { boot_id: "boot".into(), nonce: writer.epoch().to_string().into() };
    let kernel = KernelBuilder::of(loaded.memory).cpus(4);
    let kernel = kernel.boot_context(boot_context.clone()).build();
    let readers = database.readers().unwrap();
    let places = Places { jobs: dir.join("jobs"), output_roots: Vec::new() };
    let dials = watch::Sender::new(Dials::default());
    let dialled = dials.subscribe();
    let site = Arc::new(OrderSite {
        places: places.clone(),
        pin: false,
        confine_signals: false,
        dials: dials.subscribe(),
        host: "here".into(),
        server: "http://127.0.0.1:8000".into(),
        user: "me".into(),
        uid: 1000,
        owners: None,
        inherited: OrderSite::inherited(),
        gpus: JobGpus::default(),
    });
    let ids = (boot_context.nonce, boot_context.boot_id);
    actors::start(Parts {
        kernel,
        commit_no: loaded.commit_no,
        writer,
        readers: readers.clone(),
        engine: Arc::new(engine.clone()),
        orders: Arc::new(FromStore::new(readers, site, ids, loaded.keys)),
        dials,
        tick: NEVER,
        retention: Retention { dials: dialled, places, last_commit: None },
        devices: None,
    })
}

#[test]
fn a_hundred_jobs_pass_through_the_house_and_all_witnesses_agree() {
    run(async {
        let dir = tempfile::tempdir().unwrap();
        let engine = FakeEngine::with_plan(Script::Exits(ExitCode { code: 0, signal: 0 }));
        let system = house(&engine, dir.path());
        let ids = system.submit.send(submit(100)).await.unwrap().unwrap().ids;
        assert_eq!(ids.len(), 100);
        let mut now = system.snapshot.clone();
        let end = now.wait_for(|s| s.count(StateWord::Completed) == 100).await.unwrap().clone();
        assert_eq!((end.used_cpus, end.pending), (0, 0));
        assert_eq!((end.allocations, end.releases), (100, 100));
        assert_eq!(engine.launches().len(), 100);
        let report = system.audit.send(RunAudit).await.unwrap().unwrap();
        assert_eq!(report.drift, []);
        assert_eq!(system.metrics.resource_managers.load(Ordering::SeqCst), 1);
    });
}

#[test]
fn who_waits_for_a_job_is_told_of_its_next_change() {
    run(async {
        let dir = tempfile::tempdir().unwrap();
        let engine = FakeEngine::new();
        let system = house(&engine, dir.path());
        let id = system.submit.send(submit(1)).await.unwrap().unwrap().ids[0];
        let mut now = system.snapshot.clone();
        now.wait_for(|s| s.count(StateWord::Running) == 1).await.unwrap();
        let changed = system.await_job.send(Await { job: id }).await.unwrap();
        let cancel = CancelJobs { jobs: vec![id], by: "me".into() };
        assert_eq!(system.cancel.send(cancel).await.unwrap(), [Cancelled::Stopping]);
        changed.0.await.unwrap();
        now.wait_for(|s| s.count(StateWord::Cancelled) == 1).await.unwrap();
    });
}

#[test]
fn an_audit_finds_a_cpu_that_only_the_database_gives_away() {
    run(async {
        use diesel::connection::SimpleConnection;
        let dir = tempfile::tempdir().unwrap();
        let system = house(&FakeEngine::new(), dir.path());
        // Nothing starts before the sweep at boot has audited: the next is seconds away, and
        // cannot mend what this audit is to find.
        system.submit.send(submit(1)).await.unwrap().unwrap();
        let mut now = system.snapshot.clone();
        now.wait_for(|s| s.count(StateWord::Running) == 1).await.unwrap();
        let mut conn = File::new(dir.path().join("t.db")).session().unwrap();
        conn.batch_execute("INSERT INTO held_units VALUES ('cpu', 2, 7)").unwrap();
        let report = system.audit.send(RunAudit).await.unwrap().unwrap();
        assert_eq!(report.drift.len(), 1, "{report:?}");
        assert_eq!(report.drift[0].kind, "ended_job_holds_cpus");
        assert_eq!(report.drift[0].job, Some(JobId(7)));
    });
}

#[test]
fn nothing_is_handed_out_before_the_first_audit() {
    run(async {
        let mut bench = unaudited_bench();
        let reply = bench.manager.send(submit(1));
        let reply = actix_rt::spawn(reply);
        let (_, durable) = bench.commit().await;
        durable.send(Ok(Vec::new())).unwrap();
        reply.await.unwrap().unwrap().unwrap();
        assert_eq!(bench.manager.send(input()).await.unwrap(), PassInput::default());
        assert!(bench.wake.try_recv().is_err(), "the scheduler sleeps");
        bench.manager.send(Mend(Findings::default())).await.unwrap().unwrap();
        bench.wake.recv().await.unwrap();
        assert_eq!(bench.manager.send(input()).await.unwrap().queue.len(), 1);
    });
}

#[test]
fn cpus_that_an_audit_doubts_are_in_the_next_snapshot() {
    run(async {
        let mut bench = bench();
        let doubted = Findings { doubted: vec![("cpu".into(), CpuId(3))], ..Findings::default() };
        let mended = actix_rt::spawn(bench.manager.send(Mend(doubted)));
        let (commit, durable) = bench.commit().await;
        assert!(commit.steps.iter().all(|step| step.is_empty()), "nothing to remember");
        durable.send(Ok(Vec::new())).unwrap();
        mended.await.unwrap().unwrap().unwrap();
        assert_eq!(bench.snapshot.borrow().held_back, [CpuId(3)]);
        assert_eq!(bench.snapshot.borrow().available_cpus, 3);
    });
}
