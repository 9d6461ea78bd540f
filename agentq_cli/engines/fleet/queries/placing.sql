-- Which host runs what: what is bound to one, and what hosts have passed over.

-- name: expected
SELECT 1 FROM agentq.hosts WHERE key = :key AND (left_at IS NULL OR left_at + lease_ms > :now)

-- name: bound
SELECT host_key, host, host_key = :host_key FROM agentq.sessions WHERE name = :name AND host_key IS NOT NULL

-- name: ran_on
SELECT host_key, host, host_key = :host_key FROM agentq.task_runs
WHERE session = :session AND seq = :seq ORDER BY attempt DESC LIMIT 1

-- What this host cannot run, with the reason. Those tasks, and this host, may have gone meanwhile.
-- name: note
INSERT INTO agentq.unfit (session, seq, host, reason, at)
SELECT t.session, t.seq, h.id, given.reason, :now
FROM json_to_recordset(CAST(:passed AS json)) AS given (session text, seq bigint, reason text)
JOIN agentq.tasks t ON t.session = given.session AND t.seq = given.seq AND t.status = 'queued'
JOIN agentq.hosts h ON h.id = :host_id
WHERE given.reason IS NOT NULL
ON CONFLICT (session, seq, host) DO UPDATE SET reason = excluded.reason, at = excluded.at

-- What it can run by now.
-- name: forget
DELETE FROM agentq.unfit u
USING json_to_recordset(CAST(:passed AS json)) AS given (session text, seq bigint, reason text)
WHERE u.session = given.session AND u.seq = given.seq AND u.host = :host_id AND given.reason IS NULL

-- name: passed_over
SELECT u.session, u.seq, u.reason, h.name, t.of_agent, t.needs
FROM agentq.unfit u JOIN agentq.hosts h ON h.id = u.host
JOIN agentq.tasks t ON t.session = u.session AND t.seq = u.seq
WHERE u.session = :session AND u.at > :since AND h.left_at IS NULL AND t.status = 'queued'
ORDER BY u.seq, h.name

-- Which of some tasks there are.
-- name: tasks
SELECT session, seq FROM agentq.tasks
WHERE (session, seq) IN (SELECT value ->> 0, CAST(value ->> 1 AS bigint)
                         FROM json_array_elements(CAST(:addresses AS json)) AS given (value))

-- To which of some captured environments tasks refer.
-- name: environments
SELECT DISTINCT environment FROM agentq.tasks
WHERE environment IN (SELECT CAST(value AS bigint) FROM json_array_elements_text(CAST(:numbers AS json)))
