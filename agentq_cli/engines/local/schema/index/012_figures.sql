-- All that figures over the audit log ask of a run, by ranges of 8192 ids and, within one, in the order in which the runs
-- are grouped: nothing of the log itself is read, and nothing is sorted. A run keeps its range, however it ends.
CREATE INDEX task_runs_figures ON task_runs
  (id >> 13, session, agent, status, failure_class, "trigger", scheduled_for, started_at, duration_ms, tokens_in,
   tokens_out, cost_usd, list_price, landing, seq, series);
