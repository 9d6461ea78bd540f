-- The queries of reading commands.

-- name: task
SELECT {task_columns} FROM messages_in WHERE seq = :seq AND status <> 'staged'

-- name: tasks_of_page
SELECT {task_columns} FROM messages_in WHERE seq IN (SELECT value FROM json_each(:seqs)) AND status <> 'staged'

-- Live tasks, soonest first, by keyset.
-- name: live_page
SELECT session, seq, due_at FROM tasks
WHERE ended_at IS NULL AND (due_at, session, seq) > (:at, :after_session, :after_seq)
  AND (:session IS NULL OR session = :session) AND (:seq IS NULL OR seq = :seq)
  AND (:recurring IS NULL OR series IS NOT NULL)
  AND (:series IS NULL OR series = :series) AND (:agent IS NULL OR agent = :agent)
  AND (:since IS NULL OR due_at >= :since) AND (:until IS NULL OR due_at <= :until)
ORDER BY due_at, session, seq LIMIT :limit

-- Ended tasks, newest end first, by keyset.
-- name: ended_page
SELECT session, seq, ended_at FROM tasks
WHERE ended_at IS NOT NULL AND (ended_at, session, seq) < (:at, :after_session, :after_seq)
  AND (:session IS NULL OR session = :session) AND (:seq IS NULL OR seq = :seq)
  AND (:series IS NULL OR series = :series) AND (:agent IS NULL OR agent = :agent)
  AND (:since IS NULL OR ended_at >= :since) AND (:until IS NULL OR ended_at <= :until)
ORDER BY ended_at DESC, session DESC, seq DESC LIMIT :limit

-- name: run
SELECT {run_columns} FROM task_runs WHERE session = :session AND seq = :seq AND attempt = :attempt

-- The filters of whatever reads runs, beside those for a session and a task, which choose the index.
-- name: which_runs
(:status IS NULL OR status IN (SELECT value FROM json_each(:status)))
  AND (:since IS NULL OR started_at >= :since) AND (:until IS NULL OR started_at <= :until)
  AND (:agent IS NULL OR agent = :agent) AND (:series IS NULL OR series = :series)
  AND (:label IS NULL OR EXISTS
    (SELECT 1 FROM tasks, json_each(tasks.labels)
     WHERE tasks.session = task_runs.session AND tasks.seq = task_runs.seq AND value = :label))

-- Newest first, by keyset on the row id.
-- name: runs_page
SELECT {run_columns}, id FROM task_runs
WHERE id < :before AND {which_runs}
ORDER BY id DESC LIMIT :limit

-- name: runs_page_session
SELECT {run_columns}, id FROM task_runs
WHERE session = :session AND id < :before AND {which_runs}
ORDER BY id DESC LIMIT :limit

-- name: runs_page_task
SELECT {run_columns}, id FROM task_runs
WHERE session = :session AND seq = :seq AND id < :before AND {which_runs}
ORDER BY id DESC LIMIT :limit

-- name: sessions
SELECT name, paused_at IS NOT NULL, paused_reason, NULL FROM sessions WHERE name > :after ORDER BY name LIMIT :limit

-- name: session_names
SELECT name FROM sessions ORDER BY name

-- Only a task that is queued is looked at itself.
-- name: session_counts
SELECT status, count(*) FROM tasks INDEXED BY tasks_counts
WHERE session = :session AND status <> 'queued' GROUP BY status
UNION ALL
SELECT CASE WHEN due_at > :now THEN iif(retry, 'retrying', 'scheduled') ELSE status END AS shown, count(*)
FROM tasks INDEXED BY tasks_counts WHERE session = :session AND status = 'queued' GROUP BY shown

-- name: known_status
SELECT CASE WHEN status = 'queued' AND due_at > :now THEN iif(retry, 'retrying', 'scheduled') ELSE status END
FROM tasks WHERE session = :session AND seq = :seq

-- name: session_next_due
SELECT min(due_at) FROM tasks WHERE session = :session AND status = 'queued'

-- name: conversations
SELECT agent, id FROM conversations ORDER BY used_at DESC

-- name: pool
SELECT agent, key, id, used_at FROM conversations ORDER BY key, agent

