-- Only the words `INTEGER PRIMARY KEY` make an id SQLite's own row id. A `BIGINT PRIMARY KEY` is an
-- index beside its table, written with each row and passed through at each look-up. A row id also
-- stands at the end of every index, so none of them has to name it.
--
-- Each table has a migration of its own: one transaction over all of a long history would make a
-- log in which SQLite finds its pages ever more slowly.

-- An index that is there before the rows grows as they come; made afterwards it is sorted in memory.
DROP INDEX jobs_by_state;
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
    max_rss_bytes            BIGINT
);
CREATE INDEX jobs_by_state ON new_jobs (state);
INSERT INTO new_jobs SELECT * FROM jobs;
DROP TABLE jobs;
ALTER TABLE new_jobs RENAME TO jobs;
-- Who neither names a job nor charges an account pays for neither index.
CREATE INDEX jobs_by_account ON jobs (account) WHERE account <> '';
CREATE INDEX jobs_by_name ON jobs (name) WHERE name <> 'job';
