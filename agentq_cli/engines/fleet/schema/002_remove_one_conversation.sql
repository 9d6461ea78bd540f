-- A session's lines of work: each has a key, and keeps one conversation an agent. An older host knows one only, and would
-- put two runs into one line.
ALTER TABLE agentq.tasks ADD COLUMN conversation_key text COLLATE "C";  -- the line that it is in or is to continue
-- What has been run was in the only line that there was, and goes on there when it is retried or replied to.
UPDATE agentq.tasks SET conversation_key = '1' WHERE last_run IS NOT NULL AND context = 'session'
  AND (kind = 'prompt' OR directory <> '');
DROP INDEX agentq.tasks_ready;
-- A command with a tree is in a line as well: that is its tree's.
ALTER TABLE agentq.tasks DROP COLUMN shares;
ALTER TABLE agentq.tasks
  ADD COLUMN shares integer GENERATED ALWAYS AS
    (CASE WHEN context = 'session' AND (kind = 'prompt' OR directory <> '') THEN 1 ELSE 0 END) STORED,
  ADD COLUMN line text COLLATE "C" GENERATED ALWAYS AS (coalesce(conversation_key, '')) STORED;
CREATE INDEX tasks_ready
  ON agentq.tasks (session, of_agent, priority, shares, retry, place, line, due_at, seq)
  WHERE status = 'queued';
CREATE INDEX tasks_lines ON agentq.tasks (session, of_agent, line) WHERE ended_at IS NULL AND line <> '';

ALTER TABLE agentq.workers ADD COLUMN conversation_key text COLLATE "C";  -- NULL: it is in no line
UPDATE agentq.workers AS w SET conversation_key = '1' FROM agentq.tasks AS t
  WHERE t.session = w.session AND t.seq = w.seq AND t.shares = 1;
DROP INDEX agentq.workers_lane;
CREATE UNIQUE INDEX workers_lane ON agentq.workers (session, agent, conversation_key);

ALTER TABLE agentq.conversations ADD COLUMN key text COLLATE "C" NOT NULL DEFAULT '1';
ALTER TABLE agentq.conversations ALTER COLUMN key DROP DEFAULT;
ALTER TABLE agentq.conversations DROP CONSTRAINT conversations_pkey;
ALTER TABLE agentq.conversations ADD PRIMARY KEY (session, agent, key);
UPDATE agentq.session_state SET name = name || ' 1' WHERE starts_with(name, 'given up by ');
