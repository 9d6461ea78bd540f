-- Picking, claiming, finishing, adopting.

-- The earliest row of each (session, agent, priority, shares, retry, directory and needs, line): one row a group is visited,
-- however many wait. What may hold a row back holds its whole group, so no head hides one that may start. A host may be
-- unable to run what needs something: so that is part of the group, as a digest, since it may be long.
-- name: heads
WITH RECURSIVE heads AS (
    (SELECT t.session, t.seq, t.of_agent, t.priority, t.due_at, t.expires, t.retry, t.shares, t.directory, t.needs, t.place,
            t.line
     FROM agentq.tasks t
     WHERE t.status = 'queued' AND (t.expires IS NULL OR t.expires > :now)
     ORDER BY t.session, t.of_agent, t.priority, t.shares, t.retry, t.place, t.line, t.due_at, t.seq LIMIT 1)
  UNION ALL
    SELECT n.* FROM heads h CROSS JOIN LATERAL
    (SELECT t.session, t.seq, t.of_agent, t.priority, t.due_at, t.expires, t.retry, t.shares, t.directory, t.needs, t.place,
            t.line
     FROM agentq.tasks t
     WHERE t.status = 'queued' AND (t.expires IS NULL OR t.expires > :now)
       AND (t.session, t.of_agent, t.priority, t.shares, t.retry, t.place, t.line)
         > (h.session, h.of_agent, h.priority, h.shares, h.retry, h.place, h.line)
     ORDER BY t.session, t.of_agent, t.priority, t.shares, t.retry, t.place, t.line, t.due_at, t.seq LIMIT 1) n
)
SELECT h.session, h.seq, h.of_agent, h.priority, h.due_at, h.expires, h.retry, h.shares, s.last_start_at, h.directory,
       h.line, h.needs, CASE WHEN s.host_key IS NOT NULL
                     THEN CAST(json_build_array(s.host_key, s.host, s.host_key = :host_key) AS text) END
FROM heads h JOIN agentq.sessions s ON s.name = h.session
ORDER BY h.session, h.of_agent, h.priority, h.shares, h.retry, h.place, h.line

-- The same within some sessions, whose names are given with commas between them.
-- name: heads_of
WITH RECURSIVE heads AS (
    SELECT f.* FROM unnest(string_to_array(:sessions, ',')) AS w (name) CROSS JOIN LATERAL
    (SELECT t.session, t.seq, t.of_agent, t.priority, t.due_at, t.expires, t.retry, t.shares, t.directory, t.needs, t.place,
            t.line
     FROM agentq.tasks t
     WHERE t.status = 'queued' AND (t.expires IS NULL OR t.expires > :now) AND t.session = w.name
     ORDER BY t.of_agent, t.priority, t.shares, t.retry, t.place, t.line, t.due_at, t.seq LIMIT 1) f
  UNION ALL
    SELECT n.* FROM heads h CROSS JOIN LATERAL
    (SELECT t.session, t.seq, t.of_agent, t.priority, t.due_at, t.expires, t.retry, t.shares, t.directory, t.needs, t.place,
            t.line
     FROM agentq.tasks t
     WHERE t.status = 'queued' AND (t.expires IS NULL OR t.expires > :now) AND t.session = h.session
       AND (t.of_agent, t.priority, t.shares, t.retry, t.place, t.line) > (h.of_agent, h.priority, h.shares, h.retry, h.place, h.line)
     ORDER BY t.of_agent, t.priority, t.shares, t.retry, t.place, t.line, t.due_at, t.seq LIMIT 1) n
)
SELECT h.session, h.seq, h.of_agent, h.priority, h.due_at, h.expires, h.retry, h.shares, s.last_start_at, h.directory,
       h.line, h.needs, CASE WHEN s.host_key IS NOT NULL
                     THEN CAST(json_build_array(s.host_key, s.host, s.host_key = :host_key) AS text) END
FROM heads h CROSS JOIN LATERAL (SELECT * FROM agentq.sessions WHERE name = h.session LIMIT 1) s
ORDER BY h.session, h.of_agent, h.priority, h.shares, h.retry, h.place, h.line