-- What the runs in each conversation of a session used; NULL if none said. As for all sums, total() and not sum().
-- name: conversation_figures
SELECT conversation, count(DISTINCT seq), iif(count(tokens_in), CAST(total(tokens_in) AS INTEGER), NULL),
       iif(count(tokens_out), CAST(total(tokens_out) AS INTEGER), NULL)
FROM task_runs INDEXED BY task_runs_session
WHERE session = :session AND conversation IS NOT NULL GROUP BY conversation

-- name: workers
SELECT session, seq, attempt, agent, conversation_key, claimed_at, pid, start_time, boot_id, adopted, stop, directory
FROM workers ORDER BY claimed_at, session, seq

-- name: worker
SELECT session, seq, attempt, agent, conversation_key, claimed_at, pid, start_time, boot_id, adopted, stop, directory
FROM workers WHERE session = :session AND seq = :seq

-- name: supervisors
SELECT pid, start_time, boot_id, jobs, sessions, started_at, renewed_at, gates, state, since, last_result,
       NULL AS ended_at, NULL AS reason
FROM supervisors ORDER BY started_at, pid

-- Newest end first.
-- name: ended_supervisors
SELECT pid, start_time, boot_id, jobs, sessions, started_at, 0 AS renewed_at, NULL AS gates,
       'ended' AS state, ended_at AS since, last_result, ended_at, reason
FROM ended_supervisors ORDER BY id DESC

-- Each supervisor with the sessions that it serves, and whether it has runs to watch.
-- name: attendance
SELECT pid, start_time, boot_id, sessions, renewed_at,
       EXISTS (SELECT 1 FROM workers AS w
               WHERE w.pid = s.pid AND w.start_time = s.start_time AND w.boot_id = s.boot_id)
FROM supervisors AS s

-- name: events_newest
SELECT id, at, session, seq, attempt, from_status, to_status, event, actor, reason FROM events
WHERE id < :before AND (:session IS NULL OR session = :session) AND (:seq IS NULL OR seq = :seq)
  AND (:since IS NULL OR at >= :since) AND (:until IS NULL OR at <= :until)
ORDER BY id DESC LIMIT :limit

-- name: events_after
SELECT id, at, session, seq, attempt, from_status, to_status, event, actor, reason FROM events
WHERE id > :after AND (:session IS NULL OR session = :session) AND (:seq IS NULL OR seq = :seq)
ORDER BY id LIMIT :limit

-- name: last_event
SELECT coalesce(max(id), 0) FROM events

-- name: messages_newest
SELECT id, kind, content, created_at, rowid FROM messages_out
WHERE rowid < :before AND (:since IS NULL OR created_at >= :since) AND (:until IS NULL OR created_at <= :until)
ORDER BY rowid DESC LIMIT :limit

-- name: messages_after
SELECT id, kind, content, created_at, rowid FROM messages_out WHERE rowid > :after ORDER BY rowid LIMIT :limit

-- name: last_message
SELECT coalesce(max(rowid), 0) FROM messages_out

-- name: holds
SELECT scope, name, kind, until, reason FROM holds WHERE scope <> 'jobs' AND (until IS NULL OR until > :now) ORDER BY scope DESC, name, kind

-- name: meta
SELECT value FROM meta WHERE name = :name

-- name: session
SELECT name, paused_at IS NOT NULL, paused_reason, NULL FROM sessions WHERE name = :name

-- name: due_before
SELECT count(*) FROM tasks
WHERE status = 'queued' AND due_at <= :now AND (priority > :priority OR (priority = :priority AND due_at < :due_at))

-- name: session_retrying
SELECT seq, agent, conversation_key FROM tasks INDEXED BY tasks_retrying
WHERE session = :session AND status = 'queued' AND retry = 1
  AND agent NOT IN (SELECT name FROM holds WHERE scope = 'agent' AND (until IS NULL OR until > :now))
ORDER BY due_at, seq


-- name: ended_before
SELECT session, seq FROM tasks INDEXED BY tasks_ended
WHERE ended_at IS NOT NULL AND ended_at < :before AND (:session IS NULL OR session = :session)
  AND NOT EXISTS (SELECT 1 FROM dependencies d LEFT JOIN tasks w ON w.session = d.session AND w.seq = d.seq
                  WHERE d.on_session = tasks.session AND d.on_seq = tasks.seq AND w.ended_at IS NULL)
ORDER BY ended_at, session, seq
