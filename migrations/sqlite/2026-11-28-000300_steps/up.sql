-- What a job's script starts as a step (`srun`), as it tells the server. Nothing is decided by it.
-- `end_time` and what follows are NULL while it runs, and for ever where nobody told its end.
CREATE TABLE steps (
    id INTEGER PRIMARY KEY NOT NULL,
    job_id BIGINT NOT NULL,
    attempt INTEGER NOT NULL,
    step INTEGER NOT NULL,
    name TEXT NOT NULL,
    tasks INTEGER NOT NULL,
    cpus INTEGER NOT NULL,
    start_time BIGINT NOT NULL,
    end_time BIGINT,
    exit_code TEXT,
    user_cpu_us BIGINT,
    system_cpu_us BIGINT,
    max_rss_bytes BIGINT,
    UNIQUE (job_id, attempt, step)
);
