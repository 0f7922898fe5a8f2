-- A list is answered from indexes, and a start does not count history.

-- How many jobs ended in which way, over all time that is remembered.
ALTER TABLE meta ADD COLUMN completed BIGINT NOT NULL DEFAULT 0;
ALTER TABLE meta ADD COLUMN failed BIGINT NOT NULL DEFAULT 0;
ALTER TABLE meta ADD COLUMN cancelled BIGINT NOT NULL DEFAULT 0;
ALTER TABLE meta ADD COLUMN timeout BIGINT NOT NULL DEFAULT 0;
ALTER TABLE meta ADD COLUMN out_of_memory BIGINT NOT NULL DEFAULT 0;
ALTER TABLE meta ADD COLUMN node_fail BIGINT NOT NULL DEFAULT 0;
UPDATE meta SET
    completed     = (SELECT count(*) FROM jobs WHERE state = 'COMPLETED'),
    failed        = (SELECT count(*) FROM jobs WHERE state = 'FAILED'),
    cancelled     = (SELECT count(*) FROM jobs WHERE state = 'CANCELLED'),
    timeout       = (SELECT count(*) FROM jobs WHERE state = 'TIMEOUT'),
    out_of_memory = (SELECT count(*) FROM jobs WHERE state = 'OUT_OF_MEMORY'),
    node_fail     = (SELECT count(*) FROM jobs WHERE state = 'NODE_FAIL');

-- A row for each label of each job; `jobs.labels` says the same, for answers.
CREATE TABLE job_labels (
    key    TEXT   NOT NULL,
    value  TEXT   NOT NULL,
    job_id BIGINT NOT NULL,
    PRIMARY KEY (key, value, job_id)
) WITHOUT ROWID;
INSERT INTO job_labels SELECT label.key, label.value, jobs.id
    FROM jobs, json_each(CASE WHEN json_valid(labels) THEN labels ELSE '{}' END) AS label
    WHERE labels <> '{}' AND label.type = 'text'
    ORDER BY label.key, label.value, jobs.id;

-- Ids and submit times rise together, but where the clock was set back: each such job, the latest
-- submit time of those before it, and its own.
CREATE TABLE submit_time_falls (
    job_id      INTEGER PRIMARY KEY NOT NULL,
    time_before BIGINT  NOT NULL,
    time_after  BIGINT  NOT NULL
);
INSERT INTO submit_time_falls SELECT id, time_before, submit_time
    FROM (SELECT id, submit_time, lag(submit_time) OVER (ORDER BY id) AS time_before FROM jobs)
    WHERE submit_time < time_before;