-- Whether there is anything to do in addition to starting and settling: tasks to expire, due occurrences, stops to pass
-- on, runs of others; whether the queue is paused, or each of the sessions that the supervisor serves that asks (NULL: it
-- is not on record); and how many tasks `jobs` lets run at once.
-- name: calls
SELECT
  EXISTS (SELECT 1 FROM agentq.tasks WHERE ended_at IS NULL AND expires <= :now AND status <> 'running'
          AND NOT EXISTS (SELECT 1 FROM agentq.session_state m WHERE m.session = tasks.session AND m.name = 'moved'))
    AS expired,
  EXISTS (SELECT 1 FROM agentq.tasks WHERE status = 'queued' AND arriving = 1 AND due_at <= :now
          AND NOT EXISTS (SELECT 1 FROM agentq.session_state m WHERE m.session = tasks.session AND m.name = 'moved'))
    AS arriving,
  EXISTS (SELECT 1 FROM agentq.workers WHERE host IS NOT DISTINCT FROM :host_id AND stop IS NOT NULL) AS stops,
  EXISTS (SELECT 1 FROM agentq.workers
          WHERE host IS NOT DISTINCT FROM :host_id
            AND (pid, start_time, boot_id) IS DISTINCT FROM (:pid, :start_time, :boot_id)) AS strangers,
  false AS unsettled,
  (SELECT EXISTS (SELECT 1 FROM agentq.holds WHERE scope = 'queue')
       OR s.sessions <> '[]' AND NOT EXISTS (
            SELECT 1 FROM json_array_elements_text(CAST(s.sessions AS json)) AS served (name)
            WHERE NOT EXISTS (SELECT 1 FROM agentq.sessions p WHERE p.name = served.name AND p.paused_at IS NOT NULL))
   FROM agentq.supervisors s WHERE s.pid = :pid AND s.start_time = :start_time AND s.boot_id = :boot_id) AS paused,
  (SELECT count FROM agentq.holds WHERE scope = 'jobs') AS jobs

-- What shows whether anything may have changed: the newest event. Not its sequence, which counts what is not committed.
-- name: marks
SELECT coalesce(max(id), 0), NULL FROM agentq.events

-- name: changed
SELECT session FROM agentq.events WHERE id > :after

-- The last column is whether the run is on this host.
-- name: running
SELECT session, agent, conversation_key, directory, CAST(host IS NOT DISTINCT FROM :host_id AS integer) FROM agentq.workers

-- name: retrying
SELECT session, seq, of_agent, line FROM agentq.tasks WHERE status = 'queued' AND retry = 1

-- name: paused_sessions
SELECT name FROM agentq.sessions WHERE paused_at IS NOT NULL

-- What comes with time alone: a task becomes due or expires, a hold ends.
-- name: ahead
SELECT
  (SELECT min(due_at) FROM agentq.tasks WHERE status = 'queued' AND due_at > :after) AS due,
  (SELECT min(expires) FROM agentq.tasks WHERE ended_at IS NULL AND expires > :after AND status <> 'running') AS expires,
  (SELECT min(until) FROM agentq.holds WHERE until > :after) AS until

-- name: any_due
SELECT EXISTS (SELECT 1 FROM agentq.tasks WHERE status = 'queued' AND due_at <= :now)

-- The soonest end of a usage limit that holds something due.
-- name: limited_until
SELECT t.session, min(h.until) FROM agentq.holds h JOIN agentq.tasks t ON t.of_agent = h.name
WHERE h.scope = 'agent' AND h.kind = 'rate_limited' AND h.until > :now AND t.status = 'queued' AND t.due_at <= :now
GROUP BY t.session

-- Who passed it over before is of no more interest.
-- name: insert_worker
WITH fits AS (DELETE FROM agentq.unfit WHERE session = :session AND seq = :seq)
INSERT INTO agentq.workers
  (session, seq, attempt, agent, shares, claimed_at, host, pid, start_time, boot_id, directory,
   conversation_key)
VALUES
  (:session, :seq, :attempt, :agent, :shares, :at, :host_id, :pid, :start_time, :boot_id, :directory,
   :conversation_key)

-- name: delete_worker
DELETE FROM agentq.workers WHERE session = :session AND seq = :seq AND attempt = :attempt

-- name: insert_run
INSERT INTO agentq.task_runs
  (session, seq, attempt, series, "trigger", agent, argv, cwd, scheduled_for, started_at, status, host, host_key,
   conversation)
VALUES
  (:session, :seq, :attempt, :series, :trigger, :agent, :argv, :cwd, :scheduled_for, :started_at, 'running', :host,
   :host_key, :conversation)

-- name: delete_run
DELETE FROM agentq.task_runs WHERE session = :session AND seq = :seq AND attempt = :attempt AND finished_at IS NULL

