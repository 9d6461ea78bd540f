-- What a run left in the tree of its task, and how its landing ended.
ALTER TABLE task_runs ADD COLUMN "left" TEXT;  -- JSON; NULL: its task has no tree
ALTER TABLE task_runs ADD COLUMN landing TEXT;  -- JSON; NULL: it was not to land, or did not come to it
