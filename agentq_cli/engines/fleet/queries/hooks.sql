-- Hooks: found in the events after a cursor, each assigned to one process, removed once it has run.

-- name: cursor
SELECT value FROM agentq.meta WHERE name = 'hooks_cursor'

-- name: next_at
SELECT at FROM agentq.events WHERE id > :id ORDER BY id LIMIT 1

-- The newest event from before a time.
-- name: last_before
SELECT id FROM agentq.events WHERE at < :moment ORDER BY id DESC LIMIT 1

-- What may call a hook: a task has ended, or the event itself names the hook. `due`: the task was running or could have
-- been.
-- name: telling
SELECT id, at, session, seq, attempt, to_status, agent, reason, hook,
       to_status IS NOT NULL AND coalesce(from_status IN ('queued', 'running', 'retrying'), FALSE)
FROM agentq.events
WHERE id > :after
  AND (hook IS NOT NULL
       OR (to_status IN ('completed', 'failed', 'cancelled', 'expired', 'skipped')
           AND coalesce(from_status, '') NOT IN ('completed', 'failed', 'cancelled', 'expired', 'skipped')))
ORDER BY id LIMIT :limit

-- Whether something of a session is running, is due, or waits for its next attempt.
-- name: undrained
SELECT EXISTS (SELECT 1 FROM agentq.tasks WHERE session = :session AND ended_at IS NULL AND status = 'running')
    OR EXISTS (SELECT 1 FROM agentq.tasks WHERE session = :session AND status = 'queued' AND due_at <= :now)
    OR EXISTS (SELECT 1 FROM agentq.tasks WHERE session = :session AND status = 'queued' AND retry = 1)

-- name: set_cursor
INSERT INTO agentq.meta (name, value) VALUES ('hooks_cursor', :id)
ON CONFLICT (name) DO UPDATE SET value = excluded.value

-- name: add
INSERT INTO agentq.hooks (event, hook, at, session, seq, attempt, status, agent, reason, host, pid, start_time, boot_id)
VALUES (:event, :hook, :at, :session, :seq, :attempt, :status, :agent, :reason, :host_id, :pid, :start_time, :boot_id)
ON CONFLICT DO NOTHING

-- Of those that this host may take over: its own, and those of hosts that were lost or have left.
-- name: owners
SELECT DISTINCT pid, start_time, boot_id FROM agentq.hooks
WHERE host IS NOT DISTINCT FROM :host_id
   OR NOT EXISTS (SELECT 1 FROM agentq.hosts WHERE agentq.hosts.id = agentq.hooks.host AND left_at IS NULL)

-- name: take
UPDATE agentq.hooks SET host = :host_id, pid = :pid, start_time = :start_time, boot_id = :boot_id
WHERE pid IS NOT DISTINCT FROM :old_pid AND start_time IS NOT DISTINCT FROM :old_start_time
  AND boot_id IS NOT DISTINCT FROM :old_boot_id

-- name: mine
SELECT id, event, hook, at, session, seq, attempt, status, agent, reason FROM agentq.hooks
WHERE pid = :pid AND start_time = :start_time AND boot_id = :boot_id ORDER BY id LIMIT :limit

-- The fence: nothing is recorded for a row that another process has taken over.
-- name: ran
DELETE FROM agentq.hooks WHERE id = :id AND pid = :pid AND start_time = :start_time AND boot_id = :boot_id

-- name: failed
INSERT INTO agentq.hook_failures AS known (hook, at, reason, count) VALUES (:hook, :at, :reason, 1)
ON CONFLICT (hook) DO UPDATE SET at = excluded.at, reason = excluded.reason, count = known.count + 1

-- name: succeeded
DELETE FROM agentq.hook_failures WHERE hook = :hook

-- name: failures
SELECT hook, at, reason, count FROM agentq.hook_failures ORDER BY hook
