-- Figures over a copy of the audit log in a temporary file of SQLite, whichever engine has the log.

-- name: copy
CREATE TABLE runs
  (session, agent, status, failure_class, retry, wait_ms, duration_ms, tokens_in, tokens_out, cost_usd, listed, came)

-- name: add
INSERT INTO runs VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)

-- total() and not sum(): an agent may print numbers whose sum is too large for an integer.
-- name: figures
SELECT session, agent, status, failure_class, count(*), total(retry), total(tokens_in), total(tokens_out),
       total(cost_usd), total(duration_ms), total(wait_ms),
       total(came = 'landed'), total(came = 'nothing'), count(cost_usd), sum(listed)
FROM runs GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4

-- name: sizes
SELECT session, agent, count({value}) FROM runs WHERE status <> 'running' GROUP BY 1, 2

-- name: ordered
SELECT session, agent, {value} FROM runs WHERE status <> 'running' AND {value} IS NOT NULL ORDER BY 3
