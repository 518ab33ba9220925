-- Look-ups by key start from the keys (`cross join lateral ... offset 0`), whatever the planner believes of the table. Before its first
-- analysis it believes in one matching row, compares every row of the table with every key, and a first load stands still.

-- name: take_partitions
-- Raise the epoch of partitions that we were assigned, so that a former owner's next fence fails. A new group begins at began_at.
-- Of a topic that was deleted and made anew nothing was handled: its offsets are other records.
insert into consumer_offsets as o (group_name, topic, partition, next, epoch, began_at, owner, topic_id)
select :group_name, t.topic, t.partition, t.begin, 1, t.begin, :owner, t.topic_id
from unnest(:topics::text[], :partitions::int[], :begins::bigint[], :topic_ids::uuid[]) as t (topic, partition, begin, topic_id)
order by t.topic, t.partition
on conflict (group_name, topic, partition) do update
set epoch = o.epoch + 1, owner = excluded.owner, updated_at = cs_now(),
    handled = case when o.topic_id <> excluded.topic_id then '{}' else o.handled end,
    topic_id = coalesce(excluded.topic_id, o.topic_id)
returning o.topic, o.partition, o.next, o.epoch, o.began_at, o.handled;

-- name: find_epochs
-- The present epochs: another one than ours means that somebody took or moved the partition.
select topic, partition, epoch from consumer_offsets
where group_name = :group_name and (topic, partition) in (select * from unnest(:topics::text[], :partitions::int[]));

-- name: begin_batch^
-- The tenants of a batch, the batch's one instant, and whether the group has set anything aside: mostly it has not, and
-- then nobody looks for it key by key. Only a partition's owner sets aside what lies in it, so the answer stands.
select set_config('app.tenants', :tenants, true), cs_now() as now,
       exists (select from parked_keys where group_name = :group_name) as has_marked,
       exists (select from waiting_messages where group_name = :group_name) as has_waiting;

-- name: advance_offsets
-- The fence: moves a partition only for its present owner, and only from where that owner's last batch ended. What lies
-- between is handled from now on; a move of the group does not take that back, and leaves a hole where it goes forward.
update consumer_offsets o
set next = t.next, handled = o.handled + int8multirange(int8range(t.position, t.next)), updated_at = cs_now()
from unnest(:topics::text[], :partitions::int[], :epochs::bigint[], :positions::bigint[], :nexts::bigint[])
         as t (topic, partition, epoch, position, next)
where o.group_name = :group_name and o.topic = t.topic and o.partition = t.partition
  and o.epoch = t.epoch and o.next = t.position
returning o.topic, o.partition;

-- name: find_marked_keys
-- Which of these keys are marked, and the offset at which each one's queue begins.
select t.topic, t.partition, t.key,
       (select min(p."offset") from parked_messages p
        where p.group_name = :group_name and p.topic = t.topic and p.partition = t.partition and p.key = t.key) as head
from unnest(:topics::text[], :partitions::int[], :keys::bytea[]) as t (topic, partition, key)
cross join lateral (
    select from parked_keys k
    where k.group_name = :group_name and k.topic = t.topic and k.partition = t.partition and k.key = t.key
    offset 0) marked;

-- name: find_seen_identities
select t.tenant_id, t.source, t.event_id
from unnest(:tenant_ids::text[], :sources::text[], :event_ids::text[]) as t (tenant_id, source, event_id)
cross join lateral (
    select from inbox i
    where i.tenant_id = t.tenant_id and i.group_name = :group_name and i.source = t.source and i.event_id = t.event_id
    offset 0) seen;

-- name: insert_identities!
-- Nothing is asked of what is there: `on conflict` makes a row twice as dear, for the one in a million that another owner took.
insert into inbox (tenant_id, group_name, source, event_id)
select t.tenant_id, :group_name, t.source, t.event_id
from unnest(:tenant_ids::text[], :sources::text[], :event_ids::text[]) as t (tenant_id, source, event_id);

-- name: find_sequences
select t.tenant_id, t.source, t.topic, t.aggregate, known.sequence
from unnest(:tenant_ids::text[], :sources::text[], :topics::text[], :aggregates::text[]) as t (tenant_id, source, topic, aggregate)
cross join lateral (
    select a.sequence from applied_sequences a
    where a.tenant_id = t.tenant_id and a.group_name = :group_name and a.source = t.source and a.topic = t.topic
      and a.aggregate = t.aggregate
    offset 0) known;

-- name: upsert_sequences!
-- Touches fewer rows than it is given where another partition's owner has applied the same number meanwhile.
insert into applied_sequences as a (tenant_id, group_name, source, topic, aggregate, sequence)
select t.tenant_id, :group_name, t.source, t.topic, t.aggregate, t.sequence
from unnest(:tenant_ids::text[], :sources::text[], :topics::text[], :aggregates::text[], :sequences::bigint[])
         as t (tenant_id, source, topic, aggregate, sequence)
on conflict (tenant_id, group_name, source, topic, aggregate) do update set sequence = excluded.sequence
where a.sequence < excluded.sequence;

