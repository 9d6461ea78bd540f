-- The queries of a sweep before it opens any session.

-- Whether there is anything to do other than to start what is due; and whether something is due, or waits for its
-- retry.
-- name: idle
SELECT EXISTS (SELECT 1 FROM batches)
    OR EXISTS (SELECT 1 FROM unsettled)
    OR EXISTS (SELECT 1 FROM task_runs INDEXED BY task_runs_unposted WHERE posted = 0)
    OR EXISTS (SELECT 1 FROM tasks INDEXED BY tasks_expiring
               WHERE ended_at IS NULL AND expires_at <= :now AND status <> 'running')
    OR EXISTS (SELECT 1 FROM tasks INDEXED BY tasks_arriving
               WHERE status = 'queued' AND arriving = 1 AND due_at <= :now),
       EXISTS (SELECT 1 FROM tasks INDEXED BY tasks_due WHERE status = 'queued' AND due_at <= :now)
    OR EXISTS (SELECT 1 FROM tasks INDEXED BY tasks_retrying WHERE status = 'queued' AND retry = 1)

-- name: supervisors
SELECT pid, start_time, boot_id, sessions = '[]', renewed_at FROM supervisors

-- name: watchers
SELECT DISTINCT pid, start_time, boot_id FROM workers

-- Whose files may have changed: sessions with running tasks, those that ran last, those never checked; the others in
-- turn.
-- name: in_turn
SELECT name, seen, outbound_stamp FROM sessions
WHERE name IN (
  SELECT session FROM workers
  UNION ALL
  SELECT session FROM (SELECT session FROM task_runs ORDER BY id DESC LIMIT :some)
  UNION ALL
  SELECT name FROM sessions INDEXED BY sessions_unseen WHERE seen IS NULL
  UNION ALL
  SELECT name FROM (SELECT name FROM sessions
                    WHERE name > coalesce((SELECT value FROM meta WHERE name = 'sweep_position'), '')
                    ORDER BY name LIMIT :some))

-- The last one of those in turn; NULL if none follow it, so that it begins again.
-- name: next_position
SELECT name FROM sessions
WHERE name > coalesce((SELECT value FROM meta WHERE name = 'sweep_position'), '')
ORDER BY name LIMIT 1 OFFSET :some - 1

-- name: seen
SELECT name, seen, outbound_stamp FROM sessions WHERE name = :session

-- name: set_seen
UPDATE sessions SET seen = :seen WHERE name = :session

-- name: known
SELECT count(*) FROM sessions

-- The stamp of the directory of all sessions from when it had nothing faulty that the index did not know.
-- name: directory
SELECT value FROM meta WHERE name = 'sessions_seen'
