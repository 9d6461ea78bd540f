-- What a process asks of the database once it is connected.

-- name: meta
SELECT {now}, (SELECT value FROM agentq.meta WHERE name = 'version'), (SELECT value FROM agentq.meta WHERE name = 'id')

-- name: notify
SELECT pg_notify(:channel, :session)
