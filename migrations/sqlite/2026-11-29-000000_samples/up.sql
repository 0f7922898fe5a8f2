-- What was held, waited and ran: a row for each minute (`step_s` 60), and for each ten of them when
-- they are old (600). A time without a row is one of which nobody knows what was. `memory_bytes` is
-- the mean of the `minutes` that are known; what ends in `_us` is an amount times µs. `start` is in
-- seconds since 1970.
CREATE TABLE samples (
    step_s BIGINT NOT NULL,
    start BIGINT NOT NULL,
    minutes BIGINT NOT NULL,
    cpu_us BIGINT NOT NULL,
    memory_bytes BIGINT NOT NULL,
    gpu_us BIGINT NOT NULL,
    pending_us BIGINT NOT NULL,
    running_us BIGINT NOT NULL,
    started BIGINT NOT NULL,
    ended_ok BIGINT NOT NULL,
    ended_not_ok BIGINT NOT NULL,
    waited_us BIGINT NOT NULL,
    PRIMARY KEY (step_s, start)
) WITHOUT ROWID;
