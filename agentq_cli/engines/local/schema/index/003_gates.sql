-- The gates of admission, while one of them holds back what a supervisor would start.
ALTER TABLE supervisors ADD COLUMN gates TEXT;  -- JSON list of {name, holding, detail, until}; NULL: none holds
