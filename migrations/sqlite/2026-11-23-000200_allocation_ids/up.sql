-- The id becomes the row id: see the jobs.

DROP INDEX resource_allocations_by_job;
DROP INDEX resource_allocations_unreleased;
CREATE TABLE new_resource_allocations (
    id              INTEGER PRIMARY KEY NOT NULL,
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
CREATE INDEX resource_allocations_by_job ON new_resource_allocations (job_id);
CREATE UNIQUE INDEX resource_allocations_unreleased ON new_resource_allocations (job_id) WHERE NOT released;
INSERT INTO new_resource_allocations SELECT * FROM resource_allocations;
DROP TABLE resource_allocations;
ALTER TABLE new_resource_allocations RENAME TO resource_allocations;
