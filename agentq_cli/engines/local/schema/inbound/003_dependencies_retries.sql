-- Dependencies between tasks, and what the retry policy has to remember of one.
ALTER TABLE messages_in ADD COLUMN after TEXT;                             -- JSON list of [SESSION, N, condition]; null: none
ALTER TABLE messages_in ADD COLUMN on_dep_failure TEXT NOT NULL DEFAULT 'cancel';
ALTER TABLE messages_in ADD COLUMN dep_failed TEXT;                        -- the task whose failure cancelled or paused it
ALTER TABLE messages_in ADD COLUMN tries INTEGER NOT NULL DEFAULT 0;       -- runs since submit or retry, uncounted ones too
ALTER TABLE messages_in ADD COLUMN fresh INTEGER NOT NULL DEFAULT 0;       -- 1: had its one more run for a lost conversation
UPDATE messages_in SET tries = attempts;
