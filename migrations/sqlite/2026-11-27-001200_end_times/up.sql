-- Lists of jobs by their ends. Only what has ended is in it, so a submission writes nothing here, and
-- since ends come about in order an end adds its entry to a page that the one before has written.
CREATE INDEX jobs_by_end_time ON jobs (end_time) WHERE end_time IS NOT NULL;
