-- name: list_positions
-- Where a group stands, with what it has set aside per partition.
select o.topic, o.partition, o.next, o.epoch, o.owner, o.began_at, o.updated_at,
       (select count(*) from parked_messages p
        where p.group_name = o.group_name and p.topic = o.topic and p.partition = o.partition) as parked,
       (select count(*) from waiting_messages w
        where w.group_name = o.group_name and w.topic = o.topic and w.partition = o.partition) as waiting
from consumer_offsets o
where o.group_name = :group_name and (:topic::text is null or o.topic = :topic)
  and (:partition::int is null or o.partition = :partition)
order by o.topic, o.partition;

-- name: move_positions
-- Raise the epoch, so that the owner's next fence fails and it takes the partition anew, at the new position.
insert into consumer_offsets as o (group_name, topic, partition, next, epoch, began_at)
select :group_name, t.topic, t.partition, t.next, 1, t.next
from unnest(:topics::text[], :partitions::int[], :nexts::bigint[]) as t (topic, partition, next)
order by t.topic, t.partition
on conflict (group_name, topic, partition) do update
set next = excluded.next, began_at = excluded.next, epoch = o.epoch + 1, updated_at = cs_now()
returning topic, partition, next, epoch;

-- name: lock_positions
-- The positions as they are now, held until the move is committed: the owner's fence waits for us.
select topic, partition, next from consumer_offsets
where group_name = :group_name and (topic, partition) in (select * from unnest(:topics::text[], :partitions::int[]))
order by topic, partition
for update;

-- name: insert_skipped_ranges!
insert into skipped_ranges (group_name, topic, partition, from_next, to_next, moved_by)
select :group_name, t.topic, t.partition, t.from_next, t.to_next, :moved_by
from unnest(:topics::text[], :partitions::int[], :froms::bigint[], :tos::bigint[]) as t (topic, partition, from_next, to_next)
on conflict (group_name, topic, partition, from_next, to_next) do update set moved_at = cs_now(), moved_by = excluded.moved_by;

-- name: delete_reread_ranges!
-- A move back over a skipped range takes the skip back.
delete from skipped_ranges r
using unnest(:topics::text[], :partitions::int[], :nexts::bigint[]) as t (topic, partition, next)
where r.group_name = :group_name and r.topic = t.topic and r.partition = t.partition and r.from_next >= t.next;

-- name: find_gaps
-- Aggregates of this name that wait, with what they wait for.
select w.tenant_id, w.source, min(w.waiting_for) as waiting_for, min(w.sequence) as lowest, count(*) as messages,
       min(w.since) as since
from waiting_messages w
where w.group_name = :group_name and w.topic = :topic and w.aggregate = :aggregate
group by w.tenant_id, w.source
order by w.tenant_id, w.source;

-- name: skip_gaps!
-- Only the lowest waiting message: a second gap behind it is another decision.
update waiting_messages w set skip = true
where w.group_name = :group_name and w.topic = :topic and w.aggregate = :aggregate
  and w.sequence = (select min(l.sequence) from waiting_messages l
                    where l.group_name = w.group_name and l.topic = w.topic and l.tenant_id = w.tenant_id
                      and l.source = w.source and l.aggregate = w.aggregate);

-- name: list_version_groups
-- Every table version has a group of its own.
select v.name, v.version, t.topics, v.state from projection_versions v join projection_tables t using (name)
order by v.name, v.version;

-- name: list_groups
-- Every group that has a switch, a position or something set aside.
with known as (
    select group_name from consumer_offsets union select group_name from consumer_groups
    union select group_name from parked_messages union select unnest(:registered::text[])
)
select k.group_name, coalesce(s.state, 'running') as state, coalesce(s.reason, '') as reason, s.changed_at,
       (select count(*) from consumer_offsets o where o.group_name = k.group_name) as partitions,
       (select count(*) from parked_messages p where p.group_name = k.group_name) as parked,
       (select count(*) from parked_keys q where q.group_name = k.group_name) as parked_keys,
       (select count(*) from waiting_messages w where w.group_name = k.group_name) as waiting
from known k left join consumer_groups s using (group_name)
order by k.group_name;

-- name: set_group_state!
insert into consumer_groups (group_name, state, reason) values (:group_name, :state, :reason)
on conflict (group_name) do update set state = excluded.state, reason = excluded.reason, changed_at = cs_now();
