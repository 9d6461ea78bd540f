-- What a start asks of all sessions, found without a look at each.
CREATE INDEX sessions_started ON sessions (last_start_at);
CREATE INDEX sessions_paused ON sessions (name) WHERE paused_at IS NOT NULL;
