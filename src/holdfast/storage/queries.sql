-- Every statement of the catalog, by name. $keys stands for as many ? as there are keys, $rows for as many (?, ...) as there are rows.
-- ON CONFLICT and not OR IGNORE, which would drop a row with a missing member without a word.

-- name: find_nodes
SELECT uid, call_key, name, record, session, reused, key_seal, record_seal
FROM nodes JOIN operations ON operations.id = nodes.operation WHERE uid IN ($keys)

-- name: list_nodes
SELECT uid, call_key, name, record, session, reused, key_seal, record_seal
FROM nodes JOIN operations ON operations.id = nodes.operation ORDER BY nodes.rowid DESC LIMIT ?

-- name: earlier_nodes
SELECT nodes.uid, call_key, name, record, session, reused, key_seal, record_seal
FROM nodes JOIN operations ON operations.id = nodes.operation
WHERE name = ?1 AND nodes.rowid < coalesce((SELECT rowid FROM nodes WHERE uid = ?2), 9223372036854775807)
ORDER BY nodes.rowid DESC LIMIT ?3

-- name: first_node
SELECT nodes.uid, call_key, name, record, session, reused, key_seal, record_seal
FROM nodes JOIN operations ON operations.id = nodes.operation WHERE call_key = ? ORDER BY reused, nodes.rowid LIMIT 1

-- name: uids_between
SELECT uid FROM nodes WHERE uid BETWEEN ?1 AND ?2 UNION SELECT uid FROM failures WHERE uid BETWEEN ?1 AND ?2 LIMIT 3

-- name: find_referents
SELECT uid, record FROM referents WHERE uid IN ($keys)

-- name: find_source
SELECT place, text FROM sources WHERE digest = ?

-- name: find_overcome
SELECT uid, kind, reason, at FROM overcome WHERE uid = ? ORDER BY rowid

-- name: find_times
SELECT name, calls, seconds FROM times JOIN operations ON operations.id = times.operation

-- name: find_acceptances
SELECT name, earlier, later, who, at, why, withdrawn, seal
FROM acceptances JOIN operations ON operations.id = acceptances.operation ORDER BY acceptances.rowid

-- name: list_implementations
SELECT uid, name, data, first_seen, seal
FROM operations JOIN implementations ON operations.id = implementations.operation WHERE name = ? ORDER BY turn DESC

-- name: find_session
SELECT id, owner, engine, started, ended, progress FROM sessions WHERE id = ?

-- name: find_call_keys
SELECT uid, call_key, key_seal FROM nodes WHERE uid IN ($keys)

-- name: find_results
SELECT uid, nodes.call_key, key_seal, digest, text, store, seal
FROM nodes LEFT JOIN calls ON calls.call_key = nodes.call_key WHERE uid IN ($keys)

-- name: find_calls
SELECT call_key, digest, text, store, seconds, seal FROM calls WHERE call_key IN ($keys)

-- name: find_lost
SELECT call_key, digest, seal FROM lost WHERE call_key IN ($keys)

-- name: find_digests
SELECT call_key, digest FROM calls WHERE call_key IN ($keys)

-- name: find_arrays
SELECT digest, dtype, shape, data, store, file, members, seal FROM arrays WHERE digest IN ($keys)

-- name: find_failures
SELECT uid, name, member, kind, reason, traceback, arguments, at
FROM failures JOIN operations ON operations.id = failures.operation WHERE uid IN ($keys)

-- name: list_failures
SELECT uid, name, member, kind, reason, traceback, arguments, at
FROM failures JOIN operations ON operations.id = failures.operation ORDER BY failures.rowid DESC LIMIT ?

-- name: last_round
SELECT loop_key, number, state, seal FROM rounds WHERE loop_key = ? ORDER BY number DESC LIMIT 1

-- name: find_round
SELECT loop_key, number, state, seal FROM rounds WHERE loop_key = ? AND number = ?

-- name: find_first_rounds
SELECT loop_key, number, state, seal FROM rounds WHERE number = 0 AND loop_key IN ($keys)

-- name: list_rounds
SELECT loop_key, number, state, seal FROM rounds WHERE loop_key = ? AND number BETWEEN ? AND ? ORDER BY number

