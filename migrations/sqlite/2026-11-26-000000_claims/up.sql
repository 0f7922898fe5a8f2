-- When room was made for a pending job by sending others back to the queue: it is its own until it
-- starts. NULL for all others.
ALTER TABLE jobs ADD COLUMN room_since BIGINT;
