-- The fleet's queue, in one schema: `agentq` here, the configured one in its place when this is run. Times are
-- milliseconds UTC; what is 0 or 1 is an integer, as in the files of one machine. Texts sort by their bytes.

-- Created by `fleet init`: version (of this schema), id (a UUID), timeline.
CREATE TABLE agentq.meta (
  name  text COLLATE "C" PRIMARY KEY,
  value text COLLATE "C"
);

-- The id is the fence: it is never reused, and a host that was lost gets another one. Its beat is all that others see.
CREATE TABLE agentq.hosts (
  id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  key       text COLLATE "C" NOT NULL UNIQUE,  -- a UUID in the host's own place, for as long as that exists
  name      text COLLATE "C" NOT NULL,
  boot_id   text COLLATE "C" NOT NULL,
  version   text COLLATE "C" NOT NULL,
  beat      bigint NOT NULL DEFAULT 0,
  lease_ms  bigint NOT NULL,
  jobs      integer NOT NULL DEFAULT 0,
  agents    text COLLATE "C" NOT NULL DEFAULT '[]',  -- JSON list: the agents whose program is there
  labels    text COLLATE "C" NOT NULL DEFAULT '[]',  -- JSON list
  gates     text COLLATE "C",
  joined_at bigint NOT NULL,
  beat_at   bigint NOT NULL,                   -- for people: no decision compares it
  left_at   bigint
);

CREATE TABLE agentq.sessions (
  name          text COLLATE "C" PRIMARY KEY,
  created_at    bigint NOT NULL,
  last_start_at bigint NOT NULL DEFAULT 0,
  paused_at     bigint,
  paused_reason text COLLATE "C",
  next_seq      bigint NOT NULL DEFAULT 1,     -- the N of its next task; never reused
  host          text COLLATE "C",              -- the name of the host that it is bound to; NULL: to none yet
  host_key      text COLLATE "C"               -- the key of that host's place, which it keeps when it is lost
);
CREATE INDEX sessions_started ON agentq.sessions (last_start_at);
CREATE INDEX sessions_paused ON agentq.sessions (name) WHERE paused_at IS NOT NULL;

CREATE TABLE agentq.session_state (
  session text COLLATE "C" NOT NULL,
  name    text COLLATE "C" NOT NULL,
  value   text COLLATE "C",
  PRIMARY KEY (session, name)
);

-- One row a task.
CREATE TABLE agentq.tasks (
  session          text COLLATE "C" NOT NULL,
  seq              bigint NOT NULL,
  kind             text COLLATE "C" NOT NULL CHECK (kind IN ('prompt', 'exec')),
  status           text COLLATE "C" NOT NULL,
  reason           text COLLATE "C",
  series           bigint,
  "trigger"        text COLLATE "C" NOT NULL DEFAULT 'submit',
  agent            text COLLATE "C",
  prompt           text COLLATE "C",
  argv             text COLLATE "C",
  cwd              text COLLATE "C" NOT NULL,
  priority         integer NOT NULL,
  labels           text COLLATE "C" NOT NULL,
  key              text COLLATE "C",
  context          text COLLATE "C" NOT NULL CHECK (context IN ('isolated', 'session')),
  created_at       bigint NOT NULL,
  due_at           bigint NOT NULL,
  expires_at       bigint,
  ended_at         bigint,
  attempts         bigint NOT NULL DEFAULT 0,
  runs             bigint NOT NULL DEFAULT 0,
  last_run         bigint,
  exit_code        integer,
  cancel_requested integer NOT NULL DEFAULT 0,
  launch           text COLLATE "C" NOT NULL,
  recurrence       text COLLATE "C",
  successor        text COLLATE "C",
  arriving         integer NOT NULL DEFAULT 0,
  extra            integer NOT NULL DEFAULT 0,
  after            text COLLATE "C",
  on_dep_failure   text COLLATE "C" NOT NULL DEFAULT 'cancel',
  dep_failed       text COLLATE "C",
  tries            bigint NOT NULL DEFAULT 0,
  fresh            integer NOT NULL DEFAULT 0,
  shared           integer NOT NULL DEFAULT 0,
  environment      bigint,            -- the number of the submitting shell's environment, on the host that captured it
  directory        text COLLATE "C" NOT NULL DEFAULT '',    -- where it alone may edit; '': beside any other
  needs            text COLLATE "C" NOT NULL DEFAULT '',    -- what a host must have (policy.placement), as JSON
  place            text COLLATE "C" GENERATED ALWAYS AS (md5(directory || ' ' || needs)) STORED,
  of_agent         text COLLATE "C" GENERATED ALWAYS AS (coalesce(agent, '')) STORED,
  retry            integer GENERATED ALWAYS AS (CASE WHEN tries > 0 THEN 1 ELSE 0 END) STORED,
  shares           integer
    GENERATED ALWAYS AS (CASE WHEN kind = 'prompt' AND context = 'session' THEN 1 ELSE 0 END) STORED,
  -- What has been started does not expire while it waits for its next attempt.
  expires          bigint GENERATED ALWAYS AS (CASE WHEN tries > 0 THEN NULL ELSE expires_at END) STORED,
  PRIMARY KEY (session, seq)
);
CREATE UNIQUE INDEX tasks_key ON agentq.tasks (session, key)
  WHERE key IS NOT NULL AND status IN ('blocked', 'queued', 'running', 'paused');
