-- Figures over the audit log. They are computed from a copy in a temporary file, so that nothing is locked for longer
-- than a few thousand rows take.

-- name: last_run
SELECT coalesce(max(id), 0) FROM task_runs

-- A range of ids, and not a number of rows: skipped rows cost time too.
-- name: copied
SELECT session, coalesce(agent, ''), status, coalesce(failure_class, ''), "trigger" = 'retry',
       max(0, started_at - coalesce(scheduled_for, started_at)), duration_ms, tokens_in, tokens_out, cost_usd,
       list_price AND cost_usd IS NOT NULL, json_extract(landing, '$.came')
FROM task_runs
WHERE id > :after AND id <= :upto AND (:session IS NULL OR session = :session) AND {which_runs}

-- name: due
SELECT count(*), min(due_at) FROM tasks INDEXED BY tasks_counts
WHERE session = :session AND status = 'queued' AND due_at <= :now

-- name: remember_pruned
INSERT INTO pruned_runs
  (session, agent, status, failure_class, runs, retries, tokens_in, tokens_out, cost_usd, duration_ms, wait_ms,
   landed, nothing_to_land)
SELECT session, coalesce(agent, ''), status, coalesce(failure_class, ''), count(*), total("trigger" = 'retry'),
       total(tokens_in), total(tokens_out), total(cost_usd), total(duration_ms),
       total(max(0, started_at - coalesce(scheduled_for, started_at))),
       total(json_extract(landing, '$.came') = 'landed'), total(json_extract(landing, '$.came') = 'nothing')
FROM task_runs WHERE session = :session AND seq = :seq AND status <> 'running' GROUP BY 1, 2, 3, 4
ON CONFLICT DO UPDATE SET
  runs = runs + excluded.runs, retries = retries + excluded.retries, tokens_in = tokens_in + excluded.tokens_in,
  tokens_out = tokens_out + excluded.tokens_out, cost_usd = cost_usd + excluded.cost_usd,
  duration_ms = duration_ms + excluded.duration_ms, wait_ms = wait_ms + excluded.wait_ms,
  landed = landed + excluded.landed, nothing_to_land = nothing_to_land + excluded.nothing_to_land

-- name: pruned
SELECT session, agent, status, failure_class, runs, retries, tokens_in, tokens_out, cost_usd, duration_ms, wait_ms,
       landed, nothing_to_land
FROM pruned_runs WHERE :session IS NULL OR session = :session
