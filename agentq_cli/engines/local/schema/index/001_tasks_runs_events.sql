-- agentq.db: what every process asks before it opens a session. Times are milliseconds UTC.

-- One row a session. Configuration (agent, cwd, parallel) is not here: it is read from the config file.
CREATE TABLE sessions (
  name          TEXT PRIMARY KEY,
  created_at    INTEGER NOT NULL,
  last_start_at INTEGER NOT NULL DEFAULT 0,
  paused_at     INTEGER,
  paused_reason TEXT
) WITHOUT ROWID;

-- The index of every session's messages_in; rebuilt from those files by `sweep --reindex`.
CREATE TABLE tasks (
  session    TEXT NOT NULL,
  seq        INTEGER NOT NULL,
  status     TEXT NOT NULL,
  agent      TEXT NOT NULL,           -- '' for a command
  priority   INTEGER NOT NULL,
  due_at     INTEGER NOT NULL,
  expires_at INTEGER,
  retry      INTEGER NOT NULL,        -- 1: it has run before, so before its time it is `retrying`
  shares     INTEGER NOT NULL,        -- 1: continues the session's conversation
  series     INTEGER,
  ended_at   INTEGER,
  labels     TEXT,
  PRIMARY KEY (session, seq)
) WITHOUT ROWID;

-- Picking order: the first row of each (session, agent, priority, shares, retry) is the only one a start can come from.
CREATE INDEX tasks_ready ON tasks (session, agent, priority, shares, retry, due_at, seq) WHERE status = 'queued';
CREATE INDEX tasks_due ON tasks (due_at) WHERE status = 'queued';
CREATE INDEX tasks_retrying ON tasks (session) WHERE status = 'queued' AND retry = 1;
CREATE INDEX tasks_expiring ON tasks (expires_at) WHERE ended_at IS NULL AND expires_at IS NOT NULL;
CREATE INDEX tasks_live ON tasks (due_at, session, seq, ended_at) WHERE ended_at IS NULL;
CREATE INDEX tasks_ended ON tasks (ended_at, session, seq) WHERE ended_at IS NOT NULL;
CREATE INDEX tasks_counts ON tasks (session, status, due_at);

-- The audit log: one row an attempt, opened by the claim and closed by the finish.
CREATE TABLE task_runs (
  id             INTEGER PRIMARY KEY,
  session        TEXT NOT NULL,
  seq            INTEGER NOT NULL,
  attempt        INTEGER NOT NULL,
  series         INTEGER,
  "trigger"      TEXT NOT NULL,
  agent          TEXT,
  argv           TEXT NOT NULL,
  cwd            TEXT NOT NULL,
  scheduled_for  INTEGER,
  started_at     INTEGER NOT NULL,
  finished_at    INTEGER,
  duration_ms    INTEGER,
  status         TEXT NOT NULL,
  exit_code      INTEGER,
  signal         INTEGER,
  failure_class  TEXT,
  error          TEXT,
  result         TEXT,
  script_outcome TEXT,
  conversation   TEXT,
  tokens_in      INTEGER,
  tokens_out     INTEGER,
  cost_usd       REAL,
  peak_rss_bytes INTEGER,
  stdout_bytes   INTEGER,
  stderr_bytes   INTEGER,
  host           TEXT NOT NULL,
  adopted        INTEGER NOT NULL DEFAULT 0,
  posted         INTEGER NOT NULL DEFAULT 1,  -- 0: its result row is still missing from outbound.db
  UNIQUE (session, seq, attempt)
);
CREATE INDEX task_runs_unposted ON task_runs (id) WHERE posted = 0;
CREATE INDEX task_runs_session ON task_runs (session, id);

-- One row a live run. The cap counts these.
CREATE TABLE workers (
  session     TEXT NOT NULL,
  seq         INTEGER NOT NULL,
  attempt     INTEGER NOT NULL,
  agent       TEXT NOT NULL,
  shares      INTEGER NOT NULL,
  claimed_at  INTEGER NOT NULL,
  pid         INTEGER,                -- the supervisor that watches it
  start_time  INTEGER,
  boot_id     TEXT,
  adopted     INTEGER NOT NULL DEFAULT 0,
  stop        TEXT,                   -- why somebody asked it to end
  stop_actor  TEXT,
  PRIMARY KEY (session, seq)          -- a task runs once at a time
) WITHOUT ROWID;

CREATE TABLE supervisors (
  pid        INTEGER NOT NULL,
  start_time INTEGER NOT NULL,
  boot_id    TEXT NOT NULL,
  jobs       INTEGER NOT NULL,
  sessions   TEXT NOT NULL,           -- JSON list; empty: all
  started_at INTEGER NOT NULL,
  renewed_at INTEGER NOT NULL,        -- milliseconds since boot
  PRIMARY KEY (pid, start_time, boot_id)
) WITHOUT ROWID;

CREATE TABLE events (
  id          INTEGER PRIMARY KEY AUTOINCREMENT,
  at          INTEGER NOT NULL,
  session     TEXT,
  seq         INTEGER,
  attempt     INTEGER,
  from_status TEXT,
  to_status   TEXT,
  event       TEXT NOT NULL,
  actor       TEXT NOT NULL,
  reason      TEXT
);
CREATE INDEX events_task ON events (session, seq, id);

-- What keeps an agent's tasks, or all tasks, from starting.
CREATE TABLE holds (
  scope  TEXT NOT NULL,               -- 'agent' or 'queue'
  name   TEXT NOT NULL,               -- the agent; '' for the queue
  kind   TEXT NOT NULL,               -- 'paused' or a failure class
  since  INTEGER NOT NULL,
  until  INTEGER,
  reason TEXT,
  PRIMARY KEY (scope, name, kind)
) WITHOUT ROWID;

-- A batch over several sessions on its way: staged in each, committed here, then released in each.
CREATE TABLE batches (
  id         TEXT PRIMARY KEY,
  committed  INTEGER NOT NULL,
  sessions   TEXT NOT NULL,           -- JSON list
  pid        INTEGER NOT NULL,
  start_time INTEGER NOT NULL,
  boot_id    TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
