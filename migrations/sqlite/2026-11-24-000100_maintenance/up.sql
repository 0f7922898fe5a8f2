-- Times in which no job may run: a drained server is in one without an end.
CREATE TABLE maintenance (
    id         BIGINT NOT NULL PRIMARY KEY,
    start_time BIGINT NOT NULL,
    end_time   BIGINT,
    reason     TEXT   NOT NULL,
    principal  TEXT   NOT NULL
);
