-- What is held of other resources has no place in the table before.
CREATE TABLE held_cpus (
    cpu_id INTEGER PRIMARY KEY NOT NULL,
    job_id BIGINT  NOT NULL
);
INSERT INTO held_cpus SELECT unit, job_id FROM held_units WHERE resource = 'cpu';
DROP TABLE held_units;
