-- What each account has used, in CPU-µs, decayed, as of a start or end of a job of it.
CREATE TABLE account_usage (
    account TEXT   NOT NULL PRIMARY KEY,
    cpu_us  BIGINT NOT NULL,
    as_of   BIGINT NOT NULL
);
