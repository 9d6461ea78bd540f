-- Who waits for whom. What waits in another session is settled in the same commit.

-- name: set_after
UPDATE agentq.tasks SET after = :after WHERE session = :session AND seq = :seq

-- name: forget
DELETE FROM agentq.dependencies WHERE session = :session AND seq = :seq

-- name: add
INSERT INTO agentq.dependencies (session, seq, on_session, on_seq, condition)
VALUES (:session, :seq, :on_session, :on_seq, :condition) ON CONFLICT DO NOTHING

-- name: exists
SELECT 1 FROM agentq.tasks WHERE session = :session AND seq = :seq

-- name: of
SELECT d.on_session, d.on_seq, d.condition, t.status, t.dep_failed, t.conversation_key
FROM agentq.dependencies d LEFT JOIN agentq.tasks t ON t.session = d.on_session AND t.seq = d.on_seq
WHERE d.session = :session AND d.seq = :seq
ORDER BY d.on_session, d.on_seq

-- name: dependents
SELECT session, seq FROM agentq.dependencies WHERE on_session = :session AND on_seq = :seq

-- The tasks of the same session that wait for this one, directly or through others, and that a failure stopped.
-- name: stopped_behind
WITH RECURSIVE behind (seq) AS (
  SELECT d.seq FROM agentq.dependencies d
  WHERE d.on_session = :session AND d.on_seq = :seq AND d.session = :session
  UNION
  SELECT d.seq FROM behind b JOIN agentq.dependencies d
    ON d.on_session = :session AND d.on_seq = b.seq AND d.session = :session
)
SELECT t.seq FROM behind b JOIN agentq.tasks t ON t.session = :session AND t.seq = b.seq
WHERE t.dep_failed = :cause

-- name: live_dependent
SELECT d.session, d.seq FROM agentq.dependencies d
LEFT JOIN agentq.tasks t ON t.session = d.session AND t.seq = d.seq
WHERE d.on_session = :session AND d.on_seq = :seq AND t.ended_at IS NULL LIMIT 1

-- Whether a task waits, directly or through others, for another: it would then wait for itself.
-- name: reaches
WITH RECURSIVE before (session, seq) AS (
  SELECT CAST(:session AS text) COLLATE "C", CAST(:seq AS bigint)
  UNION
  SELECT d.on_session, d.on_seq FROM agentq.dependencies d JOIN before b ON d.session = b.session AND d.seq = b.seq
)
SELECT 1 FROM before WHERE session = :target_session AND seq = :target_seq

-- name: forget_target
DELETE FROM agentq.dependencies WHERE on_session = :session AND on_seq = :seq
