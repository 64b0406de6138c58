-- What a catalog of version 2 lacks, for those who only read it: temporary, as in reading_1.sql.

CREATE TEMP VIEW acceptances AS
SELECT rowid AS rowid, operation, earlier, later, who, at, why, '' AS withdrawn, seal FROM main.acceptances;

CREATE TEMP TABLE lost (call_key BLOB, digest BLOB, seal INTEGER);

CREATE TEMP VIEW calls AS
SELECT rowid AS rowid, call_key, digest, text, store, seconds, NULL AS operation, 0 AS made, seal FROM main.calls;

CREATE TEMP TABLE expansions (owner BLOB, mark INTEGER, needs BLOB);