-- name: finish_run
UPDATE agentq.task_runs
SET status = :status, finished_at = :finished_at, duration_ms = :duration_ms, exit_code = :exit_code, signal = :signal,
    failure_class = :failure_class, error = :error, result = :result, script_outcome = :script_outcome,
    conversation = CASE WHEN :lost = 1 THEN NULL ELSE coalesce(:conversation, conversation) END,
    tokens_in = :tokens_in, tokens_out = :tokens_out, cost_usd = :cost_usd, list_price = :list_price, turns = :turns,
    peak_rss_bytes = :peak_rss_bytes, stdout_bytes = :stdout_bytes, stderr_bytes = :stderr_bytes, posted = :posted,
    checked = :checked, "left" = :left, landing = :landing
WHERE session = :session AND seq = :seq AND attempt = :attempt AND finished_at IS NULL

-- Fairness compares who started longest ago, so two starts in one millisecond must differ. Not if the session has been
-- bound to another host since the pick.
-- name: session_started
UPDATE agentq.sessions
SET last_start_at = greatest(:at, (SELECT max(last_start_at) + 1 FROM agentq.sessions)),
    host_key = CASE WHEN :binds = 1 THEN :host_key ELSE host_key END,
    host = CASE WHEN :binds = 1 THEN coalesce((SELECT name FROM agentq.hosts WHERE id = :host_id), '') ELSE host END
WHERE name = :session AND host_key IS NOT DISTINCT FROM :bound

-- name: adopt
UPDATE agentq.workers SET pid = :pid, start_time = :start_time, boot_id = :boot_id, adopted = 1
WHERE session = :session AND seq = :seq AND attempt = :attempt
  AND pid IS NOT DISTINCT FROM :old_pid AND start_time IS NOT DISTINCT FROM :old_start_time
  AND boot_id IS NOT DISTINCT FROM :old_boot_id

-- name: adopt_run
UPDATE agentq.task_runs SET adopted = 1 WHERE session = :session AND seq = :seq AND attempt = :attempt

-- name: request_stop
UPDATE agentq.workers SET stop = :reason, stop_actor = :actor
WHERE session = :session AND seq = :seq AND attempt = :attempt AND stop IS NULL

-- It can be continued where its files are.
-- name: conversation
SELECT id, used_at FROM agentq.conversations WHERE session = :session AND agent = :agent AND key = :key AND host = :host_key

-- The lines of an agent, or of all ('' is a command, which has none of its own), with whether they go on on this host.
-- name: known_lines
SELECT key, id, used_at, CAST(host IS NOT DISTINCT FROM :host_key AS integer) FROM agentq.conversations
WHERE session = :session AND (agent = :agent OR :agent = '') ORDER BY key

-- Those that are in use, and those that a task waits in for its retry.
-- name: lines_in_use
SELECT agent, conversation_key, 0 AS waits FROM agentq.workers WHERE session = :session AND conversation_key IS NOT NULL
UNION ALL
SELECT of_agent, line, 1 FROM agentq.tasks
WHERE session = :session AND status = 'queued' AND retry = 1 AND line <> ''
  AND of_agent NOT IN (SELECT name FROM agentq.holds WHERE scope = 'agent' AND (until IS NULL OR until > :now))

-- Those that tasks of an agent are in or are to continue.
-- name: wanted_lines
SELECT DISTINCT line FROM agentq.tasks
WHERE session = :session AND of_agent = :agent AND ended_at IS NULL AND line <> ''

-- name: conversation_directory
SELECT cwd FROM agentq.task_runs
WHERE session = :session AND conversation = :conversation ORDER BY id DESC LIMIT 1

-- name: conversation_of_run
SELECT conversation FROM agentq.task_runs WHERE session = :session AND seq = :seq AND attempt = :attempt

-- Not for a run that was still running when its conversation was dropped, and not if it is another line's.
-- name: keep_conversation
INSERT INTO agentq.conversations (session, agent, key, id, used_at, host)
SELECT :session, :agent, :key, :id, :at, :host_key WHERE NOT EXISTS
  (SELECT 1 FROM agentq.session_state
   WHERE session = :session AND name = 'given up by ' || :agent || ' ' || :key
     AND value = CAST(:seq AS text) || '.' || CAST(:attempt AS text))
  AND NOT EXISTS
  (SELECT 1 FROM agentq.conversations WHERE session = :session AND agent = :agent AND id = :id AND key <> :key)
ON CONFLICT (session, agent, key) DO UPDATE SET id = excluded.id, used_at = excluded.used_at, host = excluded.host

