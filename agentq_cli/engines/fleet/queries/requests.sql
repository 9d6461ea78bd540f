-- What agents request in the outbound files of a host (requests), and the answers (delivered), by that host's key.

-- name: unanswered
SELECT position - 1 FROM json_array_elements_text(CAST(:ids AS json)) WITH ORDINALITY AS given (id, position)
WHERE NOT EXISTS (SELECT 1 FROM agentq.delivered
                  WHERE session = :session AND host = :host_key AND message_id = given.id)
ORDER BY position

-- name: is_delivered
SELECT 1 FROM agentq.delivered WHERE session = :session AND host = :host_key AND message_id = :id

-- name: deliver
INSERT INTO agentq.delivered (session, host, message_id, status, task, detail, at)
VALUES (:session, :host_key, :id, :status, :task, :detail, :at)

-- How the session usually works: its last prompt that has run, since the one that asks is an agent at work; else its
-- last one.
-- name: template
SELECT seq FROM agentq.tasks WHERE session = :session AND kind = 'prompt'
ORDER BY runs > 0 DESC, CASE WHEN runs > 0 THEN 0 ELSE CAST(CAST(launch AS json) ->> 'depth' AS integer) END, seq DESC
LIMIT 1
