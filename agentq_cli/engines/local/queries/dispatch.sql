-- Picking, claiming, finishing, adopting.

-- The earliest row of the next (session, agent, priority, shares, retry, directory, line). Repeated, it visits one row per
-- group, however many wait. What may hold a row back holds its whole group, so no head hides one that may start. For "greater"
-- SQLite seeks to the equal rows and skips them one by one; x'ff' is beyond every due time, so there are none.
-- name: next_head
SELECT t.session, t.seq, t.agent, t.priority, t.due_at, t.expires_at, t.retry, t.shares, s.last_start_at,
       t.directory, t.conversation_key
FROM tasks t INDEXED BY tasks_ready JOIN sessions s ON s.name = t.session
WHERE t.status = 'queued' AND (t.expires_at IS NULL OR t.expires_at > :now)
  AND (t.session, t.agent, t.priority, t.shares, t.retry, t.directory, t.conversation_key,
       t.due_at)
    > (:session, :agent, :priority, :shares, :retry, :directory, :conversation_key, x'ff')
ORDER BY t.session, t.agent, t.priority, t.shares, t.retry, t.directory, t.conversation_key, t.due_at, t.seq LIMIT 1

-- The same within one session.
-- name: next_head_of
SELECT t.session, t.seq, t.agent, t.priority, t.due_at, t.expires_at, t.retry, t.shares, s.last_start_at,
       t.directory, t.conversation_key
FROM tasks t INDEXED BY tasks_ready CROSS JOIN sessions s ON s.name = t.session
WHERE t.status = 'queued' AND (t.expires_at IS NULL OR t.expires_at > :now) AND t.session = :session
  AND (t.agent, t.priority, t.shares, t.retry, t.directory, t.conversation_key, t.due_at)
    > (:agent, :priority, :shares, :retry, :directory, :conversation_key, x'ff')
ORDER BY t.agent, t.priority, t.shares, t.retry, t.directory, t.conversation_key, t.due_at, t.seq LIMIT 1

-- Whether there is anything to do in addition to starting and settling: tasks to expire, due occurrences, stops to pass
-- on, runs of others; whether the queue is paused, or each of the sessions that the supervisor serves that asks (NULL: it
-- is not on record); and how many tasks `jobs` lets run at once.
-- name: calls
SELECT
  EXISTS (SELECT 1 FROM tasks INDEXED BY tasks_expiring
          WHERE ended_at IS NULL AND expires_at <= :now AND status <> 'running'),
  EXISTS (SELECT 1 FROM tasks INDEXED BY tasks_arriving WHERE status = 'queued' AND arriving = 1 AND due_at <= :now),
  EXISTS (SELECT 1 FROM workers WHERE stop IS NOT NULL),
  EXISTS (SELECT 1 FROM workers WHERE (pid, start_time, boot_id) IS NOT (:pid, :start_time, :boot_id)),
  EXISTS (SELECT 1 FROM unsettled),
  (SELECT EXISTS (SELECT 1 FROM holds WHERE scope = 'queue')
       OR s.sessions <> '[]' AND NOT EXISTS (
            SELECT 1 FROM json_each(s.sessions) AS served
            WHERE NOT EXISTS (SELECT 1 FROM sessions WHERE name = served.value AND paused_at IS NOT NULL))
   FROM supervisors AS s WHERE s.pid = :pid AND s.start_time = :start_time AND s.boot_id = :boot_id),
  (SELECT count FROM holds WHERE scope = 'jobs')

-- What shows whether anything may have changed: the last id that an event was given, even if it has been pruned since,
-- and how often an index was rebuilt.
-- name: marks
SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'events'), 0),
       (SELECT value FROM meta WHERE name = 'rebuilt')

-- The same for a connection to which the index is attached: the session's file has such a table too.
-- name: marks_attached
SELECT coalesce((SELECT seq FROM idx.sqlite_sequence WHERE name = 'events'), 0),
       (SELECT value FROM meta WHERE name = 'rebuilt')

-- name: rebuilt
INSERT INTO meta (name, value) VALUES ('rebuilt', 1) ON CONFLICT (name) DO UPDATE SET value = value + 1

-- name: changed
SELECT session FROM events WHERE id > :after

-- With several hosts the last column is whether the run is on this one.
-- name: running
SELECT session, agent, conversation_key, directory, 1 FROM workers

-- name: retrying
SELECT session, seq, agent, conversation_key FROM tasks INDEXED BY tasks_retrying WHERE status = 'queued' AND retry = 1

-- name: paused_sessions
SELECT name FROM sessions INDEXED BY sessions_paused WHERE paused_at IS NOT NULL

