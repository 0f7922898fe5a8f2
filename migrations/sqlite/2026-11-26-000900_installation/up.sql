-- Whose database this is: the same word stands in the data folder. A copy of the file is known by it.
ALTER TABLE meta ADD COLUMN installation TEXT NOT NULL DEFAULT '';
