-- What changes a task: its row in the session's file, its row in the index, and the event, always together.

-- name: create_session
INSERT INTO sessions (name, created_at) VALUES (:name, :at) ON CONFLICT DO NOTHING

-- What AUTOINCREMENT would give: addresses are never reused, even those of removed tasks. The index also has a table
-- with that name, which would be used by a connection that has not yet noticed that another process created ours.
-- name: next_seq
SELECT coalesce((SELECT seq FROM main.sqlite_sequence WHERE name = 'messages_in'), 0) + 1

-- name: release_committed
UPDATE messages_in SET status = iif(after IS NULL, 'queued', 'blocked')
WHERE status = 'staged' AND batch IN (SELECT id FROM batches WHERE committed = 1)

-- The occurrence that an address of a series means.
-- name: live_of_series
SELECT seq FROM messages_in
WHERE series = :series AND extra = 0 AND status IN ('blocked', 'queued', 'running', 'paused')

-- name: others_of_series
SELECT 1 FROM messages_in WHERE series = :series AND seq <> :seq LIMIT 1

-- name: series_of_task
SELECT series FROM messages_in WHERE seq = :seq

-- name: remember_name
INSERT OR REPLACE INTO main.session_state (name, value) VALUES (:name, :series)

-- name: series_of_name
SELECT value FROM main.session_state WHERE name = :name

-- name: forget_names
DELETE FROM main.session_state WHERE name GLOB 'pruned/*' AND value = :series

-- name: live_of_key
SELECT seq FROM messages_in WHERE key = :key AND status IN ('staged', 'blocked', 'queued', 'running', 'paused')

-- The same with what is to be done, and if it is staged the batch that it belongs to.
-- name: holder_of_key
SELECT iif(status = 'staged', batch, NULL), seq, kind, prompt, argv, agent, cwd FROM messages_in
WHERE key = :key AND status IN ('staged', 'blocked', 'queued', 'running', 'paused')

-- name: keep_environment
INSERT INTO environments (variables) VALUES (:variables) ON CONFLICT DO NOTHING

-- name: environment_of
SELECT id FROM environments WHERE variables = :variables

-- name: environment
SELECT variables FROM environments WHERE id = :id

-- The fence: a change applies only to the state that it was decided on.
-- name: save
UPDATE messages_in SET {columns} WHERE seq = :seq AND status = :before_status AND runs = :before_runs

-- name: set_launch
UPDATE messages_in SET launch = :launch WHERE seq = :seq

-- name: mend_times
UPDATE messages_in SET due_at = :due_at, expires_at = :expires_at WHERE seq = :seq

-- What has been started does not expire while it waits for its next attempt.
-- name: mirror
INSERT OR REPLACE INTO tasks
  (session, seq, status, agent, priority, due_at, expires_at, retry, shares, series, ended_at, labels, arriving,
   dep_failed, directory, conversation_key)
SELECT :session, seq, status, coalesce(agent, ''), priority, due_at, iif(tries > 0, NULL, expires_at), tries > 0,
       context = 'session' AND (kind = 'prompt' OR (launch LIKE '%"repository":%'
                                                    AND json_extract(launch, '$.repository') IS NOT NULL)), series, ended_at, nullif(labels, '[]'), arriving, dep_failed,
       CASE WHEN launch LIKE '%"repository":%' AND json_extract(launch, '$.repository') IS NOT NULL
            THEN coalesce(json_extract(launch, '$.branch'), iif(context = 'isolated', '.', ''))
                 || ':' || json_extract(launch, '$.repository')
            WHEN kind = 'prompt' AND NOT shared THEN cwd ELSE '' END,
       coalesce(conversation_key, '')
FROM messages_in WHERE seq BETWEEN :first AND :last AND status <> 'staged' AND (:batch IS NULL OR batch = :batch)

-- name: event
INSERT INTO events (at, session, seq, attempt, from_status, to_status, event, actor, reason, hook, agent)
VALUES (:at, :session, :seq, :attempt, :from, :to, :event, :actor, :reason, :hook, :agent)

-- One event per new task, in one statement.
-- name: events_of_new
INSERT INTO events (at, session, seq, to_status, event, actor)
SELECT :at, :session, seq, iif(status = 'queued' AND due_at > :at, 'scheduled', status), 'submit', :actor
FROM messages_in WHERE seq >= :first AND status <> 'staged' AND (:batch IS NULL OR batch = :batch) ORDER BY seq

-- name: live_count
SELECT count(*) FROM tasks INDEXED BY tasks_live WHERE ended_at IS NULL

-- name: delete_task
DELETE FROM messages_in WHERE seq = :seq

-- name: delete_index_row
DELETE FROM tasks WHERE session = :session AND seq = :seq

-- name: delete_runs
DELETE FROM task_runs WHERE session = :session AND seq = :seq

-- name: delete_events
DELETE FROM events WHERE session = :session AND seq = :seq
