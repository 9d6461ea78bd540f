-- A session's inbound.db: what is to be done. The truth about its tasks; times are milliseconds UTC.

CREATE TABLE messages_in (
  seq              INTEGER PRIMARY KEY AUTOINCREMENT,  -- the N of SESSION/N; never reused
  kind             TEXT NOT NULL CHECK (kind IN ('prompt', 'exec')),
  status           TEXT NOT NULL,     -- 'staged': part of a batch that is not committed yet
  reason           TEXT,
  series           INTEGER,
  "trigger"        TEXT NOT NULL DEFAULT 'submit',
  agent            TEXT,
  prompt           TEXT,
  argv             TEXT,              -- JSON list
  cwd              TEXT NOT NULL,
  priority         INTEGER NOT NULL,
  labels           TEXT NOT NULL,     -- JSON list
  key              TEXT,
  context          TEXT NOT NULL CHECK (context IN ('isolated', 'session')),
  created_at       INTEGER NOT NULL,
  due_at           INTEGER NOT NULL,
  expires_at       INTEGER,
  ended_at         INTEGER,
  attempts         INTEGER NOT NULL DEFAULT 0,  -- runs that count against the retry budget
  runs             INTEGER NOT NULL DEFAULT 0,  -- the last K of SESSION/N.K handed out
  last_run         INTEGER,                     -- the K of the last run that is on record
  exit_code        INTEGER,
  cancel_requested INTEGER NOT NULL DEFAULT 0,
  launch           TEXT NOT NULL,     -- JSON: environment, agent arguments, limits, umask
  batch            TEXT
);

-- At most one live task of a key.
CREATE UNIQUE INDEX messages_in_key ON messages_in (key)
  WHERE key IS NOT NULL AND status IN ('staged', 'blocked', 'queued', 'running', 'paused');
CREATE INDEX messages_in_batch ON messages_in (batch) WHERE batch IS NOT NULL;

CREATE TABLE session_state (name TEXT PRIMARY KEY, value) WITHOUT ROWID;

-- The agent CLI's own session id, one an agent.
CREATE TABLE conversations (
  agent   TEXT PRIMARY KEY,
  id      TEXT NOT NULL,
  used_at INTEGER NOT NULL
) WITHOUT ROWID;

-- The answers to the requests that the session's agents wrote into outbound.db.
CREATE TABLE delivered (
  message_id TEXT PRIMARY KEY,
  status     TEXT NOT NULL,
  task       TEXT,
  detail     TEXT,
  at         INTEGER NOT NULL
) WITHOUT ROWID;
