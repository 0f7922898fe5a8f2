DROP INDEX jobs_by_array_task;
DROP INDEX jobs_by_array;
ALTER TABLE jobs DROP COLUMN array_spec;
ALTER TABLE jobs DROP COLUMN array_tasks;
ALTER TABLE jobs DROP COLUMN array_task_id;
ALTER TABLE jobs DROP COLUMN array_job_id;
