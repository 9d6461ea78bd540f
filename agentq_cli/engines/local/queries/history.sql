-- Restoring the history of a lost index, as far as the sessions' files have it.

-- name: seqs
SELECT seq FROM messages_in WHERE seq > :after AND status <> 'staged' ORDER BY seq LIMIT :limit

-- name: runs
SELECT seq, attempt FROM task_runs WHERE session = :session AND seq > :after AND seq <= :last

-- name: told
SELECT DISTINCT seq FROM events INDEXED BY events_task WHERE session = :session AND seq > :after AND seq <= :last

-- name: results
SELECT id, content, created_at FROM messages_out WHERE kind = 'result' AND typeof(id) = 'text'

-- name: run
INSERT INTO task_runs
  (session, seq, attempt, series, "trigger", agent, argv, cwd, scheduled_for, started_at, finished_at, duration_ms,
   status, exit_code, signal, failure_class, error, result, script_outcome, conversation, tokens_in, tokens_out,
   cost_usd, list_price, turns, peak_rss_bytes, stdout_bytes, stderr_bytes, host, posted, checked, "left",
   landing)
VALUES
  (:session, :seq, :attempt, :series, :trigger, :agent, :argv, :cwd, :scheduled_for, :started_at, :finished_at,
   :duration_ms, :status, :exit_code, :signal, :failure_class, :error, :result, :script_outcome, :conversation,
   :tokens_in, :tokens_out, :cost_usd, :list_price, :turns, :peak_rss_bytes, :stdout_bytes, :stderr_bytes, :host, :posted,
   :checked, :left, :landing)
ON CONFLICT DO NOTHING

-- name: started
UPDATE sessions SET last_start_at = max(last_start_at, :at) WHERE name = :session
