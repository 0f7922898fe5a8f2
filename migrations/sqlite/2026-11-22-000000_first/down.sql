DROP TABLE idempotency_keys;
DROP TABLE events;
DROP TABLE held_cpus;
DROP TABLE resource_allocations;
DROP TABLE job_scripts;
DROP TABLE jobs;
DROP TABLE meta;