CREATE UNIQUE INDEX tasks_series ON agentq.tasks (session, series)
  WHERE series IS NOT NULL AND extra = 0 AND status IN ('blocked', 'queued', 'running', 'paused');
CREATE INDEX tasks_all_of_series ON agentq.tasks (session, series) WHERE series IS NOT NULL;
CREATE INDEX tasks_ready
  ON agentq.tasks (session, of_agent, priority, shares, retry, place, due_at, seq)
  WHERE status = 'queued';
CREATE INDEX tasks_due ON agentq.tasks (due_at) WHERE status = 'queued';
CREATE INDEX tasks_retrying ON agentq.tasks (session) WHERE status = 'queued' AND retry = 1;
CREATE INDEX tasks_arriving ON agentq.tasks (due_at) WHERE status = 'queued' AND arriving = 1;
CREATE INDEX tasks_expiring ON agentq.tasks (expires) WHERE ended_at IS NULL AND expires IS NOT NULL;
CREATE INDEX tasks_live ON agentq.tasks (due_at, session, seq) WHERE ended_at IS NULL;
CREATE INDEX tasks_ended ON agentq.tasks (ended_at, session, seq) WHERE ended_at IS NOT NULL;

CREATE TABLE agentq.dependencies (
  session    text COLLATE "C" NOT NULL,        -- the task that waits
  seq        bigint NOT NULL,
  on_session text COLLATE "C" NOT NULL,        -- the task that is waited for
  on_seq     bigint NOT NULL,
  condition  text COLLATE "C" NOT NULL,
  PRIMARY KEY (session, seq, on_session, on_seq, condition)
);
CREATE INDEX dependencies_on ON agentq.dependencies (on_session, on_seq);

