-- What a run's agent told about itself beside tokens and cost.
ALTER TABLE task_runs ADD COLUMN turns INTEGER;  -- how often the model answered
ALTER TABLE task_runs ADD COLUMN list_price INTEGER NOT NULL DEFAULT 0;  -- 1: a subscription pays, not by the cost