-- name: forget_conversation
DELETE FROM agentq.conversations WHERE session = :session AND agent = :agent AND key = :key

-- name: conversations
SELECT agent, key, id FROM agentq.conversations WHERE session = :session ORDER BY agent, key

-- name: in_conversation
SELECT agent, conversation_key, seq, attempt FROM agentq.workers
WHERE session = :session AND conversation_key IS NOT NULL AND agent <> ''

-- name: run_conversation
UPDATE agentq.task_runs SET conversation = :id WHERE session = :session AND seq = :seq AND attempt = :attempt

-- name: register
INSERT INTO agentq.supervisors (pid, start_time, boot_id, host, jobs, sessions, started_at, renewed_at, state, since)
VALUES (:pid, :start_time, :boot_id, :host_id, :jobs, :sessions, :started_at, :renewed_at, :state, :started_at)

-- name: renew
UPDATE agentq.supervisors SET renewed_at = :renewed_at, jobs = :jobs
WHERE pid = :pid AND start_time = :start_time AND boot_id = :boot_id

-- name: set_gates
UPDATE agentq.supervisors SET gates = :gates WHERE pid = :pid AND start_time = :start_time AND boot_id = :boot_id

-- name: supervisor
SELECT pid, start_time, boot_id, jobs, sessions, started_at, renewed_at, gates, state, since, last_result,
       NULL AS ended_at, NULL AS reason
FROM agentq.supervisors WHERE pid = :pid AND start_time = :start_time AND boot_id = :boot_id

-- name: set_state
UPDATE agentq.supervisors
SET since = CASE WHEN state = :state THEN since ELSE :at END, state = :state, last_result = :last_result
WHERE pid = :pid AND start_time = :start_time AND boot_id = :boot_id

-- name: add_ended
INSERT INTO agentq.ended_supervisors
  (pid, start_time, boot_id, host, host_key, jobs, sessions, started_at, last_result, ended_at, reason)
SELECT s.pid, s.start_time, s.boot_id, :host, coalesce(h.key, ''), s.jobs, s.sessions, s.started_at, :last_result, :at,
       :reason
FROM agentq.supervisors s LEFT JOIN agentq.hosts h ON h.id = s.host
WHERE s.pid = :pid AND s.start_time = :start_time AND s.boot_id = :boot_id

-- name: forget_ended
DELETE FROM agentq.ended_supervisors
WHERE host = :host
  AND id NOT IN (SELECT id FROM agentq.ended_supervisors WHERE host = :host ORDER BY id DESC LIMIT :kept)

-- name: any_states_before
SELECT EXISTS (SELECT 1 FROM agentq.events WHERE session IS NULL AND event = 'supervisor' AND at < :before)

-- name: forget_states
DELETE FROM agentq.events WHERE session IS NULL AND event = 'supervisor' AND at < :before

-- name: unregister
DELETE FROM agentq.supervisors WHERE pid = :pid AND start_time = :start_time AND boot_id = :boot_id

-- name: set_meta
INSERT INTO agentq.meta (name, value) VALUES (:name, :value) ON CONFLICT (name) DO UPDATE SET value = excluded.value

-- name: expired
SELECT session, seq FROM agentq.tasks
WHERE ended_at IS NULL AND expires <= :now AND status <> 'running'
  AND NOT EXISTS (SELECT 1 FROM agentq.session_state m WHERE m.session = tasks.session AND m.name = 'moved')
ORDER BY expires

-- The result row of a run, in the commit that ends it.
-- name: post
INSERT INTO agentq.messages (session, id, kind, content, created_at)
VALUES (:session, :id, 'result', :content, :at) ON CONFLICT DO NOTHING

-- For its other runs. The sum of numbers that agents print may be too large for an integer.
-- name: conversation_tokens
SELECT CAST(coalesce(sum(tokens_in), 0) AS bigint) AS tokens_in,
       CAST(coalesce(sum(tokens_out), 0) AS bigint) AS tokens_out
FROM agentq.task_runs
WHERE session = :session AND conversation = :conversation AND (seq, attempt) <> (:seq, :attempt)

-- The same for a conversation that only one task had.
-- name: own_conversation_tokens
SELECT CAST(coalesce(sum(tokens_in), 0) AS bigint) AS tokens_in,
       CAST(coalesce(sum(tokens_out), 0) AS bigint) AS tokens_out
FROM agentq.task_runs
WHERE session = :session AND seq = :seq AND conversation = :conversation AND attempt <> :attempt

