-- What an attempt used while it ran, as measured: `series` is a JSON object of lists, bounded in their
-- length. An attempt that was never measured has no row. A row goes with its job.
CREATE TABLE attempt_usage (
    job_id BIGINT NOT NULL,
    attempt BIGINT NOT NULL,
    series TEXT NOT NULL,
    PRIMARY KEY (job_id, attempt)
) WITHOUT ROWID;
