CREATE TABLE new_idempotency_keys (
    key          TEXT    PRIMARY KEY NOT NULL,
    body_hash    TEXT    NOT NULL,
    first_job_id BIGINT  NOT NULL,
    job_count    INTEGER NOT NULL,
    time         BIGINT  NOT NULL
);
INSERT INTO new_idempotency_keys SELECT * FROM idempotency_keys;
DROP TABLE idempotency_keys;
ALTER TABLE new_idempotency_keys RENAME TO idempotency_keys;
CREATE INDEX idempotency_keys_by_time ON idempotency_keys (time);
