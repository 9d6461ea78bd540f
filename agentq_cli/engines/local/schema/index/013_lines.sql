-- Which line of work of its session a task is in or is to continue. What waits for its line hides nothing of another.
ALTER TABLE tasks ADD COLUMN conversation_key TEXT NOT NULL DEFAULT '';  -- '': any, or none
DROP INDEX tasks_ready;
CREATE INDEX tasks_ready
  ON tasks (session, agent, priority, shares, retry, directory, conversation_key, due_at, seq) WHERE status = 'queued';
CREATE INDEX tasks_lines ON tasks (session, agent, conversation_key) WHERE ended_at IS NULL AND conversation_key <> '';
ALTER TABLE workers ADD COLUMN conversation_key TEXT;  -- NULL: it is in none
-- A command with a tree is in a line as well: that is its tree's.
UPDATE tasks SET shares = 1 WHERE directory LIKE ':%';
-- What has been run was in the only line that there was.
UPDATE workers SET conversation_key = '1'
WHERE EXISTS (SELECT 1 FROM tasks AS t WHERE t.session = workers.session AND t.seq = workers.seq AND t.shares = 1);
UPDATE tasks SET conversation_key = '1' WHERE shares = 1
  AND EXISTS (SELECT 1 FROM task_runs AS r WHERE r.session = tasks.session AND r.seq = tasks.seq);
