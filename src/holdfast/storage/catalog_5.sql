-- What version 5 added to a catalog: which sessions may write. Whoever is not here commits nothing; a number never comes back.

CREATE TABLE fences (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    session TEXT NOT NULL UNIQUE
);
