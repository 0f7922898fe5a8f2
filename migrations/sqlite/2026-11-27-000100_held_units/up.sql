-- Who holds which unit of which resource. The key makes a second holder of a unit impossible, of
-- whatever resource it is.
CREATE TABLE held_units (
    resource TEXT   NOT NULL,
    unit     BIGINT NOT NULL,
    job_id   BIGINT NOT NULL,
    PRIMARY KEY (resource, unit)
) WITHOUT ROWID;
INSERT INTO held_units SELECT 'cpu', cpu_id, job_id FROM held_cpus;
DROP TABLE held_cpus;
