-- Whose a job is: the number of a user. NULL is the server's own user, so that a server of one user
-- writes nothing here, and an older database is one of such a server.
ALTER TABLE jobs ADD COLUMN uid BIGINT;
-- Lists of one user's jobs, and of those in a state.
CREATE INDEX jobs_by_uid ON jobs (uid, id) WHERE uid IS NOT NULL;
CREATE INDEX jobs_by_uid_and_state ON jobs (uid, state, id) WHERE uid IS NOT NULL;
-- Who wanted a transition; NULL is the server itself, or whoever sent the token of a server of one
-- user, whom nobody knows.
ALTER TABLE events ADD COLUMN uid BIGINT;
