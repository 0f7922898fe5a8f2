DROP TABLE audit;
ALTER TABLE events DROP COLUMN uid;
DROP INDEX jobs_by_uid_and_state;
DROP INDEX jobs_by_uid;
ALTER TABLE jobs DROP COLUMN uid;
