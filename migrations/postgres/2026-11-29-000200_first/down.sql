DROP TABLE attempt_usage, samples, steps, signals, tokens, audit, account_usage, maintenance,
    submit_time_falls, idempotency_keys, events, held_units, resource_allocations, job_counts,
    job_labels, job_scripts, jobs, meta;
