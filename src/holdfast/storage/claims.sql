-- Who makes which call, while several sessions work in one directory. Removed with the last of them; nothing in it lasts.

CREATE TABLE IF NOT EXISTS sharing (
    session TEXT NOT NULL PRIMARY KEY
);

CREATE TABLE IF NOT EXISTS claims (
    call_key BLOB NOT NULL PRIMARY KEY,
    session TEXT NOT NULL
) WITHOUT ROWID;
