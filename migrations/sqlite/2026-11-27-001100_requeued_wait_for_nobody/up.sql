-- A job that went back into the queue does not wait for others again; since what a job waits for can
-- be changed, its row says so itself.
UPDATE jobs SET dependency = NULL, told = NULL WHERE restarts > 0 AND state = 'PENDING';
