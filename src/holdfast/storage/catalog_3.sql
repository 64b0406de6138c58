-- What version 3 added to a catalog: acceptances can be withdrawn, and what a lost result was is known when it is made again.

ALTER TABLE acceptances ADD COLUMN withdrawn TEXT NOT NULL DEFAULT '';   -- by whom and when

CREATE TABLE lost (                -- results that were damaged and taken out
    call_key BLOB NOT NULL UNIQUE,
    digest BLOB NOT NULL,
    seal INTEGER NOT NULL
);
