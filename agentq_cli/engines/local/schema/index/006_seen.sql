-- What a sweep has to look at, so that it opens no session in which nothing has changed.
ALTER TABLE sessions ADD COLUMN seen TEXT;  -- what inbound.db looked like when it was last found in order; NULL: never
CREATE INDEX sessions_unseen ON sessions (name) WHERE seen IS NULL;