CREATE TABLE agentq.task_runs (
  id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  session        text COLLATE "C" NOT NULL,
  seq            bigint NOT NULL,
  attempt        bigint NOT NULL,
  series         bigint,
  "trigger"      text COLLATE "C" NOT NULL,
  agent          text COLLATE "C",
  argv           text COLLATE "C" NOT NULL,
  cwd            text COLLATE "C" NOT NULL,
  scheduled_for  bigint,
  started_at     bigint NOT NULL,
  finished_at    bigint,
  duration_ms    bigint,
  status         text COLLATE "C" NOT NULL,
  exit_code      integer,
  signal         integer,
  failure_class  text COLLATE "C",
  error          text COLLATE "C",
  result         text COLLATE "C",
  script_outcome text COLLATE "C",
  conversation   text COLLATE "C",
  tokens_in      bigint,
  tokens_out     bigint,
  cost_usd       double precision,
  list_price     integer NOT NULL DEFAULT 0,
  turns          bigint,
  peak_rss_bytes bigint,
  stdout_bytes   bigint,
  stderr_bytes   bigint,
  host           text COLLATE "C" NOT NULL,    -- the name of the machine
  host_key       text COLLATE "C" NOT NULL DEFAULT '',  -- the key of its place, where the run's files are
  adopted        integer NOT NULL DEFAULT 0,
  posted         integer NOT NULL DEFAULT 1,
  checked        text COLLATE "C",
  "left"         text COLLATE "C",
  landing        text COLLATE "C",
  UNIQUE (session, seq, attempt)
);
CREATE INDEX task_runs_session ON agentq.task_runs (session, id);

-- One row a live run.
CREATE TABLE agentq.workers (
  session     text COLLATE "C" NOT NULL,
  seq         bigint NOT NULL,
  attempt     bigint NOT NULL,
  agent       text COLLATE "C" NOT NULL,
  shares      integer NOT NULL,
  claimed_at  bigint NOT NULL,
  host        bigint REFERENCES agentq.hosts (id),  -- whose run it is: a host in use cannot be forgotten
  pid         integer,                         -- the supervisor that watches it
  start_time  bigint,
  boot_id     text COLLATE "C",
  adopted     integer NOT NULL DEFAULT 0,
  stop        text COLLATE "C",
  stop_actor  text COLLATE "C",
  directory   text COLLATE "C",
  run_pid     integer,                         -- what its host reports of it: process, bytes of memory, last sign
  rss         bigint,
  seen        bigint,
  followed_at bigint,                          -- when somebody last wanted its output at once
  PRIMARY KEY (session, seq)
);
-- A conversation is used by one run at a time.
CREATE UNIQUE INDEX workers_lane ON agentq.workers (session, agent) WHERE shares = 1;
CREATE INDEX workers_of_host ON agentq.workers (host);

CREATE TABLE agentq.supervisors (
  pid        integer NOT NULL,
  start_time bigint NOT NULL,
  boot_id    text COLLATE "C" NOT NULL,
  host       bigint REFERENCES agentq.hosts (id) ON DELETE CASCADE,
  jobs       integer NOT NULL,
  sessions   text COLLATE "C" NOT NULL,
  started_at bigint NOT NULL,
  renewed_at bigint NOT NULL,
  gates      text COLLATE "C",
  PRIMARY KEY (pid, start_time, boot_id)
);

-- Under the writer's lock ids are in the order of commits.
CREATE TABLE agentq.events (
  id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  at          bigint NOT NULL,
  session     text COLLATE "C",
  seq         bigint,
  attempt     bigint,
  from_status text COLLATE "C",
  to_status   text COLLATE "C",
  event       text COLLATE "C" NOT NULL,
  actor       text COLLATE "C" NOT NULL,
  reason      text COLLATE "C",
  hook        text COLLATE "C",
  agent       text COLLATE "C"
);
CREATE INDEX events_task ON agentq.events (session, seq, id);

CREATE TABLE agentq.holds (
  scope  text COLLATE "C" NOT NULL,
  name   text COLLATE "C" NOT NULL,
  kind   text COLLATE "C" NOT NULL,
  since  bigint NOT NULL,
  until  bigint,
  reason text COLLATE "C",
  count  integer NOT NULL DEFAULT 1,
  PRIMARY KEY (scope, name, kind)
);

-- The files of a conversation are on one machine, which keeps its key when its host is lost.
CREATE TABLE agentq.conversations (
  session text COLLATE "C" NOT NULL,
  agent   text COLLATE "C" NOT NULL,
  id      text COLLATE "C" NOT NULL,
  used_at bigint NOT NULL,
  host    text COLLATE "C",
  PRIMARY KEY (session, agent)
);

