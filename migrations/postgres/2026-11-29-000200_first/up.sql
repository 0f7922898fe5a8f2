-- Everything there is, as it stands after the migration of the same number of the other database.
--
-- Texts are compared by their bytes: pages are in the order that the program compares in, and a
-- new version of a library of languages damages no index. Numbers of moments are µs since 1970.
-- Rows that change often leave room for their next version beside them.

CREATE TABLE meta (
    id            BIGINT PRIMARY KEY CHECK (id = 1),
    commit_no     BIGINT NOT NULL,
    epoch         BIGINT NOT NULL,
    next_job_id   BIGINT NOT NULL,
    next_event_id BIGINT NOT NULL,
    installation  TEXT   NOT NULL DEFAULT ''
) WITH (fillfactor = 10);
INSERT INTO meta (id, commit_no, epoch, next_job_id, next_event_id) VALUES (1, 0, 0, 1, 1);

CREATE TABLE jobs (
    id            BIGINT PRIMARY KEY,
    name          TEXT    COLLATE "C" NOT NULL,
    account       TEXT    COLLATE "C" NOT NULL,
    "user"        TEXT    COLLATE "C" NOT NULL,
    partition     TEXT    COLLATE "C" NOT NULL,
    state         TEXT    COLLATE "C" NOT NULL,
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
    exit_code     TEXT    COLLATE "C",
    error         TEXT,
    attempt       INTEGER NOT NULL,
    completing    TEXT    COLLATE "C",
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
    told          TEXT,
    uid           BIGINT,
    suspend_time  BIGINT,
    suspended_us  BIGINT
) WITH (
    fillfactor = 85,
    autovacuum_vacuum_scale_factor = 0.01,
    autovacuum_vacuum_threshold = 1000,
    autovacuum_analyze_scale_factor = 0.02,
    autovacuum_vacuum_cost_delay = 0
);
CREATE INDEX jobs_by_state ON jobs (state, id);
CREATE INDEX jobs_by_account ON jobs (account, id) WHERE account <> '';
CREATE INDEX jobs_by_name ON jobs (name, id) WHERE name <> 'job';
CREATE INDEX jobs_by_user ON jobs ("user", id) WHERE "user" <> '';
CREATE INDEX jobs_by_partition ON jobs (partition, id) WHERE partition <> 'default';
CREATE INDEX jobs_by_end_time ON jobs (end_time, id, state) WHERE end_time IS NOT NULL;
CREATE INDEX jobs_by_array ON jobs (array_job_id, id) WHERE array_job_id IS NOT NULL;
CREATE UNIQUE INDEX jobs_by_array_task ON jobs (array_job_id, array_task_id)
    WHERE array_task_id IS NOT NULL;
CREATE INDEX jobs_by_uid ON jobs (uid, id) WHERE uid IS NOT NULL;
CREATE INDEX jobs_by_uid_and_state ON jobs (uid, state, id) WHERE uid IS NOT NULL;

CREATE TABLE job_scripts (
    job_id      BIGINT PRIMARY KEY,
    script      TEXT NOT NULL,
    environment TEXT NOT NULL
);

CREATE TABLE job_labels (
    key    TEXT   COLLATE "C" NOT NULL,
    value  TEXT   COLLATE "C" NOT NULL,
    job_id BIGINT NOT NULL,
    PRIMARY KEY (key, value, job_id)
);

CREATE TABLE job_counts (
    state TEXT   COLLATE "C" PRIMARY KEY,
    n     BIGINT NOT NULL
) WITH (fillfactor = 10);

CREATE TABLE resource_allocations (
    id              BIGINT  PRIMARY KEY,
    job_id          BIGINT  NOT NULL,
    attempt         INTEGER NOT NULL,
    allocated_cpus  INTEGER NOT NULL,
    cpu_ids         TEXT    NOT NULL,
    released        BOOLEAN NOT NULL,
    allocation_time BIGINT  NOT NULL,
    released_time   BIGINT,
    process_id      INTEGER,
    nonce           TEXT    NOT NULL,
    boot_id         TEXT    NOT NULL,
    state           TEXT    COLLATE "C",
    exit_code       TEXT    COLLATE "C",
    error           TEXT,
    start_time      BIGINT,
    end_time        BIGINT,
    resources       TEXT
) WITH (
    fillfactor = 85,
    autovacuum_vacuum_scale_factor = 0.01,
    autovacuum_vacuum_threshold = 1000,
    autovacuum_analyze_scale_factor = 0.02,
    autovacuum_vacuum_cost_delay = 0
);
CREATE INDEX resource_allocations_by_job ON resource_allocations (job_id, id);
CREATE UNIQUE INDEX resource_allocations_unreleased ON resource_allocations (job_id)
    WHERE NOT released;

