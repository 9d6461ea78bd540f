-- Hooks: commands that are told of what has happened, after its commit. And counters that outlive pruning.

-- What an event stands for where its statuses do not say so: 'series.paused', or 'agent.held' and the agent.
ALTER TABLE events ADD COLUMN hook TEXT;
ALTER TABLE events ADD COLUMN agent TEXT;

-- One row a hook that is still to be run, until it has ended. The event is copied: it may be pruned meanwhile.
CREATE TABLE hooks (
  id         INTEGER PRIMARY KEY,
  event      INTEGER NOT NULL,        -- events.id
  hook       TEXT NOT NULL,           -- 'task.finished'…
  at         INTEGER NOT NULL,
  session    TEXT,
  seq        INTEGER,
  attempt    INTEGER,
  status     TEXT,                    -- what the task became
  agent      TEXT,
  reason     TEXT,
  pid        INTEGER,                 -- the process that runs it; NULL: nobody yet
  start_time INTEGER,
  boot_id    TEXT,
  UNIQUE (event, hook)
);

-- The hooks whose last run failed.
CREATE TABLE hook_failures (
  hook   TEXT PRIMARY KEY,
  at     INTEGER NOT NULL,
  reason TEXT NOT NULL,
  count  INTEGER NOT NULL             -- failures in a row
) WITHOUT ROWID;

-- What was pruned from task_runs, so that the counters of `stats --prometheus` never go back.
CREATE TABLE pruned_runs (
  session       TEXT NOT NULL,
  agent         TEXT NOT NULL,        -- '' for commands
  status        TEXT NOT NULL,
  failure_class TEXT NOT NULL,        -- '' for none
  runs          INTEGER NOT NULL,
  retries       INTEGER NOT NULL,
  tokens_in     REAL NOT NULL,
  tokens_out    REAL NOT NULL,
  cost_usd      REAL NOT NULL,
  duration_ms   REAL NOT NULL,
  wait_ms       REAL NOT NULL,
  PRIMARY KEY (session, agent, status, failure_class)
) WITHOUT ROWID;
