ALTER TABLE resource_allocations DROP COLUMN resources;
