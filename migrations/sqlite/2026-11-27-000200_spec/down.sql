-- What only the object can say (resources besides CPUs and memory) has no column before.
DROP INDEX jobs_by_state;
DROP INDEX jobs_by_account;
DROP INDEX jobs_by_name;
DROP INDEX jobs_by_array;
DROP INDEX jobs_by_array_task;
CREATE TABLE new_jobs (
    id                       INTEGER PRIMARY KEY NOT NULL,
    name                     TEXT    NOT NULL,
    account                  TEXT    NOT NULL,
    user                     TEXT    NOT NULL,
    partition                TEXT    NOT NULL,
    state                    TEXT    NOT NULL,
    priority                 BIGINT  NOT NULL,
    cpus                     INTEGER NOT NULL,
    memory_bytes             BIGINT,
    time_limit_s             BIGINT,
    kill_grace_s             BIGINT  NOT NULL,
    working_directory        TEXT,
    create_working_directory BOOLEAN NOT NULL,
    standard_output          TEXT,
    standard_error           TEXT,
    labels                   TEXT    NOT NULL,
    comment                  TEXT,
    data_source              TEXT    NOT NULL,
    warnings                 TEXT    NOT NULL,
    submit_time              BIGINT  NOT NULL,
    eligible_time            BIGINT  NOT NULL,
    start_time               BIGINT,
    end_time                 BIGINT,
    exit_code                TEXT,
    error                    TEXT,
    attempt                  INTEGER NOT NULL,
    completing               TEXT,
    process_id               INTEGER,
    user_cpu_us              BIGINT,
    system_cpu_us            BIGINT,
    max_rss_bytes            BIGINT,
    held                     BOOLEAN,
    begin_time               BIGINT,
    deadline                 BIGINT,
    dependency               TEXT,
    array_job_id             BIGINT,
    array_task_id            BIGINT,
    array_tasks              TEXT,
    array_spec               TEXT,
    retry                    TEXT,
    retries                  INTEGER NOT NULL DEFAULT 0,
    restarts                 INTEGER NOT NULL DEFAULT 0,
    signal                   TEXT,
    room_since               BIGINT,
    told                     TEXT,
    open_mode                TEXT
);
CREATE INDEX jobs_by_state ON new_jobs (state);
INSERT INTO new_jobs SELECT
    id, name, account, user, partition, state, priority, cpus, memory_bytes, time_limit_s,
    json_extract(spec, '$.kill_grace_s'),
    json_extract(spec, '$.working_directory'),
    json_extract(spec, '$.create_working_directory'),
    json_extract(spec, '$.standard_output'),
    json_extract(spec, '$.standard_error'),
    labels,
    json_extract(spec, '$.comment'),
    json_extract(spec, '$.data_source'),
    coalesce(json_extract(spec, '$.warnings'), '[]'),
    submit_time, eligible_time, start_time, end_time, exit_code, error, attempt, completing,
    process_id, user_cpu_us, system_cpu_us, max_rss_bytes, held, begin_time, deadline, dependency,
    array_job_id, array_task_id, array_tasks, array_spec,
    json_extract(spec, '$.retry'),
    retries, restarts,
    json_extract(spec, '$.signal'),
    room_since, told,
    json_extract(spec, '$.open_mode')
    FROM jobs;
DROP TABLE jobs;
ALTER TABLE new_jobs RENAME TO jobs;
CREATE INDEX jobs_by_account ON jobs (account) WHERE account <> '';
CREATE INDEX jobs_by_name ON jobs (name) WHERE name <> 'job';
CREATE INDEX jobs_by_array ON jobs (array_job_id) WHERE array_job_id IS NOT NULL;
CREATE UNIQUE INDEX jobs_by_array_task ON jobs (array_job_id, array_task_id)
    WHERE array_task_id IS NOT NULL;
