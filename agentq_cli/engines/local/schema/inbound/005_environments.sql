-- The environments of the shells that submitted, each different one once. What no task refers to is not kept.
CREATE TABLE environments (
  id        INTEGER PRIMARY KEY,
  variables TEXT NOT NULL UNIQUE  -- JSON object, by name; without secrets and what belongs to the moment
);
ALTER TABLE messages_in ADD COLUMN environment INTEGER;  -- NULL: of an older version, which stored a part in launch
CREATE INDEX messages_in_environment ON messages_in (environment);
CREATE TRIGGER messages_in_pruned AFTER DELETE ON messages_in BEGIN
  DELETE FROM environments WHERE id = old.environment
    AND NOT EXISTS (SELECT 1 FROM messages_in WHERE environment = old.environment);
END;
CREATE TRIGGER messages_in_replaced AFTER UPDATE OF environment ON messages_in
WHEN new.environment IS NOT old.environment BEGIN
  DELETE FROM environments WHERE id = old.environment
    AND NOT EXISTS (SELECT 1 FROM messages_in WHERE environment = old.environment);
END;
