ALTER TABLE jobs DROP COLUMN open_mode;
