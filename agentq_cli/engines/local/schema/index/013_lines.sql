-- Which line of work of its session a task is in or is to continue. What waits for its line hides nothing of another.
ALTER TABLE tasks ADD COLUMN conversation_key TEXT NOT NULL DEFAULT '';  -- '': any, or none
DROP INDEX tasks_ready;
CREATE INDEX tasks_ready
  ON tasks (session, agent, priority, shares, retry, directory, conversation_key, due_at, seq) WHERE status = 'queued';
ALTER TABLE workers ADD COLUMN conversation_key TEXT;  -- NULL: it is in none
UPDATE workers SET conversation_key = '1' WHERE shares = 1;
