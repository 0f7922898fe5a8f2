-- What a pending job was told of those that it waits for, a JSON object: they may be forgotten, or run
-- again, before it starts. NULL as long as their own rows say the same.
ALTER TABLE jobs ADD COLUMN told TEXT;
