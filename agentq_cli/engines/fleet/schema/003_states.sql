-- What each supervisor does, since when, and how its last period of running ended; and the last that have ended.
ALTER TABLE agentq.supervisors ADD COLUMN state text COLLATE "C" NOT NULL DEFAULT 'idle';
ALTER TABLE agentq.supervisors ADD COLUMN since bigint NOT NULL DEFAULT 0;
ALTER TABLE agentq.supervisors ADD COLUMN last_result text COLLATE "C";
UPDATE agentq.supervisors SET since = started_at;
CREATE TABLE agentq.ended_supervisors (
  id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  pid         integer NOT NULL,
  start_time  bigint NOT NULL,
  boot_id     text COLLATE "C" NOT NULL,
  host        text COLLATE "C" NOT NULL,       -- its name: a host that was lost is no row any more
  host_key    text COLLATE "C" NOT NULL,
  jobs        integer NOT NULL,
  sessions    text COLLATE "C" NOT NULL,
  started_at  bigint NOT NULL,
  last_result text COLLATE "C",
  ended_at    bigint NOT NULL,
  reason      text COLLATE "C" NOT NULL
);
CREATE INDEX ended_supervisors_of_host ON agentq.ended_supervisors (host, id);
