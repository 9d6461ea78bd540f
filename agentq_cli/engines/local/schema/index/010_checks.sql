-- How the check of a run ended.
ALTER TABLE task_runs ADD COLUMN checked TEXT;  -- JSON; NULL: it had none, or did not come to it
