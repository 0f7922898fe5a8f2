-- A job array is one row until its tasks start; each that does gets a row of its own, and the last
-- one keeps the first. Most jobs are no array, so the columns are NULL and cost a byte each.
-- The id of the array, in the row of its rest too.
ALTER TABLE jobs ADD COLUMN array_job_id BIGINT;
-- Which task of it this is; NULL in the row of the rest.
ALTER TABLE jobs ADD COLUMN array_task_id BIGINT;
-- The rest: tasks that have no row of their own, as `5-99%4`.
ALTER TABLE jobs ADD COLUMN array_tasks TEXT;
-- All tasks as they were submitted, in the array's own row.
ALTER TABLE jobs ADD COLUMN array_spec TEXT;
CREATE INDEX jobs_by_array ON jobs (array_job_id) WHERE array_job_id IS NOT NULL;
-- A task has one row, whatever happens.
CREATE UNIQUE INDEX jobs_by_array_task ON jobs (array_job_id, array_task_id)
    WHERE array_task_id IS NOT NULL;
