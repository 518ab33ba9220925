-- name: applied_commands$
-- Commands of this run that the Kafka door has decided (its inbox rows stay for ever).
select count(*) from inbox
where group_name = 'work-items' and source = :source and event_id = any (:command_ids::text[]);

-- name: parked_messages
select reason, count(*) as messages, count(distinct key) as keys, min(fingerprint) as fingerprint
from parked_messages
where group_name = 'work-items' and key = any (:keys::bytea[])
group by reason
order by messages desc, reason;

-- name: unsent_events$
select count(*) from outbox_events;

-- name: behind_items$
-- Items of this run whose row on the board has not reached their last event.
select count(*)
from work_items w
left join projections.work_item_board__v1 b on b.tenant_id = w.tenant_id and b.work_item_id = w.id::text
where w.id = any (:item_ids::uuid[]) and coalesce(b.ce_sequence, 0) < w.event_sequence;

-- name: reopened_items$
select count(*) from projections.work_item_board__v1 where work_item_id = any (:item_ids::text[]) and reopen_count > 0;

-- name: board_version$
select version from projections.work_item_board__v1 where tenant_id = :tenant_id and work_item_id = :work_item_id;
