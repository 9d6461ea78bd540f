ALTER TABLE messages_in ADD COLUMN shared INTEGER NOT NULL DEFAULT 0;  -- 1: its agent may edit beside another one
