-- Schedules, and what an agent asks for by its outbound.db.
ALTER TABLE tasks ADD COLUMN arriving INTEGER NOT NULL DEFAULT 0;
CREATE INDEX tasks_arriving ON tasks (due_at) WHERE status = 'queued' AND arriving = 1;
ALTER TABLE sessions ADD COLUMN outbound_stamp TEXT;  -- what outbound.db looked like when its requests were last read
