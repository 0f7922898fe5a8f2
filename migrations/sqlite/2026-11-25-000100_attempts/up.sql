-- A job may be run again: when by itself, how often that was, how often it went back in all, and
-- what it is sent before its time limit. Most jobs have none of it.
ALTER TABLE jobs ADD COLUMN retry TEXT;
ALTER TABLE jobs ADD COLUMN retries INTEGER NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN restarts INTEGER NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN signal TEXT;
-- How each attempt ended; NULL as long as it has not, and of attempts before this was kept.
ALTER TABLE resource_allocations ADD COLUMN state TEXT;
ALTER TABLE resource_allocations ADD COLUMN exit_code TEXT;
ALTER TABLE resource_allocations ADD COLUMN error TEXT;
ALTER TABLE resource_allocations ADD COLUMN start_time BIGINT;
ALTER TABLE resource_allocations ADD COLUMN end_time BIGINT;
