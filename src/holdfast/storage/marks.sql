-- What a collection remembers while it works; nothing of it is kept.

CREATE TABLE marks (
    key BLOB NOT NULL UNIQUE       -- one byte that says of what, and the key
);
