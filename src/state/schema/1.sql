-- `PRAGMA user_version` says which version a file has. A file of an older one goes through the steps that it lacks.
CREATE TABLE keys (
    purpose TEXT NOT NULL,
    kid     TEXT NOT NULL,
    secret  BLOB NOT NULL,
    created INTEGER NOT NULL,
    PRIMARY KEY (purpose, kid)
) STRICT;

CREATE TABLE sessions (
    id        BLOB PRIMARY KEY,
    provider  TEXT NOT NULL,
    subject   TEXT NOT NULL,
    user      TEXT NOT NULL,
    email     TEXT,
    name      TEXT,
    groups    TEXT NOT NULL,  -- JSON array, as the provider said them
    amr       TEXT NOT NULL,  -- JSON array
    mfa       INTEGER NOT NULL,
    auth_time INTEGER NOT NULL,
    started   INTEGER NOT NULL,
    last_seen INTEGER NOT NULL,
    ended     INTEGER NOT NULL DEFAULT 0  -- 1: ended before its time
) STRICT, WITHOUT ROWID;

PRAGMA user_version = 1;
