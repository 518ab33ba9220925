-- name: find_definitions
-- Pinned versions of flows.
select d.tenant_id, d.flow, d.version, d.definition
from unnest(:tenant_ids::text[], :flows::text[], :versions::integer[]) as w (tenant_id, flow, version)
join flw_int_def d using (tenant_id, flow, version);

-- name: list_versions
-- A tenant's versions, newest first.
select flow, version, title, created_at, created_by
from flw_int_def where tenant_id = :tenant_id and (:flow::text is null or flow = :flow)
order by flow, version desc;

-- name: pin_definitions
-- Pin versions; those that were not there yet.
insert into flw_int_def (tenant_id, flow, version, title, definition, created_by)
select * from unnest(:tenant_ids::text[], :flows::text[], :versions::integer[], :titles::text[], :definitions::text[],
                     :authors::text[])
on conflict do nothing
returning tenant_id, flow, version;

-- name: insert_transitions!
-- A version spread out, as S2 prints it.
insert into onboarding_transition
    (tenant_id, flow, flow_version, from_state, action, to_state, allowed_actors, is_async, max_retry, timeout,
     compensation_action, handler)
select t.tenant_id, t.flow, t.flow_version, t.from_state, t.action, t.to_state, t.allowed_actors, t.is_async, t.max_retry,
       make_interval(secs => t.timeout), t.compensation_action, t.handler
from jsonb_to_recordset(:transitions::jsonb)
     as t (tenant_id text, flow text, flow_version text, from_state text, action text, to_state text, allowed_actors text[],
           is_async boolean, max_retry integer, timeout double precision, compensation_action text, handler text)
on conflict do nothing;
