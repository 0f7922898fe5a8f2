-- The same order with the state behind it, so that who counts the ends of a day reads this index and no
-- row. The id stands before the state: lists go by end and id. An end and its state are written in one
-- statement, so that an entry is written once as before.
DROP INDEX jobs_by_end_time;
CREATE INDEX jobs_by_end_time ON jobs (end_time, id, state) WHERE end_time IS NOT NULL;