-- name: find_waiting
-- The lowest waiting numbers of each aggregate, at most so many: a pile behind one gap must not be read by every batch.
select w.topic, w.partition, w."offset", w.source, w.aggregate, w.tenant_id, w.sequence, w.key, w.value, w.headers, w.timestamp,
       w.replayed
from unnest(:topics::text[], :tenant_ids::text[], :sources::text[], :aggregates::text[])
         as t (topic, tenant_id, source, aggregate)
cross join lateral (
    select * from waiting_messages m
    where m.group_name = :group_name and m.topic = t.topic and m.tenant_id = t.tenant_id
      and m.source = t.source and m.aggregate = t.aggregate
    order by m.sequence
    limit :most
) w;

-- name: insert_waiting!
insert into waiting_messages
    (group_name, topic, partition, "offset", tenant_id, source, aggregate, sequence, waiting_for, key, value, headers, timestamp,
     replayed)
select :group_name, t.*
from unnest(:topics::text[], :partitions::int[], :offsets::bigint[], :tenant_ids::text[], :sources::text[],
            :aggregates::text[], :sequences::bigint[], :waiting_for::bigint[], :keys::bytea[], :values::bytea[],
            :headers::bytea[], :timestamps::bigint[], :replayed::boolean[])
         as t (topic, partition, "offset", tenant_id, source, aggregate, sequence, waiting_for, key, value, headers, timestamp,
               replayed)
on conflict do nothing;

-- name: delete_waiting!
delete from waiting_messages
where ctid = any (array(
    select found.ctid
    from unnest(:topics::text[], :partitions::int[], :offsets::bigint[]) as t (topic, partition, "offset")
    cross join lateral (
        select m.ctid from waiting_messages m
        where m.group_name = :group_name and m.topic = t.topic and m.partition = t.partition and m."offset" = t."offset"
        offset 0) found));

-- name: park_messages!
-- A redriven message that fails again keeps its row: attempts grow, the newest reason stands, the order is done. One that
-- is read again behind its marked key (its group was moved back) only follows: its cause and its order stand.
insert into parked_messages as p
    (group_name, topic, partition, "offset", tenant_id, key, value, headers, timestamp, reason, fingerprint, error, replayed)
select :group_name, t.*
from unnest(:topics::text[], :partitions::int[], :offsets::bigint[], :tenant_ids::text[], :keys::bytea[], :values::bytea[],
            :headers::bytea[], :timestamps::bigint[], :reasons::text[], :fingerprints::text[], :errors::text[],
            :replayed::boolean[])
         as t (topic, partition, "offset", tenant_id, key, value, headers, timestamp, reason, fingerprint, error, replayed)
on conflict (group_name, topic, partition, "offset") do update
set attempts = p.attempts + (excluded.reason <> 'follows')::int,
    reason = case excluded.reason when 'follows' then p.reason else excluded.reason end,
    fingerprint = case excluded.reason when 'follows' then p.fingerprint else excluded.fingerprint end,
    error = case excluded.reason when 'follows' then p.error else excluded.error end,
    ordered = case excluded.reason when 'follows' then p.ordered end;

-- name: mark_keys!
insert into parked_keys (group_name, topic, partition, key, tenant_id)
select distinct on (t.topic, t.partition, t.key) :group_name, t.topic, t.partition, t.key, t.tenant_id
from unnest(:topics::text[], :partitions::int[], :keys::bytea[], :tenant_ids::text[]) as t (topic, partition, key, tenant_id)
where t.key is not null
on conflict do nothing;

-- name: find_ordered_messages
-- What operators ordered in our partitions: whole keys in offset order, and single messages without a key. Begins with the
-- few ordered rows, so that a second without orders costs nothing, however much is parked. At most so many rows, and so many
-- bytes unless the first row alone has more.
with ordered as materialized (
    select topic, partition, "offset", key from parked_messages
    where group_name = :group_name and ordered is not null
      and (topic, partition) in (select * from unnest(:topics::text[], :partitions::int[]))
), places as (
    select topic, partition, "offset" from ordered where key is null
    union
    select p.topic, p.partition, p."offset"
    from (select distinct topic, partition, key from ordered) o
    join parked_messages p on p.topic = o.topic and p.key = o.key and p.partition = o.partition
    where p.group_name = :group_name
)
select topic, partition, "offset", tenant_id, key, value, headers, timestamp, ordered, replayed
from (select f.*, sum(f.size) over (order by topic, partition, "offset") - f.size as before
      from (select topic, partition, "offset", p.tenant_id, p.key, p.value, p.headers, p.timestamp, p.ordered,
                   p.replayed, coalesce(octet_length(p.value), 0) as size
            from places join parked_messages p using (topic, partition, "offset")
            where p.group_name = :group_name
            order by topic, partition, "offset"
            limit :most) f) page
where before < :bytes
order by topic, partition, "offset";

