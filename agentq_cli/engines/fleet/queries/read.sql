-- The queries of reading commands.

-- name: task
SELECT {task_columns} FROM agentq.tasks WHERE session = :session AND seq = :seq

-- name: tasks_of_page
SELECT {task_columns} FROM agentq.tasks
WHERE session = :session
  AND seq IN (SELECT CAST(value AS bigint) FROM json_array_elements_text(CAST(:seqs AS json)) AS given (value))

-- name: tasks_of_addresses
SELECT session, seq AS n, {task_columns} FROM agentq.tasks
WHERE (session, seq) IN (SELECT value ->> 0, CAST(value ->> 1 AS bigint)
                         FROM json_array_elements(CAST(:addresses AS json)) AS given (value))

-- Live tasks, soonest first, by keyset.
-- name: live_page
SELECT session, seq, due_at FROM agentq.tasks
WHERE ended_at IS NULL AND (due_at, session, seq) > (:at, :after_session, :after_seq)
  AND (:session IS NULL OR session = :session) AND (:seq IS NULL OR seq = :seq)
  AND (:recurring IS NULL OR series IS NOT NULL)
  AND (:series IS NULL OR series = :series) AND (:agent IS NULL OR of_agent = :agent)
  AND (:since IS NULL OR due_at >= :since) AND (:until IS NULL OR due_at <= :until)
ORDER BY due_at, session, seq LIMIT :limit

-- Ended tasks, newest end first, by keyset.
-- name: ended_page
SELECT session, seq, ended_at FROM agentq.tasks
WHERE ended_at IS NOT NULL AND (ended_at, session, seq) < (:at, :after_session, :after_seq)
  AND (:session IS NULL OR session = :session) AND (:seq IS NULL OR seq = :seq)
  AND (:series IS NULL OR series = :series) AND (:agent IS NULL OR of_agent = :agent)
  AND (:since IS NULL OR ended_at >= :since) AND (:until IS NULL OR ended_at <= :until)
ORDER BY ended_at DESC, session DESC, seq DESC LIMIT :limit

-- name: run
SELECT {run_columns} FROM agentq.task_runs WHERE session = :session AND seq = :seq AND attempt = :attempt

-- The filters of whatever reads runs, beside those for a session and a task, which choose the index.
-- name: which_runs
(:status IS NULL OR status IN (SELECT value FROM json_array_elements_text(CAST(:status AS json)) AS given (value)))
  AND (:since IS NULL OR started_at >= :since) AND (:until IS NULL OR started_at <= :until)
  AND (:agent IS NULL OR agent = :agent) AND (:series IS NULL OR series = :series)
  AND (:label IS NULL OR EXISTS
    (SELECT 1 FROM agentq.tasks AS t, json_array_elements_text(CAST(t.labels AS json)) AS label
     WHERE t.session = task_runs.session AND t.seq = task_runs.seq AND label = :label))

-- Newest first, by keyset on the row id.
-- name: runs_page
SELECT {run_columns}, id FROM agentq.task_runs AS task_runs
WHERE id < :before AND {which_runs}
ORDER BY id DESC LIMIT :limit

-- name: runs_page_session
SELECT {run_columns}, id FROM agentq.task_runs AS task_runs
WHERE session = :session AND id < :before AND {which_runs}
ORDER BY id DESC LIMIT :limit

-- name: runs_page_task
SELECT {run_columns}, id FROM agentq.task_runs AS task_runs
WHERE session = :session AND seq = :seq AND id < :before AND {which_runs}
ORDER BY id DESC LIMIT :limit

-- name: sessions
SELECT name, paused_at IS NOT NULL, paused_reason, host FROM agentq.sessions
WHERE name > :after ORDER BY name LIMIT :limit

-- name: session_counts
SELECT CASE WHEN status = 'queued' AND due_at > :now
            THEN CASE retry WHEN 1 THEN 'retrying' ELSE 'scheduled' END ELSE status END AS shown,
       count(*)
FROM agentq.tasks WHERE session = :session GROUP BY shown

-- name: known_status
SELECT CASE WHEN status = 'queued' AND due_at > :now
            THEN CASE retry WHEN 1 THEN 'retrying' ELSE 'scheduled' END ELSE status END
FROM agentq.tasks WHERE session = :session AND seq = :seq

-- name: session_next_due
SELECT min(due_at) FROM agentq.tasks WHERE session = :session AND status = 'queued'

-- name: conversations
SELECT agent, id FROM agentq.conversations WHERE session = :session ORDER BY used_at DESC

-- name: pool
SELECT agent, key, id, used_at FROM agentq.conversations WHERE session = :session ORDER BY key, agent

-- What the runs in each conversation of a session used; NULL if none said.
-- name: conversation_figures
SELECT conversation, count(DISTINCT seq), CAST(sum(tokens_in) AS bigint) AS tokens_in,
       CAST(sum(tokens_out) AS bigint) AS tokens_out
