-- name: take_buckets!
-- The transaction locks of the buckets of these keys, in the given (rising) order: a key's events get their ids one by one.
select pg_advisory_xact_lock(:space, bucket) from unnest(:buckets::int[]) as bucket;

-- name: insert_published
-- Take these events; those that are new.
insert into published_events (tenant_id, source, event_id, fingerprint)
select :tenant_id, :source, e.event_id, e.fingerprint
from unnest(:event_ids::text[], :fingerprints::bytea[]) as e (event_id, fingerprint)
order by e.event_id
on conflict (tenant_id, source, event_id) do nothing
returning event_id;

-- name: find_published
-- What these events were when they were taken before.
select event_id, fingerprint
from published_events
where tenant_id = :tenant_id and source = :source and event_id = any (:event_ids::text[]);
