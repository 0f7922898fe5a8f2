-- All times are microseconds since 1970 UTC. Ids come from `meta`, never from the database.

CREATE TABLE meta (
    id            INTEGER PRIMARY KEY NOT NULL CHECK (id = 1),
    commit_no     BIGINT  NOT NULL,
    epoch         BIGINT  NOT NULL,
    next_job_id   BIGINT  NOT NULL,
    next_event_id BIGINT  NOT NULL
);
INSERT INTO meta (id, commit_no, epoch, next_job_id, next_event_id) VALUES (1, 0, 0, 1, 1);

CREATE TABLE jobs (
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
CREATE INDEX jobs_by_state ON jobs (state, id);

-- Scripts and environments are large and seldom read: they stand beside the jobs.
CREATE TABLE job_scripts (
    job_id      BIGINT PRIMARY KEY NOT NULL,
    script      TEXT   NOT NULL,
    environment TEXT   NOT NULL
);

-- The id is that of the event that granted it.
CREATE TABLE resource_allocations (
    id              BIGINT  PRIMARY KEY NOT NULL,
    job_id          BIGINT  NOT NULL,
    attempt         INTEGER NOT NULL,
    allocated_cpus  INTEGER NOT NULL,
    cpu_ids         TEXT    NOT NULL,
    released        BOOLEAN NOT NULL,
    allocation_time BIGINT  NOT NULL,
    released_time   BIGINT,
    process_id      INTEGER,
    nonce           TEXT    NOT NULL,
    boot_id         TEXT    NOT NULL
);
CREATE INDEX resource_allocations_by_job ON resource_allocations (job_id);
-- The database itself refuses a second unreleased allocation of a job …
CREATE UNIQUE INDEX resource_allocations_unreleased ON resource_allocations (job_id) WHERE NOT released;

-- … and a second holder of a CPU.
CREATE TABLE held_cpus (
    cpu_id INTEGER PRIMARY KEY NOT NULL,
    job_id BIGINT  NOT NULL
);

CREATE TABLE events (
    id         BIGINT  PRIMARY KEY NOT NULL,
    job_id     BIGINT  NOT NULL,
    attempt    INTEGER NOT NULL,
    time       BIGINT  NOT NULL,
    from_state TEXT,
    to_state   TEXT    NOT NULL,
    cause      TEXT    NOT NULL,
    principal  TEXT    NOT NULL
);
CREATE INDEX events_by_job ON events (job_id);

CREATE TABLE idempotency_keys (
    key          TEXT    PRIMARY KEY NOT NULL,
    body_hash    TEXT    NOT NULL,
    first_job_id BIGINT  NOT NULL,
    job_count    INTEGER NOT NULL,
    time         BIGINT  NOT NULL
);
CREATE INDEX idempotency_keys_by_time ON idempotency_keys (time);
