-- What agents ask for by rows in their outbound.db (requests), and the answers (delivered).

-- name: asked
SELECT id, content, rowid FROM messages_out
WHERE kind = 'system' AND rowid > :after ORDER BY rowid LIMIT 500

-- name: is_delivered
SELECT 1 FROM delivered WHERE message_id = :id

-- name: deliver
INSERT INTO delivered (message_id, status, task, detail, at) VALUES (:id, :status, :task, :detail, :at)

-- The session's own way of working: its last prompt that a person handed in.
-- name: template
SELECT seq FROM messages_in WHERE kind = 'prompt' AND status <> 'staged' ORDER BY seq DESC LIMIT 1

-- name: stamps
SELECT name, outbound_stamp FROM sessions

-- name: stamp
SELECT outbound_stamp FROM sessions WHERE name = :session

-- name: set_stamp
UPDATE sessions SET outbound_stamp = :stamp WHERE name = :session
