-- The id becomes the row id: see the jobs.

DROP INDEX events_by_job;
CREATE TABLE new_events (
    id         INTEGER PRIMARY KEY NOT NULL,
    job_id     BIGINT  NOT NULL,
    attempt    INTEGER NOT NULL,
    time       BIGINT  NOT NULL,
    from_state TEXT,
    to_state   TEXT    NOT NULL,
    cause      TEXT    NOT NULL,
    principal  TEXT    NOT NULL
);
CREATE INDEX events_by_job ON new_events (job_id);
INSERT INTO new_events SELECT * FROM events;
DROP TABLE events;
ALTER TABLE new_events RENAME TO events;
