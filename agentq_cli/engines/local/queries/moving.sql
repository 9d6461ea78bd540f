-- Sessions that leave a state dir, or come into it.

-- name: paused
SELECT name FROM sessions WHERE paused_at IS NOT NULL ORDER BY name

-- name: dependencies
SELECT session, seq, on_session, on_seq FROM dependencies

-- name: runs_now
SELECT seq, attempt FROM idx.workers WHERE session = :session

-- name: staged
SELECT seq FROM messages_in WHERE status = 'staged' LIMIT 1

-- name: pause_of
SELECT paused_at, paused_reason FROM idx.sessions WHERE name = :session

-- What the clock alone would change, it leaves.
-- name: quiet
UPDATE idx.tasks SET expires_at = NULL, arriving = 0 WHERE session = :session AND ended_at IS NULL

-- name: refuse_new
CREATE TRIGGER main.moved_new BEFORE INSERT ON messages_in BEGIN SELECT RAISE(ABORT, :why); END

-- name: refuse_change
CREATE TRIGGER main.moved_change BEFORE UPDATE ON messages_in BEGIN SELECT RAISE(ABORT, :why); END

-- name: refuse_resume
CREATE TRIGGER main.moved_resume BEFORE DELETE ON session_state WHEN old.name IN ('paused', 'moved')
BEGIN SELECT RAISE(ABORT, :why); END

-- name: accept_new
DROP TRIGGER IF EXISTS main.moved_new

-- name: accept_change
DROP TRIGGER IF EXISTS main.moved_change

-- name: accept_resume
DROP TRIGGER IF EXISTS main.moved_resume

-- Of the index: no new session.
-- name: close
CREATE TRIGGER moved_all BEFORE INSERT ON sessions WHEN NOT EXISTS (SELECT 1 FROM sessions WHERE name = new.name)
BEGIN SELECT RAISE(ABORT, :why); END

-- name: open
DROP TRIGGER IF EXISTS moved_all

-- name: session
SELECT created_at, last_start_at, paused_at, paused_reason FROM idx.sessions WHERE name = :session

-- name: moved
SELECT value FROM main.session_state WHERE name = 'moved'

-- name: state
SELECT name, value FROM main.session_state

-- name: conversations
SELECT agent, key, id, used_at FROM main.conversations

-- name: delivered
SELECT message_id, status, task, detail, at FROM main.delivered

-- name: tasks
SELECT {own}, coalesce(t.directory, '') FROM main.messages_in m
LEFT JOIN idx.tasks t ON t.session = :session AND t.seq = m.seq ORDER BY m.seq

-- name: environments
SELECT id, variables FROM main.environments

-- name: messages
SELECT id, kind, content, created_at FROM messages_out ORDER BY rowid

-- name: add_message
INSERT OR IGNORE INTO messages_out (id, kind, content, created_at) VALUES (?, ?, ?, ?)

-- name: numbers
INSERT OR REPLACE INTO main.sqlite_sequence (rowid, name, seq)
VALUES ((SELECT rowid FROM main.sqlite_sequence WHERE name = 'messages_in'), 'messages_in', :last)

-- name: put_session
INSERT INTO idx.sessions (name, created_at, last_start_at, paused_at, paused_reason)
VALUES (:session, :created_at, :last_start_at, :paused_at, :reason)
ON CONFLICT (name) DO UPDATE SET created_at = excluded.created_at, last_start_at = excluded.last_start_at,
  paused_at = excluded.paused_at, paused_reason = excluded.paused_reason, seen = NULL

-- name: forget_task_runs
DELETE FROM task_runs WHERE session IN (SELECT value FROM json_each(:coming))

-- name: forget_events
DELETE FROM events WHERE session IN (SELECT value FROM json_each(:coming))

-- name: ids_of_task_runs
SELECT coalesce(max(id), 0), coalesce(sum(id BETWEEN :first AND :last), 0) FROM task_runs
WHERE session NOT IN (SELECT value FROM json_each(:coming))

-- name: ids_of_events
SELECT coalesce(max(id), 0), coalesce(sum(id BETWEEN :first AND :last), 0) FROM events
WHERE coalesce(session NOT IN (SELECT value FROM json_each(:coming)), NOT :all_of_them)
