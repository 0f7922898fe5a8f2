ALTER TABLE meta ADD COLUMN completed BIGINT NOT NULL DEFAULT 0;
ALTER TABLE meta ADD COLUMN failed BIGINT NOT NULL DEFAULT 0;
ALTER TABLE meta ADD COLUMN cancelled BIGINT NOT NULL DEFAULT 0;
ALTER TABLE meta ADD COLUMN timeout BIGINT NOT NULL DEFAULT 0;
ALTER TABLE meta ADD COLUMN out_of_memory BIGINT NOT NULL DEFAULT 0;
ALTER TABLE meta ADD COLUMN node_fail BIGINT NOT NULL DEFAULT 0;
UPDATE meta SET
    completed     = coalesce((SELECT n FROM job_counts WHERE state = 'COMPLETED'), 0),
    failed        = coalesce((SELECT n FROM job_counts WHERE state = 'FAILED'), 0),
    cancelled     = coalesce((SELECT n FROM job_counts WHERE state = 'CANCELLED'), 0),
    timeout       = coalesce((SELECT n FROM job_counts WHERE state = 'TIMEOUT'), 0),
    out_of_memory = coalesce((SELECT n FROM job_counts WHERE state = 'OUT_OF_MEMORY'), 0),
    node_fail     = coalesce((SELECT n FROM job_counts WHERE state = 'NODE_FAIL'), 0);
DROP TABLE job_counts;
