-- name: find_positions
-- Where each group stands on a topic.
select group_name, partition, next from consumer_offsets where topic = :topic and group_name = any (:group_names::text[]);

-- name: count_set_aside
-- What each group has set aside of a topic: rows that wait for a number, and parked rows.
select g.group_name,
       (select count(*) from waiting_messages w where w.group_name = g.group_name and w.topic = :topic) as waiting,
       (select count(*) from parked_messages p where p.group_name = g.group_name and p.topic = :topic) as parked
from unnest(:group_names::text[]) as g (group_name);

-- name: count_unsent$
-- Rows of a topic that the relay has still to carry.
select count(*) from outbox_events where topic = :topic;