-- name: count_rounds
SELECT count(*) FROM rounds WHERE loop_key = ?

-- name: find_implementation
SELECT uid, name, data, first_seen, seal
FROM implementations JOIN operations ON operations.id = implementations.operation WHERE uid = ? LIMIT 1

-- name: latest_implementation
SELECT uid, name, data, first_seen, seal
FROM operations JOIN implementations ON operations.id = implementations.operation
WHERE name = ? ORDER BY turn DESC LIMIT 1

-- name: find_targets
SELECT name, uid, asked, seal FROM targets ORDER BY name

-- name: find_sessions
SELECT id, owner, engine, started, ended, progress FROM sessions ORDER BY rowid DESC LIMIT ?

-- name: totals
SELECT name, value FROM totals

-- name: check_integrity
PRAGMA integrity_check

-- name: move_log
PRAGMA wal_checkpoint(TRUNCATE)

-- name: begin_reading
BEGIN

-- name: end_reading
COMMIT

-- name: walk_nodes
SELECT nodes.rowid, uid, call_key, name, record, session, reused, key_seal, record_seal
FROM nodes LEFT JOIN operations ON operations.id = nodes.operation WHERE nodes.rowid > ? ORDER BY nodes.rowid

-- name: walk_calls
SELECT calls.rowid, call_key, digest, text, store, seconds, name, made, seal
FROM calls LEFT JOIN operations ON operations.id = calls.operation WHERE calls.rowid > ? ORDER BY calls.rowid

-- name: walk_expansions
SELECT rowid, owner, mark, needs FROM expansions WHERE rowid > ? ORDER BY rowid

-- name: walk_arrays
SELECT rowid, digest, dtype, shape, data, store, file, members, seal FROM arrays WHERE rowid > ? ORDER BY rowid

-- name: walk_failures
SELECT failures.rowid, uid, name, member, kind, reason, traceback, arguments, at
FROM failures JOIN operations ON operations.id = failures.operation WHERE failures.rowid > ? ORDER BY failures.rowid

-- name: walk_sessions
SELECT rowid, id, owner, engine, started, ended, progress FROM sessions WHERE rowid > ? ORDER BY rowid

-- name: walk_targets
SELECT rowid, name, uid, asked, seal FROM targets WHERE rowid > ? ORDER BY rowid

-- name: walk_referents
SELECT rowid, uid, record FROM referents WHERE rowid > ? ORDER BY rowid

-- name: walk_sources
SELECT rowid, digest, place, text FROM sources WHERE rowid > ? ORDER BY rowid

-- name: walk_overcome
SELECT rowid, uid, kind, reason, at FROM overcome WHERE rowid > ? ORDER BY rowid

-- name: walk_lost
SELECT rowid, call_key, digest, seal FROM lost WHERE rowid > ? ORDER BY rowid

-- name: walk_times
SELECT times.rowid, name, calls, seconds
FROM times JOIN operations ON operations.id = times.operation WHERE times.rowid > ? ORDER BY times.rowid

-- name: walk_acceptances
SELECT acceptances.rowid, name, earlier, later, who, at, why, withdrawn, seal
FROM acceptances JOIN operations ON operations.id = acceptances.operation
WHERE acceptances.rowid > ? ORDER BY acceptances.rowid

-- Whole from 0, and nothing from any other place: their order is not that of their row ids.

-- name: walk_rounds
SELECT 0, loop_key, number, state, seal FROM rounds WHERE ? = 0 ORDER BY loop_key, number

-- name: walk_implementations
SELECT 0, uid, name, data, first_seen, seal
FROM implementations LEFT JOIN operations ON operations.id = implementations.operation WHERE ? = 0 ORDER BY turn

-- name: count_totals
SELECT 'nodes', count(*) FROM nodes UNION ALL SELECT 'calls', count(*) FROM calls
UNION ALL SELECT 'failures', count(*) FROM failures

-- name: add_operation
INSERT INTO operations (name) VALUES (?) ON CONFLICT DO NOTHING

-- name: find_operation
SELECT id FROM operations WHERE name = ?

-- name: add_node
INSERT INTO nodes (uid, call_key, operation, record, session, reused, key_seal, record_seal)
VALUES $rows ON CONFLICT DO NOTHING

