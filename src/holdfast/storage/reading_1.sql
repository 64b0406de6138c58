-- What a catalog of version 1 lacks, for those who only read it: temporary, and empty. A temporary name goes before one of the file.

CREATE TEMP VIEW nodes AS
SELECT rowid AS rowid, uid, call_key, operation, record, key_seal, record_seal, '' AS session, 0 AS reused FROM main.nodes;

CREATE TEMP TABLE referents (uid BLOB, record TEXT);
CREATE TEMP TABLE sources (digest TEXT, place TEXT, text TEXT);
CREATE TEMP TABLE overcome (uid BLOB, kind TEXT, reason TEXT, at TEXT);
CREATE TEMP TABLE times (operation INTEGER, calls INTEGER, seconds REAL);
CREATE TEMP TABLE acceptances (
    operation INTEGER, earlier BLOB, later BLOB, who TEXT, at TEXT, why TEXT, withdrawn TEXT, seal INTEGER
);
CREATE TEMP TABLE lost (call_key BLOB, digest BLOB, seal INTEGER);

CREATE TEMP VIEW calls AS
SELECT rowid AS rowid, call_key, digest, text, store, seconds, NULL AS operation, 0 AS made, seal FROM main.calls;

CREATE TEMP TABLE expansions (owner BLOB, mark INTEGER, needs BLOB);
