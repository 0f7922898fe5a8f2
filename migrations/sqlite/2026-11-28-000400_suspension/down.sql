ALTER TABLE jobs DROP COLUMN suspended_us;
ALTER TABLE jobs DROP COLUMN suspend_time;
