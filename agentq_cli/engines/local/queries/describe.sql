-- What a file holds, for the manual.

-- name: tables
SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\_%' ESCAPE '\' ORDER BY name

-- name: columns
SELECT name, type, "notnull", pk FROM pragma_table_info(:table) ORDER BY cid
