DROP INDEX jobs_by_end_time;
CREATE INDEX jobs_by_end_time ON jobs (end_time) WHERE end_time IS NOT NULL;
