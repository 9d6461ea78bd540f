-- What agents request with rows in their outbound.db (requests), and the answers (delivered).

-- An agent may write anything: a row whose id cannot name an answer is skipped. The length of a text ends at its first
-- NUL.
-- name: asked
SELECT id, rowid FROM messages_out
WHERE kind = 'system' AND rowid > :after AND typeof(id) = 'text'
  AND length(CAST(id AS BLOB)) <= 1000 AND instr(CAST(id AS BLOB), x'00') = 0
ORDER BY rowid LIMIT 500

-- Uses the index of the ids, so that this index is read as well.
-- name: count
SELECT count(*) FROM messages_out

-- name: content
SELECT CASE WHEN length(CAST(content AS BLOB)) <= :longest THEN content END FROM messages_out WHERE rowid = :position

-- name: unanswered
SELECT key FROM json_each(:ids) WHERE NOT EXISTS (SELECT 1 FROM delivered WHERE message_id = value) ORDER BY key

-- name: is_delivered
SELECT 1 FROM delivered WHERE message_id = :id

-- name: deliver
INSERT INTO delivered (message_id, status, task, detail, at) VALUES (:id, :status, :task, :detail, :at)

-- How the session usually works: its last prompt that has run, since the one that asks is an agent at work; else its
-- last one.
-- name: template
SELECT seq FROM messages_in WHERE kind = 'prompt' AND status <> 'staged'
ORDER BY runs > 0 DESC, CASE WHEN runs > 0 THEN 0 ELSE json_extract(launch, '$.depth') END, seq DESC LIMIT 1

-- name: stamps
SELECT name, outbound_stamp FROM sessions

-- name: stamp
SELECT name, outbound_stamp FROM sessions WHERE name = :session

-- name: set_stamp
UPDATE sessions SET outbound_stamp = :stamp WHERE name = :session
