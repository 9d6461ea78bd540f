-- What a process asks of the database once it is connected.

-- name: meta
SELECT {now} AS now, (SELECT value FROM agentq.meta WHERE name = 'version') AS version,
       (SELECT value FROM agentq.meta WHERE name = 'id') AS id, pg_backend_pid() AS pid

-- name: notify
SELECT pg_notify(:channel, :session)
