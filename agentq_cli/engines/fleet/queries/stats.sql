-- Figures over the audit log, of a range of ids at a time.

-- name: last_range
SELECT coalesce(max(id), 0) >> 13 FROM agentq.task_runs

-- name: of_range
SELECT session, coalesce(agent, ''), status, coalesce(failure_class, ''), count(*),
       count(*) FILTER (WHERE "trigger" = 'retry'), CAST(coalesce(sum(tokens_in), 0) AS double precision),
       CAST(coalesce(sum(tokens_out), 0) AS double precision), coalesce(sum(cost_usd), 0),
       count(*) FILTER (WHERE CAST(landing AS json) ->> 'came' = 'landed'),
       count(*) FILTER (WHERE CAST(landing AS json) ->> 'came' = 'nothing'),
       count(cost_usd), count(cost_usd) FILTER (WHERE list_price = 1),
       string_agg(CAST(greatest(0, started_at - coalesce(scheduled_for, started_at)) AS text), ','),
       string_agg(CAST(duration_ms AS text), ',')
FROM agentq.task_runs AS task_runs
WHERE id >= CAST(:range AS bigint) << 13 AND id < CAST(:range AS bigint) + 1 << 13
  AND (:session IS NULL OR session = :session) AND {which_runs}
GROUP BY 1, 2, 3, 4

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
SELECT session, agent, status, failure_class, runs, retries, tokens_in, tokens_out, cost_usd, landed, nothing_to_land,
       duration_ms, wait_ms
FROM agentq.pruned_runs WHERE :session IS NULL OR session = :session
