-- Rebuilding the index from the sessions' files.

-- What a refused first submit left is no session yet.
-- name: known_session
INSERT INTO sessions (name, created_at)
SELECT :name, :at WHERE EXISTS (SELECT 1 FROM messages_in WHERE status <> 'staged') ON CONFLICT DO NOTHING

-- name: forget_session
DELETE FROM tasks WHERE session = :session

-- name: mirror_all
INSERT OR REPLACE INTO tasks
  (session, seq, status, agent, priority, due_at, expires_at, retry, shares, series, ended_at, labels, arriving,
   dep_failed)
SELECT :session, seq, status, coalesce(agent, ''), priority, due_at, iif(tries > 0, NULL, expires_at), tries > 0,
       kind = 'prompt' AND context = 'session', series, ended_at, nullif(labels, '[]'), arriving, dep_failed
FROM messages_in WHERE status <> 'staged'

-- name: forget_dependencies
DELETE FROM dependencies WHERE session = :session

-- name: dependencies
INSERT OR IGNORE INTO dependencies (session, seq, on_session, on_seq, condition)
SELECT :session, seq, json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]')
FROM messages_in, json_each(messages_in.after)
WHERE after IS NOT NULL

-- name: blocked
SELECT seq FROM messages_in WHERE status = 'blocked' ORDER BY seq

-- name: unreadable_times
SELECT seq FROM messages_in
WHERE (typeof(due_at) <> 'integer' OR typeof(expires_at) NOT IN ('integer', 'null')) AND status <> 'staged'

-- name: running
SELECT seq, runs, coalesce(agent, ''), kind = 'prompt' AND context = 'session', cwd, argv FROM messages_in
WHERE status = 'running'

-- name: missing_worker
INSERT INTO workers (session, seq, attempt, agent, shares, claimed_at)
VALUES (:session, :seq, :attempt, :agent, :shares, :at) ON CONFLICT DO NOTHING

-- name: missing_run
INSERT INTO task_runs (session, seq, attempt, "trigger", agent, argv, cwd, started_at, status, host)
VALUES (:session, :seq, :attempt, 'submit', nullif(:agent, ''), :argv, :cwd, :at, 'running', :host)
ON CONFLICT DO NOTHING

-- name: stale_workers
SELECT session, seq, attempt FROM workers WHERE session = :session

-- name: drop_worker
DELETE FROM workers WHERE session = :session AND seq = :seq AND attempt = :attempt

-- name: sessions
SELECT name FROM sessions ORDER BY name

-- name: paused
UPDATE sessions SET paused_at = iif(:at IS NULL, NULL, coalesce(paused_at, :at)), paused_reason = :reason
WHERE name = :session
