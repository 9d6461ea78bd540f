-- The machines of the fleet. A host's id is its fence: it is given once, and whoever renews it no more is not that host.

-- name: mine
SELECT id, boot_id, beat, lease_ms FROM agentq.hosts WHERE key = :host_key

-- name: add
INSERT INTO agentq.hosts (key, name, boot_id, version, beat, lease_ms, jobs, agents, labels, joined_at, beat_at)
VALUES (:host_key, :name, :boot_id, :version, 1, :lease_ms, :jobs, :agents, :labels, :at, :at)
RETURNING id, beat

-- Not if somebody has renewed it since it was read.
-- name: rejoin
UPDATE agentq.hosts
SET name = :name, boot_id = :boot_id, version = :version, beat = beat + 1, lease_ms = :lease_ms, jobs = :jobs,
    agents = :agents, labels = :labels, beat_at = :at, left_at = NULL
WHERE id = :id AND beat = :beat
RETURNING id, beat

-- A renewal takes no lock of the writers. With it go the signs of this host's runs.
-- name: signs
UPDATE agentq.workers w SET run_pid = s.pid, rss = s.rss, seen = s.seen
FROM json_to_recordset(:signs) AS s (session text, seq bigint, attempt bigint, pid integer, rss bigint, seen bigint)
WHERE w.session = s.session AND w.seq = s.seq AND w.attempt = s.attempt AND w.host = :host_id

-- name: confirm
UPDATE agentq.supervisors SET renewed_at = :renewed_at, jobs = :jobs
WHERE pid = :pid AND start_time = :start_time AND boot_id = :boot_id AND host = :host_id

-- The beat of this host, if it still is one; the time; this host's runs; and the beats of the others. A host that left
-- and has nothing to be taken over is not waited for.
-- name: renew
WITH me AS (
  UPDATE agentq.hosts
  SET beat = beat + 1, lease_ms = :lease_ms, name = :name, labels = :labels, version = :version,
      agents = CASE WHEN :agents = '[]' THEN agents ELSE :agents END,
      jobs = coalesce((SELECT max(jobs) FROM agentq.supervisors WHERE host = :host_id), 0),
      beat_at = floor(extract(epoch FROM clock_timestamp()) * 1000)
  WHERE id = :host_id RETURNING beat)
SELECT (SELECT beat FROM me), CAST(floor(extract(epoch FROM clock_timestamp()) * 1000) AS bigint),
       (SELECT json_agg(json_build_array(session, seq, attempt)) FROM agentq.workers WHERE host = :host_id),
       (SELECT json_agg(json_build_array(h.id, h.beat, h.lease_ms)) FROM agentq.hosts h
        WHERE h.id <> :host_id
          AND (h.left_at IS NULL OR EXISTS (SELECT 1 FROM agentq.workers w WHERE w.host = h.id))),
       NOT EXISTS (SELECT 1 FROM agentq.tasks WHERE ended_at IS NULL)

-- The same beats, for whoever is no host.
-- name: beats
SELECT h.id, h.beat, h.lease_ms FROM agentq.hosts h
WHERE h.key <> :host_key AND (h.left_at IS NULL OR EXISTS (SELECT 1 FROM agentq.workers w WHERE w.host = h.id))

-- Held until the commit: its renewal comes before that, or finds no row.
-- name: held
SELECT name FROM agentq.hosts WHERE id = :id AND beat = :beat FOR UPDATE

-- name: forget
DELETE FROM agentq.hosts WHERE id = :id

-- name: supervisors_of
SELECT pid, start_time, boot_id FROM agentq.supervisors WHERE host = :id ORDER BY started_at, pid

-- name: runs_of
SELECT session, seq, attempt, stop FROM agentq.workers WHERE host = :id ORDER BY claimed_at, session, seq

-- The host that has a run of this name, if that is not this machine.
-- name: of_another
SELECT h.name FROM agentq.workers w JOIN agentq.hosts h ON h.id = w.host
WHERE w.session = :session AND w.seq = :seq AND w.attempt = :attempt AND h.key <> :host_key

-- name: began
SELECT started_at FROM agentq.task_runs WHERE session = :session AND seq = :seq AND attempt = :attempt

-- name: left
UPDATE agentq.hosts SET left_at = :at
WHERE id = :host_id AND left_at IS NULL AND NOT EXISTS (SELECT 1 FROM agentq.supervisors WHERE host = :host_id)

-- Nobody counts on it any more. Its key makes it a host again, with another id.
-- name: forget_left
DELETE FROM agentq.hosts h WHERE left_at < :before AND NOT EXISTS (SELECT 1 FROM agentq.workers w WHERE w.host = h.id)

-- name: forget_ended
DELETE FROM agentq.ended_supervisors e
WHERE ended_at < :before AND NOT EXISTS (SELECT 1 FROM agentq.hosts h WHERE h.name = e.host)

-- name: all
SELECT h.id, h.name, h.boot_id, h.version, h.beat_at, h.lease_ms, h.jobs, h.agents, h.labels, h.left_at,
       (SELECT count(*) FROM agentq.workers w WHERE w.host = h.id), h.key = :host_key
FROM agentq.hosts h ORDER BY h.name, h.id

-- name: standing
SELECT 1 FROM agentq.hosts WHERE boot_id = :boot AND left_at IS NULL LIMIT 1

-- Where a server was promoted it counts another timeline than the one that is on record.
-- name: timeline
SELECT json_build_array(CASE WHEN pg_is_in_recovery() THEN NULL ELSE left(pg_walfile_name(pg_current_wal_lsn()), 8) END,
                        (SELECT value FROM agentq.meta WHERE name = 'timeline'),
                        (SELECT coalesce(max(lease_ms), 0) FROM agentq.hosts))

-- The same of a server without such functions: each of its restarts may be a promotion.
-- name: timeline_by_start
SELECT json_build_array(CAST(pg_postmaster_start_time() AS text),
                        (SELECT value FROM agentq.meta WHERE name = 'timeline'),
                        (SELECT coalesce(max(lease_ms), 0) FROM agentq.hosts))

-- name: counts_timelines
SELECT to_regprocedure('pg_walfile_name(pg_lsn)') IS NOT NULL AND to_regprocedure('pg_current_wal_lsn()') IS NOT NULL