-- name: find_set_aside
-- Which of these positions are set aside since they were first read: nothing has come of them yet.
select t.topic, t.partition, t."offset"
from unnest(:topics::text[], :partitions::int[], :offsets::bigint[]) as t (topic, partition, "offset")
cross join lateral (
    (select from parked_messages p
     where p.group_name = :group_name and p.topic = t.topic and p.partition = t.partition and p."offset" = t."offset"
       and not p.replayed)
    union all
    (select from waiting_messages w
     where w.group_name = :group_name and w.topic = t.topic and w.partition = t.partition and w."offset" = t."offset"
       and not w.replayed)
    offset 0) found;

-- name: note_done!
-- Parked messages that were read again and applied: what a redrive makes of their rows is a repetition.
update parked_messages p set replayed = true
from unnest(:topics::text[], :partitions::int[], :offsets::bigint[]) as t (topic, partition, "offset")
where p.group_name = :group_name and p.topic = t.topic and p.partition = t.partition and p."offset" = t."offset";

-- name: delete_parked!
delete from parked_messages
where ctid = any (array(
    select found.ctid
    from unnest(:topics::text[], :partitions::int[], :offsets::bigint[]) as t (topic, partition, "offset")
    cross join lateral (
        select m.ctid from parked_messages m
        where m.group_name = :group_name and m.topic = t.topic and m.partition = t.partition and m."offset" = t."offset"
        offset 0) found));

-- name: unmark_emptied_keys!
-- The queue of a key is empty: later messages flow again.
delete from parked_keys k
where k.group_name = :group_name
  and (k.topic, k.partition, k.key) in (select * from unnest(:topics::text[], :partitions::int[], :keys::bytea[]))
  and not exists (select from parked_messages p
                  where p.group_name = k.group_name and p.topic = k.topic and p.partition = k.partition and p.key = k.key);

-- name: continue_orders!
-- A page of a key went well: the rest of the key follows, also what arrived after the order.
update parked_messages set ordered = 'redrive'
where group_name = :group_name and ordered is null
  and (topic, partition, key) in (select * from unnest(:topics::text[], :partitions::int[], :keys::bytea[]));

-- name: drop_orders!
-- A key failed again: what its other rows were ordered to do is over too.
update parked_messages set ordered = null
where group_name = :group_name and ordered is not null
  and (topic, partition, key) in (select * from unnest(:topics::text[], :partitions::int[], :keys::bytea[]));

-- name: list_gaps
-- Aggregates of our partitions that wait for a number, with their lowest waiting one.
select w.topic, w.partition, w.tenant_id, w.source, w.aggregate, min(w.sequence) as lowest,
       min(w.waiting_for) as waiting_for, bool_or(w.skip) as skip,
       extract(epoch from cs_now() - min(w.since))::float8 as seconds,
       exists (select from skipped_ranges r
               where r.group_name = w.group_name and r.topic = w.topic and r.partition = w.partition
                 and r.moved_at > coalesce((select max(b.taken_at) from sequence_baselines b
                                            where b.tenant_id = w.tenant_id and b.group_name = w.group_name
                                              and b.source = w.source and b.topic = w.topic and b.aggregate = w.aggregate),
                                           '-infinity')) as skipped
from waiting_messages w
where w.group_name = :group_name
  and (w.topic, w.partition) in (select * from unnest(:topics::text[], :partitions::int[]))
group by w.group_name, w.topic, w.partition, w.tenant_id, w.source, w.aggregate
-- Operators' skips first; of the rest another sample each round, so that no number of hopeless gaps hides one for ever.
order by bool_or(w.skip) desc, hashtext(w.aggregate || :salt)
limit :most;

-- name: tenants_of_waiting$
select coalesce(array_agg(distinct tenant_id), '{}') from waiting_messages
where group_name = :group_name and (topic, partition) in (select * from unnest(:topics::text[], :partitions::int[]));

-- name: find_in_outbox
-- Of which of these aggregates an event still waits in the outbox.
select distinct o.tenant_id, o.aggregate, o.aggregate_id
from unnest(:tenant_ids::text[], :aggregates::text[], :aggregate_ids::text[]) as t (tenant_id, aggregate, aggregate_id)
join outbox_events o using (tenant_id, aggregate, aggregate_id);

-- name: insert_baseline!
insert into sequence_baselines (tenant_id, group_name, source, topic, aggregate, baseline, reason)
values (:tenant_id, :group_name, :source, :topic, :aggregate, :baseline, :reason)
on conflict do nothing;

-- name: count_set_aside^
-- What is set aside in our partitions, for the metrics.
select (select count(*) from parked_keys k
        where k.group_name = :group_name
          and (k.topic, k.partition) in (select * from unnest(:topics::text[], :partitions::int[]))) as parked_keys,
       (select count(*) from waiting_messages w
        where w.group_name = :group_name
          and (w.topic, w.partition) in (select * from unnest(:topics::text[], :partitions::int[]))) as waiting;

-- name: group_state$
select coalesce((select state from consumer_groups where group_name = :group_name), 'running');

-- name: stop_group!
insert into consumer_groups (group_name, state, reason) values (:group_name, 'stopped', :reason)
on conflict (group_name) do update set state = 'stopped', reason = excluded.reason, changed_at = cs_now();
