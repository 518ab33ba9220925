-- name: insert_notifications!
-- One row for each user of each effect; one that is there stays, read or not.
insert into notifications (tenant_id, user_id, notification_id, title, message, priority, action_url, subject_id)
select n.* from unnest(:tenant_ids::text[], :user_ids::text[], :ids::uuid[], :titles::text[], :messages::text[],
                       :priorities::text[], :action_urls::text[], :subject_ids::text[]) as n
order by 1, 2, 3
on conflict do nothing;

-- name: list_notifications
-- One page of a user's notifications, newest first.
select n.notification_id, n.title, n.message, n.priority, n.action_url, n.created_at, n.read_at
from notifications n
where n.user_id = :user_id and n.tenant_id = :tenant_id
  and (not :unread_only or n.read_at is null)
  and (:before_time::timestamptz is null or (n.created_at, n.notification_id) < (:before_time, :before_id::uuid))
order by n.created_at desc, n.notification_id desc
limit :page_size;

-- name: count_unread$
-- How many a user has not read, counted no further than people read numbers.
select count(*) from (
    select from notifications n
    where n.user_id = :user_id and n.tenant_id = :tenant_id and n.read_at is null limit :most) as unread;

-- name: mark_read^
-- Read now, or when it was read first.
update notifications set read_at = coalesce(read_at, greatest(cs_now(), created_at))
where tenant_id = :tenant_id and user_id = :user_id and notification_id = :notification_id
returning notification_id, title, message, priority, action_url, created_at, read_at;

-- name: mark_all_read!
-- Everything that the user had until this moment, in batches.
update notifications set read_at = greatest(cs_now(), created_at)
where tenant_id = :tenant_id and user_id = :user_id and notification_id in (
    select n.notification_id from notifications n
    where n.user_id = :user_id and n.tenant_id = :tenant_id and n.read_at is null
    order by n.created_at limit :most);

-- name: delete_of_subject!
-- A batch of what tells of a shredded subject.
delete from notifications
where ctid in (select ctid from notifications where subject_id = :subject_id and tenant_id = :tenant_id limit :most);
