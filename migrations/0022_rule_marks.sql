-- What a group has handled of a partition, for ever: old events start nothing new, whatever inbox and rules have become since.

-- Ranges of offsets that committed batches covered, kept by the fence. Mostly one; a move forward leaves a hole, and a move back
-- leaves the ranges as they are. They are of the topic with this id of the broker: a topic made anew has other records.
alter table consumer_offsets
    add column handled  int8multirange not null default '{}',
    add column topic_id uuid;

-- Groups that run already have handled everything below their position but what an operator skipped.
update consumer_offsets o
set handled = int8multirange(int8range(0, o.next)) - coalesce(
        (select range_agg(int8range(r.from_next, r.to_next)) from skipped_ranges r
         where r.group_name = o.group_name and r.topic = o.topic and r.partition = o.partition), '{}')
where o.next > 0;

-- Set aside during a replay, although it was handled before: letting it go later repeats nothing either.
alter table parked_messages add column replayed boolean not null default false;
alter table waiting_messages add column replayed boolean not null default false;
