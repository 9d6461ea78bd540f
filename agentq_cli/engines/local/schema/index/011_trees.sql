-- What a run left in the tree of its task, and how its landing ended.
ALTER TABLE task_runs ADD COLUMN "left" TEXT;  -- JSON; NULL: its task has no tree
ALTER TABLE task_runs ADD COLUMN landing TEXT;  -- JSON; NULL: it was not to land, or did not come to it
-- The same of the runs that are counted after they have been pruned.
ALTER TABLE pruned_runs ADD COLUMN landed INTEGER NOT NULL DEFAULT 0;
ALTER TABLE pruned_runs ADD COLUMN nothing_to_land INTEGER NOT NULL DEFAULT 0;
