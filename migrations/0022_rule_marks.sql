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

-- Skips that are shown now and then, with what the rule saw. Their ids are of their own, so they keep no run from beginning; they
-- alone may be deleted: every other row of the log is a durable key.
alter table workflow_execution_logs
    add column sampled boolean not null default false,
    add constraint a_sample_is_a_skip check (not sampled or status = 'SKIPPED');
create index workflow_logs_samples on workflow_execution_logs (started_at, tenant_id) where sampled;
grant delete on workflow_execution_logs to cs_worker;
create trigger workflow_execution_logs_are_keys before delete on workflow_execution_logs
    for each row when (not old.sampled) execute function refuse_change();