-- What comes with time alone: a task becomes due or expires, a hold ends.
-- name: ahead
SELECT
  (SELECT min(due_at) FROM tasks INDEXED BY tasks_due WHERE status = 'queued' AND due_at > :after),
  (SELECT min(expires_at) FROM tasks INDEXED BY tasks_expiring
   WHERE ended_at IS NULL AND expires_at > :after AND status <> 'running'),
  (SELECT min(until) FROM holds WHERE until > :after)

-- name: any_due
SELECT EXISTS (SELECT 1 FROM tasks INDEXED BY tasks_due WHERE status = 'queued' AND due_at <= :now)

-- The soonest end of a usage limit that holds something due.
-- name: limited_until
SELECT session, min(until) FROM holds h JOIN tasks t INDEXED BY tasks_due ON t.agent = h.name
WHERE h.scope = 'agent' AND h.kind = 'rate_limited' AND h.until > :now AND t.status = 'queued' AND t.due_at <= :now
GROUP BY session

-- name: insert_worker
INSERT INTO workers (session, seq, attempt, agent, shares, claimed_at, pid, start_time, boot_id, directory,
                     conversation_key)
VALUES (:session, :seq, :attempt, :agent, :shares, :at, :pid, :start_time, :boot_id, :directory, :conversation_key)

-- name: is_live
SELECT 1 FROM workers WHERE session = :session AND seq = :seq AND attempt = :attempt

-- name: delete_worker
DELETE FROM workers WHERE session = :session AND seq = :seq AND attempt = :attempt

-- name: insert_run
INSERT INTO task_runs
  (session, seq, attempt, series, "trigger", agent, argv, cwd, scheduled_for, started_at, status, host, conversation)
VALUES
  (:session, :seq, :attempt, :series, :trigger, :agent, :argv, :cwd, :scheduled_for, :started_at, 'running', :host,
   :conversation)

-- name: delete_run
DELETE FROM task_runs WHERE session = :session AND seq = :seq AND attempt = :attempt AND finished_at IS NULL

-- name: finish_run
UPDATE task_runs
SET status = :status, finished_at = :finished_at, duration_ms = :duration_ms, exit_code = :exit_code, signal = :signal,
    failure_class = :failure_class, error = :error, result = :result, script_outcome = :script_outcome,
    conversation = CASE WHEN :lost THEN NULL ELSE coalesce(:conversation, conversation) END, tokens_in = :tokens_in, tokens_out = :tokens_out,
    cost_usd = :cost_usd, list_price = :list_price, turns = :turns, peak_rss_bytes = :peak_rss_bytes, stdout_bytes = :stdout_bytes,
    stderr_bytes = :stderr_bytes, posted = :posted, checked = :checked, "left" = :left, landing = :landing
WHERE session = :session AND seq = :seq AND attempt = :attempt AND finished_at IS NULL

-- Fairness compares who started longest ago, so two starts in one millisecond must differ.
-- name: session_started
UPDATE sessions SET last_start_at = max(:at, (SELECT max(last_start_at) + 1 FROM sessions INDEXED BY sessions_started))
WHERE name = :session

-- name: adopt
UPDATE workers SET pid = :pid, start_time = :start_time, boot_id = :boot_id, adopted = 1
WHERE session = :session AND seq = :seq AND attempt = :attempt
  AND pid IS :old_pid AND start_time IS :old_start_time AND boot_id IS :old_boot_id

-- name: adopt_run
UPDATE task_runs SET adopted = 1 WHERE session = :session AND seq = :seq AND attempt = :attempt

-- name: request_stop
UPDATE workers SET stop = :reason, stop_actor = :actor
WHERE session = :session AND seq = :seq AND attempt = :attempt AND stop IS NULL

-- name: conversation
SELECT id, used_at FROM conversations WHERE agent = :agent AND key = :key

-- The lines of an agent, or of all ('' is a command, which has none of its own), with whether they go on on this host.
-- name: known_lines
SELECT key, id, used_at, 1 FROM conversations
WHERE (agent = :agent OR :agent = '') ORDER BY key

-- Those that are in use, and those that a task waits in for its retry.
-- name: lines_in_use
SELECT agent, conversation_key, 0 AS waits FROM workers WHERE session = :session AND conversation_key IS NOT NULL
UNION ALL
SELECT agent, conversation_key, 1 FROM tasks INDEXED BY tasks_retrying
WHERE session = :session AND status = 'queued' AND retry = 1 AND conversation_key <> ''
  AND agent NOT IN (SELECT name FROM holds WHERE scope = 'agent' AND (until IS NULL OR until > :now))

-- Those that tasks of an agent are in or are to continue.
-- name: wanted_lines
SELECT DISTINCT conversation_key FROM tasks INDEXED BY tasks_lines
WHERE session = :session AND agent = :agent AND ended_at IS NULL AND conversation_key <> ''

-- name: conversation_directory
SELECT cwd FROM task_runs INDEXED BY task_runs_session
WHERE session = :session AND conversation = :conversation ORDER BY id DESC LIMIT 1

