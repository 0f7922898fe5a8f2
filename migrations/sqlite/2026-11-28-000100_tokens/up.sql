-- Tokens of users: whoever sends one is that user, over TCP too. Its text stands nowhere, only its
-- SHA-256. `user` is the name that the number had when the token was made. Times are µs since 1970.
CREATE TABLE tokens (
    id TEXT PRIMARY KEY NOT NULL,
    uid BIGINT NOT NULL,
    user TEXT NOT NULL,
    name TEXT NOT NULL,
    role TEXT NOT NULL,
    hash TEXT NOT NULL,
    created BIGINT NOT NULL,
    expires BIGINT NOT NULL
) WITHOUT ROWID;
CREATE INDEX tokens_by_uid ON tokens (uid, id);
