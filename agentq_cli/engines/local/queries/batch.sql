-- A batch over several sessions: staged in each file, committed in the index together with the index's rows of its
-- tasks, released in each file.

-- name: begin
INSERT INTO batches (id, committed, sessions, pid, start_time, boot_id)
VALUES (:id, 0, :sessions, :pid, :start_time, :boot_id)

-- name: commit
UPDATE batches SET committed = 1 WHERE id = :id AND committed = 0

-- name: columns
SELECT name, coalesce(dflt_value, 'NULL') FROM pragma_table_info('messages_in')

-- A table in the place of a session's, for the statements that read that one.
-- name: given
CREATE TEMP TABLE messages_in ({columns})

-- name: given_in_memory
PRAGMA temp_store = MEMORY

-- name: forget_given
DELETE FROM temp.messages_in

-- name: all
SELECT id, committed, sessions, pid, start_time, boot_id FROM batches

-- name: end
DELETE FROM batches WHERE id = :id

-- name: first_staged
SELECT min(seq) FROM messages_in WHERE batch = :id

-- name: release
UPDATE messages_in SET status = iif(after IS NULL, 'queued', 'blocked') WHERE batch = :id AND status = 'staged'

-- name: drop
DELETE FROM messages_in WHERE batch = :id AND status = 'staged'

-- name: drop_dependencies
DELETE FROM dependencies
WHERE session = :session AND seq IN (SELECT seq FROM messages_in WHERE batch = :id AND status = 'staged')

-- Those for which something that they wait for has already ended; otherwise its end will settle them.
-- name: blocked
SELECT DISTINCT m.seq FROM messages_in m
JOIN dependencies d ON d.session = :session AND d.seq = m.seq
JOIN tasks t ON t.session = d.on_session AND t.seq = d.on_seq
WHERE m.batch = :id AND m.status = 'blocked' AND t.ended_at IS NOT NULL
