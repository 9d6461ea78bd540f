-- What each supervisor does, since when, and how its last period of running ended; and the last that have ended.
ALTER TABLE supervisors ADD COLUMN state TEXT NOT NULL DEFAULT 'idle';
ALTER TABLE supervisors ADD COLUMN since INTEGER NOT NULL DEFAULT 0;
ALTER TABLE supervisors ADD COLUMN last_result TEXT;  -- 'completed' or 'failed'; NULL: none yet
UPDATE supervisors SET since = started_at;
CREATE TABLE ended_supervisors (
  id          INTEGER PRIMARY KEY,
  pid         INTEGER NOT NULL,
  start_time  INTEGER NOT NULL,
  boot_id     TEXT NOT NULL,
  jobs        INTEGER NOT NULL,
  sessions    TEXT NOT NULL,
  started_at  INTEGER NOT NULL,
  last_result TEXT,                   -- NULL also if it was killed while it ran something
  ended_at    INTEGER NOT NULL,
  reason      TEXT NOT NULL
);
