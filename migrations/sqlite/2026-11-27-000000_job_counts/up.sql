-- How many jobs ended in which way, over all time that is remembered: a row for each final state, so
-- that a new one needs no column and cannot lose its count.
CREATE TABLE job_counts (
    state TEXT   PRIMARY KEY NOT NULL,
    n     BIGINT NOT NULL
) WITHOUT ROWID;
INSERT INTO job_counts
    SELECT 'COMPLETED', completed FROM meta UNION ALL
    SELECT 'FAILED', failed FROM meta UNION ALL
    SELECT 'CANCELLED', cancelled FROM meta UNION ALL
    SELECT 'TIMEOUT', timeout FROM meta UNION ALL
    SELECT 'OUT_OF_MEMORY', out_of_memory FROM meta UNION ALL
    SELECT 'NODE_FAIL', node_fail FROM meta;
ALTER TABLE meta DROP COLUMN completed;
ALTER TABLE meta DROP COLUMN failed;
ALTER TABLE meta DROP COLUMN cancelled;
ALTER TABLE meta DROP COLUMN timeout;
ALTER TABLE meta DROP COLUMN out_of_memory;
ALTER TABLE meta DROP COLUMN node_fail;