-- name: spent
SELECT coalesce(sum(cost_usd), 0) FROM agentq.task_runs WHERE session = :session AND seq = :seq AND attempt > :earlier

-- The newest conversation that a task's runs had.
-- name: own_conversation
SELECT conversation FROM agentq.task_runs
WHERE session = :session AND seq = :seq AND attempt > :earlier AND agent = :agent AND conversation IS NOT NULL
ORDER BY attempt DESC LIMIT 1

-- Runs without a command line started no agent: they only checked and landed.
-- A conversation on another host is none here.
-- name: last_attempt
SELECT agent, CASE WHEN host_key = :host_key THEN conversation END, failure_class FROM agentq.task_runs
WHERE session = :session AND seq = :seq AND argv <> '[]' ORDER BY attempt DESC LIMIT 1

-- The landing that the next run may go on with. What only checked and landed, and came to no end, changed nothing.
-- name: last_landing
SELECT failure_class, landing FROM agentq.task_runs
WHERE session = :session AND seq = :seq AND attempt > :earlier AND finished_at IS NOT NULL
  AND (landing IS NOT NULL OR argv <> '[]' OR failure_class = 'check')
ORDER BY attempt DESC LIMIT 1

-- name: landings_before
SELECT landing FROM agentq.task_runs
WHERE session = :session AND seq = :seq AND attempt < :attempt ORDER BY attempt DESC LIMIT :limit

-- name: last_checks
SELECT failure_class, duration_ms, checked, landing FROM agentq.task_runs
WHERE session = :session AND seq = :seq AND attempt > :earlier ORDER BY attempt DESC LIMIT :tries

-- What a drain must wait for: not for a branch that fails its check, until somebody mends it.
-- name: unfinished
SELECT session, of_agent FROM agentq.tasks WHERE status = 'queued' AND due_at <= :now
UNION
SELECT t.session, t.of_agent FROM agentq.tasks t WHERE t.status = 'queued' AND t.retry = 1 AND :retrying = 1
  AND NOT EXISTS (
    SELECT 1 FROM agentq.task_runs AS run
    WHERE run.session = t.session AND run.seq = t.seq AND CAST(run.landing AS json) ->> 'came' = 'failing'
      AND run.attempt = (SELECT max(attempt) FROM agentq.task_runs
                         WHERE session = t.session AND seq = t.seq))

-- name: set_hold
INSERT INTO agentq.holds (scope, name, kind, since, until, reason, count)
VALUES (:scope, :name, :kind, :since, :until, :reason, :count)
ON CONFLICT (scope, name, kind) DO UPDATE SET until = excluded.until, reason = excluded.reason, count = excluded.count

-- The last one of a kind, even if it has expired.
-- name: agent_hold
SELECT until, count FROM agentq.holds WHERE scope = 'agent' AND name = :name AND kind = :kind

-- After a success the next limit counts as the first again. A limit that still holds continues to hold.
-- name: forget_limit
DELETE FROM agentq.holds WHERE scope = 'agent' AND name = :name AND kind = 'rate_limited' AND until <= :now

-- name: count_limits_anew
UPDATE agentq.holds SET count = 0 WHERE scope = 'agent' AND name = :name AND kind = 'rate_limited' AND count > 0

-- name: jobs
SELECT count FROM agentq.holds WHERE scope = 'jobs'

-- name: lift_holds
DELETE FROM agentq.holds WHERE scope = :scope AND (:name IS NULL OR name = :name)

-- name: pause_session
UPDATE agentq.sessions SET paused_at = :at, paused_reason = :reason WHERE name = :session

-- name: set_session_state
INSERT INTO agentq.session_state (session, name, value) VALUES (:session, :name, :value)
ON CONFLICT (session, name) DO UPDATE SET value = excluded.value

-- name: session_state
SELECT value FROM agentq.session_state WHERE session = :session AND name = :name

-- name: delete_session_state
DELETE FROM agentq.session_state WHERE session = :session AND name = :name

-- name: run_before
SELECT max(attempt) FROM agentq.task_runs WHERE session = :session AND seq = :seq AND attempt < :attempt

-- name: arriving
SELECT session, seq, of_agent FROM agentq.tasks
WHERE status = 'queued' AND arriving = 1 AND due_at <= :now
  AND NOT EXISTS (SELECT 1 FROM agentq.session_state m WHERE m.session = tasks.session AND m.name = 'moved')
ORDER BY due_at, session, seq LIMIT 500
