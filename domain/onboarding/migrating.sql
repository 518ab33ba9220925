-- name: list_live_of_version
-- A page of the tenant's instances of a version that have not ended, by id: a range of the index of live instances.
select i.instance_id, i.folded::text as folded
from onboarding_instance i
where i.tenant_id = :tenant_id and i.ended_at is null and (:after::text is null or i.instance_id > :after)
  and i.flow = :flow and i.flow_version = :flow_version
order by i.instance_id
limit :size;

-- name: read_clock$
select cs_now();
