DROP INDEX jobs_by_end_time;
