-- Incidents can be retried from the command line (cs_scan) and over HTTP (cs_api, one tenant): both only order, by `ordered`.

drop policy parked_messages_scan on parked_messages;
create policy parked_messages_scan on parked_messages to cs_scan using (true);
grant update (ordered) on parked_messages to cs_scan;

-- Never the contents.
create policy parked_messages_api on parked_messages to cs_api using (tenant_id = app_tenant());
grant select (group_name, topic, partition, "offset", tenant_id, key, reason, fingerprint, attempts, ordered, parked_at),
    update (ordered) on parked_messages to cs_api;
