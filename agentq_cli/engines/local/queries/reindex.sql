-- Rebuilding the index from the sessions' files.

-- What a refused first submit left behind is not a session yet.
-- name: known_session
INSERT INTO sessions (name, created_at)
SELECT :name, min(created_at) FROM messages_in WHERE status <> 'staged' HAVING count(*) > 0 ON CONFLICT DO NOTHING

-- Staged by a batch that the index does not know: only what else the batch staged can show whether it was committed.
-- name: lost_batches
SELECT DISTINCT batch FROM messages_in WHERE status = 'staged' AND batch NOT IN (SELECT id FROM idx.batches)

-- name: released
SELECT 1 FROM messages_in WHERE batch = :batch AND status <> 'staged' AND reason IS NOT :undecided LIMIT 1

-- name: release_lost
UPDATE messages_in SET status = iif(after IS NULL, 'queued', 'blocked') WHERE batch = :batch AND status = 'staged'

-- name: pause_lost
UPDATE messages_in SET status = 'paused', reason = :undecided WHERE batch = :batch AND status = 'staged' RETURNING seq

-- name: forget_session
DELETE FROM tasks WHERE session = :session

-- name: forget_dependencies
DELETE FROM dependencies WHERE session = :session

-- name: dependencies
INSERT OR IGNORE INTO dependencies (session, seq, on_session, on_seq, condition)
SELECT :session, seq, json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]')
FROM messages_in, json_each(messages_in.after)
WHERE after IS NOT NULL

-- What waits, or was stopped: the end of what it waits for may have been noted in an index that is lost.
-- name: blocked
SELECT seq FROM messages_in WHERE status = 'blocked' OR dep_failed IS NOT NULL ORDER BY seq

-- The same in other sessions, to be settled in their own transactions.
-- name: blocked_elsewhere
INSERT OR IGNORE INTO unsettled (session, seq)
SELECT d.session, d.seq FROM dependencies d INDEXED BY dependencies_on
JOIN tasks w ON w.session = d.session AND w.seq = d.seq
WHERE d.on_session = :session AND d.session <> :session AND (w.status = 'blocked' OR w.dep_failed IS NOT NULL)

-- Whether the index has the newest tasks, and those that it has as live, as the session's file has them. What is staged
-- is published by the commit of its batch, before its own file shows it.
-- name: lacking
SELECT EXISTS (
  SELECT 1 FROM messages_in m
  LEFT JOIN idx.tasks t ON t.session = :session AND t.seq = m.seq
  LEFT JOIN idx.workers w ON w.session = :session AND w.seq = m.seq AND w.attempt = m.runs
  WHERE m.seq > (SELECT max(seq) FROM messages_in) - :some
    AND CASE m.status
          WHEN 'staged' THEN NOT EXISTS (SELECT 1 FROM idx.batches b WHERE b.id = m.batch)
          WHEN 'running' THEN t.status IS NOT 'running' OR w.seq IS NULL
          ELSE t.status IS NOT m.status OR t.due_at IS NOT m.due_at OR t.priority IS NOT m.priority
        END
) OR EXISTS (
  SELECT 1 FROM idx.tasks t INDEXED BY tasks_counts LEFT JOIN messages_in m ON m.seq = t.seq
  WHERE t.session = :session AND t.status IN ('blocked', 'queued', 'running', 'paused')
    AND m.status IS NOT t.status AND m.status IS NOT 'staged'
) OR EXISTS (
  SELECT 1 FROM idx.workers w LEFT JOIN messages_in m ON m.seq = w.seq
  WHERE w.session = :session AND (m.status IS NOT 'running' OR m.runs IS NOT w.attempt)
) OR EXISTS (SELECT 1 FROM main.session_state WHERE name = 'paused')
  IS NOT EXISTS (SELECT 1 FROM idx.sessions WHERE name = :session AND paused_at IS NOT NULL)

-- name: unreadable_times
SELECT seq FROM messages_in
WHERE (typeof(due_at) <> 'integer' OR typeof(expires_at) NOT IN ('integer', 'null')) AND status <> 'staged'

-- name: running
SELECT seq, runs, coalesce(agent, ''), context = 'session' AND (kind = 'prompt' OR json_extract(launch, '$.repository') IS NOT NULL),
       conversation_key, cwd, argv,
       iif(kind = 'prompt' AND NOT shared, cwd, NULL), json_extract(launch, '$.repository') IS NOT NULL
FROM messages_in WHERE status = 'running'

-- name: missing_worker
INSERT INTO workers (session, seq, attempt, agent, shares, claimed_at, directory, conversation_key)
VALUES (:session, :seq, :attempt, :agent, :shares, :at, :directory, :conversation_key) ON CONFLICT DO NOTHING

-- name: missing_run
INSERT INTO task_runs (session, seq, attempt, "trigger", agent, argv, cwd, started_at, status, host)
VALUES (:session, :seq, :attempt, 'submit', nullif(:agent, ''), :argv, :cwd, :at, 'running', :host)
ON CONFLICT DO NOTHING

-- name: stale_workers
SELECT session, seq, attempt FROM workers WHERE session = :session

-- name: drop_worker
DELETE FROM workers WHERE session = :session AND seq = :seq AND attempt = :attempt


-- name: paused
UPDATE sessions SET paused_at = iif(:at IS NULL, NULL, coalesce(paused_at, :at)), paused_reason = :reason
WHERE name = :session
