-- What a shell offers while a person types. Every query is bounded: nobody reads more, and TAB must answer at once.

-- name: sessions
SELECT name FROM sessions WHERE substr(name, 1, length(:prefix)) = :prefix ORDER BY name LIMIT :limit

-- Soonest first, as `list` shows them.
-- name: live
SELECT session, seq FROM tasks INDEXED BY tasks_live
WHERE ended_at IS NULL AND substr(session || '/' || seq, 1, length(:prefix)) = :prefix
ORDER BY due_at, session, seq LIMIT :limit

-- name: series
SELECT session, seq FROM tasks INDEXED BY tasks_live
WHERE ended_at IS NULL AND series IS NOT NULL AND substr(session || '/' || seq, 1, length(:prefix)) = :prefix
ORDER BY due_at, session, seq LIMIT :limit

-- Latest end first.
-- name: ended
SELECT session, seq FROM tasks INDEXED BY tasks_ended
WHERE ended_at IS NOT NULL AND substr(session || '/' || seq, 1, length(:prefix)) = :prefix
ORDER BY ended_at DESC LIMIT :limit

-- name: attempts
SELECT attempt FROM task_runs WHERE session = :session AND seq = :seq ORDER BY attempt DESC LIMIT :limit

-- name: labels_live
SELECT labels FROM tasks INDEXED BY tasks_live WHERE ended_at IS NULL AND labels IS NOT NULL ORDER BY due_at LIMIT :limit

-- name: labels_ended
SELECT labels FROM tasks INDEXED BY tasks_ended WHERE ended_at IS NOT NULL AND labels IS NOT NULL
ORDER BY ended_at DESC LIMIT :limit

-- name: keys_live
SELECT DISTINCT conversation_key
FROM (SELECT conversation_key FROM tasks INDEXED BY tasks_live WHERE ended_at IS NULL ORDER BY due_at LIMIT :limit)
WHERE conversation_key <> ''

-- name: keys_ended
SELECT DISTINCT conversation_key
FROM (SELECT conversation_key FROM tasks INDEXED BY tasks_ended WHERE ended_at IS NOT NULL
      ORDER BY ended_at DESC LIMIT :limit)
WHERE conversation_key <> ''
