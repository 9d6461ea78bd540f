-- What agents say in the outbound files of a host, by its key, and what they are answered there.

-- Which of these ids are not stored yet.
-- name: unsaid
SELECT position - 1 FROM json_array_elements_text(CAST(:ids AS json)) WITH ORDINALITY AS given (id, position)
WHERE NOT EXISTS (SELECT 1 FROM agentq.messages
                  WHERE session = :session AND host = :host_key AND agentq.messages.id = given.id)
ORDER BY position

-- name: say
INSERT INTO agentq.messages (session, host, id, kind, content, created_at)
VALUES (:session, :host_key, :id, :kind, :content, :at) ON CONFLICT DO NOTHING

-- name: answers
SELECT message_id, status, task, detail, at FROM agentq.delivered WHERE session = :session AND host = :host_key
