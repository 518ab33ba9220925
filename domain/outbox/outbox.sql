-- name: insert_outbox_events!
-- Append a batch in array order: ids are drawn in that order, after the transaction's xid.
insert into outbox_events
    (event_id, tenant_id, shard, aggregate, aggregate_id, sequence, topic, key, event_type, headers, payload,
     occurred_at, created_by, traceparent)
select e.event_id, e.tenant_id, e.shard, e.aggregate, e.aggregate_id, e.sequence, e.topic, e.key, e.event_type, e.headers,
       e.payload, e.occurred_at, e.created_by, e.traceparent
from unnest(:event_ids::uuid[], :tenant_ids::text[], :shards::smallint[], :aggregates::text[], :aggregate_ids::text[],
            :sequences::bigint[], :topics::text[], :keys::bytea[], :event_types::text[], :headers::bytea[], :payloads::bytea[],
            :occurred_at::timestamptz[], :created_by::text[], :traceparents::text[])
     with ordinality as e (event_id, tenant_id, shard, aggregate, aggregate_id, sequence, topic, key, event_type, headers,
                           payload, occurred_at, created_by, traceparent, position)
order by e.position;
