-- When a group saw an event bounds where the event lies in its topic: whoever asks why a rule did not fire names only its id.
grant select on inbox to cs_api;
create policy inbox_api on inbox for select to cs_api using (tenant_id = app_tenant());
