//! *Purpose*: the tables as diesel knows them.
//!
//! *Owns*: nothing but names and types; a test compares them with the migrated database.
//!
//! *Promises*: the same columns in the same order as `migrations/`.
//!
//! *Not here*: what the columns mean (the migrations and `store::rows`).

#![allow(missing_docs, reason = "generated shape")]

diesel::table! {
    meta (id) {
        id -> BigInt,
        commit_no -> BigInt,
        epoch -> BigInt,
        next_job_id -> BigInt,
        next_event_id -> BigInt,
        installation -> Text,
    }
}

diesel::table! {
    jobs (id) {
        id -> BigInt,
        name -> Text,
        account -> Text,
        user -> Text,
        partition -> Text,
        state -> Text,
        priority -> BigInt,
        cpus -> Integer,
        memory_bytes -> Nullable<BigInt>,
        time_limit_s -> Nullable<BigInt>,
        labels -> Text,
        spec -> Text,
        submit_time -> BigInt,
        eligible_time -> BigInt,
        start_time -> Nullable<BigInt>,
        end_time -> Nullable<BigInt>,
        exit_code -> Nullable<Text>,
        error -> Nullable<Text>,
        attempt -> Integer,
        completing -> Nullable<Text>,
        process_id -> Nullable<Integer>,
        user_cpu_us -> Nullable<BigInt>,
        system_cpu_us -> Nullable<BigInt>,
        max_rss_bytes -> Nullable<BigInt>,
        held -> Nullable<Bool>,
        begin_time -> Nullable<BigInt>,
        deadline -> Nullable<BigInt>,
        dependency -> Nullable<Text>,
        array_job_id -> Nullable<BigInt>,
        array_task_id -> Nullable<BigInt>,
        array_tasks -> Nullable<Text>,
        array_spec -> Nullable<Text>,
        retries -> Integer,
        restarts -> Integer,
        room_since -> Nullable<BigInt>,
        told -> Nullable<Text>,
        uid -> Nullable<BigInt>,
        suspend_time -> Nullable<BigInt>,
        suspended_us -> Nullable<BigInt>,
    }
}

diesel::table! {
    job_scripts (job_id) {
        job_id -> BigInt,
        script -> Text,
        environment -> Text,
    }
}

diesel::table! {
    resource_allocations (id) {
        id -> BigInt,
        job_id -> BigInt,
        attempt -> Integer,
        allocated_cpus -> Integer,
        cpu_ids -> Text,
        released -> Bool,
        allocation_time -> BigInt,
        released_time -> Nullable<BigInt>,
        process_id -> Nullable<Integer>,
        nonce -> Text,
        boot_id -> Text,
        state -> Nullable<Text>,
        exit_code -> Nullable<Text>,
        error -> Nullable<Text>,
        start_time -> Nullable<BigInt>,
        end_time -> Nullable<BigInt>,
        resources -> Nullable<Text>,
    }
}

diesel::table! {
    held_units (resource, unit) {
        resource -> Text,
        unit -> BigInt,
        job_id -> BigInt,
    }
}

diesel::table! {
    job_counts (state) {
        state -> Text,
        n -> BigInt,
    }
}

diesel::table! {
    events (id) {
        id -> BigInt,
        job_id -> BigInt,
        attempt -> Integer,
        time -> BigInt,
        from_state -> Nullable<Text>,
        to_state -> Text,
        cause -> Text,
        principal -> Text,
        uid -> Nullable<BigInt>,
    }
}

diesel::table! {
    idempotency_keys (key) {
        key -> Text,
        body_hash -> Text,
        first_job_id -> BigInt,
        job_count -> Integer,
        time -> BigInt,
    }
}

diesel::table! {
    job_labels (key, value, job_id) {
        key -> Text,
        value -> Text,
        job_id -> BigInt,
    }
}

diesel::table! {
    submit_time_falls (job_id) {
        job_id -> BigInt,
        time_before -> BigInt,
        time_after -> BigInt,
    }
}

diesel::table! {
    steps (id) {
        id -> BigInt,
        job_id -> BigInt,
        attempt -> Integer,
        step -> Integer,
        name -> Text,
        tasks -> Integer,
        cpus -> Integer,
        start_time -> BigInt,
        end_time -> Nullable<BigInt>,
        exit_code -> Nullable<Text>,
        user_cpu_us -> Nullable<BigInt>,
        system_cpu_us -> Nullable<BigInt>,
        max_rss_bytes -> Nullable<BigInt>,
    }
}

diesel::table! {
    signals (id) {
        id -> BigInt,
        job_id -> BigInt,
        attempt -> Integer,
        signal -> Integer,
        recipients -> Text,
    }
}

diesel::table! {
    maintenance (id) {
        id -> BigInt,
        start_time -> BigInt,
        end_time -> Nullable<BigInt>,
        reason -> Text,
        principal -> Text,
    }
}

diesel::table! {
    tokens (id) {
        id -> Text,
        uid -> BigInt,
        user -> Text,
        name -> Text,
        role -> Text,
        hash -> Text,
        created -> BigInt,
        expires -> BigInt,
    }
}

diesel::table! {
    audit (id) {
        id -> BigInt,
        time -> BigInt,
        uid -> Nullable<BigInt>,
        name -> Text,
        role -> Text,
        via -> Text,
        token_id -> Nullable<Text>,
        peer_pid -> Nullable<Integer>,
        remote -> Nullable<Text>,
        request_id -> Text,
        verb -> Text,
        target -> Nullable<BigInt>,
        count -> Integer,
        detail -> Text,
    }
}

diesel::table! {
    account_usage (account) {
        account -> Text,
        cpu_us -> BigInt,
        as_of -> BigInt,
    }
}

diesel::table! {
    samples (step_s, start) {
        step_s -> BigInt,
        start -> BigInt,
        minutes -> BigInt,
        cpu_us -> BigInt,
        memory_bytes -> BigInt,
        gpu_us -> BigInt,
        pending_us -> BigInt,
        running_us -> BigInt,
        started -> BigInt,
        ended_ok -> BigInt,
        ended_not_ok -> BigInt,
        waited_us -> BigInt,
    }
}

diesel::table! {
    attempt_usage (job_id, attempt) {
        job_id -> BigInt,
        attempt -> BigInt,
        series -> Text,
    }
}

diesel::allow_tables_to_appear_in_same_query!(
    jobs,
    job_scripts,
    resource_allocations,
    signals,
    steps
);
