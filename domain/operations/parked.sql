-- name: list_parked
-- Parked messages grouped by cause.
select p.group_name, p.topic, p.fingerprint, p.reason, count(*) as messages, count(distinct p.key) as keys,
       count(*) filter (where p.ordered is not null) as ordered, min(p.parked_at) as oldest, max(p.attempts) as attempts,
       (array_agg(p.error order by p.parked_at desc))[1] as sample_error
from parked_messages p
where (:group_name::text is null or p.group_name = :group_name)
  and (:fingerprint::text is null or p.fingerprint = :fingerprint)
  and (:tenant_id::text is null or p.tenant_id = :tenant_id)
group by p.group_name, p.topic, p.fingerprint, p.reason
order by p.group_name, (p.reason = 'follows'), min(p.parked_at);

-- name: list_parked_positions
-- The messages themselves, oldest first, without contents.
select p.group_name, p.topic, p.partition, p."offset", p.tenant_id, p.key, p.reason, p.fingerprint, p.error, p.attempts,
       p.ordered, p.parked_at
from parked_messages p
where (:group_name::text is null or p.group_name = :group_name)
  and (:fingerprint::text is null or p.fingerprint = :fingerprint)
  and (:tenant_id::text is null or p.tenant_id = :tenant_id)
order by p.parked_at, p.topic, p.partition, p."offset"
limit :most;

-- name: find_parked^
select p.* from parked_messages p
where p.group_name = :group_name and p.topic = :topic and p.partition = :partition and p."offset" = :offset;

-- name: select_parked
-- The messages that an order names. Null arguments match everything.
select p.topic, p.partition, p."offset", p.key from parked_messages p
where p.group_name = :group_name
  and (:fingerprint::text is null or p.fingerprint = :fingerprint)
  and (:tenant_id::text is null or p.tenant_id = :tenant_id)
  and (:key::bytea is null or p.key = :key)
  and (:topic::text is null or (p.topic = :topic and p.partition = :partition and p."offset" = :offset))
order by p.topic, p.partition, p."offset";

-- name: order_keys!
-- All rows of these keys: only whole keys can be applied in order.
update parked_messages set ordered = 'redrive'
where group_name = :group_name
  and (topic, partition, key) in (select * from unnest(:topics::text[], :partitions::int[], :keys::bytea[]));

-- name: order_messages!
-- These rows, whatever their key.
update parked_messages set ordered = :ordered
where group_name = :group_name
  and (topic, partition, "offset") in (select * from unnest(:topics::text[], :partitions::int[], :offsets::bigint[]));

-- name: count_orders^
-- How far the owner is with what was ordered: still ordered, and still there without an order (failed again).
select count(*) filter (where p.ordered is not null) as ordered, count(*) as remaining
from parked_messages p
where p.group_name = :group_name
  and ((p.topic, p.partition, p.key) in (select * from unnest(:key_topics::text[], :key_partitions::int[], :keys::bytea[]))
       or (p.topic, p.partition, p."offset") in (select * from unnest(:topics::text[], :partitions::int[], :offsets::bigint[])));
