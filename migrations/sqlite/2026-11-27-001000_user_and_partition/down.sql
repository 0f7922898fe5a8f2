DROP INDEX jobs_by_partition;
DROP INDEX jobs_by_user;
