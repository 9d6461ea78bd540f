-- Where the prompts run, so that two agents that edit are not started in one directory.
ALTER TABLE tasks ADD COLUMN directory TEXT NOT NULL DEFAULT '';  -- as given; '': it may run beside any other
-- What waits for its directory hides nothing that has another one.
DROP INDEX tasks_ready;
CREATE INDEX tasks_ready ON tasks (session, agent, priority, shares, retry, directory, due_at, seq)
  WHERE status = 'queued';
ALTER TABLE workers ADD COLUMN directory TEXT;  -- the real path in which it alone may edit; NULL: none
-- Of what runs now, nobody knows whether its agent edits.
UPDATE workers SET directory = (SELECT cwd FROM task_runs AS r WHERE r.session = workers.session
  AND r.seq = workers.seq AND r.attempt = workers.attempt) WHERE agent <> '';
