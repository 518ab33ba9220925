-- name: list_candidates
-- A page of a tenant's parked messages after a place; the value only where the subject's id occurs in it, or may stand there
-- in escapes.
select p.group_name, p.topic, p.partition, p."offset", p.headers,
       case when position(:plain::bytea in p.value) > 0 or position(:escape::bytea in p.value) > 0 then p.value end as value
from parked_messages p
where p.tenant_id = :tenant_id
  and (p.group_name, p.topic, p.partition, p."offset") > (:group_name, :topic, :partition, :offset)
order by p.group_name, p.topic, p.partition, p."offset" limit :most;

-- name: empty_parked!
-- Take the contents out of these records, leave their identity, and order that they are discarded.
update parked_messages p set value = e.value, headers = e.headers, ordered = 'discard'
from unnest(:groups::text[], :topics::text[], :partitions::int[], :offsets::bigint[], :values::bytea[], :headers::bytea[])
    as e (group_name, topic, partition, "offset", value, headers)
where (p.group_name, p.topic, p.partition, p."offset") = (e.group_name, e.topic, e.partition, e."offset");
