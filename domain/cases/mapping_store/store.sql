-- name: read_generation$
-- The number that says whether the enabled mappings changed.
select generation from mapping_generation;

-- name: lock_generation$
-- Writers come one after another: each judges the graph that it will leave behind.
select generation from mapping_generation for update;

-- name: raise_generation<!
-- The enabled mappings are others now.
update mapping_generation set generation = generation + 1, changed_at = cs_now() returning generation;

-- name: list_enabled
-- The version of each class that counts: the latest enabled; as if one version were disabled, if it is named.
select distinct on (class_name) class_name, version, body::text as body
from mapping_definitions
where state = 'enabled' and (class_name, version) is distinct from (:without_class::text, :without_version::integer)
order by class_name, version desc;

-- name: list_drafts
-- The drafts of these classes.
select class_name, version, body::text as body
from mapping_definitions
where state = 'draft' and class_name = any (:class_names::text[]);

-- name: count_changes
-- How often each class was changed in the database, its last version number, and the enabled one.
select class_name, sum(revision)::bigint as changes, max(version) as last_version,
       max(version) filter (where state = 'enabled') as enabled_version,
       max(version) filter (where state = 'draft') as draft_version
from mapping_definitions
where class_name = any (:class_names::text[])
group by class_name;

-- name: list_changes
-- The same of all classes.
select class_name, sum(revision)::bigint as changes, max(version) as last_version,
       max(version) filter (where state = 'enabled') as enabled_version,
       max(version) filter (where state = 'draft') as draft_version
from mapping_definitions
group by class_name;

-- name: list_versions
-- A class's versions, newest first, below `before`.
select version, state, author, reason, created_at, published_at, published_by, disabled_at, disabled_by, disabled_reason
from mapping_definitions
where class_name = :class_name and version < :before
order by version desc
limit :page_size;

-- name: find_version^
-- One version with its words.
select version, state, body::text as body
from mapping_definitions
where class_name = :class_name and version = :version;

-- name: insert_drafts!
-- New drafts, each with the number after its class's last version.
insert into mapping_definitions (class_name, version, body, author, reason)
select d.class_name, d.version, d.body::jsonb, :author, d.reason
from unnest(:class_names::text[], :versions::integer[], :bodies::text[], :reasons::text[])
     as d (class_name, version, body, reason);

-- name: update_drafts!
-- Other words for drafts that are there.
update mapping_definitions m
set body = d.body::jsonb, author = :author, reason = d.reason, revision = m.revision + 1
from unnest(:class_names::text[], :bodies::text[], :reasons::text[]) as d (class_name, body, reason)
where m.class_name = d.class_name and m.state = 'draft';

-- name: enable_drafts
-- The drafts of these classes become their latest enabled versions.
update mapping_definitions
set state = 'enabled', published_at = cs_now(), published_by = :actor, reason = :reason, revision = revision + 1
where class_name = any (:class_names::text[]) and state = 'draft'
returning class_name, version;

-- name: disable_version!
-- One enabled version no longer counts; the one before it does, or the file.
update mapping_definitions
set state = 'disabled', disabled_at = cs_now(), disabled_by = :actor, disabled_reason = :reason, revision = revision + 1
where class_name = :class_name and version = :version and state = 'enabled';

-- name: list_table_versions
-- The newest version of each of these tables, and what it was built from.
select distinct on (name) name, version, fingerprint
from projection_versions
where name = any (:names::text[])
order by name, version desc;
