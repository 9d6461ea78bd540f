-- Sessions that leave the fleet, or come into it.

-- name: left
SELECT session, value FROM agentq.session_state WHERE name = 'moved' AND session <> ''

-- name: here
SELECT name FROM agentq.sessions
WHERE NOT EXISTS (SELECT 1 FROM agentq.session_state m WHERE m.session = sessions.name AND m.name = 'moved')
ORDER BY name

-- name: running
SELECT session, seq, attempt FROM agentq.workers
WHERE session IN (SELECT value FROM json_array_elements_text(CAST(:sessions AS json)) AS given (value))
ORDER BY session, seq

-- name: dependencies
SELECT session, seq, on_session, on_seq FROM agentq.dependencies

-- Where a session is, from its state, or that of the whole queue; '' if it is here, NULL if nobody knows it.
-- name: gone
SELECT coalesce((SELECT coalesce((SELECT value FROM agentq.session_state m WHERE m.session = s.name AND m.name = 'moved'), '')
                 FROM agentq.sessions s WHERE s.name = :name),
                (SELECT value FROM agentq.session_state m WHERE m.session = '' AND m.name = 'moved'))

-- Of many: those that have left.
-- name: gone_of
SELECT session, value FROM agentq.session_state
WHERE name = 'moved' AND (
  session IN (SELECT value FROM json_array_elements_text(CAST(:sessions AS json)) AS given (value))
  OR session = '' AND EXISTS (
    SELECT 1 FROM json_array_elements_text(CAST(:sessions AS json)) AS given (value)
    WHERE NOT EXISTS (SELECT 1 FROM agentq.sessions WHERE name = given.value)))
LIMIT 1

-- name: leave
INSERT INTO agentq.session_state (session, name, value)
SELECT name, 'moved', CAST(json_build_object('to', CAST(:target AS text), 'paused_at', paused_at,
                                             'paused_reason', paused_reason) AS text)
FROM agentq.sessions WHERE name = :session
ON CONFLICT (session, name) DO NOTHING

-- name: close
INSERT INTO agentq.session_state (session, name, value)
VALUES ('', 'moved', CAST(json_build_object('to', CAST(:target AS text)) AS text))
ON CONFLICT (session, name) DO NOTHING

-- name: open
DELETE FROM agentq.session_state WHERE session = '' AND name = 'moved'

-- name: ids_of_task_runs
SELECT coalesce(max(id), 0), count(*) FILTER (WHERE id BETWEEN :first AND :last) FROM agentq.task_runs

-- name: ids_of_events
SELECT coalesce(max(id), 0), count(*) FILTER (WHERE id BETWEEN :first AND :last) FROM agentq.events

-- name: number_task_runs
SELECT setval(pg_get_serial_sequence('agentq.task_runs', 'id'), max(id)) FROM agentq.task_runs HAVING count(*) > 0

-- name: number_events
SELECT setval(pg_get_serial_sequence('agentq.events', 'id'), max(id)) FROM agentq.events HAVING count(*) > 0

-- name: add_host
INSERT INTO agentq.hosts
  (key, name, boot_id, version, beat, lease_ms, agents, labels, joined_at, beat_at, left_at)
VALUES (:host_key, :name, :boot_id, :version, 1, :lease_ms, '[]', :labels, :at, :at, :at)
ON CONFLICT (key) DO NOTHING

-- name: bind
UPDATE agentq.sessions SET host = :name, host_key = :host_key
WHERE name <> 'default'
  AND name IN (SELECT value FROM json_array_elements_text(CAST(:sessions AS json)) AS given (value))
  AND EXISTS (SELECT 1 FROM agentq.conversations c WHERE c.session = sessions.name)
