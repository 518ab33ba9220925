-- name: insert_outbox_events!
-- Append a batch in array order: ids are drawn in that order, after the transaction's xid. Each parameter is a column's array.
insert into outbox_events
    (event_id, tenant_id, shard, aggregate, aggregate_id, sequence, topic, key, event_type, headers, payload,
     occurred_at, created_by, traceparent)
select e.event_id, e.tenant_id, e.shard, e.aggregate, e.aggregate_id, e.sequence, e.topic, e.key, e.event_type, e.headers,
       e.payload, e.occurred_at, e.created_by, e.traceparent
from unnest(:event_id::uuid[], :tenant_id::text[], :shard::smallint[], :aggregate::text[], :aggregate_id::text[],
            :sequence::bigint[], :topic::text[], :key::bytea[], :event_type::text[], :headers::bytea[], :payload::bytea[],
            :occurred_at::timestamptz[], :created_by::text[], :traceparent::text[])
     with ordinality as e (event_id, tenant_id, shard, aggregate, aggregate_id, sequence, topic, key, event_type, headers,
                           payload, occurred_at, created_by, traceparent, position)
order by e.position;

-- name: insert_outbox_event!
-- insert_outbox_events for one event, which is what an action writes: unnest makes a tuplestore of each of its arrays.
insert into outbox_events
    (event_id, tenant_id, shard, aggregate, aggregate_id, sequence, topic, key, event_type, headers, payload,
     occurred_at, created_by, traceparent)
values
    (:event_id, :tenant_id, :shard, :aggregate, :aggregate_id, :sequence, :topic, :key, :event_type, :headers, :payload,
     :occurred_at, :created_by, :traceparent);
