CREATE TABLE new_jobs (
    id                       BIGINT  PRIMARY KEY NOT NULL,
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
    max_rss_bytes            BIGINT
);
INSERT INTO new_jobs SELECT * FROM jobs;
DROP TABLE jobs;
ALTER TABLE new_jobs RENAME TO jobs;
CREATE INDEX jobs_by_state ON jobs (state, id);
