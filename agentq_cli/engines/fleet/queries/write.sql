-- What changes a task: its row and the event, always together.

-- name: create_session
INSERT INTO agentq.sessions (name, created_at) VALUES (:name, :at) ON CONFLICT DO NOTHING

-- Addresses are never reused, even those of removed tasks.
-- name: next_seq
SELECT coalesce((SELECT next_seq FROM agentq.sessions WHERE name = :session), 1)

-- name: took_seqs
UPDATE agentq.sessions SET next_seq = greatest(next_seq, :next) WHERE name = :session

-- The same for a batch over many sessions: their names, and the first new task of each, are JSON.
-- name: create_sessions
INSERT INTO agentq.sessions (name, created_at)
SELECT value, :at FROM json_array_elements_text(CAST(:names AS json)) AS given (value) ON CONFLICT DO NOTHING

-- name: next_seqs
SELECT name, next_seq FROM agentq.sessions
WHERE name IN (SELECT value FROM json_array_elements_text(CAST(:names AS json)) AS given (value))

-- name: took_seqs_of_new
UPDATE agentq.sessions s
SET next_seq = greatest(next_seq, (SELECT max(seq) + 1 FROM agentq.tasks t WHERE t.session = s.name))
FROM json_array_elements(CAST(:firsts AS json)) AS given (value) WHERE s.name = given.value ->> 0

-- The occurrence that an address of a series means.
-- name: live_of_series
SELECT seq FROM agentq.tasks
WHERE session = :session AND series = :series AND extra = 0 AND status IN ('blocked', 'queued', 'running', 'paused')

-- name: others_of_series
SELECT 1 FROM agentq.tasks WHERE session = :session AND series = :series AND seq <> :seq LIMIT 1

-- name: series_of_task
SELECT series FROM agentq.tasks WHERE session = :session AND seq = :seq

-- name: remember_name
INSERT INTO agentq.session_state (session, name, value) VALUES (:session, :name, :series)
ON CONFLICT (session, name) DO UPDATE SET value = excluded.value

-- name: series_of_name
SELECT CAST(value AS bigint) FROM agentq.session_state WHERE session = :session AND name = :name

-- name: forget_names
DELETE FROM agentq.session_state
WHERE session = :session AND starts_with(name, 'pruned/') AND value = CAST(:series AS text)

-- name: live_of_key
SELECT seq FROM agentq.tasks
WHERE session = :session AND key = :key AND status IN ('blocked', 'queued', 'running', 'paused')

-- The same with what is to be done; nothing is ever staged here.
-- name: holder_of_key
SELECT NULL, seq, kind, prompt, argv, agent, cwd FROM agentq.tasks
WHERE session = :session AND key = :key AND status IN ('blocked', 'queued', 'running', 'paused')

-- The fence: a change applies only to the state that it was decided on.
-- name: save
UPDATE agentq.tasks SET {columns}
WHERE session = :session AND seq = :seq AND status = :before_status AND runs = :before_runs

-- name: set_launch
UPDATE agentq.tasks SET launch = :launch, needs = :needs WHERE session = :session AND seq = :seq

-- name: event
INSERT INTO agentq.events (at, session, seq, attempt, from_status, to_status, event, actor, reason, hook, agent)
VALUES (:at, :session, :seq, :attempt, :from, :to, :event, :actor, :reason, :hook, :agent)

-- One event per new task, in one statement.
-- name: events_of_new
INSERT INTO agentq.events (at, session, seq, to_status, event, actor)
SELECT :at, session, seq, CASE WHEN status = 'queued' AND due_at > :at THEN 'scheduled' ELSE status END, 'submit', :actor
FROM agentq.tasks WHERE session = :session AND seq >= :first ORDER BY seq

-- name: events_of_all_new
INSERT INTO agentq.events (at, session, seq, to_status, event, actor)
SELECT :at, t.session, t.seq, CASE WHEN t.status = 'queued' AND t.due_at > :at THEN 'scheduled' ELSE t.status END,
       'submit', :actor
FROM json_array_elements(CAST(:firsts AS json)) WITH ORDINALITY AS given (value, position)
JOIN agentq.tasks t ON t.session = given.value ->> 0 AND t.seq >= CAST(given.value ->> 1 AS bigint)
ORDER BY given.position, t.seq

-- name: live_count
SELECT count(*) FROM agentq.tasks WHERE ended_at IS NULL

-- name: delete_task
DELETE FROM agentq.tasks WHERE session = :session AND seq = :seq

-- name: delete_runs
WITH output AS (DELETE FROM agentq.log_chunks WHERE session = :session AND seq = :seq)
DELETE FROM agentq.task_runs WHERE session = :session AND seq = :seq

-- name: delete_events
DELETE FROM agentq.events WHERE session = :session AND seq = :seq
