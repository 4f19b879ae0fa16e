-- What the admin API says of devices.
CREATE TABLE devices (
    id     TEXT PRIMARY KEY,
    record TEXT NOT NULL  -- JSON, as the API takes it
) STRICT, WITHOUT ROWID;

PRAGMA user_version = 2;
