-- Who waits for whom. The index has the status of every task, in the same commit as its session's file.

-- name: set_after
UPDATE messages_in SET after = :after WHERE seq = :seq

-- name: forget
DELETE FROM dependencies WHERE session = :session AND seq = :seq

-- name: add
INSERT OR IGNORE INTO dependencies (session, seq, on_session, on_seq, condition)
VALUES (:session, :seq, :on_session, :on_seq, :condition)

-- name: exists
SELECT 1 FROM tasks WHERE session = :session AND seq = :seq

-- name: of
SELECT d.on_session, d.on_seq, d.condition, t.status, t.dep_failed, t.conversation_key
FROM dependencies d LEFT JOIN tasks t ON t.session = d.on_session AND t.seq = d.on_seq
WHERE d.session = :session AND d.seq = :seq
ORDER BY d.on_session, d.on_seq

-- name: dependents
SELECT DISTINCT session, seq FROM dependencies INDEXED BY dependencies_on
WHERE on_session = :session AND on_seq = :seq ORDER BY session, seq

-- The tasks of the same session that wait for this one, directly or through others, and that a failure stopped.
-- name: stopped_behind
WITH RECURSIVE behind (seq) AS (
  SELECT seq FROM dependencies INDEXED BY dependencies_on
  WHERE on_session = :session AND on_seq = :seq AND session = :session
  UNION
  SELECT d.seq FROM behind b CROSS JOIN dependencies d INDEXED BY dependencies_on
  WHERE d.on_session = :session AND d.on_seq = b.seq AND d.session = :session
)
SELECT t.seq FROM behind b JOIN tasks t ON t.session = :session AND t.seq = b.seq
WHERE t.dep_failed = :cause ORDER BY t.seq

-- A live task that waits for this one; staged ones, which the index does not know yet, count.
-- name: live_dependent
SELECT d.session, d.seq FROM dependencies d INDEXED BY dependencies_on
LEFT JOIN tasks t ON t.session = d.session AND t.seq = d.seq
WHERE d.on_session = :session AND d.on_seq = :seq AND t.ended_at IS NULL LIMIT 1

-- Whether a task waits, directly or through others, for another: it would then wait for itself.
-- name: reaches
WITH RECURSIVE before (session, seq) AS (
  SELECT :session, :seq
  UNION
  SELECT d.on_session, d.on_seq FROM dependencies d JOIN before b ON d.session = b.session AND d.seq = b.seq
)
SELECT 1 FROM before WHERE session = :target_session AND seq = :target_seq

-- name: note_unsettled
INSERT OR IGNORE INTO unsettled (session, seq) VALUES (:session, :seq)

-- name: unsettled
SELECT seq FROM unsettled WHERE session = :session ORDER BY seq LIMIT 500

-- name: unsettled_sessions
SELECT DISTINCT session FROM unsettled ORDER BY session

-- name: settled
DELETE FROM unsettled WHERE session = :session AND seq = :seq

-- name: forget_target
DELETE FROM dependencies WHERE on_session = :session AND on_seq = :seq
