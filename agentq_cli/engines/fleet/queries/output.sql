-- What runs have printed, in chunks, and what else their files say.

-- Whether the files of a run are on this machine, and whether the run has ended.
-- name: place
SELECT CAST(host_key = :host_key AS integer) AS here, CAST(finished_at IS NOT NULL AS integer) AS ended FROM agentq.task_runs
WHERE session = :session AND seq = :seq AND attempt = :attempt

-- name: live
SELECT run_pid FROM agentq.workers WHERE session = :session AND seq = :seq AND attempt = :attempt

-- name: stored
SELECT stream, "offset", size FROM agentq.log_chunks
WHERE session = :session AND seq = :seq AND attempt = :attempt ORDER BY stream, "offset"

-- name: rows
SELECT "offset", size FROM agentq.log_chunks
WHERE session = :session AND seq = :seq AND attempt = :attempt AND stream = :stream ORDER BY "offset"

-- name: size
SELECT coalesce(max("offset" + size), 0) FROM agentq.log_chunks
WHERE session = :session AND seq = :seq AND attempt = :attempt AND stream = :stream

-- An empty chunk says how far a stream goes.
-- name: bytes
SELECT "offset", bytes FROM agentq.log_chunks
WHERE session = :session AND seq = :seq AND attempt = :attempt AND stream = :stream AND "offset" + size > :after
ORDER BY "offset" LIMIT :limit

-- name: piece
(CAST(:offset AS bigint), CAST(:size AS bigint), :bytes)

-- Fenced by the worker row, which the end of the run deletes: without it nothing is stored.
-- name: put
WITH mine AS (
  SELECT session, seq, attempt, followed_at FROM agentq.workers
  WHERE session = :session AND seq = :seq AND attempt = :attempt AND host IS NOT DISTINCT FROM :host_id FOR KEY SHARE
), gone AS (
  DELETE FROM agentq.log_chunks AS c USING mine
  WHERE c.session = mine.session AND c.seq = mine.seq AND c.attempt = mine.attempt AND c.stream = :stream
    AND c."offset" IN (SELECT CAST(value AS bigint) FROM json_array_elements_text(CAST(:gone AS json)))
), put AS (
  INSERT INTO agentq.log_chunks (session, seq, attempt, stream, "offset", size, bytes)
  SELECT mine.session, mine.seq, mine.attempt, :stream, given.begin, given.size, given.bytes
  FROM mine, (VALUES {pieces}) AS given (begin, size, bytes) WHERE given.begin IS NOT NULL
  ON CONFLICT (session, seq, attempt, stream, "offset") DO UPDATE SET size = excluded.size, bytes = excluded.bytes
)
SELECT coalesce(followed_at, 0) FROM mine

-- name: follow
UPDATE agentq.workers SET followed_at = :now WHERE session = :session AND seq = :seq AND attempt = :attempt
