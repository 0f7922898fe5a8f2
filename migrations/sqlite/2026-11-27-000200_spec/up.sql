-- What nothing searches, sorts or counts by stands in one JSON object: a new property of a job needs
-- no column. What is not said is left out of it. A value that is none of its kind is kept as it is,
-- so that whoever reads it finds it.
--
-- One pass over the rows: each column that is dropped by itself would be another.
DROP INDEX jobs_by_state;
DROP INDEX jobs_by_account;
DROP INDEX jobs_by_name;
DROP INDEX jobs_by_array;
DROP INDEX jobs_by_array_task;
CREATE TABLE new_jobs (
    id            INTEGER PRIMARY KEY NOT NULL,
    name          TEXT    NOT NULL,
    account       TEXT    NOT NULL,
    user          TEXT    NOT NULL,
    partition     TEXT    NOT NULL,
    state         TEXT    NOT NULL,
    priority      BIGINT  NOT NULL,
    cpus          INTEGER NOT NULL,
    memory_bytes  BIGINT,
    time_limit_s  BIGINT,
    labels        TEXT    NOT NULL,
    spec          TEXT    NOT NULL,
    submit_time   BIGINT  NOT NULL,
    eligible_time BIGINT  NOT NULL,
    start_time    BIGINT,
    end_time      BIGINT,
    exit_code     TEXT,
    error         TEXT,
    attempt       INTEGER NOT NULL,
    completing    TEXT,
    process_id    INTEGER,
    user_cpu_us   BIGINT,
    system_cpu_us BIGINT,
    max_rss_bytes BIGINT,
    held          BOOLEAN,
    begin_time    BIGINT,
    deadline      BIGINT,
    dependency    TEXT,
    array_job_id  BIGINT,
    array_task_id BIGINT,
    array_tasks   TEXT,
    array_spec    TEXT,
    retries       INTEGER NOT NULL DEFAULT 0,
    restarts      INTEGER NOT NULL DEFAULT 0,
    room_since    BIGINT,
    told          TEXT
);
-- An index that is there before the rows grows as they come; made afterwards it is sorted in memory.
CREATE INDEX jobs_by_state ON new_jobs (state);
INSERT INTO new_jobs SELECT
    id, name, account, user, partition, state, priority, cpus, memory_bytes, time_limit_s, labels,
    json_patch('{"v":1}', json_object(
        'kill_grace_s', kill_grace_s,
        'working_directory', working_directory,
        'create_working_directory', json(CASE create_working_directory
            WHEN 0 THEN 'false' WHEN 1 THEN 'true' ELSE json_quote(create_working_directory) END),
        'standard_output', standard_output,
        'standard_error', standard_error,
        'comment', comment,
        'data_source', data_source,
        'warnings', json(CASE WHEN warnings = '[]' THEN 'null' WHEN json_valid(warnings)
            THEN warnings ELSE json_quote(warnings) END),
        'retry', json(CASE WHEN json_valid(retry) THEN retry ELSE json_quote(retry) END),
        'signal', signal,
        'open_mode', open_mode
    )),
    submit_time, eligible_time, start_time, end_time, exit_code, error, attempt, completing,
    process_id, user_cpu_us, system_cpu_us, max_rss_bytes, held, begin_time, deadline, dependency,
    array_job_id, array_task_id, array_tasks, array_spec, retries, restarts, room_since, told
    FROM jobs;
DROP TABLE jobs;
ALTER TABLE new_jobs RENAME TO jobs;
CREATE INDEX jobs_by_account ON jobs (account) WHERE account <> '';
CREATE INDEX jobs_by_name ON jobs (name) WHERE name <> 'job';
CREATE INDEX jobs_by_array ON jobs (array_job_id) WHERE array_job_id IS NOT NULL;
CREATE UNIQUE INDEX jobs_by_array_task ON jobs (array_job_id, array_task_id)
    WHERE array_task_id IS NOT NULL;
