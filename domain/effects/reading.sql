-- name: load_requests
-- What claimed effects say, of those that are still the caller's. Run as cs_worker without a transaction: the statement sets their
-- tenants itself, until it ends, and the look-ups stand behind that.
with told as materialized (
    select set_config('app.tenants', (array(select distinct unnest(:tenant_ids::text[])))::text, true)::text[] as tenants
)
select e.tenant_id, e.effect_id, e.request
from told
cross join lateral unnest(:tenant_ids::text[], :ids::uuid[], :terms::bigint[]) as w (tenant_id, effect_id, term)
cross join lateral (
    select tenant_id, effect_id, request from effects
    where tenant_id = w.tenant_id and w.tenant_id = any (told.tenants) and effect_id = w.effect_id and lease_term = w.term
      and state || '' = 'leased' offset 0) e;

-- name: take_tenant$
-- Alone among the workers in moving on this tenant's due effects, until the transaction ends.
select pg_try_advisory_xact_lock(hashtextextended('casestream.effects.due ' || :tenant_id, 0));
