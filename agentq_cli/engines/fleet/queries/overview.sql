-- What is happening at a glance, for screens that ask once a second, and what happened, for reports.

-- name: live_counts
SELECT session, CASE WHEN status = 'queued' AND due_at > :now
                     THEN CASE retry WHEN 1 THEN 'retrying' ELSE 'scheduled' END ELSE status END AS shown, count(*)
FROM agentq.tasks WHERE ended_at IS NULL GROUP BY session, shown ORDER BY session

-- What is due, longest first, and what is due later, soonest first.
-- name: due
SELECT session, seq FROM agentq.tasks WHERE status = 'queued' AND due_at <= :now ORDER BY due_at, session, seq LIMIT :limit

-- name: coming
SELECT session, seq FROM agentq.tasks WHERE status = 'queued' AND due_at > :now ORDER BY due_at, session, seq LIMIT :limit

-- What the clock alone does not start.
-- name: kept
SELECT session, seq FROM agentq.tasks WHERE ended_at IS NULL AND status IN ('paused', 'blocked')
ORDER BY due_at, session, seq LIMIT :limit

-- What ended last, newest first. Not the whole row: a result may be a mebibyte.
-- name: recent_ends
SELECT {past_columns}
FROM agentq.task_runs WHERE finished_at IS NOT NULL ORDER BY id DESC LIMIT :limit

-- The live occurrences of series.
-- name: series
SELECT session, seq, series FROM agentq.tasks WHERE ended_at IS NULL AND series IS NOT NULL
ORDER BY due_at, session, seq LIMIT :limit

-- The last run of a series that ended, among the newest of its session.
-- name: series_end
SELECT {past_columns}
FROM (SELECT * FROM agentq.task_runs WHERE session = :session ORDER BY id DESC LIMIT 500) AS newest
WHERE series = :series AND finished_at IS NOT NULL
ORDER BY id DESC LIMIT 1

-- name: ended_counts
SELECT status, count(*) FROM agentq.tasks WHERE ended_at IS NOT NULL AND ended_at >= :since GROUP BY status

-- name: last_failed
SELECT session, seq FROM agentq.tasks
WHERE ended_at IS NOT NULL AND ended_at >= :since AND status = 'failed' ORDER BY ended_at DESC LIMIT 1

-- name: any_task
SELECT EXISTS (SELECT 1 FROM agentq.tasks)

-- One row a run for a report, newest first, by keyset on the row id.
-- name: history
SELECT {past_columns}, id
FROM agentq.task_runs AS task_runs
WHERE id < :before AND (:session IS NULL OR session = :session) AND {which_runs}
ORDER BY id DESC LIMIT 5000