-- name: add_referent
INSERT INTO referents (uid, record) VALUES $rows ON CONFLICT DO NOTHING

-- name: add_source
INSERT INTO sources (digest, place, text) VALUES $rows ON CONFLICT DO NOTHING

-- name: add_times
INSERT INTO times (operation, calls, seconds) VALUES (?, ?, ?)
ON CONFLICT (operation) DO UPDATE SET calls = calls + excluded.calls, seconds = seconds + excluded.seconds

-- name: put_acceptance
INSERT INTO acceptances (operation, earlier, later, who, at, why, withdrawn, seal) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (operation, earlier, later) DO UPDATE
SET who = excluded.who, at = excluded.at, why = excluded.why, withdrawn = excluded.withdrawn, seal = excluded.seal

-- name: add_lost
INSERT INTO lost (call_key, digest, seal) VALUES (?, ?, ?) ON CONFLICT DO NOTHING

-- name: remove_lost
DELETE FROM lost WHERE call_key = ?

-- name: has_lost
SELECT EXISTS (SELECT 1 FROM lost)

-- name: add_overcome
INSERT INTO overcome (uid, kind, reason, at) VALUES (?, ?, ?, ?)

-- name: keep_failure
INSERT INTO overcome (uid, kind, reason, at) SELECT uid, kind, reason, at FROM failures WHERE uid = ?

-- name: add_call
INSERT INTO calls (call_key, digest, text, store, seconds, operation, made, seal) VALUES $rows
ON CONFLICT DO NOTHING

-- name: add_expansion
INSERT INTO expansions (owner, mark, needs) VALUES $rows ON CONFLICT DO NOTHING

-- name: add_array
INSERT INTO arrays (digest, dtype, shape, data, store, file, members, seal) VALUES $rows ON CONFLICT DO NOTHING

-- name: add_round
INSERT INTO rounds (loop_key, number, state, seal) VALUES $rows ON CONFLICT DO NOTHING

-- name: add_failure
INSERT INTO failures (uid, operation, member, kind, reason, traceback, arguments, at)
SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8 WHERE NOT EXISTS (SELECT 1 FROM nodes WHERE uid = ?1)

-- name: remove_failure
DELETE FROM failures WHERE uid = ?

-- name: has_failures
SELECT EXISTS (SELECT 1 FROM failures)

-- name: add_implementation
INSERT INTO implementations (uid, operation, data, first_seen, turn, seal)
VALUES (?, ?, ?, ?, (SELECT coalesce(max(turn), 0) + 1 FROM implementations), ?)
ON CONFLICT (uid, operation) DO UPDATE SET turn = excluded.turn

-- name: put_session
INSERT INTO sessions (id, owner, engine, started, ended, progress) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET owner = excluded.owner, engine = excluded.engine, started = excluded.started,
    ended = excluded.ended, progress = excluded.progress

-- name: list_fences
SELECT session FROM fences

-- name: find_fence
SELECT number FROM fences WHERE session = ?

-- name: add_fence
INSERT INTO fences (session) VALUES (?)

-- name: remove_fence
DELETE FROM fences WHERE session = ?

-- name: put_target
INSERT INTO targets (name, uid, asked, seal) VALUES (?, ?, ?, ?)
ON CONFLICT (name) DO UPDATE SET uid = excluded.uid, asked = excluded.asked, seal = excluded.seal

-- name: add_total
UPDATE totals SET value = value + ? WHERE name = ?

-- What a collection asks. A `part_` statement gives up to ?2 rows behind row ?1: row id, and what decides whether it stays.

-- name: find_dated_calls
SELECT call_key, digest, text, store, seconds, name, made, seal
FROM calls LEFT JOIN operations ON operations.id = calls.operation WHERE call_key IN ($keys)

-- name: find_expansions
SELECT owner, mark, needs FROM expansions WHERE owner IN ($keys)

-- name: find_loops
SELECT DISTINCT loop_key FROM rounds WHERE loop_key IN ($keys)

-- name: weigh_arrays
SELECT digest, store, members, coalesce(length(data), 0) FROM arrays WHERE digest IN ($keys)

