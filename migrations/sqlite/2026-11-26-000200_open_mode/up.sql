-- How a job's output files are opened: NULL, each attempt empties them; append, it writes behind what
-- is there.
ALTER TABLE jobs ADD COLUMN open_mode TEXT;
