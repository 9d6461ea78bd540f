-- A batch over several sessions: staged in each file, committed in the index together with the index's rows of its
-- tasks, released in each file.

-- name: begin
INSERT INTO batches (id, committed, sessions, pid, start_time, boot_id)
VALUES (:id, 0, :sessions, :pid, :start_time, :boot_id)

-- name: commit
UPDATE batches SET committed = 1 WHERE id = :id AND committed = 0

-- The given rows, in place of the table: for statements that read those of a session's file.
-- name: given
WITH messages_in AS (SELECT {columns} FROM json_each(:rows))

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
