-- What an attempt holds or held beside CPUs and memory, as a JSON object by resource: a list of
-- units, or an amount. NULL: nothing.
ALTER TABLE resource_allocations ADD COLUMN resources TEXT;
