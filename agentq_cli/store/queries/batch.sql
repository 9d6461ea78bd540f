-- A batch over several sessions: staged in each file, committed by one row of the index, released in each file.

-- name: begin
INSERT INTO batches (id, committed, sessions, pid, start_time, boot_id)
VALUES (:id, 0, :sessions, :pid, :start_time, :boot_id)

-- name: commit
UPDATE batches SET committed = 1 WHERE id = :id AND committed = 0

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

-- name: blocked
SELECT seq FROM messages_in WHERE batch = :id AND status = 'blocked' ORDER BY seq