-- name: latest_calls
SELECT rowid, call_key, made FROM calls WHERE rowid < ?1 ORDER BY rowid DESC LIMIT ?2

-- name: part_nodes
SELECT rowid, uid, call_key FROM nodes WHERE rowid > ?1 ORDER BY rowid LIMIT ?2

-- name: part_calls
SELECT rowid, call_key, call_key FROM calls WHERE rowid > ?1 ORDER BY rowid LIMIT ?2

-- name: part_arrays
SELECT rowid, digest FROM arrays WHERE rowid > ?1 ORDER BY rowid LIMIT ?2

-- Stacks of stacks before their members, which have fewer axes.

-- name: list_stacks
SELECT rowid, digest FROM arrays WHERE members IS NOT NULL
ORDER BY length(shape) - length(replace(shape, ',', '')) DESC, rowid

-- name: list_operations
SELECT name FROM operations ORDER BY name

-- name: list_sources
SELECT digest FROM sources

-- name: part_expansions
SELECT rowid, CASE WHEN EXISTS (SELECT 1 FROM nodes WHERE uid = owner) THEN x'' ELSE owner END
FROM expansions WHERE rowid > ?1 ORDER BY rowid LIMIT ?2

-- name: part_failures
SELECT rowid, uid FROM failures WHERE rowid > ?1 ORDER BY rowid LIMIT ?2

-- name: part_overcome
SELECT rowid, uid FROM overcome WHERE rowid > ?1 ORDER BY rowid LIMIT ?2

-- name: part_referents
SELECT rowid, uid FROM referents WHERE rowid > ?1 ORDER BY rowid LIMIT ?2

-- name: part_loops
SELECT DISTINCT loop_key FROM rounds WHERE loop_key > ?1 ORDER BY loop_key LIMIT ?2

-- name: cut_nodes
DELETE FROM nodes WHERE rowid = ?

-- name: cut_calls
DELETE FROM calls WHERE rowid = ?

-- name: cut_arrays
DELETE FROM arrays WHERE rowid = ?

-- name: cut_expansions
DELETE FROM expansions WHERE rowid = ?

-- name: cut_failures
DELETE FROM failures WHERE rowid = ?

-- name: cut_overcome
DELETE FROM overcome WHERE rowid = ?

-- name: cut_referents
DELETE FROM referents WHERE rowid = ?

-- name: cut_rounds
DELETE FROM rounds WHERE loop_key = ? AND number >= ?

-- name: cut_implementation
DELETE FROM implementations WHERE uid = ? AND operation = (SELECT id FROM operations WHERE name = ?)

-- name: cut_source
DELETE FROM sources WHERE digest = ?

-- name: cut_target
DELETE FROM targets WHERE name = ?

-- name: count_pages
SELECT (SELECT page_count FROM pragma_page_count), (SELECT freelist_count FROM pragma_freelist_count)

-- name: close_gaps
VACUUM

-- The marks of a collection, in a database of their own.

-- name: begin_trial
SAVEPOINT trial

-- name: undo_trial
ROLLBACK TO trial

-- name: end_trial
RELEASE trial

-- name: add_mark
INSERT INTO marks (key) VALUES (?) ON CONFLICT DO NOTHING

-- name: find_marks
SELECT key FROM marks WHERE key IN ($keys)

-- name: next_marks
SELECT rowid, key FROM marks WHERE rowid > ? ORDER BY rowid LIMIT ?

-- name: last_mark
SELECT coalesce(max(rowid), 0) FROM marks

-- Of the database of claims:

-- name: add_sharing
INSERT INTO sharing (session) VALUES (?) ON CONFLICT DO NOTHING

-- name: list_sharing
SELECT session FROM sharing

-- name: remove_sharing
DELETE FROM sharing WHERE session = ?

-- name: add_claim
INSERT INTO claims (call_key, session) VALUES (?, ?) ON CONFLICT DO NOTHING

-- name: find_claims
SELECT call_key, session FROM claims WHERE call_key IN ($keys)

-- name: remove_claim
DELETE FROM claims WHERE call_key = ? AND session = ?

-- name: remove_claims
DELETE FROM claims WHERE session = ?