CREATE TABLE held_units (
    resource TEXT   COLLATE "C" NOT NULL,
    unit     BIGINT NOT NULL,
    job_id   BIGINT NOT NULL,
    PRIMARY KEY (resource, unit)
) WITH (
    autovacuum_vacuum_scale_factor = 0.01,
    autovacuum_vacuum_threshold = 1000,
    autovacuum_analyze_scale_factor = 0.02,
    autovacuum_vacuum_cost_delay = 0
);
CREATE INDEX held_units_by_job ON held_units (job_id);

CREATE TABLE events (
    id         BIGINT  PRIMARY KEY,
    job_id     BIGINT  NOT NULL,
    attempt    INTEGER NOT NULL,
    time       BIGINT  NOT NULL,
    from_state TEXT    COLLATE "C",
    to_state   TEXT    COLLATE "C" NOT NULL,
    cause      TEXT    NOT NULL,
    principal  TEXT    NOT NULL,
    uid        BIGINT
);
CREATE INDEX events_by_job ON events (job_id, id);

CREATE TABLE idempotency_keys (
    key          TEXT    COLLATE "C" PRIMARY KEY,
    body_hash    TEXT    NOT NULL,
    first_job_id BIGINT  NOT NULL,
    job_count    INTEGER NOT NULL,
    time         BIGINT  NOT NULL
);
CREATE INDEX idempotency_keys_by_time ON idempotency_keys (time);

CREATE TABLE submit_time_falls (
    job_id      BIGINT PRIMARY KEY,
    time_before BIGINT NOT NULL,
    time_after  BIGINT NOT NULL
);

CREATE TABLE maintenance (
    id         BIGINT PRIMARY KEY,
    start_time BIGINT NOT NULL,
    end_time   BIGINT,
    reason     TEXT   NOT NULL,
    principal  TEXT   NOT NULL
);

CREATE TABLE account_usage (
    account TEXT   COLLATE "C" PRIMARY KEY,
    cpu_us  BIGINT NOT NULL,
    as_of   BIGINT NOT NULL
);

CREATE TABLE audit (
    id         BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    time       BIGINT  NOT NULL,
    uid        BIGINT,
    name       TEXT    COLLATE "C" NOT NULL,
    role       TEXT    NOT NULL,
    via        TEXT    NOT NULL,
    token_id   TEXT,
    peer_pid   INTEGER,
    remote     TEXT,
    request_id TEXT    NOT NULL,
    verb       TEXT    NOT NULL,
    target     BIGINT,
    count      INTEGER NOT NULL,
    detail     TEXT    NOT NULL
);
CREATE INDEX audit_by_target ON audit (target, id) WHERE target IS NOT NULL;

CREATE TABLE tokens (
    id      TEXT   COLLATE "C" PRIMARY KEY,
    uid     BIGINT NOT NULL,
    "user"  TEXT   NOT NULL,
    name    TEXT   NOT NULL,
    role    TEXT   NOT NULL,
    hash    TEXT   NOT NULL,
    created BIGINT NOT NULL,
    expires BIGINT NOT NULL
);
CREATE INDEX tokens_by_uid ON tokens (uid, id);

CREATE TABLE signals (
    id         BIGINT  PRIMARY KEY,
    job_id     BIGINT  NOT NULL,
    attempt    INTEGER NOT NULL,
    signal     INTEGER NOT NULL,
    recipients TEXT    NOT NULL
);
CREATE INDEX signals_by_job ON signals (job_id, attempt);

CREATE TABLE steps (
    id            BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    job_id        BIGINT  NOT NULL,
    attempt       INTEGER NOT NULL,
    step          INTEGER NOT NULL,
    name          TEXT    NOT NULL,
    tasks         INTEGER NOT NULL,
    cpus          INTEGER NOT NULL,
    start_time    BIGINT  NOT NULL,
    end_time      BIGINT,
    exit_code     TEXT    COLLATE "C",
    user_cpu_us   BIGINT,
    system_cpu_us BIGINT,
    max_rss_bytes BIGINT,
    UNIQUE (job_id, attempt, step)
);

CREATE TABLE samples (
    step_s       BIGINT NOT NULL,
    start        BIGINT NOT NULL,
    minutes      BIGINT NOT NULL,
    cpu_us       BIGINT NOT NULL,
    memory_bytes BIGINT NOT NULL,
    gpu_us       BIGINT NOT NULL,
    pending_us   BIGINT NOT NULL,
    running_us   BIGINT NOT NULL,
    started      BIGINT NOT NULL,
    ended_ok     BIGINT NOT NULL,
    ended_not_ok BIGINT NOT NULL,
    waited_us    BIGINT NOT NULL,
    PRIMARY KEY (step_s, start)
);

CREATE TABLE attempt_usage (
    job_id  BIGINT NOT NULL,
    attempt BIGINT NOT NULL,
    series  TEXT   NOT NULL,
    PRIMARY KEY (job_id, attempt)
);
INSERT INTO job_counts (state, n) VALUES
    ('CANCELLED', 0), ('COMPLETED', 0), ('FAILED', 0), ('NODE_FAIL', 0), ('OUT_OF_MEMORY', 0),
    ('TIMEOUT', 0);
