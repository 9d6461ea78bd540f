-- Who waits for whom, over all sessions; of every task that has dependencies, until it is pruned.
CREATE TABLE dependencies (
  session    TEXT NOT NULL,           -- the task that waits
  seq        INTEGER NOT NULL,
  on_session TEXT NOT NULL,           -- the task that is waited for
  on_seq     INTEGER NOT NULL,
  condition  TEXT NOT NULL,           -- 'success', 'any' or 'failure'
  PRIMARY KEY (session, seq, on_session, on_seq, condition)
) WITHOUT ROWID;
CREATE INDEX dependencies_on ON dependencies (on_session, on_seq);

-- Tasks of other sessions to look at again, since one that they wait for has ended or was reopened. Written in the
-- commit that did it, removed in the commit that looked.
CREATE TABLE unsettled (
  session TEXT NOT NULL,
  seq     INTEGER NOT NULL,
  PRIMARY KEY (session, seq)
) WITHOUT ROWID;

ALTER TABLE tasks ADD COLUMN dep_failed TEXT;
ALTER TABLE holds ADD COLUMN count INTEGER NOT NULL DEFAULT 1;  -- the how manyth usage limit in a row
