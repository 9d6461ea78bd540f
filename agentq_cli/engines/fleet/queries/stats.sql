-- Figures over the audit log, computed from a copy in a temporary file on this machine.

-- name: last_run
SELECT coalesce(max(id), 0) FROM agentq.task_runs

-- name: copied
SELECT session, coalesce(agent, ''), status, coalesce(failure_class, ''), "trigger" = 'retry',
       greatest(0, started_at - coalesce(scheduled_for, started_at)), duration_ms, tokens_in, tokens_out, cost_usd,
       list_price = 1 AND cost_usd IS NOT NULL, CAST(landing AS json) ->> 'came'
FROM agentq.task_runs AS task_runs
WHERE id > :after AND id <= :upto AND (:session IS NULL OR session = :session) AND {which_runs}

-- name: due
SELECT count(*), min(due_at) FROM agentq.tasks WHERE session = :session AND status = 'queued' AND due_at <= :now

-- name: remember_pruned
INSERT INTO agentq.pruned_runs AS known
  (session, agent, status, failure_class, runs, retries, tokens_in, tokens_out, cost_usd, duration_ms, wait_ms,
   landed, nothing_to_land)
SELECT session, coalesce(agent, ''), status, coalesce(failure_class, ''), count(*),
       count(*) FILTER (WHERE "trigger" = 'retry'), coalesce(sum(tokens_in), 0), coalesce(sum(tokens_out), 0),
       coalesce(sum(cost_usd), 0), coalesce(sum(duration_ms), 0),
       sum(greatest(0, started_at - coalesce(scheduled_for, started_at))),
       count(*) FILTER (WHERE CAST(landing AS json) ->> 'came' = 'landed'),
       count(*) FILTER (WHERE CAST(landing AS json) ->> 'came' = 'nothing')
FROM agentq.task_runs WHERE session = :session AND seq = :seq AND status <> 'running' GROUP BY 1, 2, 3, 4
ON CONFLICT (session, agent, status, failure_class) DO UPDATE SET
  runs = known.runs + excluded.runs, retries = known.retries + excluded.retries,
  tokens_in = known.tokens_in + excluded.tokens_in, tokens_out = known.tokens_out + excluded.tokens_out,
  cost_usd = known.cost_usd + excluded.cost_usd, duration_ms = known.duration_ms + excluded.duration_ms,
  wait_ms = known.wait_ms + excluded.wait_ms, landed = known.landed + excluded.landed,
  nothing_to_land = known.nothing_to_land + excluded.nothing_to_land

-- name: pruned
SELECT session, agent, status, failure_class, runs, retries, tokens_in, tokens_out, cost_usd, duration_ms, wait_ms,
       landed, nothing_to_land
FROM agentq.pruned_runs WHERE :session IS NULL OR session = :session
