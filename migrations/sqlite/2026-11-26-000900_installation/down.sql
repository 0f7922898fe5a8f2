ALTER TABLE meta DROP COLUMN installation;
