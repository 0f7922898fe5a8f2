CREATE TABLE new_job_scripts (
    job_id      BIGINT PRIMARY KEY NOT NULL,
    script      TEXT   NOT NULL,
    environment TEXT   NOT NULL
);
INSERT INTO new_job_scripts SELECT * FROM job_scripts;
DROP TABLE job_scripts;
ALTER TABLE new_job_scripts RENAME TO job_scripts;
