DROP TABLE submit_time_falls;
DROP TABLE job_labels;
ALTER TABLE meta DROP COLUMN completed;
ALTER TABLE meta DROP COLUMN failed;
ALTER TABLE meta DROP COLUMN cancelled;
ALTER TABLE meta DROP COLUMN timeout;
ALTER TABLE meta DROP COLUMN out_of_memory;
ALTER TABLE meta DROP COLUMN node_fail;
