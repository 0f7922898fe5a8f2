-- Whose a job is: the number of a user. NULL is the server's own user, so that a server of one user
-- writes nothing here, and an older database is one of such a server.
ALTER TABLE jobs ADD COLUMN uid BIGINT;
-- Lists of one user's jobs, and of those in a state.
CREATE INDEX jobs_by_uid ON jobs (uid, id) WHERE uid IS NOT NULL;
CREATE INDEX jobs_by_uid_and_state ON jobs (uid, state, id) WHERE uid IS NOT NULL;
-- Who wanted a transition; NULL is the server itself, or whoever sent the token of a server of one
-- user, whom nobody knows.
ALTER TABLE events ADD COLUMN uid BIGINT;
-- Who asked for which change: a row for each request that made one, written with the change. `uid` is
-- NULL of whoever sent the token of a server of one user, `remote` is the address of requests over
-- TCP, and `target` is the first of `count` jobs in a row, where it is about jobs.
CREATE TABLE audit (
    id INTEGER PRIMARY KEY NOT NULL,
    time BIGINT NOT NULL,
    uid BIGINT,
    name TEXT NOT NULL,
    role TEXT NOT NULL,
    via TEXT NOT NULL,
    token_id TEXT,
    peer_pid INTEGER,
    remote TEXT,
    request_id TEXT NOT NULL,
    verb TEXT NOT NULL,
    target BIGINT,
    count INTEGER NOT NULL,
    detail TEXT NOT NULL
);
CREATE INDEX audit_by_target ON audit (target) WHERE target IS NOT NULL;
