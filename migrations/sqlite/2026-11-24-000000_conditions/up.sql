-- What a pending job waits for besides its turn: somebody's word, a time, other jobs. Most jobs
-- have none of it, so the columns are NULL and cost a byte each.
ALTER TABLE jobs ADD COLUMN held BOOLEAN;
ALTER TABLE jobs ADD COLUMN begin_time BIGINT;
ALTER TABLE jobs ADD COLUMN deadline BIGINT;
ALTER TABLE jobs ADD COLUMN dependency TEXT;
