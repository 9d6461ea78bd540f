-- Schedules: each occurrence of a series is a task of its own; `series` is the seq of the first one.
ALTER TABLE messages_in ADD COLUMN recurrence TEXT;                     -- JSON: schedule, slot, counts; null: one-off
ALTER TABLE messages_in ADD COLUMN successor TEXT;                      -- JSON: what the next occurrence takes over
ALTER TABLE messages_in ADD COLUMN arriving INTEGER NOT NULL DEFAULT 0; -- 1: its missed policy is still to be applied
ALTER TABLE messages_in ADD COLUMN extra INTEGER NOT NULL DEFAULT 0;    -- 1: made by trigger or retry, never re-arms

-- One live occurrence a series, whoever re-arms it and however often.
CREATE UNIQUE INDEX messages_in_series ON messages_in (series)
  WHERE series IS NOT NULL AND extra = 0 AND status IN ('blocked', 'queued', 'running', 'paused');
CREATE INDEX messages_in_all_of_series ON messages_in (series) WHERE series IS NOT NULL;
