//! *Purpose*: which columns a row that is written fills.
//!
//! *Owns*: the list of columns of each kind of new row and of each kind of update.
//!
//! *Promises*: said once, for every database: one that binds rows and one that binds columns make
//! what they need of the same list.
//!
//! *Not here*: what the fields hold (`store::rows`, `store::updates`), the statements around them
//! (`store::sqlite`).

/// Hands the kinds of new rows to a macro: `row => table: column …;`, where each column is a field
/// of the row; `row as other` tells the second kind of rows of a table from the first.
macro_rules! new_rows {
    ($make:ident) => {
        $make! {
            NewJob<'_> => jobs: id name account user partition state priority cpus memory_bytes
                time_limit_s labels spec submit_time eligible_time attempt held begin_time deadline
                dependency uid;
            NewTask<'_> as NewTask<'static> => jobs: id name account user partition state priority
                cpus memory_bytes time_limit_s labels spec submit_time eligible_time attempt held
                begin_time deadline dependency array_job_id array_task_id uid;
            NewScript<'_> => job_scripts: job_id script environment;
            NewLabel<'_> => job_labels: key value job_id;
            ClockStepRow => submit_time_falls: job_id time_before time_after;
            NewAllocation<'_> => resource_allocations: id job_id attempt allocated_cpus cpu_ids
                released allocation_time nonce boot_id resources;
            NewHeld<'_> => held_units: resource unit job_id;
            NewCount<'_> => job_counts: state n;
            NewEvent<'_> => events: id job_id attempt time from_state to_state cause principal uid;
            NewAsked<'_> => audit: time uid name role via token_id peer_pid remote request_id verb
                target count detail;
            NewKey<'_> => idempotency_keys: key body_hash first_job_id job_count time;
        }
    };
}

/// Hands the kinds of updates to a macro: `row as kind => table (column = field … also text)
/// { column … };` In brackets stands what must be true of the row before, and behind `also` what
/// does not depend on the values: a parameter that decides whether a partial index may be used
/// makes a database plan the statement anew at each run. In braces stands what is set.
macro_rules! updates {
    ($make:ident) => {
        $make! {
            FenceRow as FenceRow => meta (id = id, commit_no = before, epoch = epoch also "")
                { commit_no next_job_id next_event_id };
            NewCount<'_> as NewCount<'static> => job_counts (state = state also "") { n };
            GrantedRow<'_> as GrantedRow<'static> => jobs (id = id, state = was also "")
                { state attempt };
            PlacedRow<'_> as PlacedRow<'static> => jobs (id = id also "") { partition };
            StartedRow<'_> as StartedRow<'static> => jobs (id = id, state = was also "")
                { state start_time process_id };
            CompletingRow<'_> as CompletingRow<'static> => jobs (id = id, state = was also "")
                { state completing };
            EndedRow<'_> as EndedRow<'static> => jobs (id = id, state = was also "")
                { state end_time exit_code error start_time process_id user_cpu_us system_cpu_us
                  max_rss_bytes };
            ProcessRow as ProcessRow => resource_allocations
                (job_id = job_id, attempt = attempt also " AND NOT released") { process_id };
            ReleasedRow<'_> as ReleasedRow<'static> => resource_allocations
                (job_id = job_id, attempt = attempt also " AND NOT released")
                { released released_time process_id state exit_code error start_time end_time };
        }
    };
}

pub(super) use {new_rows, updates};
