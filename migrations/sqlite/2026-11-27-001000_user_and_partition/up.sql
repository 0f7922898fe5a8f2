-- Lists of one user's jobs and of one partition's. What most rows have is in no index: a machine that
-- is not divided has one partition.
CREATE INDEX jobs_by_user ON jobs (user) WHERE user <> '';
CREATE INDEX jobs_by_partition ON jobs (partition) WHERE partition <> 'default';