-- name: conversation_of_run
SELECT conversation FROM task_runs WHERE session = :session AND seq = :seq AND attempt = :attempt

-- Not for a run that was still running when its conversation was dropped, and not if it is another line's.
-- name: keep_conversation
INSERT INTO conversations (agent, key, id, used_at)
SELECT :agent, :key, :id, :at WHERE NOT EXISTS
  (SELECT 1 FROM session_state
   WHERE name = 'given up by ' || :agent || ' ' || :key AND value = :seq || '.' || :attempt)
  AND NOT EXISTS (SELECT 1 FROM conversations WHERE agent = :agent AND id = :id AND key <> :key)
ON CONFLICT (agent, key) DO UPDATE SET id = excluded.id, used_at = excluded.used_at

-- name: forget_conversation
DELETE FROM conversations WHERE agent = :agent AND key = :key

-- name: conversations
SELECT agent, key, id FROM conversations ORDER BY agent, key

-- name: in_conversation
SELECT agent, conversation_key, seq, attempt FROM workers
WHERE session = :session AND conversation_key IS NOT NULL AND agent <> ''

-- name: run_conversation
UPDATE task_runs SET conversation = :id WHERE session = :session AND seq = :seq AND attempt = :attempt

-- name: register
INSERT INTO supervisors (pid, start_time, boot_id, jobs, sessions, started_at, renewed_at, state, since)
VALUES (:pid, :start_time, :boot_id, :jobs, :sessions, :started_at, :renewed_at, :state, :started_at)

-- name: renew
UPDATE supervisors SET renewed_at = :renewed_at, jobs = :jobs
WHERE pid = :pid AND start_time = :start_time AND boot_id = :boot_id

-- name: set_gates
UPDATE supervisors SET gates = :gates WHERE pid = :pid AND start_time = :start_time AND boot_id = :boot_id

-- name: supervisor
SELECT pid, start_time, boot_id, jobs, sessions, started_at, renewed_at, gates, state, since, last_result,
       NULL AS ended_at, NULL AS reason
FROM supervisors WHERE pid = :pid AND start_time = :start_time AND boot_id = :boot_id

-- name: set_state
UPDATE supervisors
SET since = CASE WHEN state = :state THEN since ELSE :at END, state = :state, last_result = :last_result
WHERE pid = :pid AND start_time = :start_time AND boot_id = :boot_id

-- name: add_ended
INSERT INTO ended_supervisors (pid, start_time, boot_id, jobs, sessions, started_at, last_result, ended_at, reason)
SELECT pid, start_time, boot_id, jobs, sessions, started_at, :last_result, :at, :reason
FROM supervisors WHERE pid = :pid AND start_time = :start_time AND boot_id = :boot_id

-- name: forget_ended
DELETE FROM ended_supervisors WHERE id NOT IN (SELECT id FROM ended_supervisors ORDER BY id DESC LIMIT :kept)

-- name: any_states_before
SELECT EXISTS (SELECT 1 FROM events WHERE session IS NULL AND event = 'supervisor' AND at < :before)

-- name: forget_states
DELETE FROM events WHERE session IS NULL AND event = 'supervisor' AND at < :before

-- name: unregister
DELETE FROM supervisors WHERE pid = :pid AND start_time = :start_time AND boot_id = :boot_id

-- name: set_meta
INSERT INTO meta (name, value) VALUES (:name, :value) ON CONFLICT (name) DO UPDATE SET value = excluded.value

-- name: expired
SELECT session, seq FROM tasks INDEXED BY tasks_expiring
WHERE ended_at IS NULL AND expires_at <= :now AND status <> 'running' ORDER BY expires_at

-- name: unposted
SELECT session, seq, attempt, result, status, finished_at, id FROM task_runs INDEXED BY task_runs_unposted
WHERE posted = 0 AND id > :after ORDER BY id LIMIT 100

-- name: posted
UPDATE task_runs SET posted = 1 WHERE session = :session AND seq = :seq AND attempt = :attempt

-- A turn that came to nothing may have posted the same before.
-- name: post
INSERT INTO messages_out (id, kind, content, created_at) VALUES (:id, 'result', :content, :at)
ON CONFLICT (id) DO UPDATE SET kind = excluded.kind
WHERE kind = excluded.kind AND content = excluded.content AND created_at = excluded.created_at

-- The audit log decides, even if somebody else wrote a row with that name before.
-- name: post_again
INSERT INTO messages_out (id, kind, content, created_at) VALUES (:id, 'result', :content, :at)
ON CONFLICT (id) DO UPDATE SET kind = excluded.kind, content = excluded.content, created_at = excluded.created_at

