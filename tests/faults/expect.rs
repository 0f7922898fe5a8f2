//! *Purpose*: how the job of a case must end.
//!
//! *Owns*: [`Expected`] and the rules behind it.
//!
//! *Promises*: one state and one code for each case, no "either or"; unknown is allowed only
//! where whoever knew the code was killed before the record was written.
//!
//! *Not here*: what must hold in every case (`case`).

use crate::table::{Alive, Case, Restart, Trigger};

/// The code with which the script ends when it is let.
pub const CODE: i64 = 37;

/// How the job must end.
#[derive(Debug)]
pub struct Expected {
    pub state: &'static str,
    /// As the job shows it; `None` for unknown.
    pub code: Option<String>,
    /// How often its script has started.
    pub starts: usize,
}

fn expected(state: &'static str, code: Option<&str>, starts: usize) -> Expected {
    Expected { state, code: code.map(ToOwned::to_owned), starts }
}

/// The rules, the first that fits.
pub fn of(case: &Case) -> Expected {
    let (point, killed) = (case.row.point, case.victims);
    if case.row.trigger == Trigger::CancelEarly {
        return expected("CANCELLED", None, 0);
    }
    let own_code = format!("{CODE}:0");
    // The first attempt may end as it likes; the second ends by itself.
    let asked_again = case.row.trigger == Trigger::Requeue;
    if asked_again && !(killed.server && point == "requeue.committing") {
        return expected("FAILED", Some(&own_code), 2);
    }
    let cancelled = case.row.trigger == Trigger::Cancel
        && !(killed.server && ["cancel.received", "cancel.committing"].contains(&point));
    // Between the lock and the fork nobody but the daemon could have started the script.
    let daemon_ended = killed.daemon || case.restart == Restart::BesideAHangingDaemon;
    if point == "launch.state-locked" && daemon_ended {
        return expected("NODE_FAIL", None, 0);
    }
    if case.row.trigger == Trigger::Lost {
        return expected("NODE_FAIL", None, 1);
    }
    if killed.supervisor && point != "exited.recorded" {
        let state = if cancelled { "CANCELLED" } else { "NODE_FAIL" };
        let spawned = !["launch.unnamed", "launch.ready", "launch.before-spawn"].contains(&point);
        return expected(state, None, usize::from(spawned));
    }
    let let_end = case.restart == Restart::AfterTheEnd;
    // Whoever reads the database tells the supervisor, and so does whoever has read the wish.
    let untold = killed.server && point == "edit.committing"
        || let_end && ["edit.committed", "limit.written"].contains(&point);
    let shortened = case.row.trigger == Trigger::Shorten && !killed.script && !untold;
    let code = if killed.script || ignores_term(case) {
        "0:9"
    } else if shortened
        || case.row.trigger == Trigger::Limit
        || cancelled && !(let_end && ["cancel.committed", "cancel.written"].contains(&point))
    {
        "0:15"
    } else {
        &own_code
    };
    let state = match case.row.trigger {
        Trigger::Limit => "TIMEOUT",
        _ if shortened => "TIMEOUT",
        _ if cancelled => "CANCELLED",
        _ => "FAILED",
    };
    expected(state, Some(code), 1)
}

/// How often the script hears the signal that it is sent. Whoever killed the supervisor, or the
/// script, did so before it was sent; whoever ends without a server hears only what is in the spool.
pub fn heard(case: &Case) -> usize {
    let (point, killed) = (case.row.point, case.victims);
    let unheard = killed.supervisor
        || killed.script
        || killed.server && point == "signal.committing"
        || case.restart == Restart::AfterTheEnd && point == "signal.committed";
    usize::from(case.row.trigger == Trigger::Signal && !unheard)
}

/// Whether the script ignores TERM and so lives through its grace: else the server would hear of
/// the limit and of the end at once, and never step to COMPLETING.
pub fn ignores_term(case: &Case) -> bool {
    ["limit.committing", "limit.committed"].contains(&case.row.point)
}

/// Whether the submission of a case that got no answer must be there after the restart. `None`: a
/// submission and the start that it leads to are one commit, unless the server was so young that it
/// had not audited itself, and started nothing yet.
pub fn was_stored(case: &Case) -> Option<bool> {
    match case.row.point {
        "submit.received" | "submit.committing" => Some(false),
        "allocate.planned" | "allocate.committing" => None,
        _ => Some(true),
    }
}

/// Whether the script runs at this point and waits at its gate.
pub fn script_is_up(case: &Case) -> bool {
    matches!(case.row.alive, Alive::Both | Alive::Orphan)
}
