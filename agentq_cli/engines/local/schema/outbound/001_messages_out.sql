-- A session's outbound.db: what the agent side says. agentq appends one `result` row a run.

CREATE TABLE messages_out (
  id         TEXT PRIMARY KEY,
  kind       TEXT NOT NULL,
  content    TEXT NOT NULL,           -- JSON
  created_at INTEGER NOT NULL
);
