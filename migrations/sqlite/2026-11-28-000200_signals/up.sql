-- Signals for running jobs that their supervisors may not have yet. `id` is that of the event, so a
-- supervisor does each once. `recipients`: script, others or all of the attempt's processes.
CREATE TABLE signals (
    id BIGINT PRIMARY KEY NOT NULL,
    job_id BIGINT NOT NULL,
    attempt INTEGER NOT NULL,
    signal INTEGER NOT NULL,
    recipients TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX signals_by_job ON signals (job_id, attempt);
