-- name: create_table_version$
-- True when the version was not there.
select create_table_version(:table_name, :version);

-- name: insert_table!
-- A table is known from its first planned version on.
insert into projection_tables (name, kind, topics) values (:name, :kind, :topics::text[]) on conflict (name) do nothing;

-- name: insert_version$
-- The next number of the table, planned; nothing when somebody else just took that number.
insert into projection_versions (name, version, spec, fingerprint, source, trial_tenant, reason, created_by)
select t.name,
       (select coalesce(max(v.version), 0) + 1 from projection_versions v where v.name = t.name),
       :spec::jsonb, :fingerprint, :source, :trial_tenant, :reason, :created_by
from projection_tables t
where t.name = :name
on conflict (name, version) do nothing
returning version;

-- name: insert_registered!
-- A version that the code's registry names: its table is made by `casestream db migrate` itself.
insert into projection_versions (name, version, fingerprint, source, state, reason, created_by)
values (:name, :version, 'builtin', 'topic', 'building', 'named by the registry', 'casestream db migrate')
on conflict (name, version) do nothing;

-- name: list_versions
-- Every version with its table, oldest first; null filters match everything.
select v.name, v.version, t.kind, t.topics, v.spec::text as spec, v.fingerprint, v.source, v.trial_tenant, v.state, v.reason,
       v.created_by, v.created_at, v.state_since, t.serving_version
from projection_versions v
join projection_tables t using (name)
where (:name::text is null or v.name = :name)
  and (:version::integer is null or v.version = :version)
  and (:states::text[] is null or v.state = any (:states))
order by v.name, v.version;

-- name: find_tables$
-- Which of these tables of schema projections are there.
select coalesce(array_agg(t.name), '{}') from unnest(:tables::text[]) as t (name)
where to_regclass('projections.' || quote_ident(t.name)) is not null;

-- name: move_state$
-- The version's state if it was one of the expected ones; null otherwise.
update projection_versions set state = :to_state, state_since = cs_now()
where name = :name and version = :version and state = any (:from_states::text[])
returning state;

-- name: set_serving!
-- What the view shows from now on. Only the owner role may.
update projection_tables set serving_version = :version where name = :name;

-- name: upsert_lag!
-- What this process's members measured.
insert into projection_lag as l (name, version, member, lag_records, lag_seconds, applied_at)
select * from unnest(:names::text[], :versions::integer[], :members::text[], :lag_records::bigint[],
                     :lag_seconds::double precision[], :applied_at::timestamptz[])
order by 1, 2, 3
on conflict (name, version, member) do update
set lag_records = excluded.lag_records, lag_seconds = excluded.lag_seconds,
    applied_at = coalesce(excluded.applied_at, l.applied_at), measured_at = cs_now();
