-- What version 2 added to a catalog: what `explain` and `plan` need, and which changes of code were accepted.

ALTER TABLE nodes ADD COLUMN session TEXT NOT NULL DEFAULT '';    -- where the node became done
ALTER TABLE nodes ADD COLUMN reused INTEGER NOT NULL DEFAULT 0;   -- whether its call had been made before

CREATE TABLE referents (           -- constants and bodies that records refer to; each is guarded by its uid
    uid BLOB NOT NULL UNIQUE,
    record TEXT NOT NULL
);

CREATE TABLE sources (             -- for people
    digest TEXT NOT NULL UNIQUE,   -- as the parts of an implementation give it
    place TEXT NOT NULL,
    text TEXT NOT NULL
);

CREATE TABLE overcome (            -- failures of nodes that are done since; for people
    uid BLOB NOT NULL,
    kind TEXT NOT NULL,
    reason TEXT NOT NULL,
    at TEXT NOT NULL
);
CREATE INDEX overcome_by_uid ON overcome (uid);

CREATE TABLE times (
    operation INTEGER NOT NULL UNIQUE,
    calls INTEGER NOT NULL,
    seconds REAL NOT NULL
);

CREATE TABLE acceptances (         -- results of the earlier code stand under the later
    operation INTEGER NOT NULL,
    earlier BLOB NOT NULL,
    later BLOB NOT NULL,
    who TEXT NOT NULL,
    at TEXT NOT NULL,
    why TEXT NOT NULL,
    seal INTEGER NOT NULL,
    UNIQUE (operation, earlier, later)
);