FROM agentq.task_runs WHERE session = :session AND conversation IS NOT NULL GROUP BY conversation

-- name: workers
SELECT w.session, w.seq, w.attempt, w.agent, w.conversation_key, w.claimed_at, w.pid, w.start_time, w.boot_id, w.adopted,
       w.stop, w.directory, h.name, CAST(coalesce(h.key <> :host_key, false) AS integer), w.run_pid, w.rss, w.seen
FROM agentq.workers w LEFT JOIN agentq.hosts h ON h.id = w.host ORDER BY w.claimed_at, w.session, w.seq

-- name: worker
SELECT w.session, w.seq, w.attempt, w.agent, w.conversation_key, w.claimed_at, w.pid, w.start_time, w.boot_id, w.adopted,
       w.stop, w.directory, h.name, CAST(coalesce(h.key <> :host_key, false) AS integer), w.run_pid, w.rss, w.seen
FROM agentq.workers w LEFT JOIN agentq.hosts h ON h.id = w.host WHERE w.session = :session AND w.seq = :seq

-- name: supervisors
SELECT s.pid, s.start_time, s.boot_id, s.jobs, s.sessions, s.started_at, s.renewed_at, s.gates, s.state, s.since,
       s.last_result, NULL AS ended_at, NULL AS reason,
       h.name, CAST(coalesce(h.key <> :host_key, false) AS integer), h.beat_at, h.lease_ms
FROM agentq.supervisors s LEFT JOIN agentq.hosts h ON h.id = s.host ORDER BY s.started_at, s.pid

-- Newest end first.
-- name: ended_supervisors
SELECT pid, start_time, boot_id, jobs, sessions, started_at, 0 AS renewed_at, NULL AS gates,
       'ended' AS state, ended_at AS since, last_result, ended_at, reason,
       host, CAST(host_key <> :host_key AS integer)
FROM agentq.ended_supervisors ORDER BY ended_at DESC, id DESC

-- name: events_newest
SELECT id, at, session, seq, attempt, from_status, to_status, event, actor, reason FROM agentq.events
WHERE id < :before AND (:session IS NULL OR session = :session) AND (:seq IS NULL OR seq = :seq)
  AND (:since IS NULL OR at >= :since) AND (:until IS NULL OR at <= :until)
ORDER BY id DESC LIMIT :limit

-- name: events_after
SELECT id, at, session, seq, attempt, from_status, to_status, event, actor, reason FROM agentq.events
WHERE id > :after AND (:session IS NULL OR session = :session) AND (:seq IS NULL OR seq = :seq)
ORDER BY id LIMIT :limit

-- name: last_event
SELECT coalesce(max(id), 0) FROM agentq.events

-- name: messages_newest
SELECT id, kind, content, created_at, position FROM agentq.messages
WHERE session = :session AND position < :before
  AND (:since IS NULL OR created_at >= :since) AND (:until IS NULL OR created_at <= :until)
ORDER BY position DESC LIMIT :limit

-- name: messages_after
SELECT id, kind, content, created_at, position FROM agentq.messages
WHERE session = :session AND position > :after ORDER BY position LIMIT :limit

-- name: last_message
SELECT coalesce(max(position), 0) FROM agentq.messages WHERE session = :session

-- name: holds
SELECT scope, name, kind, until, reason FROM agentq.holds
WHERE scope <> 'jobs' AND (until IS NULL OR until > :now) ORDER BY scope DESC, name, kind

-- name: meta
SELECT value FROM agentq.meta WHERE name = :name

-- name: session
SELECT name, paused_at IS NOT NULL, paused_reason, host FROM agentq.sessions WHERE name = :name

-- name: session_names
SELECT name FROM agentq.sessions ORDER BY name

-- name: due_before
SELECT count(*) FROM agentq.tasks
WHERE status = 'queued' AND due_at <= :now AND (priority > :priority OR (priority = :priority AND due_at < :due_at))

-- Sorted by what is no index's order, so that none is walked for that.
-- name: session_retrying
SELECT seq, of_agent, line FROM agentq.tasks
WHERE session = :session AND status = 'queued' AND retry = 1
  AND of_agent NOT IN (SELECT name FROM agentq.holds WHERE scope = 'agent' AND (until IS NULL OR until > :now))
ORDER BY due_at + 0, seq

-- name: ended_before
SELECT session, seq FROM agentq.tasks AS t
WHERE ended_at IS NOT NULL AND ended_at < :before AND (:session IS NULL OR session = :session)
  AND NOT EXISTS (SELECT 1 FROM agentq.dependencies d
                  LEFT JOIN agentq.tasks w ON w.session = d.session AND w.seq = d.seq
                  WHERE d.on_session = t.session AND d.on_seq = t.seq AND w.ended_at IS NULL)
ORDER BY ended_at, session, seq
