-- What the leased jobs need beyond their tables' own grants.

-- Housekeeping works tenant by tenant; an inbox row may name a tenant that the directory does not know.
grant select (tenant_id, group_name, received_at) on inbox to cs_scan;
create policy inbox_scan on inbox for select to cs_scan using (true);

-- A write under a lease names its term, in the statement itself.
grant select on leases to cs_worker;
create policy leases_worker on leases for select to cs_worker using (true);
