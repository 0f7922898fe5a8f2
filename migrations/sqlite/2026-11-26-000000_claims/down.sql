ALTER TABLE jobs DROP COLUMN room_since;
