-- What is happening at a glance, for screens that ask once a second, and what happened, for reports.

-- Live tasks by session and status. Walks the index of live tasks alone, however many have ended.
-- name: live_counts
SELECT session, iif(status = 'queued' AND due_at > :now, iif(retry, 'retrying', 'scheduled'), status) AS shown, count(*)
FROM tasks INDEXED BY tasks_live WHERE ended_at IS NULL GROUP BY session, shown ORDER BY session

-- What is due, longest first, and what is due later, soonest first.
-- name: due
SELECT session, seq FROM tasks INDEXED BY tasks_due WHERE status = 'queued' AND due_at <= :now
ORDER BY due_at LIMIT :limit

-- name: coming
SELECT session, seq FROM tasks INDEXED BY tasks_due WHERE status = 'queued' AND due_at > :now
ORDER BY due_at LIMIT :limit

-- What the clock alone does not start.
-- name: kept
SELECT session, seq FROM tasks INDEXED BY tasks_live WHERE ended_at IS NULL AND status IN ('paused', 'blocked')
ORDER BY due_at, session, seq LIMIT :limit

-- What ended last, newest first. Not the whole row: a result may be a mebibyte.
-- name: recent_ends
SELECT {past_columns}
FROM task_runs WHERE finished_at IS NOT NULL ORDER BY id DESC LIMIT :limit

-- The live occurrences of series.
-- name: series
SELECT session, seq, series FROM tasks INDEXED BY tasks_live WHERE ended_at IS NULL AND series IS NOT NULL
ORDER BY due_at, session, seq LIMIT :limit

-- The last run of a series that ended, among the newest of its session.
-- name: series_end
SELECT {past_columns}
FROM task_runs
WHERE id IN (SELECT id FROM task_runs INDEXED BY task_runs_session WHERE session = :session ORDER BY id DESC LIMIT 500)
  AND series = :series AND finished_at IS NOT NULL
ORDER BY id DESC LIMIT 1

-- name: ended_counts
SELECT status, count(*) FROM tasks INDEXED BY tasks_ended
WHERE ended_at IS NOT NULL AND ended_at >= :since GROUP BY status

-- name: last_failed
SELECT session, seq FROM tasks INDEXED BY tasks_ended
WHERE ended_at IS NOT NULL AND ended_at >= :since AND status = 'failed' ORDER BY ended_at DESC LIMIT 1

-- name: any_task
SELECT EXISTS (SELECT 1 FROM tasks)

-- One row a run for a report, newest first, by keyset on the row id.
-- name: history
SELECT {past_columns}, id
FROM task_runs
WHERE id < :before AND (:session IS NULL OR session = :session) AND {which_runs}
ORDER BY id DESC LIMIT 5000
