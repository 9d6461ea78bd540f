-- Figures over the audit log, of a range of ids at a time: nothing is locked for longer than a few thousand rows take.

-- name: last_range
SELECT coalesce(max(id), 0) >> 13 FROM task_runs

-- total() and not sum(): an agent may print numbers whose sum is too large for an integer.
-- name: of_range
SELECT session, coalesce(agent, ''), status, coalesce(failure_class, ''), count(*),
       count(*) FILTER (WHERE "trigger" = 'retry'), total(tokens_in), total(tokens_out), total(cost_usd),
       count(*) FILTER (WHERE json_extract(landing, '$.came') = 'landed'),
       count(*) FILTER (WHERE json_extract(landing, '$.came') = 'nothing'),
       count(cost_usd), count(cost_usd) FILTER (WHERE list_price),
       group_concat(max(0, started_at - coalesce(scheduled_for, started_at))), group_concat(duration_ms)
FROM task_runs INDEXED BY task_runs_figures
WHERE id >> 13 = :range AND (:session IS NULL OR session = :session) AND {which_runs}
GROUP BY session, task_runs.agent, status, task_runs.failure_class

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
SELECT session, agent, status, failure_class, runs, retries, tokens_in, tokens_out, cost_usd, landed, nothing_to_land,
       duration_ms, wait_ms
FROM pruned_runs WHERE :session IS NULL OR session = :session
