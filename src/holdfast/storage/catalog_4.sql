-- What version 4 added to a catalog: what a collection needs to know.

ALTER TABLE calls ADD COLUMN operation INTEGER;              -- of what was called; NULL of a composed value, or not known
ALTER TABLE calls ADD COLUMN made INTEGER NOT NULL DEFAULT 0;   -- seconds since 1970; 0: before this was kept

CREATE TABLE expansions (          -- what nodes came down to while they ran
    owner BLOB NOT NULL,
    mark INTEGER NOT NULL,         -- of owner and needs: makes equal rows one, and is their seal
    needs BLOB NOT NULL,
    UNIQUE (owner, mark)
);
