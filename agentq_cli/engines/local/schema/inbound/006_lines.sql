-- A session's lines of work: each has a key, and keeps one conversation an agent.
ALTER TABLE messages_in ADD COLUMN conversation_key TEXT;  -- the line that it is in or is to continue; NULL: any, or none
CREATE TABLE conversations_of_lines (
  agent   TEXT NOT NULL,
  key     TEXT NOT NULL,
  id      TEXT NOT NULL,             -- the agent CLI's own session id; it belongs to one line for ever
  used_at INTEGER NOT NULL,
  PRIMARY KEY (agent, key)
) WITHOUT ROWID;
INSERT INTO conversations_of_lines SELECT agent, '1', id, used_at FROM conversations;
DROP TABLE conversations;
ALTER TABLE conversations_of_lines RENAME TO conversations;
UPDATE session_state SET name = name || ' 1' WHERE name GLOB 'given up by *';
-- What has been run was in the only line that there was, and goes on there when it is retried or replied to.
UPDATE messages_in SET conversation_key = '1' WHERE last_run IS NOT NULL AND context = 'session'
  AND (kind = 'prompt' OR json_extract(launch, '$.repository') IS NOT NULL);