-- The answers to what agents asked for in the outbound file of a session on a host, by that host's key.
CREATE TABLE agentq.delivered (
  session    text COLLATE "C" NOT NULL,
  host       text COLLATE "C" NOT NULL,
  message_id text COLLATE "C" NOT NULL,
  status     text COLLATE "C" NOT NULL,
  task       text COLLATE "C",
  detail     text COLLATE "C",
  at         bigint NOT NULL,
  PRIMARY KEY (session, host, message_id)
);

-- What agents say in their outbound files, and the result of each run (host '').
CREATE TABLE agentq.messages (
  position   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  session    text COLLATE "C" NOT NULL,
  host       text COLLATE "C" NOT NULL DEFAULT '',
  id         text COLLATE "C" NOT NULL,
  kind       text COLLATE "C" NOT NULL,
  content    text COLLATE "C" NOT NULL,
  created_at bigint NOT NULL,
  UNIQUE (session, host, id)
);
CREATE INDEX messages_session ON agentq.messages (session, position);

-- What runs print: each chunk is zlib, of `size` bytes from `offset` on. An empty one says how far a stream goes; what
-- is missing between two was cut. The records of a run that others read are streams of one chunk.
CREATE TABLE agentq.log_chunks (
  session  text COLLATE "C" NOT NULL,
  seq      bigint NOT NULL,
  attempt  bigint NOT NULL,
  stream   text COLLATE "C" NOT NULL,
  "offset" bigint NOT NULL,
  size     bigint NOT NULL,
  bytes    bytea NOT NULL,
  PRIMARY KEY (session, seq, attempt, stream, "offset")
);
ALTER TABLE agentq.log_chunks ALTER COLUMN bytes SET STORAGE EXTERNAL;

-- Which host looked at a task and could not run it.
CREATE TABLE agentq.unfit (
  session text COLLATE "C" NOT NULL,
  seq     bigint NOT NULL,
  host    bigint NOT NULL REFERENCES agentq.hosts (id) ON DELETE CASCADE,
  reason  text COLLATE "C" NOT NULL,
  at      bigint NOT NULL,
  PRIMARY KEY (session, seq, host),
  FOREIGN KEY (session, seq) REFERENCES agentq.tasks (session, seq) ON DELETE CASCADE
);

CREATE TABLE agentq.hooks (
  id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  event      bigint NOT NULL,
  hook       text COLLATE "C" NOT NULL,
  at         bigint NOT NULL,
  session    text COLLATE "C",
  seq        bigint,
  attempt    bigint,
  status     text COLLATE "C",
  agent      text COLLATE "C",
  reason     text COLLATE "C",
  host       bigint,                           -- whose process runs it
  pid        integer,
  start_time bigint,
  boot_id    text COLLATE "C",
  UNIQUE (event, hook)
);

CREATE TABLE agentq.hook_failures (
  hook   text COLLATE "C" PRIMARY KEY,
  at     bigint NOT NULL,
  reason text COLLATE "C" NOT NULL,
  count  bigint NOT NULL
);

CREATE TABLE agentq.pruned_runs (
  session         text COLLATE "C" NOT NULL,
  agent           text COLLATE "C" NOT NULL,
  status          text COLLATE "C" NOT NULL,
  failure_class   text COLLATE "C" NOT NULL,
  runs            bigint NOT NULL,
  retries         double precision NOT NULL,
  tokens_in       double precision NOT NULL,
  tokens_out      double precision NOT NULL,
  cost_usd        double precision NOT NULL,
  duration_ms     double precision NOT NULL,
  wait_ms         double precision NOT NULL,
  landed          double precision NOT NULL DEFAULT 0,
  nothing_to_land double precision NOT NULL DEFAULT 0,
  PRIMARY KEY (session, agent, status, failure_class)
);
