-- Of a running attempt: since when it is suspended, and for how long it was before that, µs. Both
-- are NULL of one that never was. The time counts neither for the limit nor for the job's own.
ALTER TABLE jobs ADD COLUMN suspend_time BIGINT;
ALTER TABLE jobs ADD COLUMN suspended_us BIGINT;