-- For its other runs. total() and not sum(): an agent may print numbers whose sum is too large for an integer.
-- name: conversation_tokens
SELECT CAST(total(tokens_in) AS INTEGER), CAST(total(tokens_out) AS INTEGER)
FROM task_runs INDEXED BY task_runs_session
WHERE session = :session AND conversation = :conversation AND (seq, attempt) <> (:seq, :attempt)

-- The same for a conversation that only one task had.
-- name: own_conversation_tokens
SELECT CAST(total(tokens_in) AS INTEGER), CAST(total(tokens_out) AS INTEGER)
FROM task_runs
WHERE session = :session AND seq = :seq AND conversation = :conversation AND attempt <> :attempt

-- name: spent
SELECT total(cost_usd) FROM task_runs WHERE session = :session AND seq = :seq AND attempt > :earlier

-- The newest conversation that a task's runs had.
-- name: own_conversation
SELECT conversation FROM task_runs
WHERE session = :session AND seq = :seq AND attempt > :earlier AND agent = :agent AND conversation IS NOT NULL
ORDER BY attempt DESC LIMIT 1

-- Runs without a command line started no agent: they only checked and landed.
-- name: last_attempt
SELECT agent, conversation, failure_class FROM task_runs
WHERE session = :session AND seq = :seq AND argv <> '[]' ORDER BY attempt DESC LIMIT 1

-- The landing that the next run may go on with. What only checked and landed, and came to no end, changed nothing.
-- name: last_landing
SELECT failure_class, landing FROM task_runs
WHERE session = :session AND seq = :seq AND attempt > :earlier AND finished_at IS NOT NULL
  AND (landing IS NOT NULL OR argv <> '[]' OR failure_class = 'check')
ORDER BY attempt DESC LIMIT 1

-- name: landings_before
SELECT landing FROM task_runs
WHERE session = :session AND seq = :seq AND attempt < :attempt ORDER BY attempt DESC LIMIT :limit

-- name: last_checks
SELECT failure_class, duration_ms, checked, landing FROM task_runs
WHERE session = :session AND seq = :seq AND attempt > :earlier ORDER BY attempt DESC LIMIT :tries

-- What a drain must wait for: not for a branch that fails its check, until somebody mends it.
-- name: unfinished
SELECT session, agent FROM tasks INDEXED BY tasks_due WHERE status = 'queued' AND due_at <= :now
UNION
SELECT session, agent FROM tasks INDEXED BY tasks_retrying WHERE status = 'queued' AND retry = 1 AND :retrying
  AND NOT EXISTS (
    SELECT 1 FROM task_runs AS run
    WHERE run.session = tasks.session AND run.seq = tasks.seq AND json_extract(run.landing, '$.came') = 'failing'
      AND run.attempt = (SELECT max(attempt) FROM task_runs
                         WHERE session = tasks.session AND seq = tasks.seq))

-- name: set_hold
INSERT INTO holds (scope, name, kind, since, until, reason, count)
VALUES (:scope, :name, :kind, :since, :until, :reason, :count)
ON CONFLICT (scope, name, kind) DO UPDATE SET until = excluded.until, reason = excluded.reason, count = excluded.count

-- name: all_holds
SELECT scope, name, kind, since, until, reason, count FROM holds ORDER BY scope, name, kind

-- name: forget_holds
DELETE FROM holds

-- The last one of a kind, even if it has expired.
-- name: agent_hold
SELECT until, count FROM holds WHERE scope = 'agent' AND name = :name AND kind = :kind

-- After a success the next limit counts as the first again. A limit that still holds continues to hold.
-- name: forget_limit
DELETE FROM holds WHERE scope = 'agent' AND name = :name AND kind = 'rate_limited' AND until <= :now

-- name: count_limits_anew
UPDATE holds SET count = 0 WHERE scope = 'agent' AND name = :name AND kind = 'rate_limited' AND count > 0

-- name: jobs
SELECT count FROM holds WHERE scope = 'jobs'

-- name: lift_holds
DELETE FROM holds WHERE scope = :scope AND (:name IS NULL OR name = :name)

-- name: pause_session
UPDATE sessions SET paused_at = :at, paused_reason = :reason WHERE name = :session

-- name: set_session_state
INSERT INTO session_state (name, value) VALUES (:name, :value)
ON CONFLICT (name) DO UPDATE SET value = excluded.value

-- name: session_state
SELECT value FROM session_state WHERE name = :name

-- name: delete_session_state
DELETE FROM session_state WHERE name = :name

-- name: run_before
SELECT max(attempt) FROM task_runs WHERE session = :session AND seq = :seq AND attempt < :attempt

-- name: arriving
SELECT session, seq, agent FROM tasks INDEXED BY tasks_arriving
WHERE status = 'queued' AND arriving = 1 AND due_at <= :now ORDER BY due_at, session, seq LIMIT 500
